"""Run the benchmark, or show what the last run found: see `make bench ARGS=--help`."""

from __future__ import annotations

import argparse
import datetime
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.fleet.contenders import CONTENDERS, Contender
from benchmarks.fleet.errors import BenchmarkError
from benchmarks.fleet.hosts import SHM, running_hosts
from benchmarks.fleet.machine import facts
from benchmarks.fleet.processes import adopt_orphans
from benchmarks.fleet.publishing import publish
from benchmarks.fleet.report import document
from benchmarks.fleet.results import Played, Results, load, save
from benchmarks.fleet.running import run_all
from benchmarks.fleet.stage import Stage
from benchmarks.fleet.wheelhouse import KEPT, REPOSITORY, pins
from benchmarks.fleet.workloads import NAMES

RESULTS = REPOSITORY / "benchmarks" / "results" / "fleet.json"
TRIAL = KEPT / "trial.json"
ROOM = 0.35
"""GiB that a host takes, and a contender's template: generously."""


def main() -> int:
    """Measure, keep what was measured, and write it into the documentation."""
    options = parsed()
    try:
        if options.report_only and not options.results.exists():
            raise BenchmarkError(f"there are no figures yet in {options.results}")
        if not options.report_only:
            results = measured(options)
            save(results, options.results)
            print(f"kept in {options.results}")
        if options.trial:
            print(document(load(options.results)))
        else:
            publish(load(options.results), REPOSITORY)
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped; hosts and files are gone", file=sys.stderr)
        return 130
    return 0


def parsed() -> argparse.Namespace:
    """The options. A trial (anything that is left out) is kept apart, and not written into the documentation."""
    names = [contender.name for contender in CONTENDERS]
    parser = argparse.ArgumentParser(
        prog="make bench", description="envfab beside its peers, on loopback SSH hosts. Needs root and OpenSSH.",
        epilog="A run with --hosts, --rounds, --workloads or --contenders is a trial: it is shown here, and the "
        "documentation stays as it is.",
    )  # fmt: skip
    parser.add_argument("--hosts", type=int, help="how many hosts (20)")
    parser.add_argument("--rounds", type=int, help="how often each is measured (3)")
    parser.add_argument("--workloads", nargs="+", choices=NAMES, help="these alone")
    parser.add_argument("--contenders", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--report-only", action="store_true", help="no run: write the documentation from the last one")
    options = parser.parse_args()
    options.trial = any((options.hosts, options.rounds, options.workloads, options.contenders))
    options.results = TRIAL if options.trial else RESULTS
    options.hosts, options.rounds = options.hosts or 20, options.rounds or 3
    return options


def measured(options: argparse.Namespace) -> Results:
    """The whole run."""
    signal.signal(signal.SIGTERM, _interrupt)
    adopt_orphans()
    contenders = chosen(options.contenders)
    began = time.monotonic()
    with running_hosts(options.hosts) as hosts:
        wanted, free = ROOM * (options.hosts + len(contenders)), shutil.disk_usage(SHM).free / 2**30
        if free < wanted:
            raise BenchmarkError(f"{options.hosts} hosts need about {wanted:.0f} GiB in {SHM}, and {free:.1f} are free")
        print(
            f"{options.hosts} hosts, {options.rounds} rounds, {', '.join(one.name for one in contenders)}", flush=True
        )
        stage = Stage.made(hosts)
        runs = run_all(stage, contenders, options.workloads or NAMES, options.rounds)
        print(f"{time.monotonic() - began:.0f} s in all")
        return Results(
            date=datetime.date.today().isoformat(),
            hosts=options.hosts,
            packages=len(pins("before")),
            facts=facts(stage),
            contenders=tuple(Played(c.name, c.title, c.about, c.compiles, c.ours) for c in contenders),
            runs=tuple(runs),
        )


def chosen(names: Sequence[str] | None) -> list[Contender]:
    """The contenders of these names, and those whose hosts they need."""
    everybody = CONTENDERS
    if not names:
        return list(everybody)
    needed = {one.base for one in everybody if one.name in names}
    return [one for one in everybody if one.name in needed.union(names)]


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
