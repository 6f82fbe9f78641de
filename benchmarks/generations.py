"""What a generation costs: room on the disk, the moment of the switch, and time.

    python -m benchmarks.generations [--megabytes 150]

A virtualenv of this machine gets packages (one of that size, then those of a Django site), and then a small one more:
what the disk has less afterwards is what the second generation costs. The switch is timed as programs see it, by the
one rename that it is, and as a whole, until the folder is on the disk. Writes `results/generations.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from envfab.agent import switch
from tests.support.wheels import make_wheel

MODULES = 4000
IN_A_FOLDER = 20
# bytes of a line in a source and its bytecode together
A_LINE = 190
SWITCHES = 200
RESULTS = Path(__file__).with_name("results")
DJANGO_SITE = Path(__file__).parent / "fleet" / "requirements" / "before.txt"
FABFILE = """from envfab import Fleet, Host, Virtualenv, collection

ns = collection(Fleet(hosts=[Host("localhost", virtualenvs=[Virtualenv({path!r}, packages={packages})])]))
"""


def modules(megabytes: int) -> Iterator[tuple[str, str]]:
    """Sources that take so much room with their bytecode, and that do not pack to nothing: (path, text) each."""
    for number in range(MODULES):
        digests = (
            hashlib.sha256(b"%d %d" % (number, line)).hexdigest()
            for line in range(megabytes * 10**6 // MODULES // A_LINE)
        )
        yield (
            f"large/p{number // IN_A_FOLDER}/m{number}.py",
            "".join(f"V{line} = {digest!r}\n" for line, digest in enumerate(digests)),
        )


def deploy(project: Path, path: Path, *packages: str) -> float:
    """Deploy packages; the seconds that it took."""
    (project / "fabfile.py").write_text(FABFILE.format(path=str(path), packages=list(packages)))
    fab = str(Path(sys.executable).with_name("fab"))
    began = time.perf_counter()
    done = subprocess.run([fab, "deploy", "--yes"], cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - began


def blocks(*folders: Path) -> int:
    """The bytes that folders take on the disk together, each file counted once however many names it has."""
    done = subprocess.run(["du", "--block-size=1", "-sc", *folders], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1].split()[0])


@contextmanager
def renames_timed(found: list[float]) -> Iterator[None]:
    """Note how many seconds each rename takes."""
    rename = os.rename

    def timed(source: str, target: str) -> None:
        began = time.perf_counter()
        rename(source, target)
        found.append(time.perf_counter() - began)

    os.rename = timed  # type: ignore[assignment]
    try:
        yield
    finally:
        os.rename = rename


def switches(path: Path, numbers: tuple[int, int]) -> dict[str, float]:
    """Go back and forth between two generations: milliseconds of the rename alone, and of the whole."""
    # all that a flip asks of a layout, which is of the interpreter that runs this
    layout = SimpleNamespace(path=str(path))
    wholes: list[float] = []
    renames: list[float] = []
    with renames_timed(renames):
        for turn in range(SWITCHES):
            began = time.perf_counter()
            switch.flip(layout, numbers[turn % 2])  # type: ignore[no-untyped-call]  # it runs on 2.7, too
            wholes.append(time.perf_counter() - began)
    figures = {"rename": renames, "whole": wholes}
    found = {f"{name}, median": statistics.median(taken) for name, taken in figures.items()}
    found |= {f"{name}, most": max(taken) for name, taken in figures.items()}
    return {name: round(1000 * seconds, 4) for name, seconds in found.items()}


def measure(root: Path, wheels: Sequence[Path], packages: Sequence[str]) -> dict[str, Any]:
    """The figures of a virtualenv with these packages, which gets a small one more; all below `root`."""
    project, path, store = root / "project", root / "v", root / "home" / ".cache" / "envfab"
    store.parent.mkdir(parents=True)
    project.mkdir()
    os.environ["HOME"] = str(root / "home")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(path)], check=True)
    small = make_wheel(root, "small", "1.0")
    (project / "fabfile.py").write_text(FABFILE.format(path=str(path), packages=[]))
    fab = str(Path(sys.executable).with_name("fab"))
    subprocess.run(
        [fab, "add_wheel", *map(str, wheels), str(small)], cwd=project, check=True, stdout=subprocess.DEVNULL
    )
    first = deploy(project, path, *packages)
    size, before = blocks(path), blocks(path, store)
    second = deploy(project, path, *packages, "small")
    generation = path / ".envfab" / "generations" / "2"
    return {
        "virtualenv, MB": round(size / 1e6, 1),
        "folders": sum(1 for _ in os.walk(generation)),
        "second generation, MB": round((blocks(path, store) - before) / 1e6, 2),
        "first deployment, s": round(first, 2),
        "second deployment, s": round(second, 2),
        "switch, ms": switches(path, (1, 2)),
    }


def main() -> None:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=150)
    megabytes = parser.parse_args().megabytes
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        large = make_wheel(root, "large", "1.0", files=dict(modules(megabytes)))
        rows["one large package"] = measure(root / "large", [large], ["large"])
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(root / "wheels")]
        subprocess.run([*download, "-r", str(DJANGO_SITE)], check=True)
        pins = [line for line in DJANGO_SITE.read_text().splitlines() if "==" in line]
        rows["a Django site"] = measure(root / "site", sorted((root / "wheels").iterdir()), pins)
    for title, figures in rows.items():
        print(title)
        for name, value in figures.items():
            print(f"  {name:<24} {value}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "generations.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
