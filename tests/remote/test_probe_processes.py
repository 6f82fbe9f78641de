"""Probing in several processes: the same results, whatever happens to a process."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import envfab.errors
from envfab.config.host import Host
from envfab.config.settings import Settings
from envfab.config.target import Member, Target
from envfab.config.virtualenv import Virtualenv
from envfab.errors import EnvfabError, NeedsTerminal
from envfab.models.probe import Holder
from envfab.remote import probe_processes as processes
from envfab.remote.agent_frames import Failure
from envfab.remote.agent_session import OperationFailed, _problem
from envfab.remote.probe import ProbeResult, TargetSession
from envfab.remote.probe_processes import number_of_processes, probe_in_processes
from envfab.remote.process import HostConnection
from envfab.util.progress import Silent
from tests.support.recorded import RecordedLinks, Replies, record
from tests.support.virtualenvs import VirtualenvMaker

NUMBER = 12


@dataclass(frozen=True, slots=True)
class Sentence:
    """What the tests make of a probe: the process that made it, and what it found."""

    target: Target
    made_by: int
    said: str


class Sentences:
    """How it is made (it is a `Work`)."""

    def __init__(self) -> None:
        self.accepted: list[tuple[int, Target]] = []

    def make(self, found: ProbeResult) -> Sentence:
        """As `Work` says."""
        said = str(found.error) if found.error is not None else ", ".join(found.probe.distributions)  # type: ignore[union-attr]
        return Sentence(found.member.target, os.getpid(), said)

    def pack(self, result: Sentence) -> bytes:
        """As `Work` says."""
        return pickle.dumps((result.made_by, result.said))

    def unpack(self, packed: bytes, member: Member, site: TargetSession) -> Sentence:
        """As `Work` says."""
        assert site.session is None
        return Sentence(member.target, *pickle.loads(packed))

    def accept(self, result: Sentence) -> None:
        """As `Work` says."""
        self.accepted.append((os.getpid(), result.target))

    def is_needed(self, _result: Sentence) -> bool:
        """As `Work` says."""
        return False


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory, make_virtualenv: VirtualenvMaker) -> Replies:
    """What the agent of a virtualenv says that has pip."""
    return record(make_virtualenv("3.11", tmp_path_factory.mktemp("recorded") / "venv", pip=True))


@pytest.fixture(autouse=True)
def _no_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests may have left threads, with which nothing would be forked; these tests' processes do not mind."""
    monkeypatch.setattr(processes.threading, "active_count", lambda: 1)  # type: ignore[attr-defined]


def members(number: int = NUMBER, each: int = 2) -> list[Member]:
    """Virtualenvs of hosts, two on each."""
    found = []
    for host in range(number):
        paths = [f"/srv/{one}" for one in range(each)]
        made = Host(f"web{host}", user="shop", virtualenvs=[Virtualenv(path) for path in paths])
        found += [
            Member(Target("shop", made.name, path), made, one, "shop")
            for path, one in zip(paths, made.virtualenvs, strict=True)
        ]
    return found


def probed(links: RecordedLinks, number: int | None, work: Sentences | None = None) -> list[Sentence]:
    """The sentences of all, made in so many processes."""
    settings = Settings(processes=number)
    with probe_in_processes(members(), links, settings, Silent(), work or Sentences()) as arrivals:
        return arrivals.all()


@pytest.mark.parametrize("number", [2, 3, 100])
def test_results_are_those_of_one_process_in_the_same_order(replies: Replies, number: int) -> None:
    """However many processes there are, which all take part; a host is never divided."""
    work = Sentences()
    alone, together = probed(RecordedLinks(replies), 1), probed(RecordedLinks(replies), number, work)
    assert [(one.target, one.said) for one in alone] == [(one.target, one.said) for one in together]
    makers = {one.made_by for one in together}
    assert len(makers) == min(number, NUMBER)
    assert os.getpid() not in makers
    assert len({(one.target.host, one.made_by) for one in together}) == NUMBER
    # in this process, once for each
    assert sorted(work.accepted) == sorted((os.getpid(), one.target) for one in together)


class Trouble(RecordedLinks):
    """Links to hosts of which web3 asks a question, and web4 ends the process that connects to it."""

    asking = True
    first = os.getpid()

    def link(self, host: Host) -> HostConnection:
        """As `Links` says."""
        if host.name == "web3" and not self.asking:
            raise NeedsTerminal("the server asks a question", where=host.name)
        if host.name == "web4" and os.getpid() != self.first:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().link(host)

    def ask_nobody(self) -> None:
        """As `Links` says."""
        self.asking = False


def test_what_no_process_answers_for_is_probed_here(replies: Replies) -> None:
    """What needs the terminal, and what was left when a process was killed: nobody is left out, or told a fault."""
    alone, together = probed(RecordedLinks(replies), 1), probed(Trouble(replies), 3)
    assert [(one.target, one.said) for one in alone] == [(one.target, one.said) for one in together]
    here = {one.target.host for one in together if one.made_by == os.getpid()}
    assert {"web3", "web4"} <= here


@pytest.mark.parametrize("early", [False, True])
def test_no_process_or_thread_is_left(replies: Replies, early: bool) -> None:
    """Neither after the results, nor after an exception of the caller, who has not waited for them."""

    def run() -> None:
        links, settings = RecordedLinks(replies), Settings(processes=2)
        with probe_in_processes(members(), links, settings, Silent(), Sentences()) as arrivals:
            if not early:
                arrivals.all()
            raise LookupError

    before = processes_of(os.getpid())
    with pytest.raises(LookupError):
        run()
    assert processes_of(os.getpid()) == before
    assert [one.name for one in threading.enumerate() if one.name == "envfab-receive"] == []


def processes_of(parent: int) -> list[str]:
    """The children of a process that still run."""
    return Path(f"/proc/{parent}/task/{parent}/children").read_text().split()


@pytest.mark.parametrize(
    ("given", "hosts", "cores", "number"),
    [(None, 49, 8, 1), (None, 50, 8, 2), (None, 1000, 2, 2), (None, 110, 8, 4), (3, 5, 1, 3), (9, 4, 1, 4), (1, 500, 8, 1)],
)  # fmt: skip
def test_large_fleets_get_a_process_for_each_core(
    monkeypatch: pytest.MonkeyPatch, given: int | None, hosts: int, cores: int, number: int
) -> None:
    """Unless the setting says how many; never more than hosts."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: set(range(cores)))
    assert number_of_processes(Settings(processes=given), members(hosts, 1)) == number


def test_a_program_with_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another thread holds would never be released in the new process."""
    monkeypatch.setattr(processes.threading, "active_count", lambda: 2)  # type: ignore[attr-defined]
    assert number_of_processes(Settings(processes=4), members()) == 1


def test_every_error_arrives_as_it_was_sent() -> None:
    """With all that it tells, whatever its class takes to be made."""
    kinds = [kind for kind in vars(envfab.errors).values() if isinstance(kind, type) and issubclass(kind, EnvfabError)]
    errors: list[Any] = [kind("what", where="where", hint="hint") for kind in kinds if kind.__name__ != "SeveralErrors"]
    errors.append(envfab.errors.SeveralErrors([envfab.errors.RequirementsError("one"), errors[0]]))
    errors.append(envfab.errors.SelectorError("what", known=["a", "b"]))
    errors.append(OperationFailed("what", where="where", kind="run", output="said", errno=28))
    errors.append(_problem(Failure("locked", "", "", None, Holder("ada")), "where"))
    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert {key: str(value) for key, value in vars(again).items()} == {
            key: str(value) for key, value in vars(error).items()
        }
