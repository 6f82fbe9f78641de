"""`fab create_virtualenv`, by the real program, over SSH."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace


def test_creates_what_does_not_exist_under_its_owner(
    ssh_workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """A virtualenv is made with its `python` by its owner; a second time it is there already."""
    python = make_virtualenv.shared_python()
    srv.chmod(0o777)
    path = srv / "new folder" / "it's a $(venv)"
    ssh_workplace.fabfile(
        f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, user={hosts.users.shop!r}, python={str(python)!r})])"
    )
    done = ssh_workplace.fab("create_virtualenv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "made with venv" in done.stdout
    assert (path / "pyvenv.cfg").owner() == hosts.users.shop
    version = subprocess.run([path / "bin" / "python", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("Python 3.")
    assert "already exists" in ssh_workplace.fab("create_virtualenv").stdout
    assert ssh_workplace.statuses("plan") == {f"web1:{path}": "current"}


def test_repair_makes_what_is_missing_like_any_other(
    ssh_workplace: Workplace, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """One that is not there is made, with generations; one without its interpreter is repaired, and told as that."""
    srv.chmod(0o777)
    python, path = make_virtualenv.shared_python(), srv / "v"
    ssh_workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, python={str(python)!r})])")
    made = ssh_workplace.fab("create_virtualenv", "--repair")
    assert f"{path}: made with venv" in made.stdout, made.stdout + made.stderr
    assert (path / "bin").is_symlink()
    for link in (path / "bin").glob("python*"):
        link.unlink()
    repaired = ssh_workplace.fab("create_virtualenv", "--repair")
    assert f"{path}: repaired with venv" in repaired.stdout, repaired.stdout + repaired.stderr
    assert ssh_workplace.statuses("plan") == {f"web1:{path}": "current"}


def test_what_cannot_be_made_says_why_and_leaves_nothing(ssh_workplace: Workplace, srv: Path) -> None:
    """No such interpreter, no permission, something else in the way: one message each, exit 1, nothing left."""
    occupied = srv / "occupied"
    occupied.mkdir()
    (occupied / "data").write_text("precious")
    ssh_workplace.fabfile(
        "Host('web1', virtualenvs=[Virtualenv('/srv/none/v', python='python9.9'),"
        f" Virtualenv({str(srv / 'closed' / 'v')!r}), Virtualenv({str(occupied)!r})])"
    )
    done = ssh_workplace.fab("create_virtualenv")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert "python9.9" in done.stdout
    assert "`python` in the fabfile must be an interpreter of that host" in done.stdout
    assert "Permission denied" in done.stdout
    assert f"{occupied}: it exists and is not a virtualenv; remove it" in done.stdout
    assert [path.name for path in srv.iterdir()] == ["occupied"]
