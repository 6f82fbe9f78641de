"""Whatever dies at whatever step, the next deployment finishes or repairs it.

The steps are taken from the code. At each, one of four things happens: this side is killed, the agent is killed, the
agent's child (pip, migrate) is killed, or the connection is cut. Then `fab deploy` runs again, and all must be well.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from envfab.deployment.steps import STEPS
from tests.support.django import make_site
from tests.support.fab import clean_environment
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze

FAULTS = ("manager", "agent", "child", "connection")
# steps that last long enough to be struck for certain; the others are struck somewhere near
CERTAIN = ("before", "install", "migrate", "reload", "check")


@pytest.fixture
def site(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path, django_wheels: Sequence[Path]
) -> Path:
    """A Django project on web1, shop 1.0 deployed and migrated, shop 2.0 with a second migration in the house."""
    srv.chmod(0o777)
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.shop)
    workplace.fabfile(
        f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, user={hosts.users.shop!r}, packages=['shop'],"
        f" before={holding(srv, 'before')!r}, reload={holding(srv, 'reload')!r}, check={holding(srv, 'check')!r},"
        f" projects=[Project('shop.settings', env={{'SHOP_SECRET': 'x', 'SHOP_DATABASE': {str(srv / 'db.sqlite3')!r}}})])])"
    )
    workplace.add(*django_wheels, make_site(workplace.folder / "made", "1.0"))
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    workplace.add(make_site(workplace.folder / "made", "2.0"))
    return path


def holding(srv: Path, step: str) -> str:
    """A command that waits while a file of the step's name is there."""
    return f"while test -e {srv}/hold-{step}; do sleep 0.05; done"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", [step.name for step in STEPS])
def test_the_next_deployment_finishes_or_repairs(
    workplace: Workplace, hosts: Hosts, srv: Path, site: Path, step: str, fault: str
) -> None:
    """After any death at any step: plan `current`, RECORDs intact, migrated once, history truthful, no lock left."""
    strike(workplace, hosts, srv, site, step, fault)
    interrupted = (site / ".envfab" / "journal.json").exists()
    assert interrupted or fault == "child" or step not in CERTAIN
    shown = workplace.fab("plan")
    assert "Traceback" not in shown.stdout + shown.stderr
    if interrupted:
        assert "was interrupted at" in shown.stdout
    done = workplace.fab("deploy", "--yes", "--wait", "30")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(workplace.statuses("plan").values()) == {"current"}
    assert freeze(site)["shop"] == "2.0"
    check = subprocess.run(
        [site / "bin" / "python", "-m", "pip", "check"], capture_output=True, text=True, check=False, cwd="/"
    )
    assert check.returncode == 0, check.stdout
    assert not any(name.name.startswith("~") for name in (site / "lib/python3.11/site-packages").iterdir())
    with sqlite3.connect(srv / "db.sqlite3") as database:
        rows = database.execute("select name from django_migrations where app = 'shop' order by id").fetchall()
    assert rows == [("0001_initial",), ("0002_price",)]
    (one,) = workplace.json("history")["virtualenvs"]
    statuses = [record["status"] for record in one["deployments"]]
    assert statuses[0] == "deployed"
    assert statuses[-1] == "deployed"
    assert ("interrupted" in statuses) == interrupted
    assert not (site / ".envfab" / "journal.json").exists()
    assert "shop-2.0-py3-none-any.whl" in workplace.log


def strike(workplace: Workplace, hosts: Hosts, srv: Path, site: Path, step: str, fault: str) -> None:
    """Deploy, and let `fault` happen while `step` is at work, or as near to it as can be seen from outside."""
    (srv / f"hold-{step}").touch()
    home = workplace.folder / ".home"
    fab = str(Path(sys.executable).with_name("fab"))
    process = subprocess.Popen(
        [fab, *workplace.arguments("deploy", "--yes")],
        cwd=workplace.folder,
        env=clean_environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        await_step(site, step, process)
        if fault == "manager":
            process.kill()
        elif fault == "connection":
            hosts.cut()
        else:
            kill_there(site, fault)
    finally:
        (srv / f"hold-{step}").unlink()
        process.communicate(timeout=60)


def await_step(site: Path, step: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the journal says that the step has begun; before there is one, until the agent runs."""
    journal = site / ".envfab" / "journal.json"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            said = journal.read_text()
        except FileNotFoundError:
            said = ""
        if f'"step": "{step}"' in said or (step in ("lock", "upload") and pids_of(site)):
            return
        time.sleep(0.002)


def kill_there(site: Path, fault: str) -> None:
    """Kill the agent, or its child where it has one just then (else there is nobody to kill)."""
    found = pids_of(site)
    wanted = found[:1] if fault == "agent" else found[1:]
    for pid in wanted:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def pids_of(site: Path) -> list[int]:
    """The processes that run the virtualenv's Python, the agent first, its children after it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and words[0].decode(errors="replace") == f"{site}/bin/python":
            found.append(int(entry.name))
    return sorted(found)
