"""Plain Fabric, all hosts at once: list the distributions, then put and install what is lacking, wheel by wheel."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fabric import Connection, ThreadingGroup
from invoke.context import Context
from invoke.tasks import task

VIRTUALENV = os.environ["BENCH_VIRTUALENVS"]
THERE = f"{os.environ['BENCH_HOME']}/wheels"
LIST = f"mkdir -p {THERE}; ls {VIRTUALENV}/lib/python*/site-packages"


@task
def show(context: Context) -> None:
    """Say how many distributions each host has, and nothing else."""
    for connection, names in listed(context).items():
        print(connection.original_host, len(names))


@task
def deploy(context: Context) -> None:
    """Bring every host to the requirements."""
    wheels = wanted()
    there = listed(context)
    with ThreadPoolExecutor(len(there)) as pool:
        for _ in pool.map(
            lambda one: install(one[0], {wheels[name] for name in wheels.keys() - one[1]}), there.items()
        ):
            pass


def listed(context: Context) -> Mapping[Connection, set[str]]:
    """The distributions on each host, as `name-version`."""
    group = ThreadingGroup(*os.environ["BENCH_HOSTS"].split(), config=context.config)
    found = group.run(LIST, hide=True)
    return {
        connection: {line.removesuffix(".dist-info").lower() for line in result.stdout.split()}
        for connection, result in found.items()
    }


def wanted() -> dict[str, Path]:
    """The wheels, by `name-version`."""
    return {"-".join(path.name.split("-")[:2]).lower(): path for path in Path(os.environ["BENCH_WHEELS"]).iterdir()}


def install(connection: Connection, wheels: set[Path]) -> None:
    """Put and install wheels, one after another."""
    for wheel in sorted(wheels):
        connection.put(str(wheel), f"{THERE}/")
        name, version = re.split("-", wheel.name)[:2]
        arguments = f"--no-index --no-deps --find-links {THERE} {name}=={version}"
        connection.run(f"{VIRTUALENV}/bin/pip install {arguments}", hide=True)
