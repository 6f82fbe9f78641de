"""Which wheels an interpreter takes: its own pip's word, and our own where there is no pip."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from envfab.agent import tags as tags_source
from envfab.remote import agent_sources
from tests.remote.conftest import StartAgent
from tests.support.virtualenvs import VirtualenvMaker

PROGRAM = """
import json, sys, types
package = types.ModuleType("envfab_agent")
namespace = {"__name__": "envfab_agent.tags"}
with open(sys.argv[1], "rb") as stream:
    exec(compile(stream.read().decode("utf-8").encode("utf-8"), "tags", "exec"), namespace)
print(json.dumps([namespace["from_pip"](), namespace["worked_out"]()]))
"""


def test_the_tags_that_we_work_out_are_those_of_pip(pristine: Callable[[str], Path], version: str) -> None:
    """The same tags in the same order, by the pip that virtualenv gives each version."""
    python = pristine(version) / "bin" / "python"
    done = subprocess.run([python, "-c", PROGRAM, tags_source.__file__], capture_output=True, text=True, check=True)
    theirs, ours = json.loads(done.stdout)
    assert ours == theirs


@pytest.mark.parametrize("version", ["2.7", "3.13"], indirect=True)
def test_an_environment_without_pip_has_tags(
    make_virtualenv: VirtualenvMaker, pristine: Callable[[str], Path], agent: StartAgent, tmp_path: Path, version: str
) -> None:
    """Those of one with pip."""
    bare = agent(make_virtualenv(version, tmp_path / "venv"), *agent_sources.TAGS)
    full = agent(pristine(version), *agent_sources.TAGS)
    assert bare.ask("tags") == full.ask("tags")
    assert bare.ask("tags")["tags"][0].startswith(f"cp{version.replace('.', '')}-")
