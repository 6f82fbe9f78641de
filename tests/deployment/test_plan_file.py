"""Saved plans of any shape: one short error, never a traceback."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from envfab.config.slices import Slice
from envfab.deployment.plan_file import SavedPlan, Waves, load, save
from envfab.errors import EnvfabError, FormatError
from envfab.planning.plan import Plan
from envfab.planning.plan_json import to_json
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
    commands = [{"of": "reload", "command": "systemctl reload shop   as root"}]
    path = saved(tmp_path, {"format": 1, "virtualenvs": [to_json(made()) | {"commands": commands}]})
    digest, target = hashlib.sha256(path.read_bytes()).hexdigest(), made().target
    shown = (("reload", "systemctl reload shop   as root"),)
    assert load(path) == SavedPlan({target: made()}, sha256=digest, commands={target: shown})


@pytest.mark.parametrize(
    ("waves", "number"), [(None, 1), (Waves(frozenset({made().target}), "25%"), 2), (Waves(batch=4), 2)]
)
def test_only_waves_need_the_newer_format(tmp_path: Path, waves: Waves | None, number: int) -> None:
    """A plan is read back with all that slices depend on; an envfab that knows no waves refuses those that have them."""
    fleet, part = "0123456789abcdef" * 4, Slice(3, 8)
    document = {
        "format": 1,
        "slice": str(part),
        "fleet": fleet,
        "waves": waves.to_json() if waves else None,
        "virtualenvs": [to_json(made())],
    }
    digest = save(tmp_path / "plan.json", document)
    assert json.loads((tmp_path / "plan.json").read_text())["format"] == number
    assert load(tmp_path / "plan.json") == SavedPlan(
        {made().target: made()}, fleet, part, waves, digest, {made().target: ()}
    )


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
        ({"format": 1, "virtualenvs": [None]}, "a plan must be an object, not null"),
        ({"format": 1, "virtualenvs": [{}]}, "'user' is missing"),
        ({"format": 1, "virtualenvs": [to_json(made())] * 2}, "shop@web1:/srv/shop/venv is in it twice"),
        ({"format": 1, "virtualenvs": [], "fleet": 5}, "'fleet' must be 64 hex digits, not 5"),
        ({"format": 1, "virtualenvs": [], "fleet": "0" * 63}, "'fleet' must be 64 hex digits, not '000"),
        ({"format": 1, "virtualenvs": [], "slice": 3}, "'slice' must be K/N, such as '3/8', not 3"),
        ({"format": 1, "virtualenvs": [], "slice": "9/8"}, "'slice' must be K/N, such as '3/8', not '9/8'"),
        ({"format": 2, "virtualenvs": [], "waves": []}, "'waves' must be an object, not []"),
        ({"format": 2, "virtualenvs": [], "waves": {"canaries": "web1"}}, "'canaries' must be a list, not 'web1'"),
        ({"format": 2, "virtualenvs": [], "waves": {"canaries": [["web1"]]}}, "the canary ['web1'] is not in it"),
        ({"format": 2, "virtualenvs": [], "waves": {"canaries": ["me@web9:/v"]}}, "the canary 'me@web9:/v' is not in"),
        (
            {"format": 2, "virtualenvs": [], "waves": {"batch": "101%"}},
            "'batch': must be a percentage from 1% to 100%, not '101%'",
        ),
        ({"format": 2, "virtualenvs": [], "waves": {"batch": 0}}, "'batch': must be a whole number from 1 up, not 0"),
        (
            {"format": 2, "virtualenvs": [], "waves": {"batch": True}},
            "'batch': must be a whole number from 1 up, not True",
        ),
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
