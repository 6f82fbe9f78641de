"""What the Djangos of ten years tell of their migrations, and the verdicts on that.

They are held against older code itself, and against django-migration-linter: its rules are older than ours.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from envfab.models.migration_plan import MigrationPlan
from envfab.planning.migration_verdicts import Verdict, judge
from envfab.remote import agent_sources
from envfab.remote.migration_replies import to_migration_plan
from tests.support import migration_programs
from tests.support.migration_cases import CASES, cases_for, write_project
from tests.support.once import made_once
from tests.support.postgres import Postgres
from tests.support.virtualenvs import VirtualenvMaker

SHARED = ("pytz==2024.1", "sqlparse==0.4.4")
# Python, Django, and what that requires
DJANGOS = (
    ("2.7", "1.8.19", ()),
    ("2.7", "1.11.29", SHARED),
    ("3.6", "3.2.25", (*SHARED, "asgiref==3.4.1", "typing-extensions==4.1.1")),
    ("3.12", "6.0", (*SHARED, "asgiref==3.8.1")),
)
NEWEST = ("Django==5.2", *SHARED, "asgiref==3.8.1", "typing-extensions==4.12.2")
LINTER = ("django-migration-linter==6.0.0", "appdirs==1.4.4", "toml==0.10.2")


def unpacked(make_virtualenv: VirtualenvMaker, *requirements: str) -> Path:
    """A folder with these wheels to import from, kept for later sessions."""
    folder = make_virtualenv.cache / f"unpacked-{'-'.join(requirements)}"
    with made_once(folder) as missing:
        for requirement in requirements if missing else ():
            with zipfile.ZipFile(make_virtualenv.fetched(requirement, "--ignore-requires-python")) as wheel:
                wheel.extractall(folder)
    return folder


def planned(python: Path, database: str, paths: Sequence[Path]) -> MigrationPlan:
    """What the program tells, decoded as a host's answer."""
    program = agent_sources.program("migration_plan")
    document = migration_programs.run(python, program, database, paths)
    return to_migration_plan({"plan": json.dumps(document)}, "host")


def by_app(plan: MigrationPlan) -> Mapping[str, list[Verdict]]:
    """The verdicts of each app."""
    found: dict[str, list[Verdict]] = {migration.name.partition(".")[0]: [] for migration in plan.migrations}
    for verdict in judge(plan):
        found[verdict.migration.partition(".")[0]].append(verdict)
    return found


def rules(verdicts: Mapping[str, list[Verdict]]) -> dict[str, list[str]]:
    """The rules of each app's verdicts."""
    return {app: sorted({one.rule.value for one in found}) for app, found in verdicts.items()}


def record_in_sqlite(file: Path, apps: Sequence[str]) -> str:
    """A database in which the apps' first migrations are recorded as applied; nothing else of it is read."""
    with sqlite3.connect(file) as database:
        database.execute(
            "CREATE TABLE django_migrations (id integer PRIMARY KEY, app text, name text, applied datetime)"
        )
        rows = [(app, "0001_initial", "2026-01-01 00:00:00") for app in apps]
        database.executemany("INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, ?)", rows)
    database.close()
    return str(file)


def record_in_postgres(url: str, apps: Sequence[str]) -> str:
    """The same, and books of apps that are called large, with millions of rows for all that PostgreSQL knows."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE django_migrations (id serial, app text, name text, applied timestamptz)")
        for app in apps:
            connection.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES (%s, '0001_initial', now())", [app]
            )
            if app.startswith("large_"):
                connection.execute(f"CREATE TABLE {app}_book (id int)".encode())
                connection.execute("UPDATE pg_class SET reltuples = 2345678 WHERE relname = %s", [f"{app}_book"])
    return url


@pytest.mark.parametrize(("version", "django", "required"), DJANGOS, ids=[django for _, django, _ in DJANGOS])
def test_every_django_since_1_8_tells(
    make_virtualenv: VirtualenvMaker, tmp_path: Path, version: str, django: str, required: Sequence[str]
) -> None:
    """The same verdicts, whatever the version of Django and Python."""
    python = make_virtualenv.python(version)
    modules = unpacked(make_virtualenv, f"Django=={django}", *required)
    major, minor = map(int, django.split(".")[:2])
    cases = cases_for((major, minor), postgres=False)
    write_project(tmp_path / "project", cases)
    database = record_in_sqlite(tmp_path / "db", list(cases))
    found = rules(by_app(planned(python, database, [tmp_path / "project", modules])))
    assert found == {app: sorted(case.rules.split()) for app, case in cases.items()}


def test_an_older_django_says_which_it_is(make_virtualenv: VirtualenvMaker, tmp_path: Path) -> None:
    """Django 1.7 has migrations, and cannot tell what they do."""
    modules = unpacked(make_virtualenv, "Django==1.7.11")
    write_project(tmp_path / "project", ["drop_table"])
    plan = planned(make_virtualenv.python("2.7"), "unused", [tmp_path / "project", modules])
    assert (plan.migrations, plan.untold) == ((), "Django 1.7.11 cannot tell what they do")
    assert [str(one) for one in judge(plan)] == [
        "migrations were not judged: Django 1.7.11 cannot tell what they do; read them before you go on"
    ]


@pytest.mark.parametrize(("version", "django", "required"), DJANGOS[1:2])
def test_an_empty_database_stays_empty(
    make_virtualenv: VirtualenvMaker, tmp_path: Path, version: str, django: str, required: Sequence[str]
) -> None:
    """Nothing is applied: before Django 2.0, looking for what is applied made a table. There is no older code, either."""
    write_project(tmp_path / "project", ["drop_table", "code_irreversible"])
    modules = unpacked(make_virtualenv, f"Django=={django}", *required)
    plan = planned(make_virtualenv.python(version), str(tmp_path / "db"), [tmp_path / "project", modules])
    assert plan.names == tuple(
        f"{app}.{name}" for app in ("code_irreversible", "drop_table") for name in ("0001_initial", "0002_change")
    )
    assert judge(plan) == ()
    with sqlite3.connect(tmp_path / "db") as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == []
    database.close()


@pytest.fixture
def project(make_virtualenv: VirtualenvMaker, tmp_path: Path) -> list[Path]:
    """Folders to import all cases from, the newest Django, and what it needs for PostgreSQL."""
    write_project(tmp_path, cases_for((5, 2), postgres=True))
    return [tmp_path, unpacked(make_virtualenv, *NEWEST)]


def test_postgresql_tells_locks_as_well(project: list[Path], postgres: Postgres) -> None:
    """The verdicts are as expected, with about how many rows a large table has."""
    cases = cases_for((5, 2), postgres=True)
    database = record_in_postgres(postgres.make_database(), list(cases))
    found = by_app(planned(Path(sys.executable), database, project))
    assert rules(found) == {app: sorted(case.rules.split()) for app, case in cases.items()}
    assert [(one.problem, one.rows) for one in found["large_index"]] == [
        (
            "locks table large_index_book (about 2,345,678 rows) while PostgreSQL builds an index, and writes wait",
            2345678,
        )
    ]


def test_what_is_held_for_breaking_breaks_older_code(project: list[Path], postgres: Postgres) -> None:
    """Older models write and read all they can before a migration; after it they fail if it is breaking, and only then."""
    cases = cases_for((5, 2), postgres=True)
    failures = migration_programs.run(
        Path(sys.executable), migration_programs.OLDER_CODE, postgres.make_database(), project
    )
    assert {app: failure for app, failure in failures.items() if bool(failure) != cases[app].breaking} == {}
    assert failures.keys() == cases.keys()


def test_verdicts_are_those_of_django_migration_linter(
    project: list[Path], make_virtualenv: VirtualenvMaker, postgres: Postgres
) -> None:
    """Its errors are what we hold for breaking; each difference has its reason."""
    cases = cases_for((5, 2), postgres=True)
    linter = [*project, unpacked(make_virtualenv, *LINTER)]
    said: dict[str, Any] = migration_programs.run(
        Path(sys.executable), migration_programs.LINTER, postgres.make_database(), linter
    )
    codes = {app: sorted(errors + warnings) for app, (errors, warnings) in said.items()}
    assert codes == {app: sorted(case.linter.split()) for app, case in cases.items()}
    different = {app for app, (errors, _) in said.items() if bool(errors) != cases[app].breaking}
    assert different == {app for app, case in CASES.items() if case.why}
