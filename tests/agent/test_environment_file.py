"""Environment files mean to envfab what they mean to systemd."""

from __future__ import annotations

import json
import subprocess

import pytest

from envfab.agent import environment_file
from envfab.agent.protocol import Problem
from tests.support.virtualenvs import VirtualenvMaker

# by systemd.exec(5) and the tests of systemd's own parser
MEANS = {
    "": {},
    "A=1": {"A": "1"},
    "A=1\nB=2\n": {"A": "1", "B": "2"},
    "A=1\r\nB=2\r\n": {"A": "1", "B": "2"},
    "A=\nB=2": {"A": "", "B": "2"},
    "# A=1\n; B=2\n  C=3": {"C": "3"},
    "# a comment that ends in a backslash \\\nA=1": {"A": "1"},
    "  A  =  one two  \n": {"A": "one two"},
    "export A=1": {"A": "1"},
    "A=a=b": {"A": "a=b"},
    "A=a # b": {"A": "a # b"},
    "A=1\nA=2": {"A": "2"},
    # quotes
    "A='one two  '": {"A": "one two  "},
    'A="one two  "': {"A": "one two  "},
    "A='one'\"two\"three": {"A": "onetwothree"},
    "A='one' 'two'": {"A": "onetwo"},
    "A=it's": {"A": "it's"},
    'A=say "it"': {"A": 'say "it"'},
    "A='line one\nline two'\nB=2": {"A": "line one\nline two", "B": "2"},
    'A="line one\nline two"\nB=2': {"A": "line one\nline two", "B": "2"},
    "A=''": {"A": ""},
    "A='never closed\nB=2": {"A": "never closed\nB=2"},
    # escapes
    'A="a\\"b"': {"A": 'a"b'},
    'A="\\\\ \\$ \\`"': {"A": "\\ $ `"},
    'A="\\n \\t"': {"A": "\\n \\t"},
    "A='\\n \\\\'": {"A": "\\n \\\\"},
    "A=a\\ b\\\\": {"A": "a b\\"},
    "A=\\'x": {"A": "'x"},
    "A=x\\ ": {"A": "x "},
    # continued lines
    "A=one \\\n  two": {"A": "one   two"},
    'A="one \\\ntwo"': {"A": "one two"},
    "A=one\\": {"A": "one"},
    "A=ü": {"A": "ü"},
}


def parse_environment(content: str, path: str) -> dict[str, str]:
    """As the agent does, which runs on CPython 2.7 and has no types."""
    found: dict[str, str] = environment_file.parse_environment(content, path)  # type: ignore[no-untyped-call]
    return found


@pytest.mark.parametrize(("content", "means"), MEANS.items())
def test_a_file_means_what_it_means_to_systemd(content: str, means: dict[str, str]) -> None:
    """Comments, white space, quotes, escapes, continued lines."""
    assert parse_environment(content, "/etc/env") == means


@pytest.mark.parametrize(
    ("content", "line"),
    [("A=1\nhunter2", 2), ("1A=2", 1), ("A-B=2", 1), ("A B=2", 1), ("=2", 1), ("A='x\ny'\n\nhunter2\n", 4), ("Ä=1", 1)],
)
def test_what_systemd_would_pass_over_is_an_error_without_the_line(content: str, line: int) -> None:
    """The number of the line is told, not what it says: that may be a secret."""
    with pytest.raises(Problem) as caught:
        parse_environment(content, "/etc/env")
    assert caught.value.message == f"/etc/env:{line}: must be NAME=value"


@pytest.mark.parametrize("version", ["2.7", "3.6"])
def test_every_interpreter_reads_it_alike(version: str, make_virtualenv: VirtualenvMaker) -> None:
    """The oldest ones, too."""
    from envfab.remote import agent_sources

    sources = {name: agent_sources._source(name).decode() for name in ("json_codec", "protocol", "environment_file")}
    program = (
        "import sys, json, types\n"
        "package = types.ModuleType('p'); package.__path__ = []; sys.modules['p'] = package\n"
        "sources, contents = json.loads(sys.stdin.read())\n"
        "for name in ('json_codec', 'protocol', 'environment_file'):\n"
        "    module = types.ModuleType('p.' + name); module.__package__ = 'p'; sys.modules['p.' + name] = module\n"
        "    exec(compile(sources[name].encode('utf-8'), name, 'exec'), module.__dict__)\n"
        "print(json.dumps([module.parse_environment(content, 'env') for content in contents]))\n"
    )
    done = subprocess.run(
        [make_virtualenv.python(version), "-E", "-s", "-c", program],
        input=json.dumps([sources, list(MEANS)]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == list(MEANS.values())
