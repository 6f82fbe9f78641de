"""What only lists must stay as quick as with an empty fabfile: it loads no library and no room that it does not need."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import envfab
from tests.support.fab import run_fab

EMPTY = "from fabric import task\n\n@task\ndef hello(c):\n    pass\n"
FLEET = """
from envfab import Fleet, Host, Virtualenv, collection

ns = collection(Fleet(hosts=[Host("web1", user="admin", virtualenvs=[Virtualenv("/srv/venv")])]))
"""
PACKAGE = Path(envfab.__file__).parent
REASON = "# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py)."
# what a fabfile says and who logs in; the other rooms are entered by tasks that have work there
ROOMS = {"config", "errors", "tasks", "util", "version"}
# the classes of registration servers that a fabfile names, without what makes and sends their payloads
SERVERS = {
    "registration",
    "registration.registry",
    "registration.servers",
    "registration.difio",
    "registration.difio.server",
    "registration.difio.variables",
    "registration.dependency_track",
    "registration.dependency_track.server",
}


def loaded(folder: Path, fabfile: str, *arguments: str) -> set[str]:
    """The modules that a run of `fab` imports."""
    folder.mkdir()
    (folder / "fabfile.py").write_text(fabfile)
    ran = run_fab(folder, *arguments, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert ran.returncode == 0, ran.stderr
    return {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize("arguments", [["--list"], ["targets"], ["--complete", "--", "fab dep"], ["--help", "deploy"]])
def test_listing_loads_nothing_but_names(tmp_path: Path, arguments: list[str]) -> None:
    """Beside what an empty fabfile needs, no library at all, and of envfab only the fabfile's words and the tasks'."""
    base = loaded(tmp_path / "empty", EMPTY, "--list")
    more = loaded(tmp_path / "ours", FLEET, *arguments) - base
    libraries = {name.partition(".")[0] for name in more} - set(sys.stdlib_module_names)
    assert libraries <= {"envfab", "invoke"}
    rooms = {name.removeprefix("envfab.") for name in more if name.startswith("envfab.")}
    others = {room for room in rooms if room.partition(".")[0] not in ROOMS} - SERVERS
    # who logs in is asked of the SSH configuration where targets are listed, and nowhere else
    assert "remote.ssh.login" in others
    assert all(room.startswith("remote.ssh.") for room in others - {"remote", "remote.ssh"})
    assert ("remote.ssh.config" in others) == (arguments == ["targets"])


def imports_in_bodies(file: Path) -> Iterator[ast.stmt]:
    """The imports of a module that stand in functions."""
    for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (one for one in ast.walk(function) if isinstance(one, ast.Import | ast.ImportFrom))


@pytest.mark.parametrize("room", ["tasks", "planning", "models", "wheelhouse"])
def test_a_module_with_imports_in_functions_says_why(room: str) -> None:
    """In the same words everywhere, and only there."""
    files = list((PACKAGE / room).rglob("*.py"))
    said = {file for file in files if REASON in file.read_text(encoding="utf-8").splitlines()}
    assert said == {file for file in files if any(imports_in_bodies(file))}


@pytest.mark.parametrize(
    "room", ["audit", "collector", "config", "fetch", "index", "lockfile", "registration", "usagestats", "util"]
)
def test_a_module_of_another_room_with_imports_in_functions_says_what_and_why(room: str) -> None:
    """In one comment at its head: an extra that may be missing, or a library that takes long to load."""
    files = list((PACKAGE / room).rglob("*.py"))
    begin = re.compile("^# Imported in function bodies: ", re.MULTILINE)
    said = {file for file in files if begin.search(file.read_text(encoding="utf-8"))}
    assert said == {file for file in files if any(imports_in_bodies(file))}


def test_what_is_imported_in_a_task_is_not_loaded_by_listing(tmp_path: Path) -> None:
    """What `fab --list` loads in any case is imported where modules import."""
    listed = loaded(tmp_path / "ours", FLEET, "--list")
    found = {
        (file.name, one.module)
        for file in (PACKAGE / "tasks").glob("*.py")
        for one in imports_in_bodies(file)
        if isinstance(one, ast.ImportFrom)
    }
    assert {(file, module) for file, module in found if module in listed} == set()
