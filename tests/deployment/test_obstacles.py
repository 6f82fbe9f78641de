"""Disks that are full, virtualenvs that cannot be written, clocks that jump, and crowds: a clear message, then all is well."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker, copy_virtualenv, hand_over
from tests.support.workplace import Workplace, freeze

BLOB = {"shop_data.txt": os.urandom(4 << 20).hex(), **{f"shop_data/{number}.txt": "" for number in range(50)}}
ROUNDS = int(os.environ.get("ENVFAB_TESTS_ROUNDS", "12"))
CROWD = 50


@contextmanager
def mounted(place: Path, *arguments: str) -> Iterator[None]:
    """Something mounted at `place`; skips where mounting is not allowed."""
    done = subprocess.run(["mount", *arguments, str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"small file systems need the right to mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def shop(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> Path:
    """A virtualenv of user blog on web1, with shop 1.0 deployed; shop 2.0, of some size, in the wheelhouse."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.blog)
    workplace.fabfile(
        f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, user={hosts.users.blog!r}, packages=['shop'])])"
    )
    workplace.add_made("shop", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    workplace.add_made("shop", "2.0", files=BLOB)
    return path


def ends_well(workplace: Workplace, path: Path) -> None:
    """The next deployment does all that is to be done."""
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert freeze(path) == {"shop": "2.0"}
    assert workplace.fab("plan", "--check").returncode == 0


def test_a_full_disk_of_the_cache(workplace: Workplace, hosts: Hosts, shop: Path) -> None:
    """The upload fails, nothing was changed, nothing of the wheel is left behind."""
    cache = hosts.users.home(hosts.users.blog) / ".cache" / "envfab" / "wheels"
    with mounted(cache, "-t", "tmpfs", "-o", "size=512k,mode=777", "tmpfs"):
        done = workplace.fab("deploy", "--yes")
        assert done.returncode == 1
        assert f"no space left on {cache}" in done.stdout
        assert "completed: lock\n" in done.stdout
        assert list(cache.iterdir()) == []
    assert freeze(shop) == {"shop": "1.0"}
    ends_well(workplace, shop)


@contextmanager
def moved_to_tmpfs(hosts: Hosts, shop: Path, *, room: int, inodes: int) -> Iterator[str]:
    """The virtualenv on a file system of its own, with so many bytes and inodes left; yields a size that is enough."""
    inside = shop.parent / "inside"
    shutil.copytree(shop, inside, symlinks=True)
    there = [inside, *inside.rglob("*")]
    used = sum(4096 * (1 + path.lstat().st_size // 4096) for path in there)
    # two names of one file are two files there
    limits = f"size={used + room},nr_inodes={len(there) + inodes},mode=755"
    with mounted(shop, "-t", "tmpfs", "-o", limits, "tmpfs"):
        shutil.copytree(inside, shop, symlinks=True, dirs_exist_ok=True)
        subprocess.run(["chown", "-R", "-h", hosts.users.blog, str(shop)], check=True)
        yield f"size={used + (1 << 26)},nr_inodes=100000"


@pytest.mark.parametrize(
    ("room", "inodes", "needed"),
    [
        (1 << 20, 10000, r"at least 8\.4 MB needed, \d\.\d MB free\n"),
        (1 << 26, 30, r"at least 5\d inodes needed, \d+ free\n"),
    ],
)
def test_what_cannot_fit_is_not_begun(
    workplace: Workplace, hosts: Hosts, shop: Path, room: int, inodes: int, needed: str
) -> None:
    """One message says what is needed, what is free, and where; no wheel is sent, and nothing was changed."""
    with moved_to_tmpfs(hosts, shop, room=room, inodes=inodes) as enough:
        store = hosts.users.home(hosts.users.blog) / ".cache" / "envfab" / "store"
        before, unpacked = sorted(shop.rglob("*")), set(store.iterdir())
        done = workplace.fab("deploy", "--yes")
        assert done.returncode == 1
        what = f"not enough space on the file system of {re.escape(str(shop))} for a new generation.*: {needed}"
        assert re.search(what, done.stdout), done.stdout
        assert " clean removes unpacked wheels" in done.stdout
        assert "completed: lock\n1 failed\n" in done.stdout
        assert sorted(shop.rglob("*")) == before
        assert set(store.iterdir()) == unpacked
        subprocess.run(["mount", "-o", f"remount,{enough}", str(shop)], check=True)
        ends_well(workplace, shop)


def test_a_disk_that_is_full_in_the_middle(workplace: Workplace, hosts: Hosts, shop: Path) -> None:
    """Bytecode is not in the estimate: the generation does not fit, which is one message, and nothing was changed."""
    workplace.add_made("shop", "3.0", files={"shop_data.py": f"DATA = {BLOB['shop_data.txt']!r}\n"})
    with moved_to_tmpfs(hosts, shop, room=12 << 20, inodes=10000):
        done = workplace.fab("deploy", "--yes")
        assert done.returncode == 1
        assert f"no space left on {shop}" in done.stdout
        assert "1 failed (as it was before)" in done.stdout
        assert freeze(shop) == {"shop": "1.0"}


def test_a_read_only_virtualenv(workplace: Workplace, shop: Path) -> None:
    """It can be planned, and a deployment fails at the lock, with the name of the file."""
    with mounted(shop, "--bind", str(shop)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(shop)], check=True)
        assert workplace.fab("plan", "--check").returncode == 2
        done = workplace.fab("deploy", "--yes")
        assert done.returncode == 1
        assert f"Read-only file system: {shop}/.envfab/lock" in done.stdout
        assert "completed: nothing" in done.stdout
    ends_well(workplace, shop)


def test_packages_of_somebody_else(workplace: Workplace, shop: Path) -> None:
    """A folder of packages that root owns is replaced like any other; a file that nobody may read is named."""
    packages = shop / "lib/python3.11/site-packages"
    shutil.chown(packages, "root")
    (packages / "secret.py").touch(mode=0o600)
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "secret.py cannot be read by " in done.stdout
    assert "1 blocked" in done.stdout
    assert freeze(shop) == {"shop": "1.0"}
    (packages / "secret.py").unlink()
    ends_well(workplace, shop)


def test_a_folder_of_packages_that_its_owner_may_not_read(workplace: Workplace, hosts: Hosts, shop: Path) -> None:
    """As `sudo pip install` leaves one with a strict umask: the plan is blocked, with what mends it; what lies deeper later."""
    packages = shop / "lib/python3.11/site-packages"
    (packages / "by root").mkdir(mode=0o700)
    (packages / "by root" / "secret.py").touch()
    done = workplace.fab("plan")
    assert f"{packages.resolve()}/by root cannot be read by {hosts.users.blog}" in done.stdout
    (command,) = [line.partition("as root: ")[2] for line in done.stdout.splitlines() if "as root: " in line]
    assert workplace.fab("deploy", "--yes").returncode == 1
    subprocess.run(["sh", "-c", command], check=True)
    ends_well(workplace, shop)
    inside = packages / "by root" / "deeper"
    inside.mkdir(mode=0o700)
    done = workplace.fab("deploy", "--yes", "--reinstall", "shop")
    assert "by root/deeper cannot be read: give it to the virtualenv's owner (chown)" in done.stdout
    inside.rename(packages / "by root again")
    # it needs none of its files
    assert set(workplace.statuses("rollback", "--yes").values()) == {"deployed"}


def test_a_wheel_that_is_damaged_in_the_cache(workplace: Workplace, hosts: Hosts, shop: Path) -> None:
    """It is not unpacked but sent again."""
    cache = hosts.users.home(hosts.users.blog) / ".cache" / "envfab" / "wheels"
    (digest,) = [
        word.removeprefix("sha256=")
        for line in workplace.log.splitlines()
        if line.startswith("release: shop==2.0")
        for word in line.split()
        if word.startswith("sha256=")
    ]
    (cache / digest).write_bytes(b"no wheel at all")
    ends_well(workplace, shop)


def test_a_clock_that_jumped(workplace: Workplace, shop: Path) -> None:
    """What comes first in the history came first, whatever the times say; locks know no time at all."""
    memory = shop / ".envfab"
    assert workplace.fab("deploy", "--yes").returncode == 0
    lines = [json.loads(line) for line in (memory / "history.jsonl").read_text().splitlines()]
    lines[0].update(began="2099-01-01T00:00:00+00:00", ended="2099-01-01T00:00:07+00:00")
    lines[1].update(began="1970-01-01T00:00:00+00:00", ended="1969-12-31T00:00:00+00:00")
    (memory / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for path in (memory / "lock", memory / "history.jsonl"):
        os.utime(path, (4e9, 4e9))
    assert workplace.fab("rollback", "--yes").returncode == 0
    assert freeze(shop) == {"shop": "1.0"}
    shown = workplace.fab("history").stdout
    assert shown.index("rolled back") < shown.index("shop   1.0 → 2.0") < shown.index("shop   - → 1.0")
    ends_well(workplace, shop)


def test_two_deployments_at_once_never_mix(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """Round after round two people want different versions: in the end there is what one of them planned."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.admin)
    names = [f"part{number}" for number in range(3)]
    fabfiles = []
    for number in (1, 2):
        pins = [f"{name}=={number}.0" for name in names]
        workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, packages={pins!r})])")
        fabfiles.append((workplace.folder / "fabfile.py").rename(workplace.folder / f"fabfile{number}.py"))
    shutil.copy(fabfiles[0], workplace.folder / "fabfile.py")
    for name in names:
        for version in ("1.0", "2.0"):
            workplace.add_made(name, version)
    with ThreadPoolExecutor(2) as people:
        for _round in range(ROUNDS):
            both = list(
                people.map(lambda file: workplace.fab("-c", file.stem, "deploy", "--yes", "--wait", "60"), fabfiles)
            )
            assert [done.returncode for done in both] == [0, 0], "\n".join(done.stdout + done.stderr for done in both)
            assert freeze(path) in (dict.fromkeys(names, "1.0"), dict.fromkeys(names, "2.0"))


def test_a_crowd_on_one_host(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> None:
    """Fifty virtualenvs at once on one host, through eight places on one connection: all are deployed to."""
    first = make_virtualenv("3.11", srv / "v0", owner=hosts.users.admin)
    paths = [first, *(srv / f"v{number}" for number in range(1, CROWD))]
    for path in paths[1:]:
        copy_virtualenv(first, path, linked=True)
        hand_over(path, hosts.users.admin)
    listed = ", ".join(f"Virtualenv({str(path)!r}, packages=['shop'])" for path in paths)
    workplace.fabfile(f"Host('web1', virtualenvs=[{listed}])", settings="'compile': False")
    workplace.add_made("shop", "1.0")
    began = time.monotonic()
    assert set(workplace.statuses("plan").values()) == {"changes"}
    planned = time.monotonic()
    assert list(workplace.statuses("deploy", "--yes").values()) == ["deployed"] * CROWD
    print(f"plan {planned - began:.1f} s, deploy {time.monotonic() - planned:.1f} s")
    assert set(workplace.statuses("plan").values()) == {"current"}
