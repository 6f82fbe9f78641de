"""Backup and restore, by the very commands of docs/collector.md, while registrations and reports come in."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from pathlib import Path

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import make_url

from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import FORM, REGISTER, form, registration_fields, report
from tests.support.postgres import Postgres

PAGE = Path(__file__).parents[2] / "docs" / "collector.md"


def commands(title: str) -> str:
    """The commands below a title of the page."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n{title}\n")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def run(script: str, folder: Path) -> None:
    """Run commands in a folder, as a shell that ends at the first failure."""
    done = subprocess.run(["/bin/sh", "-euc", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Sender(threading.Thread):
    """Registers and reports until it is told to stop; `answered` has what was answered with success."""

    def __init__(self, client: FlaskClient, number: int) -> None:
        super().__init__()
        self._client = client
        self._number = number
        self.answered: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        """Send one after another."""
        while not self.done.is_set():
            name = f"c{self._number}n{len(self.answered)}"
            body = form(registration_fields(name, [("Django", "5.1")]))
            assert self._client.post(REGISTER, data=body, content_type=FORM).status_code == 200
            assert self._client.post("/reports/prog/", data=report(("name", name))).status_code == 200
            self.answered.append(name)


def check_backup(make_app: MakeApp, folder: Path, database: str, scripts: tuple[str, str], restored: str) -> None:
    """Back up while two clients send, restore elsewhere, and find all that was answered before the backup began."""
    app = make_app(data=folder / "collector", database=database)
    senders = [Sender(app.test_client(), number) for number in range(2)]
    for sender in senders:
        sender.start()
    while min(len(sender.answered) for sender in senders) < 5:
        senders[0].join(0.01)
    before = {name for sender in senders for name in list(sender.answered)}
    run(scripts[0], folder)
    for sender in senders:
        sender.done.set()
        sender.join()
    assert {name for sender in senders for name in sender.answered} > before, "nothing came in meanwhile"
    run(scripts[1], folder)
    again = make_app(data=folder / "restored", database=restored)
    service_of(again).tidy()
    client = again.test_client()
    assert before <= {one["uuid"] for one in client.get("/api/applications").get_json()}
    files = list((folder / "restored" / "reports" / "prog").glob("*.txt"))
    assert before <= {file.read_text().rsplit("name:", 1)[1].strip() for file in files}
    assert client.get("/api/usage").get_json()["reports"] == len(files)


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="install sqlite3")
def test_sqlite(make_app: MakeApp, tmp_path: Path) -> None:
    """The online backup has all that was answered, reports included."""
    check_backup(make_app, tmp_path, "", (commands("#### SQLite"), commands("#### Restoring")), "")


def test_postgresql(make_app: MakeApp, tmp_path: Path, postgres: Postgres) -> None:
    """pg_dump sees one state, and pg_restore brings it back into another database."""
    there, restored = (new_database(postgres, name) for name in ("backup_source", "backup_target"))
    backup, restoring = commands("#### PostgreSQL as the database"), commands("#### Restoring")
    backup = backup.replace("$ENVFAB_COLLECTOR_DATABASE", there)
    restoring = re.sub(r"cp .* # or: (.*)", r"\1", restoring).replace("$ENVFAB_COLLECTOR_DATABASE", restored)
    assert "pg_restore" in restoring
    check_backup(make_app, tmp_path, there, (backup, restoring), restored)


def new_database(server: Postgres, name: str) -> str:
    """The URL of a database of its own: a dump of one has all of its schemas."""
    url = make_url(server.make_database()).difference_update_query(["options"])
    with psycopg.connect(url.render_as_string(False), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return url.set(database=name).render_as_string(False)
