"""envfab: the fleet, and nothing else. `fab deploy --yes` does the rest."""

from __future__ import annotations

import os

from envfab import Fleet, Host, Virtualenv, collection

virtualenvs = [
    Virtualenv(path, requirements=os.environ["BENCH_REQUIREMENTS"]) for path in os.environ["BENCH_VIRTUALENVS"].split()
]
fleet = Fleet(
    wheels=f"{os.environ['BENCH_HOUSE']}/wheels",
    release_log=f"{os.environ['BENCH_HOUSE']}/release_log",
    hosts=[Host(name, virtualenvs=virtualenvs) for name in os.environ["BENCH_HOSTS"].split()],
)
ns = collection(fleet)
