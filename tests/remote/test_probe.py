"""Looking at many virtualenvs at once."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.tags import Tag

from envfab.config.settings import Settings
from envfab.config.target import Member, Target
from envfab.errors import Unreachable
from envfab.models.distribution import Origin
from envfab.models.interpreter import MARKER_NAMES
from envfab.models.probe import Holder
from envfab.remote.agent_replies import parse_tag
from envfab.remote.probe import ProbeResult, TargetSession, leave_all, probe_all
from envfab.remote.probe_replies import to_probe
from envfab.remote.run_command import run_command
from envfab.remote.ssh.connections import Connections
from envfab.remote.startup import Identity
from envfab.util.progress import Silent
from tests.remote.conftest import Connect, member
from tests.support.leftovers import files_of
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker


def as_found(found: ProbeResult) -> ProbeResult:
    """The caller may look at each find; these tests look at the result."""
    return found


def probed(members: list[Member], links: Connections, parallel: int = 20) -> list[ProbeResult]:
    """What is found, all agents gone again."""
    with probe_all(members, links, Settings(parallel=parallel), Silent(), look=as_found) as found:
        return found.all()


@pytest.fixture(scope="module")
def shops(make_virtualenv: VirtualenvMaker, _running_hosts: Hosts) -> list[Path]:
    """Twenty virtualenvs of the shop, bare ones."""
    # a name of its own, since a worker that takes over tests of others may make it twice
    folder = Path(tempfile.mkdtemp(prefix="shops-", dir=_running_hosts.srv))
    folder.chmod(0o755)
    return [make_virtualenv("3.11", folder / f"venv {number}", owner=_running_hosts.users.shop) for number in range(20)]


def test_finds_come_in_the_order_of_the_members(hosts: Hosts, connect: Connect, shops: list[Path]) -> None:
    """Whatever answers first, the fabfile's order stays."""
    members = [
        member(path, f"web{number % 3 + 1}", login=hosts.users.admin, owner=hosts.users.shop)
        for number, path in enumerate(shops)
    ]
    found = probed(members, connect())
    assert [find.member for find in found] == members
    assert {find.probe.interpreter.version.release[:2] for find in found if find.probe} == {(3, 11)}
    assert not [find for find in found if find.error]


def test_one_connection_a_host_and_one_agent_a_virtualenv(hosts: Hosts, connect: Connect, shops: list[Path]) -> None:
    """Twenty virtualenvs that are only looked at: two logins, twenty sessions, and nothing left on the hosts."""
    members = [
        member(path, f"web{number % 2 + 1}", login=hosts.users.admin, owner=hosts.users.shop)
        for number, path in enumerate(shops)
    ]
    before, began = files_of(hosts.users.uids, hosts.users.homes), hosts.log.stat().st_size
    inside = {path: sorted(path.rglob("*")) for path in shops}
    probed(members, connect())
    log = hosts.log_since(began)
    assert log.count("Accepted publickey") == 2
    assert log.count("Starting session: command") == 20
    assert files_of(hosts.users.uids, hosts.users.homes) == before
    assert {path: sorted(path.rglob("*")) for path in shops} == inside


def test_a_look_is_one_round_trip(hosts: Hosts, connect: Connect, shops: list[Path]) -> None:
    """The agent's sources and the first question go out together, as oneself; the answer is the second reply."""
    asked: list[str] = []
    connections = connect()
    link = connections.link(member(shops[0], "web1", login=hosts.users.shop).host)
    start = link._start

    def listening(arguments: object) -> object:
        process = start(arguments)  # type: ignore[arg-type]
        write = process.write

        def count(data: bytes) -> None:
            asked.append("write")
            write(data)

        process.write = count  # type: ignore[method-assign]
        return process

    link._start = listening  # type: ignore[assignment]
    probed([member(shops[0], "web1", login=hosts.users.shop)], connections)
    assert asked == ["write"] * 2


@pytest.mark.parametrize("_round", range(3))
def test_more_virtualenvs_than_max_sessions(hosts: Hosts, connect: Connect, shops: list[Path], _round: int) -> None:
    """Fourteen on one host: every one is found every time, although sshd refuses the eleventh session."""
    members = [member(path, "web4", login=hosts.users.admin, owner=hosts.users.shop) for path in shops[:14]]
    connections = connect()
    for _ in range(2):
        found = probed(members, connections)
        assert [str(find.error) for find in found if find.error] == []
        assert [str(find.probe.target) for find in found if find.probe] == [str(one.target) for one in members]


def test_one_that_fails_leaves_the_others_alone(hosts: Hosts, connect: Connect, shops: list[Path]) -> None:
    """A missing virtualenv and an unknown host are errors of their own."""
    admin, shop = hosts.users.admin, hosts.users.shop
    members = [
        member(shops[0], "web1", login=admin, owner=shop),
        member(Path("/srv/no/such"), "web1", login=admin, owner=shop),
        member(shops[1], "no-such-host.invalid", login=admin),
        member(shops[2], "no-such-host.invalid", login=admin),
        member(shops[3], "web2", login=admin, owner=shop),
    ]
    found = probed(members, connect())
    assert [find.probe is not None for find in found] == [True, False, False, False, True]
    assert str(found[1].error).startswith(f"{shop}@web1:/srv/no/such: /srv/no/such/bin/python does not exist\n")
    assert str(found[2].error).startswith("no-such-host.invalid: unknown host")
    assert all((find.probe is None) != (find.error is None) for find in found)


@pytest.mark.parametrize(("count", "kept"), [(4, 4), (5, 0)])
def test_agents_stay_where_places_allow(
    hosts: Hosts, connect: Connect, shops: list[Path], count: int, kept: int
) -> None:
    """Four deployments fit on a connection; with more virtualenvs all agents leave while the question waits."""
    members = [member(path, "web1", login=hosts.users.admin, owner=hosts.users.shop) for path in shops[:count]]
    links = connect()
    with probe_all(members, links, Settings(), Silent(), look=as_found, needed=lambda _: True) as arrivals:
        found = arrivals.all()
        assert len([find for find in found if find.site and find.site.session]) == kept
        for find in found:
            assert find.site is not None
            assert find.site.agent().ask("probe")["own"] == []
            if not kept:
                find.site.leave()
    link = links.link(members[0].host)
    link.reserve(link.places).release()


def test_leaving_frees_everything_at_once(hosts: Hosts, connect: Connect, shops: list[Path]) -> None:
    """Sessions end, places come back, and a second time does nothing."""
    members = [member(path, "web1", login=hosts.users.admin, owner=hosts.users.shop) for path in shops[:4]]
    links = connect()
    with probe_all(members, links, Settings(), Silent(), look=as_found, needed=lambda _: True) as arrivals:
        found = arrivals.all()
        sites = [find.site for find in found if find.site]
        leave_all(sites)
        leave_all(sites)
        assert not [site for site in sites if site.session or site.reservation]
        link = links.link(members[0].host)
        link.reserve(link.places).release()


def test_no_thread_outlives_the_connections(hosts: Hosts, connect: Connect, shops: list[Path]) -> None:
    """Neither ours nor Paramiko's."""
    before = set(threading.enumerate())
    links = connect()
    probed([member(path, "web1", login=hosts.users.admin, owner=hosts.users.shop) for path in shops[:6]], links)
    links.close()
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert set(threading.enumerate()) - before == set()


def test_nothing_new_is_begun_after_a_failure_of_the_caller(hosts: Hosts, connect: Connect, shops: list[Path]) -> None:
    """An unforeseen error in `look` ends the run where it is awaited, before all hosts were visited."""
    looked: list[Target] = []

    def look(found: ProbeResult) -> None:
        looked.append(found.member.target)
        raise LookupError

    members = [member(path, "web1", login=hosts.users.admin, owner=hosts.users.shop) for path in shops]
    with (
        pytest.raises(LookupError),
        probe_all(members, connect(), Settings(parallel=20), Silent(), look=look) as found,
    ):
        found.all()
    assert len(looked) < len(members)


def test_this_machine_needs_no_ssh(connect: Connect, pristine: Callable[[str], Path], tmp_path: Path) -> None:
    """`localhost` is looked at through a subprocess, with whatever tags its own pip knows."""
    config = tmp_path / "config"
    config.touch()
    path = pristine("3.11")
    tags: list[tuple[Tag, ...]] = []

    def look(found: ProbeResult) -> ProbeResult:
        assert found.site is not None
        tags.append(found.site.tags())
        return found

    with probe_all([member(path)], connect(config), Settings(parallel=1), Silent(), look=look) as found:
        probe = found.all()[0].probe
        assert probe is not None
        assert list(probe.distributions) == ["pip"]
        assert (probe.generation, probe.generations, probe.plain) == (None, (), True)
    assert tags[0][0].interpreter == "cp311"
    assert Tag("py3", "none", "any") in tags[0]


REPLY: dict[str, Any] = {
    "holder": None,
    "version": "3.11.7+",
    "implementation": "CPython",
    "markers": dict.fromkeys(MARKER_NAMES, ""),
    "own": [],
    "outside": [],
    "leftovers": [],
    "damaged": [],
    "journal": None,
    "generation": None,
    "generations": [],
    "plain": True,
    "lingering": [],
    "stamp": "s",
    "last": None,
    "node": "web1",
}


def _entry(name: str, version: str, origin: str = "wheel") -> dict[str, object]:
    return {
        "name": name,
        "version": version,
        "requires": [],
        "requires_python": None,
        "extras": [],
        "origin": origin,
    }


def test_names_that_are_there_twice_are_told() -> None:
    """The first on the import path counts; names are compared canonically; what is outside is hidden by one's own."""
    reply = REPLY | {
        "own": [_entry("Foo_Bar", "2"), _entry("foo-bar", "1"), _entry("x", "1", "editable")],
        "outside": [_entry("X", "9"), _entry("six", "1.16")],
    }
    probe = to_probe(Target("a", "b", "/c"), reply)
    assert {name: found.version_text for name, found in probe.distributions.items()} == {"foo-bar": "2", "x": "1"}
    assert probe.duplicates == ("foo-bar",)
    assert [(name, found.origin) for name, found in probe.outside.items()] == [("six", Origin.OUTSIDE)]
    assert probe.distributions["x"].origin is Origin.EDITABLE  # type: ignore[index]
    assert str(probe.interpreter.version) == "3.11.7"


def test_a_journal_that_somebody_works_with_tells_of_no_interruption() -> None:
    """It is whoever holds the lock that is told of."""
    reply = REPLY | {"journal": {"deployment": "d"}}
    left = to_probe(Target("a", "b", "/c"), reply)
    assert (left.journal, left.holder) == ({"deployment": "d"}, None)
    under_way = to_probe(Target("a", "b", "/c"), reply | {"holder": {"who": "ada"}})
    assert (under_way.journal, under_way.holder) == (None, Holder("ada"))


def test_an_interpreter_that_cannot_say_its_version_is_refused() -> None:
    """A version that PEP 440 cannot read is named."""
    with pytest.raises(Unreachable, match=r"^a@b:/c: the interpreter reports an invalid version: 'three'$"):
        to_probe(Target("a", "b", "/c"), REPLY | {"version": "three"})


def test_a_tag_may_have_dashes_in_its_platform() -> None:
    """Only the first two dashes divide."""
    assert parse_tag("cp311-abi3-manylinux_2_17_x86_64") == Tag("cp311", "abi3", "manylinux_2_17_x86_64")


def test_a_server_that_allows_one_session_is_looked_at_one_after_another(
    hosts: Hosts, connect: Connect, shops: list[Path]
) -> None:
    """`MaxSessions 1`: none of its virtualenvs is unreachable, and their places are known to be fewer from then on."""
    connections = connect()
    members = [member(path, "single", login=hosts.users.single, owner=hosts.users.shop) for path in shops[:3]]
    with probe_all(members, connections, Settings(), Silent(), look=as_found, needed=lambda _: True) as arrivals:
        found = arrivals.all()
    assert [find.error for find in found] == [None] * 3
    assert connections.link(members[0].host).places == 1


def test_where_the_agent_takes_the_only_session_it_ends_for_another_process(
    hosts: Hosts, connect: Connect, shops: list[Path]
) -> None:
    """And starts anew when it is asked for: a command runs beside it anywhere else."""
    connections = connect()
    one = member(shops[0], "single", login=hosts.users.single, owner=hosts.users.shop)
    site = TargetSession(one, connections.link(one.host), None, None)
    first = site.agent()
    assert run_command(site, "echo here", where="single", identity=Identity()).output == "here\n"
    assert site.agent() is not first
    assert site.agent().ask("probe")["version"].startswith("3.11")
    assert run_command(site, "echo again", where="single", identity=Identity()).output == "again\n"
    site.leave()


def test_where_there_is_a_place_for_both_the_agent_stays(hosts: Hosts, connect: Connect, shops: list[Path]) -> None:
    """To start it again costs time, and its lock."""
    connections = connect()
    one = member(shops[0], "web1", login=hosts.users.admin, owner=hosts.users.shop)
    site = TargetSession(one, connections.link(one.host), None, None)
    first = site.agent()
    assert run_command(site, "echo here", where="web1", identity=Identity()).output == "here\n"
    assert site.agent() is first
    site.leave()


def test_a_fault_of_ours_is_one_target_s_error(
    connect: Connect, pristine: Callable[[str], Path], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The others are not concerned; it is told as what it is, and where it was raised goes to the log of `--debug`."""
    config = tmp_path / "config"
    config.touch()
    path = pristine("3.11")
    ours = [member(path), member(tmp_path / "none")]

    def look(found: ProbeResult) -> ProbeResult:
        if found.probe is not None:
            raise LookupError("no such\nthing")
        return found

    with (
        caplog.at_level("DEBUG", "envfab"),
        probe_all(ours, connect(config), Settings(parallel=2), Silent(), look=look) as found,
    ):
        bad, other = found.all()
    assert str(bad.error) == (
        f"{ours[0].target}: internal error: LookupError: no such thing\n"
        "  this is a fault in envfab, please report it: fab --debug shows where it is"
    )
    assert isinstance(other.error, Unreachable)
    assert "Traceback" in caplog.text
