"""Distinct interpreters, and the file that carries them."""

from __future__ import annotations

import json

import pytest

from envfab.errors import EnvfabError
from envfab.models.interpreter_kinds import from_json, kinds, to_json
from tests.planning.catalogue import interpreter


def test_interpreters_that_differ_only_in_their_kernel_are_one() -> None:
    """Targets are grouped by what a choice of wheels depends on; the file that carries them keeps all of it."""
    found = [
        ("a", interpreter("3.11.7")),
        ("b", interpreter("3.11.7", platform_release="7.0", platform_version="#2")),
        ("c", interpreter("3.11.8")),
    ]
    grouped = kinds(found)
    assert [kind.targets for kind in grouped] == [("a", "b"), ("c",)]
    assert from_json(json.dumps(to_json(grouped)), "file") == grouped


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 2}', "file: it is of format 2; this envfab reads 1"),
        ("[", "file: no interpreters can be read from it"),
        ('{"format": 1}', "'interpreters' is missing"),
        ('{"format": 1, "interpreters": []}', "there is none in it"),
        ("[" * 200_000, "it is nested too deeply"),
        ('{"format": 1, "interpreters": [{"tags": [1]}]}', "no interpreters can be read from it"),
    ],
)
def test_a_file_without_interpreters_is_refused(text: str, message: str) -> None:
    """Another format, damage, and other JSON are errors that name the file."""
    with pytest.raises(EnvfabError) as caught:
        from_json(text, "file")
    assert message in str(caught.value)
