"""The lock: who waits for it, who holds it, who does not."""

from __future__ import annotations

import fcntl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.django import make_site
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze


@pytest.fixture
def shop(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> Path:
    """A bare virtualenv on web1, and shop 1.0 in the wheelhouse."""
    srv.chmod(0o777)
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.admin)
    workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'])])")
    workplace.add_made("shop", "1.0")
    return path


@contextmanager
def locked(virtualenv: Path) -> Iterator[None]:
    """Hold the lock as somebody else's deployment does."""
    folder = virtualenv / ".envfab"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        for path in (folder, folder / "lock"):
            path.chmod(0o777)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_waits_as_long_as_it_is_told(workplace: Workplace, shop: Path) -> None:
    """With `--wait` a deployment begins once the other one has ended."""
    freed = threading.Event()

    def hold() -> None:
        with locked(shop):
            freed.wait(4)

    holder = threading.Thread(target=hold)
    holder.start()
    done = workplace.fab("deploy", "--yes", "--wait", "60")
    holder.join()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "waiting for the lock" in done.stderr
    assert freeze(shop) == {"shop": "1.0"}


def test_waits_no_longer_than_it_is_told(workplace: Workplace, shop: Path) -> None:
    """After that it is `locked`, and nothing was done."""
    with locked(shop):
        began = time.monotonic()
        assert workplace.statuses("deploy", "--yes", "--wait", "2", status=1) == {f"web1:{shop}": "locked"}
        assert 1.5 < time.monotonic() - began < 20
    assert freeze(shop) == {}


@pytest.mark.parametrize("service", ["nohup sleep 300 &", "while sleep 0.05; do echo busy; done &"])
@pytest.mark.parametrize("user", ["", "shop"])
def test_a_service_that_reload_starts_neither_holds_the_lock_nor_the_deployment(
    workplace: Workplace, hosts: Hosts, shop: Path, service: str, user: str
) -> None:
    """It keeps its output open, and even prints on: the command has ended all the same, and the lock is free."""
    named = f"Command({service!r}, user={hosts.users.shop!r})" if user else repr(service)
    workplace.fabfile(
        f"Host('web1', virtualenvs=[Virtualenv({str(shop)!r}, packages=['shop'], reload={named}, check='true')])"
    )
    began = time.monotonic()
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < 30
    with (shop / ".envfab" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


LONG = """
import os
import time
from django.db import migrations

def linger(apps, schema_editor):
    open(os.environ["SHOP_HOLD"] + "-reached", "w").close()
    while os.path.exists(os.environ["SHOP_HOLD"]):
        time.sleep(0.05)

class Migration(migrations.Migration):
    dependencies = [("shop", "0002_price")]
    operations = [migrations.RunPython(linger, migrations.RunPython.noop)]
"""


@pytest.mark.parametrize("role", ["shop", "www"])
def test_an_orphaned_migration_keeps_the_lock(
    workplace: Workplace,
    hosts: Hosts,
    make_virtualenv: VirtualenvMaker,
    srv: Path,
    django_wheels: Sequence[Path],
    role: str,
) -> None:
    """The connection is cut, the migration goes on, as the owner or as another user: a second comer is `locked`."""
    users = hosts.users
    srv.chmod(0o777)
    path = make_virtualenv("3.11", srv / "v", owner=users.shop)
    environment = {"SHOP_SECRET": "x", "SHOP_DATABASE": f"{srv}/db.sqlite3", "SHOP_HOLD": f"{srv}/hold"}
    (srv / "hold").touch()
    workplace.fabfile(
        f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, user={users.shop!r}, packages=['shop'],"
        f" projects=[Project('shop.settings', user={getattr(users, role)!r}, env={environment!r})])])",
        settings="'compile': False",
    )
    workplace.add(
        *django_wheels, make_site(workplace.folder / "made", "2.0", more={"shop/migrations/0003_long.py": LONG})
    )
    process = workplace.start("deploy", "--yes", stderr=subprocess.PIPE)
    assert process.stderr is not None
    told = next(line for line in process.stderr if "migrating shop.settings" in line)
    assert told.rstrip().endswith("shop.0001_initial, shop.0002_price, shop.0003_long")
    deadline = time.monotonic() + 30
    while not (srv / "hold-reached").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    hosts.cut()
    process.communicate(timeout=60)
    under_way = workplace.fab("history").stdout
    assert "under way at migrate" in under_way
    uncertain = "migrations that may or may not have run: shop.0001_initial, shop.0002_price, shop.0003_long"
    assert uncertain in under_way
    second = workplace.fab("deploy", "--yes")
    assert second.returncode == 1
    assert "another deployment is under way" in second.stdout
    assert "1 locked" in second.stdout
    (srv / "hold").unlink()
    third = workplace.fab("deploy", "--yes", "--wait", "60")
    assert third.returncode == 0, third.stdout + third.stderr
    after = workplace.fab("history").stdout
    assert "interrupted at migrate" in after
    assert uncertain in after
