"""What is installed and by whom: pinned wheels, kept between runs, and the peers in virtualenvs of their own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename

from benchmarks.fleet.errors import BenchmarkError

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
REQUIREMENTS = HERE / "requirements"
KEPT = REPOSITORY / "build" / "bench"
PEERS = ("pyinfra", "ansible")
STATES = ("before", "after")


@dataclass(frozen=True, slots=True)
class Wheelhouse:
    """Wheels by state (what the peers copy from), all of them (what envfab's wheelhouse is filled from), and programs.

    `python` runs what needs Fabric or envfab; `bins` are the folders of the peers' programs.
    """

    folders: dict[str, Path]
    everything: Path
    python: Path
    bins: dict[str, Path]

    def wheel(self, name: str) -> Path:
        """The one wheel of a project among the tools."""
        return next(path for path in self.everything.glob("*.whl") if parse_wheel_filename(path.name)[0] == name)


def pins(file: str) -> dict[NormalizedName, str]:
    """Names and versions in one of our requirements files, which holds nothing but pins."""
    lines = (REQUIREMENTS / f"{file}.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in found}


def wheelhouse(folder: Path) -> Wheelhouse:
    """Everything at hand: downloaded and installed unless an earlier run kept it; wheels are copied to `folder`."""
    wheels = KEPT / "wheels"
    for file in (*STATES, "tools"):
        _download(wheels, file)
    there = {parse_wheel_filename(path.name)[:2]: path for path in sorted(wheels.glob("*.whl"))}
    by_pin = {(name, str(version)): path for (name, version), path in there.items()}
    folders = {state: folder / state for state in STATES}
    everything = folder / "everything"
    for file, place in (*folders.items(), *((name, everything) for name in (*STATES, "tools"))):
        place.mkdir(parents=True, exist_ok=True)
        for pin in pins(file).items():
            shutil.copy2(by_pin[pin], place)
    return Wheelhouse(folders, everything, Path(sys.executable), {peer: installed(peer) for peer in PEERS})


def _download(wheels: Path, file: str) -> None:
    """Fetch what is pinned in a file and not there yet."""
    wheels.mkdir(parents=True, exist_ok=True)
    there = {(name, str(version)) for name, version, *_ in (parse_wheel_filename(p.name) for p in wheels.glob("*.whl"))}
    if set(pins(file).items()) <= there:
        return
    print(f"fetching the wheels of requirements/{file}.txt", flush=True)
    _pip(Path(sys.executable), "download", "--no-deps", "--only-binary", ":all:", "--dest", str(wheels), file=file)


def installed(peer: str) -> Path:
    """The folder of a peer's programs; its virtualenv is made again where other versions are pinned."""
    digest = hashlib.sha256((REQUIREMENTS / f"{peer}.txt").read_bytes()).hexdigest()
    virtualenv = KEPT / peer
    stamp = virtualenv / "pinned"
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"installing {peer}", flush=True)
        shutil.rmtree(virtualenv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", virtualenv], check=True)
        _pip(virtualenv / "bin" / "python", "install", file=peer)
        stamp.write_text(digest)
    return virtualenv / "bin"


def _pip(python: Path, *arguments: str, file: str) -> None:
    command: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", *arguments, "--quiet"]
    done = subprocess.run([*command, "-r", REQUIREMENTS / f"{file}.txt"], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise BenchmarkError(f"pip could not fetch what is pinned in requirements/{file}.txt; what it said is above")
