"""Secrets stay where they belong: no log, argument list, output, history or journal has them, on either side."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.django import make_site
from tests.support.fab import run_fab
from tests.support.registration_server import RecordingServer, running_server
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace

IN_ENV, IN_ENV_FILE, TOKEN = "s3cret-of-the-fabfile", "s3cret-of-the-host", "s3cret-of-the-registrar"


@contextmanager
def argument_lists() -> Iterator[set[bytes]]:
    """What `ps` shows meanwhile: the argument list of every process, looked at again and again."""
    seen: set[bytes] = set()
    enough = threading.Event()

    def look() -> None:
        while not enough.wait(0.005):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        seen.add((entry / "cmdline").read_bytes())
                    except OSError:
                        continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        enough.set()
        thread.join()


LEAK = """
import os, pathlib
from django.core.management.base import BaseCommand

FAILS = pathlib.Path(os.environ['SHOP_DATABASE']).with_name('fails').exists()

class Command(BaseCommand):
    def handle(self, **options):
        print(sorted(os.environ.items()))
        raise SystemExit(3 if FAILS else 0)
"""


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A registration server."""
    with running_server() as running:
        yield running


@pytest.fixture
def site(
    workplace: Workplace,
    hosts: Hosts,
    make_virtualenv: VirtualenvMaker,
    srv: Path,
    django_wheels: Sequence[Path],
    server: RecordingServer,
) -> Path:
    """A Django project that keeper deploys, whose sudo wants a password, with secrets in env, env_file and a token."""
    users = hosts.users
    path = make_virtualenv("3.11", srv / "v", owner=users.shop)
    (srv / "db").mkdir()
    secret = srv / "db" / "env"
    secret.write_text(f"SHOP_SECRET={IN_ENV_FILE}\nSHOP_DATABASE={srv}/db/db.sqlite3\n")
    for mine in (srv / "db", secret):
        shutil.chown(mine, users.www)
    secret.chmod(0o600)
    project = (
        f"Project('shop.settings', user={users.www!r}, env={{'SHOP_PASSWORD': {IN_ENV!r}}}, env_file={str(secret)!r},"
        " commands=['leak'] if LEAKS else [])"
    )
    workplace.folder.mkdir()
    (workplace.folder / "fabfile.py").write_text(
        "import pathlib\nfrom envfab import *\n"
        f"LEAKS = pathlib.Path('{srv}/leaks').exists()\n"
        f"fleet = Fleet(hosts=[Host('web1', user={users.keeper!r}, virtualenvs=[Virtualenv({str(path)!r},"
        f" user={users.shop!r}, packages=['shop'], reload=Command('true', user='root'), projects=[{project}])])],"
        f" registration=[Difio({server.url!r}, token={TOKEN!r})])\n"
        "ns = collection(fleet)\nns.configure({'envfab': {'compile': False}})\n"
    )
    workplace.add(*django_wheels)
    for version in ("1.0", "2.0"):
        workplace.add(make_site(workplace.folder / "made", version, more={"shop/management/commands/leak.py": LEAK}))
    return path


def test_no_secret_is_left_anywhere(
    workplace: Workplace, hosts: Hosts, srv: Path, site: Path, server: RecordingServer
) -> None:
    """A deployment that ends well, one that fails with its environment in the output, and all that tells of them."""
    users = hosts.users
    printed = []

    def fab(*arguments: str, status: int = 0) -> str:
        done = run_fab(workplace.folder, *workplace.arguments(*arguments), env={"FABRIC_SUDO_PASSWORD": users.password})
        assert done.returncode == status, done.stdout + done.stderr
        printed.append(done.stdout + done.stderr)
        return done.stdout

    with argument_lists() as seen:
        fab("deploy", "--yes")
        (srv / "leaks").touch()
        fab("deploy", "--yes", "--reinstall", "shop")
        (srv / "db" / "fails").touch()
        failed = fab("deploy", "--yes", "--reinstall", "shop", status=1)
        logs = sorted((workplace.folder / ".home" / ".local" / "state" / "envfab" / "rollouts").glob("2*"))
        kept = [fab("history", "--rollout", log.name, "--output", "web1") for log in logs]
        for task in (("history",), ("history", "--json"), ("plan", "--json"), ("rollback", "--yes", "--json")):
            fab(*task, status=1 if task[0] == "rollback" else 0)
    assert "('SHOP_PASSWORD', '***')" in failed
    assert "('SHOP_SECRET', '***')" in failed
    # of commands that ended well, only the log has the output
    assert ["('SHOP_PASSWORD', '***')" in one and "('SHOP_SECRET', '***')" in one for one in kept] == [
        False,
        True,
        True,
    ]
    assert any(b"django" in words for words in seen)
    assert any(b"sudo" in words for words in seen)
    assert server.requests
    secrets = [secret.encode() for secret in (users.password, IN_ENV, IN_ENV_FILE, TOKEN)]
    haystacks = {"printed": "\n".join(printed).encode(), "argument lists": b"\n".join(seen)}
    places = [workplace.folder, site, *(users.home(user) for user in (users.keeper, users.shop))]
    for place in places:
        for file in place.rglob("*"):
            if file.is_file() and file.name != "fabfile.py":
                haystacks[str(file)] = file.read_bytes()
    assert [where for where, hay in haystacks.items() for secret in secrets if secret in hay] == []
    assert (site / ".envfab" / "history.jsonl").exists()
    assert str(workplace.folder / "release_log") in haystacks
