"""One word means one thing: what holds for the names in the whole code base."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import envfab

PACKAGE = Path(envfab.__file__).parent


def test_each_public_class_has_a_name_of_its_own() -> None:
    """Whoever reads a name need not ask of which module it is."""
    places = defaultdict(list)
    for file in PACKAGE.rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(file.relative_to(PACKAGE)))
    assert len(places) > 300
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
