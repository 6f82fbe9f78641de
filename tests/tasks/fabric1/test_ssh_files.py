"""`fab` with SSH configurations that Fabric itself stumbles over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fab import run_fab

FABFILE = """
from envfab import *
from invoke import task

fleet = Fleet(hosts=[Host(name, virtualenvs=[Virtualenv("/srv/v")]) for name in ("web1", "web2")])
ns = collection(fleet)

@task
def own(c):
    print("user", c.config.base_ssh_config.lookup("web1").get("user"))

ns.add_task(own)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a fabfile of two hosts, and a task that is not ours."""
    (tmp_path / "fabfile.py").write_text(FABFILE)
    return tmp_path


def fab(folder: Path, config: str, *words: str) -> tuple[int, str]:
    """The exit status, and all that is printed."""
    (folder / "ssh_config").write_text(config)
    done = run_fab(folder, "-S", "ssh_config", *words)
    assert "Traceback" not in done.stderr + done.stdout
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("config", "users"),
    [
        ("Match final all\n User ada\n", ("ada", "ada")),
        ('Match host="web1"\n User ada\nHost *\n User bob\n', ("ada", "bob")),
        ("CanonicalizeHostname yes\nUser ada\n", ("ada", "ada")),
        ("Host web1\n User ada # hers\nHost *\n User bob\n", ("ada", "bob")),
    ],
)
@pytest.mark.parametrize("flags", [(), ("-H", "web1,web2")])
def test_what_paramiko_stumbles_over_is_read(
    folder: Path, config: str, users: tuple[str, str], flags: tuple[str, ...]
) -> None:
    """From the first task on, with `-H` too, for which Fabric would make connections."""
    status, printed = fab(folder, config, *flags, "targets")
    assert status == 0
    assert [line.partition("@")[0] for line in printed.splitlines()] == list(users)


def test_what_ssh_refuses_for_every_host_is_one_error(folder: Path) -> None:
    """With ssh's own reason, and the file and line."""
    status, printed = fab(folder, "Host *\nPort\n", "targets")
    assert status == 1
    assert printed == (
        'envfab: ssh rejects its configuration: ssh_config line 2: no argument after keyword "port"\n'
        "  correct your SSH config\n"
    )


def test_a_file_that_is_not_there_is_one_error(folder: Path) -> None:
    """`-S` names a file that ssh would need."""
    done = run_fab(folder, "-S", "nowhere", "targets")
    assert (done.returncode, done.stderr) == (1, "envfab: -S nowhere: there is no such SSH configuration\n")


def test_tasks_that_are_not_ours_have_fabric_s_reading(folder: Path) -> None:
    """Beside ours too; what Fabric cannot read is one error then."""
    assert fab(folder, "Host web1\n User ada\n", "targets", "own")[1].endswith("user ada\n")
    status, printed = fab(folder, "Match final all\n User ada\n", "targets", "own")
    assert status == 1
    assert printed.startswith("envfab: Fabric cannot read your SSH configuration: Match does not allow 'all'")
