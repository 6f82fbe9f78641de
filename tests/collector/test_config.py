"""How a collector is set up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envfab.collector.config import Config, WheelhouseFolders, find_wheelhouse, from_environment
from envfab.errors import ConfigurationError, EnvfabError
from tests.collector.conftest import MakeApp
from tests.support.fab import clean_environment


def test_variables_say_everything(tmp_path: Path) -> None:
    """Each variable sets what its name says."""
    (tmp_path / "tokens").write_text("first token\nsecond token\n", encoding="utf-8")
    (tmp_path / "wheels").mkdir()
    said = {
        "DATA": str(tmp_path / "data"), "DATABASE": "postgresql://h/n", "REPORTS": str(tmp_path / "reports"),
        "HOUSE": str(tmp_path), "INDEX": "https://index.example.org/simple/", "TOKEN": "third token",
        "TOKEN_FILE": str(tmp_path / "tokens"), "STORE_ADDRESSES": "no", "KEEP_DAYS": "90", "STALE_DAYS": "3",
        "PUBLIC": "prog, other", "KEEP_REGISTRATIONS_DAYS": "400", "ACCESS_LOG": "1", "PUBLIC_METRICS": "yes", "REQUESTS_A_MINUTE": "100", "BODIES_A_MINUTE": "0", "WRONG_TOKENS_A_MINUTE": "7", "PROXIES": "1", "OSV": str(tmp_path / "all.zip"),
    }  # fmt: skip
    config = from_environment({f"ENVFAB_COLLECTOR_{name}": value for name, value in said.items()} | {"OTHER": "x"})
    assert config == Config(
        data=tmp_path / "data",
        database="postgresql://h/n",
        reports=tmp_path / "reports",
        wheelhouse=WheelhouseFolders(tmp_path / "wheels", tmp_path / "release_log"),
        index="https://index.example.org/simple/",
        osv=tmp_path / "all.zip",
        tokens=("third token", "first token", "second token"),
        store_addresses=False,
        keep_days=90,
        keep_registrations_days=400,
        stale_days=3,
        proxies=1,
        public=("prog", "other"),
        access_log=True,
        public_metrics=True,
        requests_a_minute=100,
        bodies_a_minute=0,
        wrong_tokens_a_minute=7,
    )


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "ENVFAB_COLLECTOR_DATA: is not set\n  name a folder for the database and the reports"),
        ({"DATA": "/d"}, "collector: a collector that others can reach needs a token"),
        ({"DATA": "/d", "OPEN": "0"}, "collector: a collector that others can reach needs a token"),
        ({"DATA": "/d", "OPEN": "1", "PUBLIC": "../x"}, "collector public: must be names of programs, not '../x'"),
        ({"DATA": "/d", "OPEN": "maybe"}, "ENVFAB_COLLECTOR_OPEN: must be yes or no, not 'maybe'"),
        ({"DATA": "/d", "TOKEN": "short"}, "collector: a token must have at least 8 characters, without `read:`"),
        ({"DATA": "/d", "TOKEN_FILE": "/nowhere/x"}, "/nowhere/x: cannot read the token file: No such file"),
        ({"DATA": "/d", "TOKEN_FILE": os.devnull}, "/dev/null: the token file holds no token"),
        (
            {"DATA": "/d", "OPEN": "1", "KEEP_DAYS": "0"},
            "ENVFAB_COLLECTOR_KEEP_DAYS: must be a whole number from 1 up, not '0'",
        ),
        (
            {"DATA": "/d", "OPEN": "1", "TOKNE": "x"},
            "ENVFAB_COLLECTOR_TOKNE: unknown setting\n  the settings are: DATA, DATABASE",
        ),
    ],
)
def test_what_cannot_be_meant(said: dict[str, str], message: str) -> None:
    """Wrong variables are named, and a misspelt one leaves no door open."""
    with pytest.raises(ConfigurationError) as caught:
        from_environment({f"ENVFAB_COLLECTOR_{name}": value for name, value in said.items()})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"database": "mysql://x"},
            "collector database: the collector does not work with mysql\n  it works with SQLite",
        ),
        ({"database": "nonsense"}, "collector database: the database must be a URL\n  say postgresql://USER@HOST/NAME"),
        ({"reports": Path("/dev/null/x")}, "/dev/null/x: cannot make the folder: Not a directory"),
        ({"index": "ftp://x"}, "collector index: must be an http or https URL, not 'ftp://x'"),
    ],
)
def test_what_cannot_work(make_app: MakeApp, settings: dict[str, object], message: str) -> None:
    """What can be said and cannot work is told before anything is served."""
    with pytest.raises(EnvfabError) as caught:
        make_app(**settings)
    assert str(caught.value).startswith(message)


def test_a_wheelhouse_that_is_not_there(tmp_path: Path) -> None:
    """A folder that is misspelt is no empty wheelhouse."""
    with pytest.raises(ConfigurationError, match=r"the folder .* does not exist"):
        find_wheelhouse(tmp_path / "whels")


def test_open_must_be_said() -> None:
    """Without a token `OPEN=1` opens the door, and nothing else does."""
    assert from_environment({"ENVFAB_COLLECTOR_DATA": "/d", "ENVFAB_COLLECTOR_OPEN": "1"}).tokens == ()


def test_where_a_wheelhouse_is(tmp_path: Path) -> None:
    """A wheelhouse is the wheels' folder with the log inside or beside, or a folder that holds both."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    assert find_wheelhouse(wheels) == WheelhouseFolders(wheels, tmp_path / "release_log")
    assert find_wheelhouse(tmp_path) == WheelhouseFolders(wheels, tmp_path / "release_log")
    (wheels / "release_log").touch()
    assert find_wheelhouse(wheels) == WheelhouseFolders(wheels, wheels / "release_log")


def test_the_wsgi_application(tmp_path: Path) -> None:
    """`envfab.collector.wsgi:application` is set up by variables alone; without a token it does not come up."""
    code = "from envfab.collector.wsgi import application as a; print(a.test_client().get('/').status_code)"
    environment = clean_environment(tmp_path) | {"ENVFAB_COLLECTOR_DATA": str(tmp_path / "data")}

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code], env=environment | more, capture_output=True, text=True, check=False
        )

    assert run(ENVFAB_COLLECTOR_TOKEN="correct horse").stdout == "401\n"
    assert run(ENVFAB_COLLECTOR_OPEN="1").stdout == "200\n"
    refused = run()
    assert refused.returncode == 1
    assert refused.stderr.startswith("envfab: collector: a collector that others can reach needs a token")
