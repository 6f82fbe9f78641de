"""Every argument that takes a path says in one message what is wrong with it, and does nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fab import run_fab

FABFILE = """
from envfab import *
fleet = Fleet(hosts=[Host("localhost", virtualenvs=[Virtualenv("/nowhere/venv", packages=["shop"])])])
ns = collection(fleet)
"""
ARGUMENTS = [
    ["plan", "--out"],
    ["deploy", "--yes", "--plan"],
    ["targets", "--export"],
    ["lock", "--requirements"],
    ["lock:in.in", "--output"],
    ["sbom", "--output"],
    ["audit", "--osv"],
    ["audit", "--osv", "osv", "--vex"],
    ["audit", "--osv", "osv", "--openvex"],
    ["audit", "--osv", "osv", "--cyclonedx-vex"],
    ["audit", "--osv", "osv", "--sarif"],
    ["publish_index", "--folder"],
    ["add_wheel", "--file"],
    ["fetch_wheels:shop", "--bundle"],
    ["fetch_wheels:shop", "--interpreters"],
    ["verify_wheels", "--repair", "--from"],
    ["collector", "--data"],
    ["collector", "--token-file"],
]
# a folder is where these write
FOLDERS = ("publish_index", "sbom", "verify_wheels", "collector")


def told(folder: Path, arguments: list[str], path: str) -> str:
    """What is said of a path; it is an error of at most two lines, and nothing was written."""
    (folder / "fabfile.py").write_text(FABFILE)
    (folder / "in.in").write_text("shop\n")
    done = run_fab(folder, *arguments, path)
    said = done.stderr + done.stdout
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert sorted(file.name for file in folder.iterdir() if file.name not in (".home", "__pycache__")) == [
        "fabfile.py",
        "in.in",
    ]
    return said


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=" ".join)
def test_a_home_of_nobody_s_is_told(tmp_path: Path, arguments: list[str]) -> None:
    """A `~user` that is none: the message names the user."""
    assert "the user 'nosuchuser' does not exist" in told(tmp_path, arguments, "~nosuchuser/x")


@pytest.mark.parametrize("arguments", [one for one in ARGUMENTS if one[0] not in FOLDERS], ids=" ".join)
def test_a_folder_is_no_file(tmp_path: Path, arguments: list[str]) -> None:
    """Where a file is meant, `.` is told as what it is."""
    assert any(word in told(tmp_path, arguments, ".").lower() for word in ("folder", "directory", "a file", "one file"))


@pytest.mark.parametrize("arguments", [["plan", "--out"], ["audit", "--osv"]], ids=" ".join)
def test_an_empty_path_is_an_unset_variable(tmp_path: Path, arguments: list[str]) -> None:
    """It is not taken for an argument that was not given."""
    assert "is a shell variable unset?" in told(tmp_path, arguments, "")
