"""Questions at a real terminal while some hosts are still connecting."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.late import behind_gates, mute
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace

ALIKE = ("web1", "web2", "web3")


@pytest.fixture
def shops(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> dict[str, Path]:
    """A virtualenv on each of five hosts: three want the same, web4 something else, web5 nothing."""
    paths = {
        f"web{number}": make_virtualenv("3.11", srv / f"v{number}", owner=hosts.users.admin) for number in range(1, 6)
    }
    wanted = {**dict.fromkeys(ALIKE, "'shop'"), "web4": "'basket'", "web5": ""}
    workplace.fabfile(
        ",".join(
            f"Host('{name}', virtualenvs=[Virtualenv({str(path)!r}, packages=[{wanted[name]}])])"
            for name, path in paths.items()
        ),
        settings="'connect_timeout': 60",
    )
    workplace.add(*(make_wheel(workplace.folder / "made", name, "1.0") for name in ("shop", "basket")))
    return paths


def late(workplace: Workplace, *names: str) -> Workplace:
    """The same workplace, where hosts let one wait until `opened`."""
    assert workplace.hosts is not None
    return replace(workplace, hosts=behind_gates(workplace.hosts, workplace.folder / "gates", *names))


def opened(workplace: Workplace, *names: str) -> None:
    """Let the way to hosts be open now."""
    for name in names:
        (workplace.folder / "gates" / name).touch()


def asked(shown: str) -> list[str]:
    """The hosts that were asked about, in the order of the questions."""
    return re.findall(r"Deploy to \w[\w-]*@(\w+):", shown)


def plain(shown: str) -> str:
    """What is shown without colours and the like."""
    said = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown)
    # a line that is too long goes on in the next one, indented
    return re.sub(r"\r?\n {4,8}(?=\S)", " ", said)


def installed(paths: dict[str, Path], names: Sequence[str]) -> list[list[str]]:
    """What is installed on each of the hosts, beside pip."""
    found = {
        name: sorted(entry.stem for entry in paths[name].glob("lib/*/site-packages/*.dist-info")) for name in names
    }
    return [[entry for entry in found[name] if not entry.startswith("pip-")] for name in names]


def test_the_first_question_comes_while_others_connect(
    workplace: Workplace, hosts: Hosts, shops: dict[str, Path]
) -> None:
    """Who is there is shown and asked; "all" holds for who comes later with the same plan, the rest is asked then.

    All over one connection a host, and with one agent a virtualenv.
    """
    work = late(workplace, "web2", "web4")
    began, logged = time.monotonic(), hosts.log.stat().st_size
    with work.at_terminal("deploy") as terminal:
        first = plain(terminal.expect("[q]uit"))
        assert time.monotonic() - began < 20
        assert "2 of 5 still connecting: web2, web4\n" in first
        assert f"the same for 1 more: {_target(work, 'web3', shops)}" in first
        assert f"Deploy to {_target(work, 'web1', shops)}?" in first
        assert "[a]ll with this plan, later ones too" in first
        terminal.send("a")
        opened(work, "web2")
        terminal.expect(f"{_target(work, 'web2', shops)}   the same plan, already agreed to")
        assert installed(shops, ALIKE) == [[]] * 3
        opened(work, "web4")
        last = plain(terminal.expect("[q]uit"))
        assert "basket" in last
        assert "still connecting" not in last.rpartition("basket")[2]
        terminal.send("y")
        assert terminal.finish() == 0, terminal.shown
    assert "4 deployed, 1 current" in terminal.shown
    assert asked(terminal.shown) == ["web1", "web4"]
    log = hosts.log_since(logged)
    assert (log.count("Accepted publickey"), log.count("Starting session: command")) == (5, 5)
    assert installed(shops, ALIKE) == [["shop-1.0"]] * 3
    assert installed(shops, ["web4"]) == [["basket-1.0"]]


def test_each_is_asked_once_and_none_is_lost(workplace: Workplace, shops: dict[str, Path]) -> None:
    """However they come: one by one, during a question or after the last one; a "no" holds for that one alone."""
    work = late(workplace, "web1", "web2", "web3", "web5")
    with work.at_terminal("deploy") as terminal:
        terminal.expect(f"Deploy to {_target(work, 'web4', shops)}?")
        opened(work, "web2")
        time.sleep(1.5)
        terminal.send("n")
        # what came meanwhile has left the question alone
        assert plain(terminal.expect(f"Deploy to {_target(work, 'web2', shops)}?")).partition("[q]uit")[2][:3] == " n\n"
        opened(work, "web3", "web1")
        terminal.send("y")
        terminal.expect(f"Deploy to {_target(work, 'web1', shops)}?")
        terminal.send("n")
        terminal.expect(f"Deploy to {_target(work, 'web3', shops)}?")
        opened(work, "web5")
        terminal.send("y")
        assert terminal.finish() == 0, terminal.shown
    assert sorted(asked(terminal.shown)) == ["web1", "web2", "web3", "web4"]
    assert "2 deployed, 2 skipped, 1 current" in _sorted_summary(terminal.shown)
    assert installed(shops, sorted(shops)) == [[], ["shop-1.0"], ["shop-1.0"], [], []]


def test_prompt_hosts_are_shown_as_ever(workplace: Workplace, shops: dict[str, Path]) -> None:
    """Where nobody is late alike plans are one group, in the fabfile's order, and nobody is said to be missing."""
    with workplace.at_terminal("deploy") as terminal:
        first = plain(terminal.expect("[q]uit"))
        assert f"the same for 2 more: {_target(workplace, 'web2', shops)}, {_target(workplace, 'web3', shops)}" in first
        assert "[a]ll 3 with this plan  [q]uit" in first
        terminal.send("a")
        terminal.expect(f"Deploy to {_target(workplace, 'web4', shops)}?  [y]es  [n]o  [q]uit")
        terminal.send("n")
        assert terminal.finish() == 0, terminal.shown
    assert asked(terminal.shown) == ["web1", "web4"]
    assert "still connecting: web" not in re.sub(r"looking: .*", "", terminal.shown)


@pytest.mark.parametrize("way", ["q", "ctrl-c", "ctrl-c before anything is there"])
def test_leaving_waits_for_nobody(workplace: Workplace, shops: dict[str, Path], way: str) -> None:
    """`q` and Ctrl-C end it at once, with nothing done, though a host says nothing for as long as it may."""
    assert workplace.hosts is not None
    silent = ("web2", "web3") if way != "ctrl-c before anything is there" else tuple(shops)
    with mute(workplace.hosts, workplace.folder / "mute", *silent) as hosts:
        work = replace(workplace, hosts=hosts)
        with work.at_terminal("deploy") as terminal:
            terminal.expect("[q]uit" if len(silent) < 5 else "looking: 0 of 5")
            began = time.monotonic()
            if way == "q":
                terminal.send("q")
            else:
                terminal.interrupt()
                if not terminal.ends(2):
                    # in the instant between the question and the wait for its answer Python misses a signal
                    terminal.interrupt()
            assert terminal.finish(20) == 1, terminal.shown
            assert time.monotonic() - began < 5
    assert "Traceback" not in terminal.shown
    # before the first question there was nothing yet that might have been done
    assert "nothing was done" in terminal.shown or way == "ctrl-c before anything is there"
    assert installed(shops, sorted(shops)) == [[]] * 5
    assert "INSTALL" not in workplace.log


def test_a_late_host_that_cannot_be_reached_is_told_of(workplace: Workplace, shops: dict[str, Path]) -> None:
    """It does not hold up the question, and the answers are carried out for the others."""
    assert workplace.hosts is not None
    workplace.file("fabfile.py", (workplace.folder / "fabfile.py").read_text().replace("60", "4"))
    with (
        mute(workplace.hosts, workplace.folder / "mute", "web4") as hosts,
        replace(workplace, hosts=hosts).at_terminal("deploy") as terminal,
    ):
        assert "1 of 5 still connecting: web4\n" in plain(terminal.expect("[q]uit"))
        terminal.send("a")
        terminal.expect("unreachable")
        assert terminal.finish() == 1, terminal.shown
    assert "3 deployed, 1 unreachable, 1 current" in _sorted_summary(terminal.shown)
    assert installed(shops, ALIKE) == [["shop-1.0"]] * 3


@pytest.mark.usefixtures("shops")
def test_what_is_wrong_with_all_is_said_before_anything_is_asked(workplace: Workplace) -> None:
    """A package that nobody has is a mistake of the command line, known once the last has been looked at."""
    work = late(workplace, "web2")
    with work.at_terminal("deploy", "--only", "nonsense") as terminal:
        terminal.expect(", still connecting: web2")
        opened(work, "web2")
        assert terminal.finish() == 1
    assert "nonsense" in terminal.shown
    assert "Deploy to" not in terminal.shown
    assert "current" not in terminal.shown


def test_a_rollback_asks_in_the_same_way(workplace: Workplace, shops: dict[str, Path]) -> None:
    """While others connect, and once."""
    assert workplace.fab("deploy", "--yes").returncode == 0
    work = late(workplace, "web1")
    with work.at_terminal("rollback:web1,web2,web3") as terminal:
        first = plain(terminal.expect("[q]uit"))
        assert "1 of 3 still connecting: web1\n" in first
        assert f"Roll back {_target(work, 'web2', shops)}?" in first
        terminal.send("a")
        opened(work, "web1")
        assert terminal.finish() == 0, terminal.shown
    assert f"{_target(work, 'web1', shops)}   the same plan, already agreed to" in terminal.shown
    assert installed(shops, ALIKE) == [[]] * 3


def test_without_a_terminal_nothing_comes_early(workplace: Workplace, shops: dict[str, Path]) -> None:
    """`plan` and `--yes` wait for all, and show them in the fabfile's order, alike ones once."""
    work = late(workplace, "web1")
    waited = threading.Timer(3, lambda: opened(work, "web1"))
    waited.start()
    done = work.fab("plan")
    waited.join()
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout.splitlines()
    assert shown[1].startswith(f"{_target(work, 'web1', shops)}   CPython 3.11")
    assert f"the same for 2 more: {_target(work, 'web2', shops)}, {_target(work, 'web3', shops)}" in done.stdout
    assert "still connecting" not in done.stdout + done.stderr


def _target(workplace: Workplace, name: str, paths: dict[str, Path]) -> str:
    assert workplace.hosts is not None
    return f"{workplace.hosts.users.admin}@{name}:{paths[name]}"


def _sorted_summary(shown: str) -> str:
    """The closing summary, its counts in one order: that of the targets is not a question here."""
    order = ("deployed", "skipped", "unreachable", "current")
    counts = re.findall(r"\d+ (?:deployed|skipped|unreachable|current)\b", shown)
    return ", ".join(sorted(counts, key=lambda count: order.index(count.split()[1])))
