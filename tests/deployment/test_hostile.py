"""What one host answers, or the owner of one virtualenv writes into it, is the error of that one alone.

A fleet of two: one says what a real agent said, the other one the same with something of it changed.
"""

from __future__ import annotations

import copy
import fcntl
import json
import random
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import journal, probe, protocol
from envfab.agent.json_codec import dumps
from envfab.deployment.result import Ending
from envfab.planning.plan import Status
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.deployment.hostile import Answer, Conversation, HostileFleet, Replay, as_it_was, recorded
from tests.support.fab import FAB, clean_environment
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace, freeze

MUTATIONS = 500
FILES = 60
PLANNED = (
    *("probe", "lock", "missing", "store", "fill", "begin", "step", "compose", "inspect", "verify"),
    *("switch", "tidy", "close"),
)
STEERING = "\x1b[2J\x9b31m\u202e\u2066\u2028\x07"
# what takes these places once the rest is JSON
BIG, DEEP, HALF = "@big@", "@deep@", "@half@"
VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), BIG, DEEP, HALF),
    *(
        "",
        "x",
        "yesterday",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+12:00",
        STEERING,
        "9" * 5_000,
        "a" * 70_000,
    ),
    *([], {}, [[]], [None], [5], ["x"], [{}], {"": None}, {"format": 1}, {"format": 99}, {"a": {"b": []}}),
)
LINES = (
    *(
        b"",
        b"\n",
        b"5\n",
        b"[]\n",
        b"null\n",
        b"NaN\n",
        b'"ok"\n',
        b"{}\n",
        b"\xff\xfe\n",
        b"{'ok': 1}\n",
        b'{"ok": \n',
    ),
    *(b'{"ok": null}\n', b'{"ok": 5}\n', b'{"ok": []}\n', b'{"ok": {}}\n', b'{"ok": {"probe": 7}}\n'),
    *(b'{"problem": 5}\n', b'{"problem": {}}\n', b'{"problem": {"kind": 1, "message": 2}}\n', b'{"alive": 1}\n'),
    *(b'{"problem": {"kind": "crash", "message": ""}}\n', b'{"problem": {"kind": "", "message": "\\n\\n"}}\n'),
    *(
        b'{"problem": {"kind": "locked", "message": "", "holder": %s}}\n' % holder
        for holder in (b'"evil"', b"[1]", b"{}")
    ),
    *(b'{"ok": {"a": 1}, "ok": {"tags": [1]}}\n', b'{"ok": ' + b"[" * 5_000 + b"\n", b"\x00" * 50 + b"\n"),
)


class Mutator:
    """Changes something of an answer, the same for the same seed."""

    def __init__(self, seed: int, operations: Sequence[str] = PLANNED) -> None:
        self._random = random.Random(seed)
        self.operation = self._random.choice(operations)

    def __call__(self, operation: str, line: bytes) -> bytes:
        return self.line(line) if operation == self.operation else line

    def line(self, line: bytes) -> bytes:
        """Another line."""
        how = self._random.randrange(10)
        if how == 0:
            return self._random.choice(LINES)
        if how == 1:
            return self._bytes(line)
        document = json.loads(line)
        for _ in range(self._random.choice((1, 1, 1, 2, 5))):
            document = self.value(document)
        return written(document)

    def _bytes(self, line: bytes) -> bytes:
        data = bytearray(line)
        for _ in range(self._random.randrange(1, 9)):
            at = self._random.randrange(len(data))
            data[at : at + self._random.randrange(4)] = self._random.randbytes(self._random.randrange(3))
        return bytes(data)

    def value(self, document: Any) -> Any:
        """The document with something in it changed, gone, new, or there many times."""
        if not isinstance(document, (dict, list)) or not document or self._random.random() < 0.12:
            return copy.deepcopy(self._random.choice(VALUES))
        keys = list(document) if isinstance(document, dict) else list(range(len(document)))
        key = self._random.choice(keys)
        what = self._random.randrange(12)
        if what == 0:
            del document[key]
        elif what == 1 and isinstance(document, list):
            document += [document[key]] * self._random.choice((1, 30, 11_000))
        elif what == 2 and isinstance(document, dict):
            name = self._random.choice(("journal", "holder", "alive", "problem", STEERING))
            document[name] = copy.deepcopy(document[key])
        else:
            document[key] = self.value(document[key])
        return document


def written(document: Any) -> bytes:
    """A line as an agent might write it that does not care for JSON."""
    text = json.dumps(document)
    for placeholder, raw in ((BIG, "7" * 5_000), (DEEP, "[" * 2_000 + "]" * 2_000), (HALF, '"\\ud800"')):
        text = text.replace(f'"{placeholder}"', raw)
    return text.encode() + b"\n"


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Wheelhouse:
    """It has a shop."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    made = Wheelhouse(folder / "wheels", folder / "release_log", cache=folder / "cache")
    made.add(make_wheel(folder, "shop", "1.0"))
    return made


@pytest.fixture(scope="module")
def conversation(
    wheelhouse: Wheelhouse, make_virtualenv: VirtualenvMaker, tmp_path_factory: pytest.TempPathFactory
) -> Conversation:
    """What a real agent said in a deployment."""
    return recorded(make_virtualenv("3.11", tmp_path_factory.mktemp("real") / "v"), wheelhouse)


@pytest.fixture(scope="module")
def remembering(conversation: Conversation) -> Conversation:
    """The same of a virtualenv that remembers an interrupted deployment and others before it."""
    (record,) = json.loads(conversation["history"][0])["ok"]["records"]
    document = json.loads(conversation["probe"][0])
    left = record | {"ended": None, "status": None, "planned": ["shop.0001_initial"]}
    document["ok"] |= {"journal": left, "last": record}
    begun = {"ok": {"records": [record, record | {"deployment": "r.2", "undoes": "r.1"}]}}
    return {
        **conversation,
        "probe": [json.dumps(document).encode() + b"\n"],
        "begin": [json.dumps(begun).encode() + b"\n"],
        "history": [json.dumps(begun).encode() + b"\n"],
    }


def two(wheelhouse: Wheelhouse, good: Conversation, bad: Conversation, answer: Answer) -> HostileFleet:
    """A fleet of a good host and a bad one."""
    return HostileFleet(
        {"bad": lambda words: Replay(words, bad, answer), "good": lambda words: Replay(words, good, as_it_was)},
        wheelhouse,
        "/srv/v",
    )


def assert_the_good_one_is_deployed(fleet: HostileFleet) -> None:
    """It is planned and deployed whatever the other one says; of that one there are some lines, and no traceback."""
    proposals, endings, shown = fleet.plan_and_deploy()
    plans = {proposal.plan.target.host: proposal.plan for proposal in proposals}
    assert plans["good"].status is Status.CHANGES, shown
    assert endings["good"].ending is Ending.DEPLOYED, shown
    assert "Traceback" not in shown
    assert "internal error" not in shown
    assert "unforeseen" not in shown
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown
    )
    error = str(endings["bad"].error or "")
    assert len(error) < 4_000
    assert len(error.splitlines()) <= 3, error


@pytest.mark.parametrize("chunk", range(10))
def test_a_mutated_answer_is_the_error_of_its_target(
    wheelhouse: Wheelhouse, conversation: Conversation, remembering: Conversation, chunk: int
) -> None:
    """To whatever operation of a deployment, a first one or one after an interruption."""
    for seed in range(chunk, MUTATIONS, 10):
        bad = remembering if seed % 3 else conversation
        try:
            assert_the_good_one_is_deployed(two(wheelhouse, conversation, bad, Mutator(seed)))
        except Exception as error:
            raise AssertionError(f"with the mutation of seed {seed}") from error


def test_a_mutated_history_is_the_error_of_its_target(wheelhouse: Wheelhouse, remembering: Conversation) -> None:
    """`history` and `rollback` show the good one's, and go back with it."""
    for seed in range(FILES):
        fleet = two(wheelhouse, remembering, remembering, Mutator(seed, ("probe", "history", "verify")))
        assert_the_good_one_is_looked_back_at(fleet, seed)


def assert_the_good_one_is_looked_back_at(fleet: HostileFleet, seed: int) -> None:
    """Its history is shown, and there is a way back."""
    statuses, shown = fleet.look_back()
    assert statuses["good"] in (Status.CHANGES, Status.CURRENT), (seed, shown)
    assert "Traceback" not in shown
    assert "internal error" not in shown, (seed, shown)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a virtualenv's memory, read by the agent's own functions in this process."""
    monkeypatch.setattr(probe, "site_folders", lambda _path: ([], []))
    (tmp_path / ".envfab").mkdir()
    return tmp_path / ".envfab"


def test_what_an_owner_writes_into_the_memory_is_the_error_of_its_target(
    wheelhouse: Wheelhouse, conversation: Conversation, remembering: Conversation, memory: Path
) -> None:
    """Journals, histories and locks of any content: read by the agent, and what it makes of them by us."""
    record = json.loads(remembering["history"][0])["ok"]["records"][0]
    holder = {"format": 1, "who": "ada", "from": "laptop", "since": record["began"], "deployment": "d"}
    for seed in range(FILES):
        mutator = Mutator(seed)
        for name, content in (("journal.json", record), ("history.jsonl", record), ("lock", holder)):
            (memory / name).write_bytes(mutator.line(written(content)))
        with (memory / "lock").open() as lock:
            if seed % 2:
                fcntl.flock(lock, fcntl.LOCK_EX)
            answers = {
                "probe": read(memory, conversation, probe.probe),
                "history": read(memory, conversation, journal.history),
            }
        answer = lambda asked, said, answers=answers: answers.get(asked, said)  # noqa: E731
        fleet = two(wheelhouse, conversation, conversation, answer)
        try:
            assert_the_good_one_is_deployed(fleet)
            assert_the_good_one_is_looked_back_at(fleet, seed)
        except Exception as error:
            raise AssertionError(f"with the files of seed {seed}") from error


def read(memory: Path, conversation: Conversation, operation: Callable[..., dict[str, Any]]) -> bytes:
    """What an agent would answer to a probe, or for the history, with this memory of its own."""
    agent: Any = protocol.Agent(None, None, None)  # type: ignore[no-untyped-call]  # it runs on 2.7, too
    request = {"path": str(memory.parent), "limit": 10_000}
    try:
        found = operation(agent, request, None)
    except protocol.Problem as problem:
        return written({"problem": {"kind": problem.kind, "message": problem.message}})
    if operation is probe.probe:
        said = json.loads(conversation["probe"][0])["ok"]
        found = said | {
            name: found[name] for name in ("journal", "holder", "last", "lingering", "generations", "stamp")
        }
    return bytes(dumps({"ok": found}).encode()) + b"\n"


@pytest.mark.parametrize("operation", ["probe", "lock", "begin", "inspect", "tidy"])
def test_no_line_in_an_answer_s_place_ends_the_run(
    wheelhouse: Wheelhouse, conversation: Conversation, operation: str
) -> None:
    """JSON of another shape, none at all, half of it, nothing."""
    for line in LINES:
        answer = lambda asked, said, line=line: line if asked == operation else said  # noqa: E731
        assert_the_good_one_is_deployed(two(wheelhouse, conversation, conversation, answer))


SAYS = {
    "five": ("printf '5\\n'", "invalid reply of the agent: it must be an object, not a number"),
    "null": ("""printf '{"ok": null}\\n'""", "invalid reply of the agent: 'ok' must be an object, not null"),
    "more": ("while :; do printf '%01000d' 0; done", "invalid reply of the agent: a line of more than"),
    "odd": (
        """printf '{"ok": {"version": "3.\\342\\200\\2561"}}\\n'""",
        "the interpreter reports an invalid version: '3. 1'",
    ),
}


def test_a_host_with_hostile_interpreters_is_planned_and_deployed_to(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path
) -> None:
    """Real processes, in one run: each of the bad ones has its line, the good one its package; memory is bounded."""
    for name, (words, _) in SAYS.items():
        python = tmp_path / name / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\nprintf '\\nENVFAB-AGENT\\n'; {words}\ncat >/dev/null\n")
        python.chmod(0o755)
    good = make_virtualenv("3.11", tmp_path / "good")
    virtualenvs = (f"Virtualenv({str(tmp_path / name)!r}, packages=['shop'])" for name in (*SAYS, "good"))
    local.fabfile(f"Host('localhost', virtualenvs=[{', '.join(virtualenvs)}])")
    local.add_made("shop", "1.0")
    limited = f"ulimit -v {2 << 20}; exec {FAB} deploy --yes"
    done = subprocess.run(
        ["/bin/sh", "-c", limited],
        cwd=local.folder,
        env=clean_environment(local.folder / ".home"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    for name, (_, message) in SAYS.items():
        assert f"{tmp_path / name}   blocked\n    {message}" in done.stdout, name
    assert "Traceback" not in done.stdout + done.stderr
    assert "1 deployed" in done.stdout
    assert freeze(good) == {"shop": "1.0"}
