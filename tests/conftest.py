"""What all tests share: a clean environment, virtualenvs, real SSH hosts, and the rule that CI skips nothing."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import Postgres, running_postgres
from tests.support.pythons import NOT_INSTALLED
from tests.support.sshd import Hosts, Unavailable, running_hosts
from tests.support.tally import Counting
from tests.support.users import PREFIX
from tests.support.uv import pack_uv
from tests.support.virtualenvs import VirtualenvMaker

FOREIGN_PREFIXES = ("FABRIC_", "INVOKE_", "PIP_", "UV_", "DIFIO_", "ENVFAB_", "SSH_", "XDG_", "VIRTUALENV_", "DJANGO_")
# fmt: off
FOREIGN_NAMES = frozenset((
    "DO_NOT_TRACK", "PYTHON_USAGE_STATS", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME",
    "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY",
    "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "all_proxy", "no_proxy", "COLUMNS", "LINES", "NO_COLOR",
    "FORCE_COLOR", "CLICOLOR_FORCE", "WORKON_HOME", "CI",
))
# fmt: on
REQUIRE_ALL = pytest.StashKey[bool]()
OUTER = pytest.StashKey[Mapping[str, str]]()
LOG_OFFSET = pytest.StashKey[int]()
HOSTS = pytest.StashKey[Hosts]()
SHARED = pytest.StashKey[str]()
"""A folder that all processes of the session share. Not in pytest's own, which is closed to other users."""


def pytest_configure(config: pytest.Config) -> None:
    """Remember the environment that the session was started with, before any test changes it."""
    config.stash[OUTER] = dict(os.environ)
    config.stash[REQUIRE_ALL] = os.environ.get("ENVFAB_TESTS_REQUIRE_ALL") == "1"
    tally = os.environ.get("ENVFAB_TESTS_TALLY")
    if tally and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Counting(Path(tally)))
    if hasattr(config, "workerinput"):
        config.stash[SHARED] = config.workerinput["shared"]
    else:
        config.stash[SHARED] = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
        Path(config.stash[SHARED]).chmod(0o755)
        config.add_cleanup(functools.partial(shutil.rmtree, config.stash[SHARED], ignore_errors=True))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests without the garbage collector: it would look through all of them again and again, in vain."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist which folder is shared."""
    node.workerinput["shared"] = node.config.stash[SHARED]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what skips although every part is required; show what sshd said beside a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.stash[REQUIRE_ALL]:
        _fail_unless_allowed(report)
    hosts = item.config.stash.get(HOSTS, None)
    if report.failed and hosts is not None:
        report.sections.append(("sshd log", hosts.log_since(item.stash.get(LOG_OFFSET, 0))))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a whole file that skips although every part is required."""
    report = yield
    if report.skipped and collector.config.stash[REQUIRE_ALL]:
        _fail_unless_allowed(report)
    return report


def _fail_unless_allowed(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if NOT_INSTALLED not in reason:
        report.outcome = "failed"
        report.longrepr = f"skipped, but ENVFAB_TESTS_REQUIRE_ALL=1 wants every part: {reason}"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing of the surroundings reaches a test: no settings, no agent, no caches. The path is an empty home."""
    for name in tuple(os.environ):
        if name in FOREIGN_NAMES or name.startswith(FOREIGN_PREFIXES):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name, folder in {
        "CONFIG": ".config",
        "CACHE": ".cache",
        "DATA": ".local/share",
        "STATE": ".local/state",
    }.items():
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / folder))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    return home


@pytest.fixture(scope="session")
def outer_environment(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The environment that the session was started with, for what has to reach a package index."""
    return request.config.stash[OUTER]


@pytest.fixture(scope="session")
def uv_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of uv."""
    return pack_uv(tmp_path_factory.mktemp("uv"))


@pytest.fixture(scope="session")
def make_virtualenv(request: pytest.FixtureRequest, outer_environment: Mapping[str, str]) -> VirtualenvMaker:
    """Makes virtualenvs: `make_virtualenv("3.8", path, owner=…)`."""
    return VirtualenvMaker(
        Path(request.config.stash[SHARED]), request.config.cache.mkdir("virtualenvs"), outer_environment
    )


@pytest.fixture(scope="session")
def _running_hosts(request: pytest.FixtureRequest) -> Iterator[Hosts]:
    try:
        with running_hosts() as hosts:
            request.config.stash[HOSTS] = hosts
            yield hosts
            del request.config.stash[HOSTS]
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def hosts(request: pytest.FixtureRequest, _running_hosts: Hosts) -> Hosts:
    """Real SSH hosts, the same for the whole session."""
    request.node.stash[LOG_OFFSET] = _running_hosts.log.stat().st_size
    return _running_hosts


@pytest.fixture
def srv(hosts: Hosts) -> Iterator[Path]:
    """A folder of this test's own, on the hosts, that every user can look into."""
    folder = Path(tempfile.mkdtemp(dir=hosts.srv))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole session."""
    try:
        with running_postgres() as server:
            yield server
    except Unavailable as reason:
        pytest.skip(str(reason))
