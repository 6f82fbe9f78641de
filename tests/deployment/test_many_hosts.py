"""More hosts than connections can stay open: everything goes on as with few, through connections that are reopened."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from envfab.remote.workers import SPARE
from tests.support.crowd import crowd
from tests.support.fab import FAB, clean_environment
from tests.support.late import mute
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace

PARALLEL = 2
NUMBER = PARALLEL + SPARE + 4


HOSTS = """
from envfab import Host, Virtualenv

hosts = [
    Host(f"crowd{{number}}", virtualenvs=[Virtualenv(f"{srv}/venv{{number}}", requirements="shop.txt")])
    for number in range({number})
]
"""


def configure(place: Workplace, parallel: int, processes: int) -> None:
    """Write the fabfile with these settings."""
    place.fabfile("*__import__('hosts').hosts", f"'parallel': {parallel}, 'processes': {processes}")


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, _running_hosts: Hosts, make_virtualenv: VirtualenvMaker
) -> Workplace:
    """As many hosts as cannot all stay connected, with a virtualenv each, and a wheel for all of them."""
    hosts, folder = _running_hosts, tmp_path_factory.mktemp("many")
    # a name of its own, since a worker that takes over tests of others may make it twice
    srv = Path(tempfile.mkdtemp(prefix="many-", dir=hosts.srv))
    srv.chmod(0o755)
    place = Workplace(folder / "work", crowd(hosts, folder / "ssh_config"))
    for number in range(NUMBER):
        make_virtualenv("3.11", srv / f"venv{number}", owner=hosts.users.admin)
    place.file("hosts.py", HOSTS.format(srv=srv, number=NUMBER))
    place.file("shop.txt", "shop\n")
    configure(place, PARALLEL, 1)
    place.add_made("Shop", "1.0")
    return place


@pytest.mark.parametrize("processes", [1, 2])
def test_plan_deploy_and_rollback(fleet: Workplace, hosts: Hosts, processes: int) -> None:
    """Each host is connected to again where it has to be, and each virtualenv gets what was planned."""
    configure(fleet, PARALLEL, processes)
    began = hosts.log.stat().st_size
    assert set(fleet.statuses("plan").values()) == {"changes"}
    assert hosts.log_since(began).count("Accepted publickey") == NUMBER
    began = hosts.log.stat().st_size
    assert set(fleet.statuses("deploy", "--yes").values()) == {"deployed"}
    # for the probe, and again for the deployment
    assert NUMBER < hosts.log_since(began).count("Accepted publickey") <= 2 * NUMBER
    assert set(fleet.statuses("plan").values()) == {"current"}
    assert set(fleet.statuses("rollback", "--yes").values()) == {"deployed"}
    assert set(fleet.statuses("plan").values()) == {"changes"}


@pytest.mark.parametrize(("limit", "possible"), [(64, 11), (48, 6)])
def test_few_descriptors_mean_fewer_hosts_at_once(fleet: Workplace, limit: int, possible: int) -> None:
    """What cannot be raised is told, and the plan is made all the same."""
    configure(fleet, 20, 1)
    done = subprocess.run(
        ["sh", "-c", f'ulimit -n {limit} && exec "$0" "$@"', FAB, *fleet.arguments("plan", "--json")],
        cwd=fleet.folder, env=clean_environment(fleet.folder / ".home"), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (
        f"envfab.parallel: {possible} hosts at once instead of 20, since this program may not open more files"
        in done.stderr
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_first(fleet: Workplace, tmp_path: Path, how: signal.Signals) -> None:
    """However that ends: after Ctrl-C, or killed, while all of them wait for hosts that say nothing."""
    configure(fleet, PARALLEL, 2)
    assert fleet.hosts is not None
    with mute(fleet.hosts, tmp_path / "mute", "crowd*") as silent:
        run = replace(fleet, hosts=silent).start("plan")
        deadline = time.monotonic() + 20
        while len(children := children_of(run.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(children) == 2
        # in a moment, all of them are connecting
        time.sleep(0.5)
        run.send_signal(how)
        run.wait(5)
        deadline = time.monotonic() + 5
        while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [child for child in children if Path(f"/proc/{child}").exists()] == []


def children_of(pid: int) -> list[str]:
    """The processes that a process has started."""
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
