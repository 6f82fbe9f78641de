"""What planning costs as the wheelhouse grows: 20 virtualenvs against 100 wheels and against 10,000.

    python benchmarks/planning.py [--runs 9]

Each virtualenv has 30 packages, all of them current but one; no two are alike, so nothing is planned once for several.
What is measured begins with a wheelhouse that nobody has read yet: its folder, its log, METADATA of the wheels at hand,
and the 20 plans.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from packaging.tags import Tag
from packaging.version import Version

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from envfab.config.target import Target
from envfab.models.distribution import Distribution
from envfab.models.interpreter import Interpreter
from envfab.models.probe import Probe
from envfab.models.requirements import parse
from envfab.planning.plan import Options, Status
from envfab.planning.plan_cache import Plans
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.wheels import make_wheel, make_wheelhouse, release_line

PACKAGES = 30
VIRTUALENVS = 20
MARKERS = {
    "implementation_name": "cpython", "implementation_version": "3.11.7", "os_name": "posix",
    "platform_machine": "x86_64", "platform_python_implementation": "CPython", "platform_release": "6.1",
    "platform_system": "Linux", "platform_version": "#1", "python_full_version": "3.11.7", "python_version": "3.11",
    "sys_platform": "linux",
}  # fmt: skip


def furnish(root: Path, wheels: int) -> None:
    """A wheelhouse of so many wheels: what the virtualenvs need, and others around it."""
    folder, log = make_wheelhouse(root, projects=(wheels - PACKAGES - 1) // 5, versions=5, real=False, prefix="other")
    lines = []
    for number in range(PACKAGES):
        requires = [f"package-{number - 1}>=1"] if number else []
        for version in ("1.0", "1.1") if number == PACKAGES - 1 else ("1.0",):
            wheel = make_wheel(folder, f"package-{number}", version, requires=requires)
            lines.append(release_line(wheel, f"package-{number}", version))
    with log.open("a") as stream:
        stream.write("".join(f"{line}\n" for line in lines))


def probe(number: int) -> Probe:
    """A virtualenv that is like no other: it has a package of its own."""
    there = [Distribution.build(f"own-{number}", "1.0")]
    there += [
        Distribution.build(f"package-{index}", "1.0", (f"package-{index - 1}>=1",) if index else ())
        for index in range(PACKAGES)
    ]
    return Probe(
        target=Target("shop", f"web{number}", "/srv/shop/venv"),
        interpreter=Interpreter(Version("3.11.7"), "CPython", MARKERS, (Tag("py3", "none", "any"),)),
        distributions={one.name: one for one in there},
        outside={},
        leftovers=(),
        duplicates=(),
        journal=None,
        fingerprint=str(number),
    )


def once(root: Path) -> float:
    """Seconds for the 20 plans out of a wheelhouse that nobody has read yet."""
    requirements = parse(["shop.txt"], lambda _name: "".join(f"package-{number}\n" for number in range(PACKAGES)))
    probes = [probe(number) for number in range(VIRTUALENVS)]
    began = time.perf_counter()
    plans = Plans(Wheelhouse(root / "wheels", root / "release_log", cache=root), Options())
    made = [plans.plan(one, requirements) for one in probes]
    seconds = time.perf_counter() - began
    if any(plan.status is not Status.CHANGES or len(plan.actions) != 1 for plan in made):
        raise SystemExit("these are not the plans that were to be measured")
    return seconds


def main() -> None:
    """Measure, in turn, and print medians with minimum and maximum."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        roots = {wheels: Path(folder) / str(wheels) for wheels in (100, 10_000)}
        for wheels, root in roots.items():
            furnish(root, wheels)
            once(root)
        found: dict[int, list[float]] = {wheels: [] for wheels in roots}
        for _run in range(runs):
            for wheels, root in roots.items():
                found[wheels].append(once(root) * 1000)
    print(f"{VIRTUALENVS} virtualenvs of {PACKAGES} packages, {runs} runs, {os.cpu_count()} CPUs; milliseconds")
    for wheels, figures in found.items():
        print(f"{wheels:>6} wheels   {statistics.median(figures):7.1f}   ({min(figures):.1f} - {max(figures):.1f})")
    small, large = (statistics.median(figures) for figures in found.values())
    print(f"ratio           {large / small:7.2f}")


if __name__ == "__main__":
    main()
