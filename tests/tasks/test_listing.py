"""What only lists must stay as quick as with an empty fabfile: it loads no library and no room that it does not need."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.fab import run_fab

EMPTY = "from fabric import task\n\n@task\ndef hello(c):\n    pass\n"
FLEET = """
from envfab import Fleet, Host, Virtualenv, collection

ns = collection(Fleet(hosts=[Host("web1", user="admin", virtualenvs=[Virtualenv("/srv/venv")])]))
"""
# what a fabfile says and who logs in; the other rooms are entered by tasks that have work there
ROOMS = {"config", "errors", "tasks", "util"}


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
    others = {room for room in rooms if room.partition(".")[0] not in ROOMS}
    # who logs in is asked of the SSH configuration where targets are listed, and nowhere else
    assert "remote.ssh.login" in others
    assert all(room.startswith("remote.ssh.") for room in others - {"remote", "remote.ssh"})
    assert ("remote.ssh.config" in others) == (arguments == ["targets"])
