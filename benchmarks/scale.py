"""How time, memory and threads grow: with the virtualenvs of a fleet, the wheels of a wheelhouse, the lines of a log.

    python benchmarks/scale.py [--runs 5] [--without-hosts]

Everything that is measured is the `fab` program from start to end. 200 virtualenvs lie on 20 real SSH hosts on loopback
(root and OpenSSH are needed). Larger fleets are answered for by a recorded agent: what a real one said is played back
to the real `fab`, so that only what happens on this side is measured. A table is printed; `results/scale.json` beside
this file says the same, and so does docs/benchmarks.md, unless something was left out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.fleet import hosts as ssh
from benchmarks.fleet.publishing import between
from tests.support.pythons import copied_python, reachable_by_all
from tests.support.recorded import record
from tests.support.wheels import make_wheel, make_wheelhouse, release_line

RESULTS = Path(__file__).with_name("results") / "scale.json"
PAGE = REPOSITORY / "docs" / "benchmarks.md"
PACKAGES = 28
LOOK_EVERY = 0.005
HOSTS, EACH = 20, 10
ADDED = 20
FABFILE = """from envfab import Fleet, Host, Virtualenv, collection

hosts = [
    Host(f"web{{host}}", user={user!r}, virtualenvs=[
        Virtualenv(f"{folder}/venv{{number}}", requirements="requirements.txt") for number in range({each})
    ])
    for host in range(1, {hosts} + 1)
]
ns = collection(Fleet(hosts=hosts))
"""
PLAYED_BACK = """
import json
from pathlib import Path

from envfab.remote.ssh.connections import Connections
from tests.support.recorded import RecordedLinks

links = RecordedLinks(json.loads(Path("recording.json").read_text()), kinds={kinds})
Connections.link = lambda self, host: links.link(host)
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What one command cost in one situation, medians of several runs: seconds, MB, threads at most."""

    series: str
    size: int
    unit: str
    task: str
    wall: float
    least: float
    most: float
    cpu: float
    memory: float
    threads: int


@dataclass(frozen=True, slots=True)
class Situation:
    """A fabfile's folder in which something of a series has a size."""

    series: str
    size: int
    unit: str
    folder: Path
    options: tuple[str, ...] = ()

    def measured(self, runs: int, *arguments: str, files: Sequence[Path] = ()) -> Row:
        """The cost of `fab ARGUMENTS`, after one run that does not count; each run gets its part of `files`."""
        found = [
            _run([*self.options, *arguments, *map(str, files[run :: runs + 1])], self.folder) for run in range(runs + 1)
        ][1:]
        wall = [one[0] for one in found]
        cpu, memory, threads = (statistics.median(figures) for figures in list(zip(*found, strict=True))[1:])
        task = f"{' '.join(arguments)} of {len(files) // (runs + 1)}" if files else " ".join(arguments)
        median, least, most = statistics.median(wall), min(wall), max(wall)
        return Row(self.series, self.size, self.unit, task, median, least, most, cpu, memory, int(threads))


def _run(arguments: Sequence[str], folder: Path) -> tuple[float, float, float, int]:
    """Seconds on the clock, CPU seconds, MB and threads at most of one `fab`."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "PYTHONPATH": str(REPOSITORY), "XDG_CACHE_HOME": str(folder / ".cache")}
    began, threads = time.perf_counter(), 0
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("fab"), *arguments],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            with suppress(OSError, IndexError, ValueError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                threads = max(threads, int(status.partition("\nThreads:")[2].split(maxsplit=1)[0]))
            time.sleep(LOOK_EVERY)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode:
        tail = "\n".join((folder / "output").read_text(errors="replace").splitlines()[-20:])
        raise SystemExit(f"`fab {' '.join(arguments)}` ended with {process.returncode}:\n{tail}")
    return wall, ended[2].ru_utime + ended[2].ru_stime, ended[2].ru_maxrss / 1024, threads


def furnish(folder: Path) -> list[Path]:
    """A wheelhouse of 28 wheels that require each other, and the requirements that name them all; the wheels."""
    wheels = folder / "wheels"
    made = []
    for number in range(PACKAGES):
        requires = [f"package-{other}>=1; python_version >= '3.8'" for other in range(max(0, number - 3), number)]
        made.append(make_wheel(wheels, f"package-{number}", "1.0", requires=requires))
    lines = [release_line(wheel, f"package-{number}", "1.0") for number, wheel in enumerate(made)]
    (folder / "release_log").write_text("".join(f"{line}\n" for line in lines))
    (folder / "requirements.txt").write_text("".join(f"package-{number}==1.0\n" for number in range(PACKAGES)))
    return made


def make_virtualenv(path: Path, python: Path, wheels: Sequence[Path]) -> None:
    """A virtualenv that has the wheels."""
    subprocess.run([python, "-m", "venv", "--without-pip", "--symlinks", path], check=True)
    place = next(path.glob("lib/python*/site-packages"))
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(place)


def on_real_hosts(root: Path, runs: int) -> Iterator[Row]:
    """200 virtualenvs on 20 SSH hosts, and the 20 first of them, one a host."""
    with ssh.running_hosts(HOSTS) as hosts:
        folder = root / "real"
        folder.mkdir()
        wheels = furnish(folder)
        found = Path(shutil.which("python3", path="/usr/local/bin:/usr/bin") or sys.executable).resolve()
        python = found if reachable_by_all(found) else copied_python(found, hosts.root)
        template = root / "template"
        make_virtualenv(template, python, wheels)
        for host in hosts.all:
            for number in range(EACH):
                shutil.copytree(template, host.home / f"venv{number}", symlinks=True)
            for place, _folders, files in os.walk(host.home):
                for name in (place, *(os.path.join(place, file) for file in files)):
                    os.chown(name, ssh.UID, ssh.UID, follow_symlinks=False)
        for each in (1, EACH):
            fabfile = FABFILE.format(user=ssh.USER, folder=hosts.home, each=each, hosts=HOSTS)
            (folder / "fabfile.py").write_text(fabfile)
            options = ("-S", str(hosts.config))
            situation = Situation("virtualenvs on 20 SSH hosts", each * HOSTS, "virtualenvs", folder, options)
            for task in (["plan"], ["deploy", "--yes"]):
                yield situation.measured(runs, *task)


def played_back(root: Path, runs: int) -> Iterator[Row]:
    """Fleets of up to 1,000 virtualenvs that a recorded agent answers for."""
    fleets = [("alike", 1, EACH), ("alike, one a host", 1, 1), ("of 50 kinds", 50, EACH)]
    for name, kinds, each in fleets:
        for virtualenvs in (100, 300, 1000):
            folder = _fleet(root, f"{virtualenvs} {name}", virtualenvs, each, kinds)
            situation = Situation(f"recorded virtualenvs, {name}", virtualenvs, "virtualenvs", folder)
            yield situation.measured(runs, "plan")
            if kinds == 1:
                yield situation.measured(runs, "deploy", "--yes")


def _fleet(root: Path, name: str, virtualenvs: int, each: int, kinds: int) -> Path:
    """The folder of a fleet that a recorded agent answers for."""
    folder = root / name
    folder.mkdir()
    make_virtualenv(folder / "virtualenv", Path(sys.executable), furnish(folder))
    (folder / "recording.json").write_text(json.dumps(record(folder / "virtualenv")))
    fleet = FABFILE.format(user="shop", folder="/srv/shop", each=each, hosts=virtualenvs // each)
    (folder / "fabfile.py").write_text(fleet + PLAYED_BACK.format(kinds=kinds))
    return folder


def in_wheelhouses(root: Path, runs: int) -> Iterator[Row]:
    """Wheelhouses of up to 10,000 wheels, and logs of up to 200,000 lines; 20 virtualenvs."""
    sizes = [("wheels", 1000, 0), ("wheels", 10_000, 0), ("log lines", 1000, 20_000), ("log lines", 1000, 200_000)]
    for unit, wheels, lines in sizes:
        folder = _fleet(root, f"{wheels} {lines}", 20, 1, 1)
        there = (folder / "release_log").read_text()
        make_wheelhouse(folder, projects=wheels // 5, versions=5, real=False, prefix="other")
        names = sorted(wheel.name for wheel in (folder / "wheels").iterdir())
        with (folder / "release_log").open("a") as log:
            log.write(there)
            log.writelines(_installs(names, lines - wheels - PACKAGES))
        situation = Situation(f"{unit} of a wheelhouse", wheels if unit == "wheels" else lines, unit, folder)
        new = [make_wheel(folder / "new", f"new-{number}", "1.0") for number in range(ADDED * (runs + 1))]
        yield situation.measured(runs, "plan")
        yield situation.measured(runs, "wheels")
        yield situation.measured(runs, "add_wheel", files=new)


def _installs(names: Sequence[str], number: int) -> Iterator[str]:
    """Lines of installations on 300 hosts."""
    for one in range(number):
        at = f"2026-{1 + one % 12:02}-{1 + one % 28:02}T10:{one % 60:02}:00+00:00"
        yield f"install: shop@web{one % 300}:/srv/shop/venv: {names[one % len(names)]} at {at} deployment=d-{one}\n"


def show(row: Row) -> None:
    """A line of the table."""
    spread = f"({row.least:.2f} - {row.most:.2f})"
    print(
        f"{row.series:<42} {row.size:>7} {row.unit:<12} {row.task:<15} {row.wall:6.2f} s {spread:<16}"
        f" {row.cpu:6.2f} s CPU {row.memory:6.0f} MB {row.threads:5} threads",
        flush=True,
    )


def table(rows: Sequence[Row]) -> str:
    """The rows for the documentation; a series is named in its first row alone."""
    lines = [
        "| | | task | seconds (least - most) | CPU seconds | memory | threads |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    series = ""
    for row in rows:
        name, series = ("" if row.series == series else row.series), row.series
        lines.append(
            f"| {name} | {row.size:,} | `{row.task}` | {row.wall:.2f} ({row.least:.2f} - {row.most:.2f}) |"
            f" {row.cpu:.2f} | {row.memory:.0f} MB | {row.threads} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--without-hosts", action="store_true", help="leave out what needs root and OpenSSH")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        series = [played_back, in_wheelhouses]
        if options.without_hosts or ssh.missing():
            print(f"no SSH hosts: {ssh.missing() or 'as you wish'}")
        else:
            series.insert(0, on_real_hosts)
        for one in series:
            for row in one(Path(folder), options.runs):
                show(row)
                rows.append(row)
    RESULTS.parent.mkdir(exist_ok=True)
    document: Mapping[str, object] = {
        "format": 1, "runs": options.runs, "cores": os.cpu_count(), "rows": [asdict(row) for row in rows]
    }  # fmt: skip
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    if len(series) == 3:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(between(text, "scale", table(rows), where="docs/benchmarks.md"), encoding="utf-8")


if __name__ == "__main__":
    main()
