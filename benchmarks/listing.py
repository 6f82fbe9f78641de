"""What `fab --list`, `fab targets` and completion cost beside `fab --list` with a fabfile that has one task of its own.

    python benchmarks/listing.py [--runs 15]

The commands run in turn, so that the machine's mood is the same for all; ratios are taken run by run, and each is to
stay below a bar. Writes `results/listing.json` beside itself, too.
"""

from __future__ import annotations

import argparse
import compileall
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import envfab

OWN = """from fabric import task

@task
def hello(c):
    '''Say hello.'''
"""
OURS = """from envfab import Fleet, Host, Virtualenv, collection

hosts = [Host(f"web{n}", user="admin", virtualenvs=[Virtualenv("/srv/shop/venv", user="shop")]) for n in range(20)]
ns = collection(Fleet(hosts=hosts))
"""
COMMANDS = {
    "own --list": ("own", "--list"),
    "envfab --list": ("ours", "--list"),
    "envfab targets": ("ours", "targets"),
    "envfab completion": ("ours", "--complete", "--", ""),
}
BAR = 1.3
RESULTS = Path(__file__).with_name("results")


def seconds(root: Path, folder: str, *arguments: str) -> float:
    """One run, from outside."""
    fab = Path(sys.executable).with_name("fab")
    began = time.perf_counter()
    subprocess.run([fab, *arguments], cwd=root / folder, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print medians, and ratios to the first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    # as at an installation: Fabric itself has Python write no bytecode
    compileall.compile_dir(Path(envfab.__file__).parent, quiet=1)
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, fabfile in {"own": OWN, "ours": OURS}.items():
            (root / name).mkdir()
            (root / name / "fabfile.py").write_text(fabfile)
        for run in range(-1, runs):
            for name, (place, *arguments) in COMMANDS.items():
                took = seconds(root, place, *arguments)
                if run >= 0:
                    found[name].append(took)
    rows = [row(name, figures, found["own --list"]) for name, figures in found.items()]
    for one in rows:
        spread = f"({one['least']:.0f} - {one['most']:.0f})"
        judged = "" if one["bar"] is None else f"   bar {BAR}: {'met' if one['met'] else 'MISSED'}"
        print(f"{one['what']:<20} {one['median']:5.0f} ms {spread:<14} ratio {one['ratio']:.2f}{judged}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "listing.json").write_text(json.dumps({"runs": runs, "rows": rows}, indent=1) + "\n")


def row(name: str, figures: list[float], base: list[float]) -> dict[str, Any]:
    """A line of the report; times in milliseconds."""
    ratio = statistics.median(one / other for one, other in zip(figures, base, strict=True))
    bar = None if figures is base else BAR
    return {
        "what": name,
        "median": statistics.median(figures) * 1000,
        "least": min(figures) * 1000,
        "most": max(figures) * 1000,
        "ratio": ratio,
        "bar": bar,
        "met": bar is None or ratio <= bar,
    }


if __name__ == "__main__":
    main()
