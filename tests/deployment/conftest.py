"""Workplaces for deployments: over SSH to real hosts, and on this machine alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.django import DJANGO
from tests.support.once import made_once
from tests.support.sshd import Hosts
from tests.support.workplace import Workplace


@pytest.fixture
def workplace(tmp_path: Path, hosts: Hosts) -> Workplace:
    """A user's folder from which real SSH hosts are reached."""
    return Workplace(tmp_path / "work", hosts)


@pytest.fixture
def local(tmp_path: Path) -> Workplace:
    """A user's folder for this machine alone."""
    return Workplace(tmp_path / "work")


@pytest.fixture(scope="session")
def pip_wheel(request: pytest.FixtureRequest, outer_environment: Mapping[str, str]) -> Path:
    """A real pip wheel, fetched once and kept."""
    return fetched(request.config.cache.mkdir("packages"), outer_environment, "pip==25.3")


def fetched(cache: Path, environment: Mapping[str, str], requirement: str) -> Path:
    """A published wheel, fetched from the package index the first time and kept."""
    place = cache / requirement
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    with made_once(place) as missing:
        if missing:
            subprocess.run([*command, "--dest", str(place), requirement], check=True, env=dict(environment))
    return next(place.glob("*.whl"))


@pytest.fixture(scope="session")
def django_wheels(request: pytest.FixtureRequest, outer_environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Django and what it needs, fetched once and kept."""
    cache = request.config.cache.mkdir("packages")
    return tuple(fetched(cache, outer_environment, requirement) for requirement in DJANGO)
