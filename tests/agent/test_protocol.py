"""Frames, and the channel's end."""

from __future__ import annotations

import json
import marshal
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envfab.remote import agent_sources
from tests.support.virtualenvs import VirtualenvMaker

SLOW = """
import os, time
def slow(agent, request, body):
    open(request["file"] + ".begun", "w").close()
    while not os.path.exists(request["file"] + ".go"):
        time.sleep(0.01)
    open(request["file"], "w").close()
    return {}
def inherit(agent, request, body):
    import subprocess
    return {"seen": subprocess.Popen(["ls", "-l", "/proc/self/fd"], stdout=subprocess.PIPE, close_fds=False).communicate()[0].decode()}
OPERATIONS = {"slow": slow, "inherit": inherit}
"""


class RawAgent:
    """An agent at the other end of two pipes."""

    def __init__(self, python: Path, folder: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [python, "-B", "-E", "-s", "-c", agent_sources.loader()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=folder,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        first = agent_sources.modules(*agent_sources.KERNEL, *agent_sources.PROBE)
        self.stdin.write(b"%d\n%s" % (len(first), first))
        while (line := self.stdout.readline()) != b"ENVFAB-AGENT\n":
            assert line, "the agent did not start"

    def send(self, operation: str, body: bytes = b"", **fields: Any) -> None:
        """One request."""
        self.stdin.write(json.dumps({"op": operation, "bytes": len(body), **fields}).encode() + b"\n" + body)

    def ask(self, operation: str, body: bytes = b"", **fields: Any) -> Any:
        """One request, and its reply."""
        self.send(operation, body, **fields)
        return json.loads(self.stdout.readline())

    def load(self, source: str, *compiled: str | bytes) -> None:
        """Teach it the operations of a module; `compiled` are a kind of interpreter, and code for that."""
        entries = [("extra", source.encode(), *compiled)]
        body = zlib.compress(marshal.dumps(entries, agent_sources.MARSHAL_VERSION))
        assert self.ask("load", body) == {"ok": {}}

    def end(self) -> int:
        """Close the channel: the exit status."""
        self.stdin.close()
        status = self.process.wait(20)
        self.stdout.close()
        return status


def test_the_operation_in_hand_is_finished_after_the_channel_s_end(
    pristine: Callable[[str], Path], tmp_path: Path, version: str
) -> None:
    """Then the agent ends by itself, content, although nobody takes its answer."""
    agent = RawAgent(pristine(version) / "bin" / "python")
    agent.load(SLOW)
    file = tmp_path / "done"
    agent.send("slow", file=str(file))
    while not Path(f"{file}.begun").exists():
        time.sleep(0.005)
    agent.stdin.close()
    agent.stdout.close()
    Path(f"{file}.go").touch()
    assert agent.process.wait(20) == 0
    assert file.exists()


OPERATION = "OPERATIONS = {'said': lambda agent, request, body: {'said': %r}}"


def test_code_for_another_kind_of_interpreter_is_not_run(pristine: Callable[[str], Path], version: str) -> None:
    """Code spares compiling where the interpreter is of the same kind; elsewhere the source is compiled."""
    agent = RawAgent(pristine(version) / "bin" / "python")
    code = marshal.dumps(compile(OPERATION % "code", "extra", "exec"))
    kind = agent_sources.own_kind()
    agent.load(OPERATION % "source", kind, code)
    same = version == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert agent.ask("said") == {"ok": {"said": "code" if same else "source"}}
    agent.load(OPERATION % "source again", kind[:-1] + ("0" if kind[-1] != "0" else "1"), b"not code")
    assert agent.ask("said") == {"ok": {"said": "source again"}}
    agent.end()


def test_modules_in_the_home_shadow_nothing(pristine: Callable[[str], Path], tmp_path: Path, version: str) -> None:
    """The folder that an agent starts in is taken off the import path first of all, and left."""
    names = [
        "binascii",
        "fcntl",
        "hashlib",
        "json",
        "os",
        "re",
        "subprocess",
        "sysconfig",
        "tempfile",
        "traceback",
        "types",
        "zlib",
    ]
    for name in names:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    agent = RawAgent(pristine(version) / "bin" / "python", tmp_path)
    assert os.readlink(f"/proc/{agent.process.pid}/cwd") == "/"
    modules = agent_sources.modules(*agent_sources.TAGS, *agent_sources.DEPLOY)
    assert agent.ask("load", modules) == {"ok": {}}
    assert agent.ask("tags")["ok"]["tags"]
    assert agent.end() == 0


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"], indirect=True)
def test_a_request_that_is_cut_off_is_not_begun(pristine: Callable[[str], Path], tmp_path: Path, version: str) -> None:
    """Half a line is no request."""
    agent = RawAgent(pristine(version) / "bin" / "python")
    agent.load(SLOW)
    Path(f"{tmp_path}/x.go").touch()
    agent.stdin.write(json.dumps({"op": "slow", "file": f"{tmp_path}/x"}).encode())
    assert agent.end() == 0
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"], indirect=True)
def test_a_body_that_nobody_reads_is_passed_over(pristine: Callable[[str], Path], version: str) -> None:
    """The next request is read from where it begins."""
    agent = RawAgent(pristine(version) / "bin" / "python")
    assert agent.ask("probe", b"x" * 200_000)["problem"]["kind"] == "crash"
    assert agent.ask("probe", path=str(pristine(version)))["ok"]["version"].startswith(version)
    assert agent.end() == 0


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"], indirect=True)
def test_children_see_nothing_of_the_channel(pristine: Callable[[str], Path], version: str) -> None:
    """Neither a frame can be read nor an answer be forged: there are /dev/null and the child's own pipe alone."""
    agent = RawAgent(pristine(version) / "bin" / "python")
    agent.load(SLOW)
    lines = agent.ask("inherit")["ok"]["seen"].splitlines()
    places = {line.split(" -> ")[1] for line in lines if " -> " in line and not line.endswith("/fd")}
    assert sorted(place.partition(":")[0] for place in places) == ["/dev/null", "pipe"]
    agent.end()


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"], indirect=True)
def test_foreseen_troubles_are_one_line(pristine: Callable[[str], Path], version: str) -> None:
    """An error of the system comes with its number and the file."""
    agent = RawAgent(pristine(version) / "bin" / "python")
    agent.load('import os\nOPERATIONS = {"fail": lambda *_: os.listdir("/no/such\\xe9")}')
    problem = agent.ask("fail")["problem"]
    assert (problem["kind"], problem["errno"]) == ("os", 2)
    assert problem["message"].startswith("No such file or directory: /no/such")
    agent.end()


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"], indirect=True)
def test_a_host_without_a_utf8_locale_has_the_same_paths(
    make_virtualenv: VirtualenvMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Old systems have no C.UTF-8: paths are UTF-8 all the same."""
    monkeypatch.setenv("LC_ALL", "C")
    path = make_virtualenv(version, tmp_path / "vénv ☃")
    (next(path.glob("lib/python*/site-packages")) / "~é").mkdir()
    agent = RawAgent(path / "bin" / "python")
    reply = agent.ask("probe", path=str(path))["ok"]
    assert (reply["executable"], reply["leftovers"]) == (f"{path}/bin/python", ["~é"])
    agent.end()


def test_a_start_costs_little_more_than_the_interpreter_s_own(pristine: Callable[[str], Path]) -> None:
    """At most 25 CPU ms more than `python -c pass`: several times what it takes, for a busy machine."""
    python = pristine("3.11") / "bin" / "python"
    payload = agent_sources.modules(*agent_sources.KERNEL, *agent_sources.PROBE)

    def cost(program: str, data: bytes) -> float:
        def once() -> float:
            began = os.times()
            subprocess.run([python, "-B", "-E", "-s", "-c", program], input=data, stdout=subprocess.DEVNULL, check=True)
            ended = os.times()
            return ended.children_user + ended.children_system - began.children_user - began.children_system

        return min(once() for _ in range(5))

    started = cost(agent_sources.loader(), b"%d\n%s" % (len(payload), payload))
    assert started - cost("pass", b"") < 0.025
