"""Migrations of real Django projects, under the project's settings, user and environment."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.django import make_site
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze

PROJECT = (
    "Project('shop.settings', user={www!r}, database='shop', env_file='{srv}/env',"
    " env={{'SHOP_TOLD': '{srv}/told'}}, commands=['tell \"collect static\" now'])"
)


@pytest.fixture
def site(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path, django_wheels: Sequence[Path]
) -> list[Path]:
    """A Django project in three virtualenvs on three hosts, of one database, with shop 1.0 in the wheelhouse."""
    users = hosts.users
    paths = [make_virtualenv("3.11", srv / f"v{number}", owner=users.shop) for number in (1, 2, 3)]
    (srv / "env").write_text(f"# of the shop\nSHOP_SECRET='s3cret'\nexport SHOP_DATABASE={srv}/db/db.sqlite3\n")
    (srv / "db").mkdir()
    for path in (srv / "env", srv / "db"):
        shutil.chown(path, users.www)
    (srv / "env").chmod(0o600)
    for name in ("told", "order"):
        (srv / name).touch()
        (srv / name).chmod(0o666)
    project = PROJECT.format(www=users.www, srv=srv)
    count = f"python3 -c \"import sqlite3; print(len(sqlite3.connect('file:{srv}/db/db.sqlite3?mode=ro', uri=True).execute('select * from django_migrations').fetchall()))\""
    workplace.fabfile(
        ",".join(
            f"Host('web{number}', virtualenvs=[Virtualenv({str(path)!r}, user={users.shop!r}, packages=['shop'],"
            f" projects=[{project}], reload={f'echo web{number} $({count}) >> {srv}/order'!r})])"
            for number, path in enumerate(paths, 1)
        )
    )
    workplace.add(*django_wheels, make_site(workplace.folder / "made", "1.0"))
    return paths


def applied(srv: Path) -> list[str]:
    """The migrations that the database has."""
    with sqlite3.connect(srv / "db" / "db.sqlite3") as database:
        return [row[0] for row in database.execute("select name from django_migrations where app = 'shop' order by id")]


@pytest.mark.usefixtures("site")
def test_migrates_once_a_database_and_before_anyone_reloads(workplace: Workplace, hosts: Hosts, srv: Path) -> None:
    """Three virtualenvs of one database: one migration, each project's commands everywhere, then the reloads."""
    document = workplace.json("deploy", "--yes")
    assert [one["status"] for one in document["virtualenvs"]] == ["deployed"] * 3
    assert [one["migrated"] for one in document["virtualenvs"]] == [["shop.0001_initial"], [], []]
    assert applied(srv) == ["0001_initial"]
    assert (srv / "told").read_text().splitlines() == [f"{hosts.users.www} collect static|now"] * 3
    assert sorted((srv / "order").read_text().splitlines()) == ["web1 1", "web2 1", "web3 1"]
    workplace.add(make_site(workplace.folder / "made", "2.0"))
    document = workplace.json("deploy", "--yes")
    assert [one["migrated"] for one in document["virtualenvs"]] == [["shop.0002_price"], [], []]
    assert applied(srv) == ["0001_initial", "0002_price"]


@pytest.mark.usefixtures("site")
def test_current_virtualenvs_neither_migrate_nor_reload(workplace: Workplace, srv: Path) -> None:
    """What is current is left alone altogether."""
    workplace.fab("deploy", "--yes")
    told, order = (srv / "told").read_text(), (srv / "order").read_text()
    assert set(workplace.statuses("deploy", "--yes").values()) == {"current"}
    assert ((srv / "told").read_text(), (srv / "order").read_text()) == (told, order)


@pytest.mark.usefixtures("site")
def test_a_failed_migration_stops_all_of_its_database(workplace: Workplace, srv: Path) -> None:
    """The first one's migration fails: nobody of that database reloads, what was applied is listed, exit 1."""
    workplace.add(make_site(workplace.folder / "made", "2.0", broken=True))
    document = workplace.json("deploy", "--yes", status=1)
    first, *others = document["virtualenvs"]
    assert first["status"] == "rolled-back"
    assert "django-admin migrate of shop.settings ended with status 1" in first["error"]
    assert first["migrated"] == ["shop.0001_initial", "shop.0002_price"]
    assert [one["status"] for one in others] == ["rolled-back", "rolled-back"]
    assert all("the migration of database shop failed elsewhere" in one["error"] for one in others)
    assert (srv / "order").read_text() == ""
    assert [(one["uncertain"], one["unapplied"]) for one in document["virtualenvs"]] == [
        ([], ["shop.0003_broken"]), ([], []), ([], []),
    ]  # fmt: skip
    told = workplace.fab("history:web1").stdout
    assert "failed (as it was before)\n" in told
    assert "django-admin migrate of shop.settings ended with status 1" in told
    assert "migrated: shop.0001_initial, shop.0002_price\n" in told
    assert "migrations that failed or were never begun: shop.0003_broken\n" in told
    assert "may or may not have run" not in told


def test_the_next_in_order_migrates_where_the_first_cannot(workplace: Workplace, site: list[Path]) -> None:
    """A virtualenv that fails before its migration hands the turn to the next one."""
    fabfile = (workplace.folder / "fabfile.py").read_text()
    (workplace.folder / "fabfile.py").write_text(
        fabfile.replace("packages=['shop']", "packages=['shop'], before='exit 1'", 1)
    )
    document = workplace.json("deploy", "--yes", status=1)
    assert [one["status"] for one in document["virtualenvs"]] == ["rolled-back", "deployed", "deployed"]
    assert [one["migrated"] for one in document["virtualenvs"]] == [[], ["shop.0001_initial"], []]
    assert freeze(site[0]) == {}


@pytest.mark.usefixtures("site")
def test_an_env_file_that_cannot_be_read_is_one_clear_message(workplace: Workplace, srv: Path) -> None:
    """The line of a broken env_file is named, its content is not: it may be a secret."""
    (srv / "env").write_text("SHOP_SECRET='s3cret'\nhunter2\n")
    done = workplace.fab("deploy:web1", "--yes")
    assert done.returncode == 1
    assert f"{srv}/env:2: must be NAME=value" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.usefixtures("site")
def test_migrations_are_named_before_they_are_applied_and_by_a_rollback_that_crosses_them(
    workplace: Workplace, srv: Path
) -> None:
    """Everybody of the database keeps them in mind, not only whoever applied them; migrations are not taken back."""
    workplace.fab("deploy", "--yes")
    workplace.add(make_site(workplace.folder / "made", "2.0"))
    done = workplace.fab("deploy", "--yes")
    assert "migrating shop.settings: shop.0002_price" in done.stderr
    assert "migrated shop.0002_price" in done.stdout
    told = workplace.json("history", "--limit", "1")["virtualenvs"]
    assert [one["deployments"][0]["planned"] for one in told] == [["shop.0002_price"]] * 3
    assert [one["deployments"][0]["migrated"] for one in told] == [["shop.0002_price"], [], []]
    document = workplace.json("rollback", "--yes")
    warning = "a rollback does not undo migrations; these stay applied: shop.0002_price"
    assert [one["warnings"] for one in document["virtualenvs"]] == [[warning]] * 3
    assert applied(srv) == ["0001_initial", "0002_price"]


@pytest.mark.usefixtures("site")
def test_values_of_the_environment_are_taken_out_of_what_a_failing_command_prints(
    workplace: Workplace, srv: Path
) -> None:
    """Output of a failing migration is shown, and the database's path, which the env_file gives, is not in it."""
    (srv / "db").chmod(0o555)
    done = workplace.fab("deploy:web1", "--yes")
    assert done.returncode == 1
    assert "unable to open database file" in done.stdout
    # a command of the fabfile has it, too, and plans show those
    shown = [line for line in (done.stdout + done.stderr).splitlines() if f"{srv}/order" not in line]
    assert not any(f"{srv}/db/db.sqlite3" in line for line in shown)
