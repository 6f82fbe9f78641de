"""pip-compile, for the interpreter that runs this program, with the wheelhouse as its only index."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.errors import SupplyError, WheelError
from envfab.index import pages
from envfab.index.pages import File
from envfab.lockfile.this_interpreter import this_one
from envfab.models.requirements import Entry, Requirements, parse
from envfab.planning.candidates import allowed
from envfab.planning.marker_environment import Environment, applicable
from envfab.planning.new_virtualenv import pinned_hashes
from envfab.wheelhouse.wheelhouse import Wheelhouse

TIMEOUT = 600


def compiled(requirements: Requirements, wheelhouse: Wheelhouse) -> dict[NormalizedName, Version]:
    """The versions that pip-compile pins; raises `SupplyError` with its words."""
    with tempfile.TemporaryDirectory(prefix="envfab-lock-") as name:
        folder = Path(name)
        _pages(wheelhouse, requirements, folder / "simple")
        # hashes that the source pins are heeded by the pages: with one in its source, pip would want all
        here = Environment(this_one())
        _lines(folder / "constraints.txt", applicable(requirements.constraints, here))
        _lines(folder / "requirements.in", applicable(requirements.entries, here), "-c constraints.txt\n")
        output = folder / "requirements.txt"
        # fmt: off
        command = [
            sys.executable, "-m", "piptools", "compile", "--quiet", "--no-config", "--allow-unsafe", "--strip-extras",
            "--no-header", "--no-annotate", "--no-emit-index-url", "--index-url", (folder / "simple").as_uri(),
            "--cache-dir", str(folder / "cache"), "--pip-args", "--isolated --only-binary :all:",
            "--output-file", str(output), "requirements.in",
        ]
        # fmt: on
        _run(command, folder)
        pinned = parse([str(output)], lambda file: Path(file).read_text(encoding="utf-8"))
        return {entry.name: _version(entry) for entry in pinned.entries}


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SupplyError(f"pip-compile found no answer within {TIMEOUT} s", hint="pin more with ==") from None
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise SupplyError(f"pip-compile found no answer: {said[-1] if said else 'it says nothing'}")


def _version(entry: Entry) -> Version:
    (pin,) = entry.requirement.specifier
    return Version(pin.version)


def _lines(file: Path, entries: tuple[Entry, ...], first: str = "") -> None:
    file.write_text(first + "".join(f"{entry.requirement}\n" for entry in entries), encoding="utf-8")


def _environment(folder: Path) -> dict[str, str]:
    """The environment of pip-compile, without the user's settings of pip and uv."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))}
    return kept | {"PIP_CONFIG_FILE": os.devnull, "HOME": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def _pages(wheelhouse: Wheelhouse, requirements: Requirements, folder: Path) -> None:
    """Index pages of all projects that the requirements might lead to; the wheels stay where they are."""
    hashes = pinned_hashes(requirements)
    for name in _reachable(wheelhouse, requirements):
        listed = []
        for release in wheelhouse.releases(name):
            if not allowed(release.wheel, hashes.get(name)):
                continue
            try:
                requires_python = str(wheelhouse.metadata(release.wheel).requires_python) or None
            except WheelError:
                # planning passes over what cannot be read, too
                continue
            place = wheelhouse.path_of(release.wheel).resolve().as_uri()
            digest = wheelhouse.sha256(release.wheel)
            listed.append(File(release.wheel.filename, place, digest, requires_python, release.yanked_reason))
        (folder / name).mkdir(parents=True)
        (folder / name / "index.html").write_text(pages.project_html(name, listed), encoding="utf-8")


def _reachable(wheelhouse: Wheelhouse, requirements: Requirements) -> Iterator[NormalizedName]:
    waiting = [entry.name for entry in requirements.entries]
    seen = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        for release in wheelhouse.releases(name):
            try:
                waiting += [canonicalize_name(one.name) for one in wheelhouse.metadata(release.wheel).requires]
            except WheelError:
                continue
