"""What it costs a host to be compared with what was deployed: CPU of an agent, from its start to its end.

    python benchmarks/drift.py [--files 8000] [--runs 5]

A virtualenv with one wheel of that many files beside bytecode is compared as `fab plan` does it, by stat, and as
`fab verify` does it, by content: the first time, when all is read, and then with nothing changed. Prints the least of
all runs, since other programs of the machine only add to it, and writes `results/drift.json` beside itself.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from envfab.remote import agent_sources
from envfab.remote.agent_session import Session, start_agent
from envfab.remote.process import local_link
from envfab.remote.startup import Identity
from tests.agent.conftest import install
from tests.support.wheels import make_wheel

RESULTS = Path(__file__).with_name("results")
# seconds after which a file is old enough to be remembered as right
RACY = 2.1


def start(venv: Path) -> Session:
    """An agent, as plans have it."""
    return start_agent(
        local_link(),
        f"{venv}/bin/python",
        str(venv),
        where=str(venv),
        identity=Identity(),
        modules=agent_sources.PROBE,
    )


def cpu_of(venv: Path, operation: str) -> float:
    """CPU seconds of an agent that answers one request, after the probe."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with start(venv) as session:
        session.ask("probe")
        if operation == "compare":
            session.load(agent_sources.INVENTORY)
            assert session.ask("compare") == {"known": True, "same": True}
        elif operation == "drift":
            session.load(agent_sources.DRIFT)
            assert session.ask("drift", read=True, most=10, now="")["differ"] == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def virtualenv(folder: Path, files: int) -> Path:
    """A virtualenv with one package of that many files, half of them modules, and their bytecode."""
    os.environ["HOME"] = str(folder)
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    members = {f"big/p{n // 20}/m{n}.{'py' if n % 2 else 'txt'}": f"x = {n}\n" * 40 for n in range(files)}
    with start(venv) as session:
        session.load(agent_sources.DEPLOY)
        session.load(agent_sources.GENERATIONS)
        install(session, make_wheel(folder, "big", "1.0", files=members), compile=True)
    return venv


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=8000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        venv = virtualenv(Path(folder), given.files)
        time.sleep(RACY)
        found = {"verify, first": cpu_of(venv, "drift")}
        for name, operation in (("probe alone", ""), ("plan", "compare"), ("verify, unchanged", "drift")):
            found[name] = min(cpu_of(venv, operation) for _ in range(given.runs))
    for name, seconds in found.items():
        print(f"{name:20} {seconds:.3f} CPU s")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "drift.json").write_text(json.dumps({"files": given.files, "seconds": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
