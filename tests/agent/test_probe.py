"""Reading a virtualenv: what is installed, and how it came there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envfab.errors import AgentError
from tests.agent.conftest import site_packages
from tests.remote.conftest import StartAgent
from tests.support.virtualenvs import VirtualenvMaker

MARKERS = """
import json
try:
    from pip._vendor.packaging.markers import default_environment
except ImportError:
    from packaging.markers import default_environment
print(json.dumps(dict(default_environment())))
"""


def test_the_marker_environment_is_packaging_s_own(
    pristine: Callable[[str], Path], agent: StartAgent, version: str
) -> None:
    """Every marker has the value that packaging gives it in that very interpreter."""
    path = pristine(version)
    theirs = json.loads(subprocess.check_output([path / "bin" / "python", "-c", MARKERS]))
    theirs.pop("extra", None)
    found = agent(path).ask("probe")
    assert found["markers"] == theirs
    assert found["version"].startswith(f"{version}.")
    assert (found["implementation"], found["executable"]) == ("CPython", f"{path}/bin/python")


def test_what_pip_installed_is_found(pristine: Callable[[str], Path], agent: StartAgent, version: str) -> None:
    """A fresh virtualenv has pip, of the version that pip itself says, and nothing odd."""
    path = pristine(version)
    said = subprocess.check_output([path / "bin" / "python", "-m", "pip", "--version"], text=True).split()[1]
    found = agent(path).ask("probe")
    assert [(entry["name"], entry["version"], entry["origin"]) for entry in found["own"]] == [("pip", said, "wheel")]
    assert (found["leftovers"], found["damaged"], found["journal"]) == ([], [], None)
    assert found["outside"] == []
    assert (found["generation"], found["generations"], found["plain"]) == (None, [], True)


@pytest.fixture(params=["2.7", "3.6", "3.11"])
def bare(request: pytest.FixtureRequest, make_virtualenv: VirtualenvMaker, tmp_path: Path) -> Path:
    """An empty virtualenv."""
    return make_virtualenv(request.param, tmp_path / "a venv")


def dist_info(folder: Path, name: str, version: str, metadata: bytes = b"", **files: str) -> Path:
    """A distribution's metadata as an installer leaves it."""
    path = folder / f"{name}-{version}.dist-info"
    path.mkdir()
    (path / "METADATA").write_bytes(metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode())
    for file, content in {"RECORD": "", **files}.items():
        (path / file.replace("__", ".")).write_text(content)
    return path


def entries(found: dict[str, Any], where: str = "own") -> dict[str, dict[str, Any]]:
    """A probe's distributions by name."""
    return {entry["name"]: entry for entry in found[where]}


def test_an_interpreter_that_installs_elsewhere_is_refused(pristine: Callable[[str], Path], agent: StartAgent) -> None:
    """Without pyvenv.cfg pip would install into the base interpreter: said with the way out, before anything is planned."""
    path = pristine("3.11")
    settings = (path / "pyvenv.cfg").read_text()
    (path / "pyvenv.cfg").unlink()
    try:
        with pytest.raises(
            AgentError, match=r"not of this virtualenv, since pyvenv\.cfg is missing; repair it: fab create_virtual"
        ):
            agent(path).ask("probe")
    finally:
        (path / "pyvenv.cfg").write_text(settings)


def test_the_folder_of_an_interpreter_is_no_virtualenv(make_virtualenv: VirtualenvMaker, agent: StartAgent) -> None:
    """What would be installed there, all of its virtualenvs and the system would have."""
    python = make_virtualenv.python("3.11")
    with pytest.raises(AgentError, match="an interpreter's own folder, not a virtualenv"):
        agent(python.parent.parent, python=python).ask("probe")


def test_how_a_distribution_came_is_told(bare: Path, agent: StartAgent, tmp_path: Path) -> None:
    """Editable, by a direct URL, as an egg, linked, or a plain wheel."""
    site, source = site_packages(bare), tmp_path / "source ü"
    dist_info(site, "plain", "1")
    dist_info(site, "url", "1", direct_url__json='{"url": "file:///x.whl", "archive_info": {}}')
    dist_info(site, "edit", "1", direct_url__json='{"url": "file:///src", "dir_info": {"editable": true}}')
    dist_info(site, "odd", "1", direct_url__json="no json")
    egg = site / "egg-1.0-py3.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Name: egg\nVersion: 1.0\n")
    (egg / "requires.txt").write_text(
        "six>=1\n\n[:python_version < \"3\"]\nenum34\n\n[fast]\nspeedup\n\n[fast:os_name == 'nt']\nwin\n"
    )
    (site / "flat-2.0.egg-info").write_text("Name: flat\nVersion: 2.0\n")
    (egg / "top_level.txt").write_text("egg\n")
    linked = source / "linked.egg-info"
    linked.mkdir(parents=True)
    (linked / "PKG-INFO").write_text("Name: linked\nVersion: 3.dev0\n")
    (site / "linked.egg-link").write_text(f"{source}\n.")
    (site / "gone.egg-link").write_text("/no/such/folder\n.")
    found = entries(agent(bare).ask("probe"))
    assert {name: entry["origin"] for name, entry in found.items()} == {
        "plain": "wheel",
        "url": "direct URL",
        "edit": "editable",
        "odd": "direct URL",
        "egg": "egg-info",
        "flat": "distutils",
        "linked": "editable",
    }
    assert found["egg"]["requires"] == [
        "six>=1",
        'enum34 ; (python_version < "3")',
        'speedup ; extra == "fast"',
        "win ; (os_name == 'nt') and extra == \"fast\"",
    ]


def test_what_an_interruption_left_is_told(bare: Path, agent: StartAgent) -> None:
    """pip's `~` folders; metadata without METADATA, without a name, or without RECORD, which pip cannot remove."""
    site = site_packages(bare)
    for name in ("~ango", "~ango-5.1.dist-info"):
        (site / name).mkdir()
    (site / "empty-1.0.dist-info").mkdir()
    dist_info(site, "nameless", "1", b"Metadata-Version: 2.1\n")
    (dist_info(site, "unrecorded", "1") / "RECORD").unlink()
    found = agent(bare).ask("probe")
    assert found["own"] == []
    assert found["leftovers"] == ["~ango", "~ango-5.1.dist-info"]
    assert found["damaged"] == ["empty-1.0.dist-info", "nameless-1.dist-info", "unrecorded-1.dist-info"]


def test_two_of_a_name_are_both_told(bare: Path, agent: StartAgent) -> None:
    """The managing side decides what that means."""
    site = site_packages(bare)
    dist_info(site, "twice", "1")
    dist_info(site, "twice", "2")
    assert [entry["version"] for entry in agent(bare).ask("probe")["own"]] == ["1", "2"]


@pytest.mark.parametrize(
    "metadata",
    [
        b"Metadata-Version: 2.1\r\nName: x\r\nVersion: 1.0\r\nRequires-Dist: a>=1\r\nRequires-Dist: b\r\n\r\nName: no\r\n",
        b"\xef\xbb\xbfName: x\nVersion: 1.0\nRequires-Dist: a>=1\nRequires-Dist: b\n\nRequires-Dist: no\n",
        b"Name: x\nVersion: 1.0\nDescription: first\n  Name: no\n\tmore\nRequires-Dist: a\n  >=1\nRequires-Dist: b\n",
        b"NAME: x\nversion: 1.0\nAuthor: \xff\xfe\nrequires-dist: a>=1\nRequires-Dist: b",
    ],
    ids=["CRLF", "BOM", "folded", "invalid UTF-8"],
)
def test_metadata_is_read_however_it_was_written(bare: Path, agent: StartAgent, metadata: bytes) -> None:
    """Line ends, a byte order mark, folded headers and broken bytes are no matter; the body is not read."""
    dist_info(site_packages(bare), "x", "1.0", metadata)
    found = entries(agent(bare).ask("probe"))["x"]
    assert (found["version"], [line.replace(" ", "") for line in found["requires"]]) == ("1.0", ["a>=1", "b"])


def test_other_fields_are_read(bare: Path, agent: StartAgent) -> None:
    """Requires-Python and the extras."""
    text = b"Name: x\nVersion: 1\nRequires-Python: >=3.8\nProvides-Extra: a\nProvides-Extra: b\n"
    dist_info(site_packages(bare), "x", "1", text)
    found = entries(agent(bare).ask("probe"))["x"]
    assert (found["requires_python"], found["extras"], found["requires"]) == (">=3.8", ["a", "b"], [])


def test_what_the_system_has_is_outside(make_virtualenv: VirtualenvMaker, agent: StartAgent, tmp_path: Path) -> None:
    """It is seen where the virtualenv sees it, and kept apart; there a missing RECORD is no damage."""
    base = make_virtualenv("3.11", tmp_path / "base")
    (dist_info(site_packages(base), "system", "1") / "RECORD").unlink()
    path = make_virtualenv("3.11", tmp_path / "venv")
    dist_info(site_packages(path), "own", "1")
    (site_packages(path) / "see.pth").write_text(f"{site_packages(base)}\n")
    found = agent(path).ask("probe")
    assert list(entries(found)) == ["own"]
    assert list(entries(found, "outside")) == ["system"]
    assert found["damaged"] == []
    before = found["stamp"]
    dist_info(site_packages(base), "newer", "1")
    assert agent(path).ask("probe")["stamp"] != before


def test_a_path_by_way_of_a_link_is_the_same_virtualenv(bare: Path, agent: StartAgent, tmp_path: Path) -> None:
    """Its distributions are its own."""
    dist_info(site_packages(bare), "own", "1")
    (tmp_path / "link").symlink_to(bare)
    assert list(entries(agent(tmp_path / "link").ask("probe"))) == ["own"]


def test_the_fingerprint_tells_every_change(bare: Path, agent: StartAgent) -> None:
    """It stays while nothing happens, and changes with what is installed, left over or begun."""
    session = agent(bare)
    site, memory = site_packages(bare), bare / ".envfab"
    seen = [session.ask("probe")["stamp"]]
    assert session.ask("probe")["stamp"] == seen[0]
    memory.mkdir()
    for change in (
        lambda: dist_info(site, "x", "1"),
        lambda: os.utime(site / "x-1.dist-info", (1, 1)),
        lambda: (site / "~y").mkdir(),
        lambda: (memory / "journal.json").write_text('{"format": 1}'),
        lambda: shutil.rmtree(site / "x-1.dist-info"),
    ):
        change()
        seen.append(session.ask("probe")["stamp"])
    assert len(set(seen)) == len(seen)


def test_names_that_are_no_text_do_not_spoil_the_answer(bare: Path, agent: StartAgent) -> None:
    """A file name that is no UTF-8 comes as text that can be printed."""
    os.mkdir(os.fsencode(site_packages(bare)) + b"/~\xff\xfe")
    (found,) = agent(bare).ask("probe")["leftovers"]
    found.encode()
    assert found.startswith("~")


def test_packages_of_another_minor_version_are_told(bare: Path, agent: StartAgent) -> None:
    """As long as the interpreter has nothing of its own but installers; installers there do not count."""
    own = site_packages(bare)
    old = own.parent.with_name("python3.4") / "site-packages"
    old.mkdir(parents=True)
    dist_info(old, "pip", "20.0")
    assert agent(bare).ask("probe")["stranded"] is None
    for name in ("Django", "asgiref"):
        dist_info(old, name, "1.0")
    dist_info(own, "pip", "20.3")
    assert agent(bare).ask("probe")["stranded"] == {"folder": "lib/python3.4", "packages": 2}
    dist_info(own, "asgiref", "1.0")
    assert agent(bare).ask("probe")["stranded"] is None
