"""The two guides: their programs run, and what they say is so."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envfab import usagestats
from envfab.usagestats.policy import SHAPES, parse_policy
from envfab.usagestats.report import MAX_KEY, MAX_REPORT, MAX_VALUE, parse_report
from tests.usagestats.server import Server

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "usage-statistics.md").read_text("utf-8")
WIRE = (DOCS / "usage-statistics-wire-format.md").read_text("utf-8")


def block(text: str, begins: str) -> str:
    """The fenced block whose content begins so."""
    (found,) = [
        body for body in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if body.startswith(begins)
    ]
    return str(found)


@pytest.fixture
def documented_server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The server of the wire format's guide, running: its URL, and its folder."""
    script, folder = tmp_path / "server.py", tmp_path / "reports"
    script.write_text(block(WIRE, "# server.py"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(script), str(folder), str(port)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/", folder
    finally:
        process.terminate()
        process.wait()


def test_from_install_to_the_first_report(documented_server: tuple[str, Path], tmp_path: Path) -> None:
    """The guide's program, run as the guide says, prints what it shows, and its reports come to the guide's server."""
    url, folder = documented_server
    script = tmp_path / "cool_program.py"
    source = block(GUIDE, "# cool_program.py")
    script.write_text(source.replace("http://127.0.0.1:8900/", url))
    assert url in script.read_text()

    def cool_program(*arguments: str) -> str:
        command = [sys.executable, str(script), *arguments]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, check=True,
            env=dict(os.environ, PYTHONUNBUFFERED="1"),
        )  # fmt: skip
        return done.stdout

    shown = block(GUIDE, "$ python cool_program.py")
    assert cool_program() == shown.partition("\n")[2]
    assert os.listdir(folder) == []
    assert cool_program("--enable-stats") == ""
    assert cool_program() == "Hello!\n"
    stored = [parse_report(file.read_bytes()) for file in sorted(folder.iterdir())]
    example = parse_report(block(GUIDE, "date:").encode())
    assert len(stored) == 2
    for report in stored:
        assert [key for key, _ in report.entries] == [key for key, _ in example.entries]
        assert dict(report.entries)["what"] == "said hello"
    assert cool_program("--disable-stats") == ""
    assert cool_program() == "Hello!\n"
    assert len(os.listdir(folder)) == 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_client_in_a_shell(server: Server) -> None:
    """The guide's client sends a report that can be read."""
    subprocess.run(["sh", "-c", block(WIRE, "printf")], env=dict(os.environ, DROP_POINT=server.url), check=True)
    report = parse_report(server.bodies[0])
    assert report.entries == (("version", "0.1"), ("what", "said hello"))
    assert abs(report.date / 1000 - time.time()) < 10


@pytest.mark.parametrize("body", [b"", b"version:1\n", b"date:1.000\n" * 50_000])
def test_the_server_refuses(documented_server: tuple[str, Path], body: bytes) -> None:
    """The guide's server stores nothing that is no report, or too large."""
    from envfab.usagestats.transport import SendOutcome, sender

    url, folder = documented_server
    assert sender(url, None)(body).outcome is not SendOutcome.STORED
    assert os.listdir(folder) == []


def test_examples_of_reports() -> None:
    """The reports that the guides show are reports."""
    for text in (GUIDE, WIRE):
        assert parse_report(block(text, "date:").encode()).entries[0] == ("version", "0.1")


def test_every_member_is_documented() -> None:
    """Each public member of the library stands in the guide."""
    members = [name for name in dir(usagestats.Stats) if not name.startswith("_")]
    missing = [name for name in (*usagestats.__all__, *members) if not re.search(rf"\b{name}\b", GUIDE)]
    assert missing == []


def test_the_constructor_is_documented() -> None:
    """The guide shows the constructor as it is."""
    parameters = list(inspect.signature(usagestats.Stats).parameters.values())
    shown = re.search(r"^`Stats\((.*)\)`$", GUIDE, re.MULTILINE)
    assert shown is not None
    keywords = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    others = [parameter.name for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
    assert [part.partition("=")[0] for part in shown[1].split(", ")] == [*others, "*", *keywords]


def test_limits_are_documented() -> None:
    """The limits in the guide are those of the code."""
    assert f"more than {MAX_KEY} bytes" in WIRE
    assert f"more than {MAX_VALUE // 1024} KiB" in WIRE
    assert f"larger than {MAX_REPORT // 1024} KiB" in WIRE


def test_the_policy_is_one() -> None:
    """The guide's policy can be read, and of the guide's report it holds back what it takes of later versions alone."""
    policy = parse_policy(block(WIRE, "{").encode(), None)
    assert policy.split(parse_report(block(WIRE, "date:").encode()))[1] == (("what", "said hello"),)
    assert all(f"`{shape}`" in WIRE for shape in SHAPES)
