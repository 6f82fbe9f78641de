"""Saved plans of any shape: one short error, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envfab.deployment.plan_file import SavedPlan, load
from envfab.errors import EnvfabError, FormatError
from envfab.planning.plan import Plan, to_json
from envfab.planning.planner import plan
from tests.planning.catalogue import probe, requirements, wheelhouse


def made() -> Plan:
    """A plan with an action."""
    return plan(probe(), requirements("a"), wheelhouse(["a==1"]))


def saved(folder: Path, document: object) -> Path:
    """A file with this document."""
    path = folder / "plan.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """By its target."""
    found = load(saved(tmp_path, {"format": 1, "virtualenvs": [to_json(made())]}))
    assert found == SavedPlan({made().target: made()})


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "not a saved plan"),
        ("5", "not a saved plan"),
        ("[" * 100_000, "not a saved plan"),
        ("1" * 5000, "not a saved plan"),
        ({"format": True, "virtualenvs": []}, "not a saved plan"),
        ({"format": "1"}, "not a saved plan"),
        ({"format": 1}, "'virtualenvs' must be a list"),
        ({"format": 1, "virtualenvs": 5}, "'virtualenvs' must be a list"),
        ({"format": 1, "virtualenvs": {"a": 1}}, "'virtualenvs' must be a list"),
        ({"format": 1, "virtualenvs": [None]}, "None must be an object"),
        ({"format": 1, "virtualenvs": [{}]}, "'user' is missing"),
        ({"format": 1, "virtualenvs": [to_json(made())] * 2}, "shop@web1:/srv/shop/venv is in it twice"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, document: object, said: str) -> None:
    """With the file, and what to do."""
    path = saved(tmp_path, document)
    with pytest.raises(FormatError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert str(caught.value).endswith("\n  make one with fab plan --out FILE")


@pytest.mark.parametrize("name", ["--help", "-e", "a b", "", "a;reboot"])
def test_a_package_of_such_a_name_is_refused(tmp_path: Path, name: str) -> None:
    """It would be an option or more for whoever removes it."""
    document: dict[str, Any] = to_json(made())
    document["actions"] = [
        {
            "action": "remove",
            "name": name,
            "installed": "1",
            "version": None,
            "wheel": None,
            "sha256": None,
            "reason": "",
        }
    ]
    with pytest.raises(FormatError, match="'name' must be a project name"):
        load(saved(tmp_path, {"format": 1, "virtualenvs": [document]}))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Folders, and paths that cannot be any."""
    for path in (tmp_path, tmp_path / "gone", Path("a\0b")):
        with pytest.raises(EnvfabError, match="cannot read the plan"):
            load(path)
