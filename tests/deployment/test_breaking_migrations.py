"""Migrations that break older code: refused where such code still runs, else warned of."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.project import Project
from envfab.config.settings import Settings
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.barriers import Barriers
from envfab.deployment.breaking_migrations import require_safe
from envfab.deployment.context import DeploymentContext, RolloutContext
from envfab.deployment.old_code import OldCode
from envfab.deployment.proposal import Proposal
from envfab.deployment.result import Caller
from envfab.errors import DeploymentError
from envfab.models.migration_plan import ChangeKind, Migration, MigrationPlan, Operation, SchemaChange, Table
from envfab.models.requirements import Requirements
from envfab.planning.plan import Plan, Status
from envfab.remote.probe import TargetSession
from envfab.util.progress import Silent
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.django import FIRST, make_site, without_unused
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze

DROP = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RunSQL("UPDATE shop_article SET name = ''"),
        migrations.RemoveField("Article", "name"),
    ]
"""
QUICK = {"shop/migrations/0001_initial.py": FIRST.replace("time.sleep(1)", "pass")}
BREAKS = (
    "shop.0002_price (Remove field name from Article) drops column name of shop_article, which older code reads and writes;"
    " deploy code without the field first, and drop the column with a later release"
)
IRREVERSIBLE = (
    "shop.0002_price (Raw SQL operation) cannot be reversed;"
    " give it reverse_code or reverse_sql: noop where there is nothing to do"
)


@pytest.fixture
def paths(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path, django_wheels: Sequence[Path]
) -> list[Path]:
    """Two virtualenvs of one database with shop 1.0; shop 2.0, which drops a column, is in the wheelhouse."""
    found = [make_virtualenv("3.11", tmp_path / name) for name in ("a", "b")]
    django, *others = django_wheels
    made = local.folder / "made"
    env = {"SHOP_SECRET": "x", "SHOP_DATABASE": str(tmp_path / "db")}
    project = f"Project('shop.settings', database='shop', env={env})"
    virtualenvs = ",".join(f"Virtualenv({str(path)!r}, packages=['shop'], projects=[{project}])" for path in found)
    local.fabfile(f"Host('localhost', virtualenvs=[{virtualenvs}])", settings="'compile': False")
    local.add(without_unused(django, made), *others, make_site(made, "1.0", more=QUICK))
    assert local.fab("deploy", "--yes").returncode == 0
    local.add(make_site(made, "2.0", more={**QUICK, "shop/migrations/0002_price.py": DROP}))
    return found


def columns(database: Path) -> list[str]:
    """The columns that the table of articles has."""
    with sqlite3.connect(database) as connection:
        found = [row[1] for row in connection.execute("PRAGMA table_info(shop_article)")]
    connection.close()
    return found


def test_a_migration_that_breaks_code_which_still_runs_is_refused(
    local: Workplace, paths: list[Path], tmp_path: Path
) -> None:
    """Nothing is applied and nothing switched; with --allow-breaking-migrations it is applied, with a warning."""
    document = local.json("deploy", "--yes", status=1)
    first, second = document["virtualenvs"]
    assert [one["status"] for one in document["virtualenvs"]] == ["rolled-back", "rolled-back"]
    reason = (
        f"no migration was applied, since {second['user']}@localhost:{paths[1]} still runs older code on database shop"
    )
    way_out = "deploy in steps (expand, deploy, contract: see docs/migrations.md), or pass --allow-breaking-migrations"
    assert first["error"] == f"{first['user']}@localhost:{paths[0]}: {reason}:\n  {BREAKS}\n  {way_out}"
    assert [(one["rule"], one["breaking"]) for one in first["verdicts"]] == [
        ("irreversible", False),
        ("drops-column", True),
    ]
    assert (first["uncertain"], first["unapplied"], second["verdicts"]) == ([], [], [])
    assert columns(tmp_path / "db") == ["id", "name"]
    # so does one that the rollout leaves out
    assert local.json(f"deploy:localhost:{paths[0]}", "--yes", status=1)["virtualenvs"][0]["error"] == first["error"]
    assert [freeze(path)["shop"] for path in paths] == ["1.0", "1.0"]
    done = local.fab("deploy", "--yes", "--allow-breaking-migrations")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [f"{paths[0]}: {verdict}" in " ".join(done.stderr.split()) for verdict in (IRREVERSIBLE, BREAKS)] == [
        True,
        True,
    ]
    assert [f"{paths[0]}   {verdict}\n" in done.stdout for verdict in (IRREVERSIBLE, BREAKS)] == [True, True]
    assert columns(tmp_path / "db") == ["id"]
    # each of them knows what a rollback means
    for one in local.json("rollback", "--yes")["virtualenvs"]:
        assert one["warnings"] == [
            "a rollback does not undo migrations; these stay applied: shop.0002_price",
            "older code fails on the database, or may fail, because of shop.0002_price",
        ]


OTHER_DJANGO = """
import sys

if "--plan" in sys.argv:
    print("Planned operations:\\nshop.0001_initial\\n    Do it")
else:
    print("  Applying shop.0001_initial... OK")
"""


def test_a_django_that_cannot_tell_is_a_warning(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path
) -> None:
    """It is too old, or its program fails: the migrations are applied, and nothing is said to be safe."""
    paths = {version: make_virtualenv("3.11", tmp_path / version) for version in ("1.7", "1.9")}
    project = "Project('shop.settings', migrations='expand-only')"
    listed = ",".join(
        f"Virtualenv({str(path)!r}, packages=['django=={version}'], projects=[{project}])"
        for version, path in paths.items()
    )
    local.fabfile(f"Host('localhost', virtualenvs=[{listed}])", settings="'compile': False")
    for version in paths:
        told = f"VERSION = ({version.replace('.', ', ')})\n\ndef get_version():\n    return {version!r}\n"
        local.add_made("django", version, files={"django/__init__.py": told, "django/__main__.py": OTHER_DJANGO})
    document = local.json("deploy", "--yes")
    assert [one["status"] for one in document["virtualenvs"]] == ["deployed", "deployed"]
    assert [one["migrated"] for one in document["virtualenvs"]] == [["shop.0001_initial"]] * 2
    assert [[verdict["problem"] for verdict in one["verdicts"]] for one in document["virtualenvs"]] == [
        ["migrations were not judged: Django 1.7 cannot tell what they do"],
        ["migrations were not judged: AttributeError: module 'django' has no attribute 'setup'"],
    ]


# it tells this plan, whatever the project is
TELLING_DJANGO = """
import json, os

VERSION = (9, 9)
PLAN = {plan!r}

def setup():
    os.write(1, b"\\nenvfab-migrations: " + json.dumps(PLAN).encode() + b"\\n")
    os._exit(0)
"""


def telling(**changed: str) -> dict[str, str]:
    """The files of a Django that would drop a table, or nothing."""
    change = {"columns": [], "before": "", "after": "", "null": True, "default": False, **changed}
    operation = {
        "does": "Delete model Book",
        "reversible": True,
        "known": True,
        "gentle": False,
        "cut": False,
        "sql": [],
        "changes": [change] if changed else [],
    }
    migration = {"name": "shop.0001_x", "fresh": False, "operations": [operation]}
    tables: dict[str, object] = {"shop_book": {"columns": {}, "rows": None, "bytes": None}}
    plan = {"vendor": "sqlite", "migrations": [migration], "tables": tables}
    return {"django/__init__.py": TELLING_DJANGO.format(plan=plan), "django/__main__.py": OTHER_DJANGO}


def test_what_was_deployed_before_the_migration_runs_no_older_code(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path
) -> None:
    """Web servers that do not migrate come first, and the one that drops the table for all of them comes last."""
    web, last = (make_virtualenv("3.11", tmp_path / name) for name in ("web", "last"))
    listed = ",".join(
        f"Virtualenv({str(path)!r}, packages=['django'],"
        f" projects=[Project('shop.settings', database='shop', migrate={path == last})])"
        for path in (web, last)
    )
    local.fabfile(f"Host('localhost', virtualenvs=[{listed}])", settings="'compile': False")
    local.add_made("django", "1.0", files=telling())
    assert local.fab("deploy", "--yes").returncode == 0
    local.add_made("django", "2.0", files=telling(kind="drop-table", table="shop_book"))
    refused = local.json(f"deploy:localhost:{last}", "--yes", status=1)["virtualenvs"][0]
    assert f"{web} still runs older code on database shop" in refused["error"]
    document = local.json("deploy", "--yes", "--batch", "1")
    assert [one["status"] for one in document["virtualenvs"]] == ["deployed", "deployed"]
    assert [[verdict["rule"] for verdict in one["verdicts"]] for one in document["virtualenvs"]] == [
        [],
        ["drops-table"],
    ]


BREAKING = Operation("Drop it", changes=(SchemaChange(ChangeKind.DROP_TABLE, "shop_book"),))
HARMLESS = Operation("Run it", reversible=False)


class Listening(Silent):
    """A reporter that keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, message: str) -> None:
        """Keep it."""
        self.warnings.append(message)


def check(
    operation: Operation, migrations: str | None, others: int, allowed: bool, database: str | None = "shop"
) -> tuple[str, int]:
    """(the reason why a migration is refused, the number of warnings), with so many other virtualenvs of the database."""
    project = Project("shop.settings", database=database, migrations=migrations)
    hosts = [Host(f"web{number}", virtualenvs=[Virtualenv("/v", projects=[project])]) for number in range(others + 1)]
    members = Fleet(hosts=hosts).members(lambda _host: "me")
    around = RolloutContext(
        "r",
        Caller("me", "here"),
        cast(Wheelhouse, None),
        Settings.from_mapping({}),
        Barriers(),
        Listening(),
        lambda _old, _probe: None,
        old_code=OldCode(members),
        allow_breaking=allowed,
    )
    proposal = Proposal(members[0], Requirements(()), Plan(members[0].target, Status.CHANGES))
    work = DeploymentContext("r.1", proposal, cast(TargetSession, None), around)
    plan = MigrationPlan("sqlite", (Migration("shop.0002_x", operations=(operation,)),), {"shop_book": Table({})})
    try:
        require_safe(work, project, plan)
        reason = ""
    except DeploymentError as error:
        reason = error.what.splitlines()[0].removeprefix("no migration was applied, since ").rstrip(":")
    assert len(work.verdicts) == 1
    assert isinstance(around.reporter, Listening)
    return reason, len(around.reporter.warnings)


EXPAND = "shop.settings takes no migrations that break older code (migrations='expand-only')"


@pytest.mark.parametrize(
    ("operation", "migrations", "others", "allowed", "outcome"),
    [
        (BREAKING, None, 0, False, ("", 1)),
        (BREAKING, None, 1, False, ("me@web1:/v still runs older code on database shop", 0)),
        (BREAKING, None, 2, False, ("me@web1:/v, me@web2:/v still run older code on database shop", 0)),
        (BREAKING, None, 5, False, ("me@web1:/v, me@web2:/v, me@web3:/v and 2 more still run older code on database shop", 0)),
        (BREAKING, None, 1, True, ("", 1)),
        (BREAKING, "any", 1, False, ("", 1)),
        (BREAKING, "expand-only", 0, False, (EXPAND, 0)),
        (BREAKING, "expand-only", 0, True, ("", 1)),
        (HARMLESS, None, 1, False, ("", 1)),
        (HARMLESS, "expand-only", 1, False, ("", 1)),
    ],
)  # fmt: skip
def test_projects_and_flags_decide_what_is_refused(
    operation: Operation, migrations: str | None, others: int, allowed: bool, outcome: tuple[str, int]
) -> None:
    """What is not refused is warned of."""
    assert check(operation, migrations, others, allowed) == outcome


def test_without_a_label_only_the_virtualenv_itself_counts() -> None:
    """Its project is taken to have a database of its own."""
    assert check(BREAKING, None, 2, False, database=None) == ("", 1)
