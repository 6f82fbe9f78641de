"""How time, memory and threads grow: with the virtualenvs of a fleet, the wheels of a wheelhouse, the lines of a log.

    python benchmarks/scale.py [--runs 5] [--only SERIES …]

Everything that is measured is the `fab` program from start to end. 200 virtualenvs lie on 20 real SSH hosts on loopback
(root and OpenSSH are needed); 1,000 more have a host name each, which leads to one of these hosts, and a connection of
its own. Other fleets are answered for by a recorded agent: what a real one said is played back to the real `fab`, so
that only what happens on this side is measured; for 10,000 hosts the CPU time of a connection is played in. A table is
printed; `results/scale.json` beside this file says the same, and so does docs/benchmarks.md, unless something was left
out.
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
LOOK_EVERY, WEIGH_EVERY = 0.005, 0.25
HOSTS, EACH = 20, 10
# host names that lead to these hosts, and how many of them are deployed to
ALIASES, DEPLOYED_TO = 1000, 200
# descriptors that `fab` may have then
ULIMIT = 256
RECORDED = 10_000
# CPU seconds of a connection by Paramiko: what `plan` of the aliases costs more than that of as many recorded hosts
A_CONNECTION = 0.017
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
MANY = """from envfab import Fleet, Host, Virtualenv, collection

hosts = [
    Host(f"many{{number}}", virtualenvs=[
        Virtualenv(f"{folder}/many{{number // {hosts}}}", requirements="requirements.txt")
    ])
    for number in range({number})
]
ns = collection(Fleet(hosts=hosts))
"""
PLAYED_BACK = """
import json
import time
from pathlib import Path

from envfab.remote.ssh.connections import Connections
from tests.support.recorded import RecordedLinks

links = RecordedLinks(json.loads(Path("recording.json").read_text()), kinds={kinds})


def link(self, host):
    enough = time.thread_time() + {cost}
    while time.thread_time() < enough:
        pass
    return links.link(host)


Connections.link = link
Connections.link_later = lambda self, host: links.link(host)
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What one command cost in one situation, medians of several runs: seconds, MB, threads and descriptors at most.

    CPU seconds and memory are those of all processes of `fab`, threads and descriptors those of the first.
    """

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
    descriptors: int


@dataclass(frozen=True, slots=True)
class Situation:
    """A fabfile's folder in which something of a series has a size."""

    series: str
    size: int
    unit: str
    folder: Path
    options: tuple[str, ...] = ()
    processes: int = 1
    ulimit: int | None = None

    def measured(self, runs: int, *arguments: str, files: Sequence[Path] = ()) -> Row:
        """The cost of `fab ARGUMENTS`, after one run that does not count; each run gets its part of `files`.

        Without `runs` it is run once, and that counts.
        """
        found = [self._run([*self.options, *arguments, *map(str, files[run :: runs + 1])]) for run in range(runs + 1)][
            min(runs, 1) :
        ]
        wall = [one[0] for one in found]
        cpu, memory, threads, descriptors = (statistics.median(one) for one in list(zip(*found, strict=True))[1:])
        task = f"{' '.join(arguments)} of {len(files) // (runs + 1)}" if files else " ".join(arguments)
        if self.processes > 1:
            task += f", {self.processes} processes"
        spread = statistics.median(wall), min(wall), max(wall)
        return Row(self.series, self.size, self.unit, task, *spread, cpu, memory, int(threads), int(descriptors))

    def _run(self, arguments: Sequence[str]) -> tuple[float, float, float, int, int]:
        variables = {"FABRIC_ENVFAB_PROCESSES": str(self.processes)}
        return _run(arguments, self.folder, variables, self.ulimit)


def _run(
    arguments: Sequence[str], folder: Path, variables: Mapping[str, str], ulimit: int | None
) -> tuple[float, float, float, int, int]:
    """Seconds on the clock, CPU seconds, MB, threads and descriptors at most of one `fab`."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, **variables, "PYTHONPATH": str(REPOSITORY), "XDG_CACHE_HOME": str(folder / ".cache")}
    began, threads, descriptors, memory, weighed = time.perf_counter(), 0, 0, 0.0, 0.0
    limited = ["sh", "-c", f'ulimit -n {ulimit} && exec "$0" "$@"'] if ulimit else []
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [*limited, str(Path(sys.executable).with_name("fab")), *arguments],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            with suppress(OSError, IndexError, ValueError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                threads = max(threads, int(status.partition("\nThreads:")[2].split(maxsplit=1)[0]))
                descriptors = max(descriptors, len(os.listdir(f"/proc/{process.pid}/fd")))
            if time.perf_counter() - weighed > WEIGH_EVERY:
                memory, weighed = max(memory, _megabytes(process.pid)), time.perf_counter()
            time.sleep(LOOK_EVERY)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode:
        tail = "\n".join((folder / "output").read_text(errors="replace").splitlines()[-20:])
        raise SystemExit(f"`fab {' '.join(arguments)}` ended with {process.returncode}:\n{tail}")
    alone = ended[2].ru_maxrss / 1024
    return wall, ended[2].ru_utime + ended[2].ru_stime, max(memory, alone), threads, descriptors


def _megabytes(pid: int) -> float:
    """The memory of a process and its children, what they share counted once."""
    found = 0
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (str(pid), *children):
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
            found += int(text.partition("\nPss:")[2].split(maxsplit=1)[0])
    return found / 1024


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


def _interpreter(hosts: ssh.Hosts) -> Path:
    """An interpreter that the hosts' user may run."""
    found = Path(shutil.which("python3", path="/usr/local/bin:/usr/bin") or sys.executable).resolve()
    return found if reachable_by_all(found) else copied_python(found, hosts.root)


def _give_to_user(folder: Path) -> None:
    for place, _folders, files in os.walk(folder):
        for name in (place, *(os.path.join(place, file) for file in files)):
            os.chown(name, ssh.UID, ssh.UID, follow_symlinks=False)


def on_real_hosts(root: Path, runs: int) -> Iterator[Row]:
    """200 virtualenvs on 20 SSH hosts, and the 20 first of them, one a host."""
    with ssh.running_hosts(HOSTS) as hosts:
        folder = root / "real"
        folder.mkdir()
        wheels = furnish(folder)
        python = _interpreter(hosts)
        template = root / "template"
        make_virtualenv(template, python, wheels)
        for host in hosts.all:
            for number in range(EACH):
                shutil.copytree(template, host.home / f"venv{number}", symlinks=True)
            _give_to_user(host.home)
        for each in (1, EACH):
            fabfile = FABFILE.format(user=ssh.USER, folder=hosts.home, each=each, hosts=HOSTS)
            (folder / "fabfile.py").write_text(fabfile)
            options = ("-S", str(hosts.config))
            situation = Situation("virtualenvs on 20 SSH hosts", each * HOSTS, "virtualenvs", folder, options)
            for task in (["plan"], ["deploy", "--yes"]):
                yield situation.measured(runs, *task)


def on_many_hosts(root: Path, _runs: int) -> Iterator[Row]:
    """1,000 host names with a connection and a virtualenv each, under a small limit on descriptors; one run of each."""
    with ssh.running_hosts(HOSTS) as hosts:
        folder = root / "many"
        folder.mkdir()
        wheels = furnish(folder)
        python = _interpreter(hosts)
        template = root / "template-many"
        make_virtualenv(template, python, wheels)
        for number in range(ALIASES):
            virtualenv = hosts.all[number % HOSTS].home / f"many{number // HOSTS}"
            shutil.copytree(template, virtualenv, symlinks=True)
            _give_to_user(virtualenv)
        config = folder / "ssh_config"
        aliases = (f"Host many{number}\n    HostName 127.0.1.{number % HOSTS + 1}\n" for number in range(ALIASES))
        config.write_text("".join(aliases) + hosts.config.read_text())
        series, options = "SSH connections, one a virtualenv", ("-S", str(config))

        def situation(number: int, processes: int) -> Situation:
            fabfile = MANY.format(folder=hosts.home, hosts=HOSTS, number=number)
            (folder / "fabfile.py").write_text(fabfile)
            return Situation(series, number, "virtualenvs", folder, options, processes, ULIMIT)

        cores = os.cpu_count() or 1
        for processes in dict.fromkeys((1, cores)):
            yield situation(ALIASES, processes).measured(0, "plan")
        yield situation(ALIASES, cores).measured(0, "deploy", "--yes")
        new = make_wheel(folder / "new", "package-0", "1.1")
        _run(["add_wheel", str(new)], folder, {}, None)
        requirements = folder / "requirements.txt"
        requirements.write_text(requirements.read_text().replace("package-0==1.0", "package-0==1.1"))
        for task in ("deploy", "rollback"):
            yield situation(DEPLOYED_TO, cores).measured(0, task, "--yes")


def played_in(root: Path, _runs: int) -> Iterator[Row]:
    """10,000 hosts that a recorded agent answers for, each with the CPU time of a connection; one run of each."""
    folder = _fleet(root, "played in", RECORDED, 1, 1, A_CONNECTION)
    for processes in dict.fromkeys((1, os.cpu_count() or 1)):
        situation = Situation(
            "recorded virtualenvs, with a connection each", RECORDED, "virtualenvs", folder, (), processes
        )
        yield situation.measured(0, "plan")
    yield situation.measured(0, "deploy", "--yes")


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


def _fleet(root: Path, name: str, virtualenvs: int, each: int, kinds: int, cost: float = 0) -> Path:
    """The folder of a fleet that a recorded agent answers for; a connection costs so many CPU seconds."""
    folder = root / name
    folder.mkdir()
    make_virtualenv(folder / "virtualenv", Path(sys.executable), furnish(folder))
    (folder / "recording.json").write_text(json.dumps(record(folder / "virtualenv")))
    fleet = FABFILE.format(user="shop", folder="/srv/shop", each=each, hosts=virtualenvs // each)
    (folder / "fabfile.py").write_text(fleet + PLAYED_BACK.format(kinds=kinds, cost=cost))
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
        f" {row.cpu:6.2f} s CPU {row.memory:6.0f} MB {row.threads:5} threads"
        f" {row.descriptors:5} descriptors",
        flush=True,
    )


def table(rows: Sequence[Row]) -> str:
    """The rows for the documentation; a series is named in its first row alone."""
    lines = [
        "| | | task | seconds (least - most) | CPU seconds | memory | threads | descriptors |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    series = ""
    for row in rows:
        name, series = ("" if row.series == series else row.series), row.series
        lines.append(
            f"| {name} | {row.size:,} | `{row.task}` | {row.wall:.2f} ({row.least:.2f} - {row.most:.2f}) |"
            f" {row.cpu:.2f} | {row.memory:.0f} MB | {row.threads} | {row.descriptors} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    series = {one.__name__: one for one in (on_real_hosts, on_many_hosts, played_in, played_back, in_wheelhouses)}
    parser.add_argument("--only", nargs="+", choices=series, default=[*series], help="these series alone")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        for name in options.only:
            for row in series[name](Path(folder), options.runs):
                show(row)
                rows.append(row)
    RESULTS.parent.mkdir(exist_ok=True)
    document: Mapping[str, object] = {
        "format": 1, "runs": options.runs, "cores": os.cpu_count(), "rows": [asdict(row) for row in rows]
    }  # fmt: skip
    if len(options.only) == len(series):
        RESULTS.write_text(json.dumps(document, indent=1) + "\n")
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(between(text, "scale", table(rows), where="docs/benchmarks.md"), encoding="utf-8")


if __name__ == "__main__":
    main()
