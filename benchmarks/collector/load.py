"""How many registrations a second the collector takes, and whether it loses one when its processes are killed.

    python -m benchmarks.collector.load [--rate N] [--seconds N]

With PostgreSQL, which writes to disk before it answers, and four workers of gunicorn: 200 applications of 200 packages
register in turn, of which one package changes each time. First undisturbed, then while a worker is killed every two
seconds, and the database server three times.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from tests.support.postgres import running_postgres
from tests.support.registration_load import Answers, killing, lost_of, register_steadily
from tests.support.web_workers import web_workers

WORKERS = 4
APPLICATIONS = 200
PACKAGES = 200


def main() -> None:
    """Measure, and say what was stored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_postgres(durable=True) as server:
        variables = {
            "ENVFAB_COLLECTOR_DATA": str(Path(name) / "data"),
            "ENVFAB_COLLECTOR_DATABASE": server.make_database(),
            "ENVFAB_COLLECTOR_OPEN": "1",
            "ENVFAB_COLLECTOR_REQUESTS_A_MINUTE": "0",
            "ENVFAB_COLLECTOR_BODIES_A_MINUTE": "0",
        }
        with web_workers(Path(name), WORKERS, **variables) as (url, process):
            register_steadily(url, asked.rate, APPLICATIONS / asked.rate, APPLICATIONS, PACKAGES)
            tell("undisturbed", register_steadily(url, asked.rate, asked.seconds, APPLICATIONS, PACKAGES), url)
            with killing(
                process, server, every=2, crashes=(asked.seconds * part for part in (0.2, 0.5, 0.8))
            ) as killed:
                answers = register_steadily(url, asked.rate, asked.seconds, APPLICATIONS, PACKAGES)
            tell(f"with {killed['workers']} workers and {killed['servers']} database servers killed", answers, url)


def tell(what: str, answers: Answers, url: str) -> None:
    """Print what was answered, and what of it is not there."""
    milliseconds = sorted(1000 * one for one in answers.seconds)
    print(
        f"{what}: {answers.stored} stored in {answers.took:.1f} s ({answers.stored / answers.took:.1f} a second), "
        f"median {statistics.median(milliseconds):.0f} ms, 99 of 100 within "
        f"{milliseconds[len(milliseconds) * 99 // 100]:.0f} ms; "
        f"not answered: {dict(answers.failures)}; answered and lost: {len(lost_of(answers, url))}",
        flush=True,
    )


if __name__ == "__main__":
    main()
