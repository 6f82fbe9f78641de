"""Whatever dies at whatever step, the next deployment finishes or repairs it.

The steps are taken from the code. At each, one of four things happens: this side is killed, the agent is killed, what
the agent or the fabfile started (migrate, a command) is killed, or the connection is cut. Then `fab deploy` runs
again, and all must be well. The virtualenv has generations, or pinned ones, or gets its first: each step and each fault
meets each of these, and not each pair of them. For the moments within a step, and losses of power: `test_power`.

A step that is over in a moment is caught like this: as soon as the virtualenv shows that it has begun, the agent is
stopped; if it had moved on by then, all is prepared anew and tried again. So every strike strikes.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from envfab.deployment.steps import STEPS
from tests.support.django import make_site, without_unused
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker, copy_virtualenv, hand_over
from tests.support.workplace import Workplace

FAULTS = ("manager", "agent", "child", "connection")
# where the fabfile's own commands run; each waits while a file says so
HELD = ("verify", "before", "drain", "reload", "check")
SETTINGS = {"verify": "smoke"}
# where something runs that the agent or the fabfile started
WITH_CHILD = (*HELD, "migrate")
# over in a moment: what comes next is made to wait
NEXT = {"begin": "before", "switch": "reload"}
SHAPES = ("generations", "pinned", "plain")
CASES = [
    (step.name, fault, SHAPES[(at + number) % len(SHAPES)])
    for at, step in enumerate(STEPS)
    for number, fault in enumerate(FAULTS)
    if fault != "child" or step.name in WITH_CHILD
]
TRIES = 5


@dataclass(frozen=True, slots=True)
class Prepared:
    """A Django project with shop 1.0 deployed and migrated, and shop 2.0 with a second migration in the wheelhouse."""

    hosts: Hosts
    folder: Path
    workplace: Workplace

    def copy(self, work: Path, srv: Path, shape: str) -> Site:
        """The same at another place, of one of the `SHAPES`."""
        shutil.rmtree(srv / "v", ignore_errors=True)
        shutil.rmtree(work, ignore_errors=True)
        copy_virtualenv(self.folder / "v", srv / "v", linked=True)
        hand_over(srv / "v", self.hosts.users.shop)
        shutil.copy2(self.folder / "db.sqlite3", srv)
        shutil.chown(srv / "db.sqlite3", self.hosts.users.shop)
        shutil.copytree(self.workplace.folder, work, copy_function=os.link)
        for name in ("fabfile.py", "release_log"):
            # a link would be written to for all
            content = (work / name).read_text()
            (work / name).unlink()
            content = content.replace(str(self.folder), str(srv))
            (work / name).write_text(content.replace("packages=", f"pinned={shape == 'pinned'}, packages="))
        for cached in (self.hosts.users.home(self.hosts.users.shop) / ".cache/envfab").iterdir():
            shutil.rmtree(cached)
        workplace = Workplace(work, self.hosts)
        if shape == "plain":
            released = workplace.fab("release_virtualenv", "--yes")
            assert released.returncode == 0, released.stdout + released.stderr
        return Site(workplace, srv, srv / "v")


@dataclass(frozen=True, slots=True)
class Site:
    """One copy of it, to be struck."""

    workplace: Workplace
    srv: Path
    path: Path

    @property
    def journal(self) -> Path:
        """The deployment under way."""
        return self.path / ".envfab" / "journal.json"

    def step(self) -> str | None:
        """The step that the journal names, or None where there is none."""
        with suppress(FileNotFoundError):
            return str(json.loads(self.journal.read_text())["step"])
        return None

    def agents(self) -> list[int]:
        """The processes that run the virtualenv's Python or work on it, the agent first, its children after it."""
        return sorted(
            pid
            for pid, words in processes()
            if words[0].startswith(f"{self.path}/") and words[0].endswith("/bin/python")
        )


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory,
    _running_hosts: Hosts,
    make_virtualenv: VirtualenvMaker,
    django_wheels: Sequence[Path],
) -> Iterator[Prepared]:
    """Made once: everything that the cases have in common."""
    # a name of its own, since a worker that takes over tests of others may make it twice
    folder = Path(tempfile.mkdtemp(prefix="prepared-", dir=_running_hosts.srv))
    folder.chmod(0o755)
    folder.chmod(0o777)
    path = make_virtualenv("3.11", folder / "v", owner=_running_hosts.users.shop)
    workplace = Workplace(tmp_path_factory.mktemp("faults") / "work", _running_hosts)
    commands = ", ".join(f"{SETTINGS.get(step, step)}={holding(folder, step)!r}" for step in HELD if step != "drain")
    drain = f"drain={holding(folder, 'drain')!r}, undrain='true', settle=0"
    project = f"Project('shop.settings', env={{'SHOP_SECRET': 'x', 'SHOP_DATABASE': '{folder}/db.sqlite3'}})"
    workplace.fabfile(
        f"Host('web1', {drain}, virtualenvs=[Virtualenv('{path}', user={_running_hosts.users.shop!r}, packages=['shop'],"
        f" {commands}, projects=[{project}])])",
        settings="'compile': False",
    )
    django, *others = django_wheels
    made = workplace.folder / "made"
    workplace.add(without_unused(django, made), *others, make_site(made, "1.0"))
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    # large enough for its upload to be caught in the act
    blob = os.urandom(6 << 20).hex()
    workplace.add(make_site(made, "2.0", more={"shop/blob.txt": blob}))
    yield Prepared(_running_hosts, folder, workplace)
    shutil.rmtree(folder)


def holding(srv: Path, step: str) -> str:
    """A command that waits while a file of the step's name is there."""
    return f"while test -e {srv}/hold-{step}; do sleep 0.05; done"


@pytest.mark.parametrize(("step", "fault", "shape"), CASES)
def test_the_next_deployment_finishes_or_repairs(
    prepared: Prepared, hosts: Hosts, srv: Path, tmp_path: Path, step: str, fault: str, shape: str
) -> None:
    """After any death at any step: plan `current`, RECORDs intact, migrated once, history truthful, no lock left."""
    srv.chmod(0o777)
    for _attempt in range(TRIES):
        site = prepared.copy(tmp_path / "work", srv, shape)
        if strike(site, hosts, step, fault):
            break
    else:
        pytest.fail(f"{TRIES} times the deployment was past {step} before it could be stopped")
    interrupted = site.journal.exists()
    done = site.workplace.fab("deploy", "--yes", "--wait", "30")
    assert done.returncode == 0, done.stdout + done.stderr
    if step != "finish":
        # there it may end meanwhile, or have ended but for the journal
        # an orphaned child, or agent, may still be finishing what it had begun: then it is told as at work
        told = ("was interrupted at", "is deploying to it now")
        assert any(words in done.stdout for words in told) == interrupted
    assert set(site.workplace.statuses("plan").values()) == {"current"}
    packages = site.path / "lib/python3.11/site-packages"
    assert os.readlink(site.path / "bin") == ".envfab/current/bin"
    assert bool(list(packages.glob("*pinned.pth"))) == (shape == "pinned")
    assert [name.name for name in packages.glob("shop-*")] == ["shop-2.0.dist-info"]
    assert not list(packages.glob("~*"))
    assert damaged(packages, "shop-2.0") == []
    with sqlite3.connect(srv / "db.sqlite3") as database:
        rows = database.execute("select name from django_migrations where app = 'shop' order by id").fetchall()
    assert rows == [("0001_initial",), ("0002_price",)]
    lines = (site.path / ".envfab" / "history.jsonl").read_text().splitlines()
    statuses = [json.loads(line)["status"] for line in lines]
    assert (statuses[0], statuses[-1]) == ("deployed", "deployed")
    if step != "finish":
        assert ("interrupted" in statuses) == interrupted
    assert not site.journal.exists()
    assert not (site.path / ".envfab" / "drained.json").exists()
    assert "shop-2.0-py3-none-any.whl" in site.workplace.log


def damaged(packages: Path, name: str) -> list[str]:
    """The files that are not as the RECORD of `name` says."""
    rows = csv.reader((packages / f"{name}.dist-info" / "RECORD").read_text().splitlines())
    return [
        file
        for file, digest, _size in rows
        if digest
        and urlsafe_b64encode(sha256((packages / file).read_bytes()).digest()).rstrip(b"=").decode()
        != digest.removeprefix("sha256=")
    ]


def strike(site: Site, hosts: Hosts, step: str, fault: str) -> bool:
    """Deploy, and let `fault` happen while `step` is at work; whether it was still at work then."""
    held = NEXT.get(step, step)
    if held in HELD:
        (site.srv / f"hold-{held}").touch()
    old = (site.path / ".envfab" / "lock").read_text()
    process = site.workplace.start("deploy", "--yes")
    stopped: list[int] = []
    try:
        at_work = seen(site, hosts, step, old)
        deadline = time.monotonic() + 30
        while not at_work():
            if time.monotonic() > deadline or process.poll() is not None:
                return False
            time.sleep(0.001)
        if held in HELD or fault == "child":
            # the command waits by itself; and a child must be there before it can be killed
            await_child(site, step)
        else:
            stopped = site.agents()
            send(stopped, signal.SIGSTOP)
        struck = at_work()
        if fault == "manager":
            process.kill()
        elif fault == "connection":
            hosts.cut()
        elif fault == "agent":
            send(site.agents()[:1], signal.SIGKILL)
        else:
            send(children(site, step), signal.SIGKILL)
        return struck
    finally:
        # sudo stops together with the agent
        send([*parents(stopped), *stopped], signal.SIGCONT)
        if held in HELD:
            (site.srv / f"hold-{held}").unlink()
        process.wait(timeout=60)


def seen(site: Site, hosts: Hosts, step: str, old_holder: str) -> Callable[[], bool]:
    """What tells from outside that the step is at work."""
    if step == "lock":
        return lambda: (
            (site.path / ".envfab" / "lock").read_text() not in ("", old_holder) and not site.journal.exists()
        )
    if step == "upload":
        cache = hosts.users.home(hosts.users.shop) / ".cache/envfab/wheels"
        return lambda: any(cache.glob(".*"))
    if step in NEXT:
        return lambda: site.step() in (step, NEXT[step])
    return lambda: site.step() == step


def await_child(site: Site, step: str) -> None:
    """Wait until what the step starts is running."""
    deadline = time.monotonic() + 20
    while not children(site, step) and time.monotonic() < deadline:
        time.sleep(0.002)


def children(site: Site, step: str) -> list[int]:
    """What the agent started (Django), or the shell that runs the fabfile's command."""
    if step in (*HELD, *NEXT):
        mark = f"{site.srv}/hold-"
        return [pid for pid, words in processes() if words[0].endswith("sh") and mark in words[-1] and len(words) == 3]
    return site.agents()[1:]


def processes() -> Iterator[tuple[int, list[str]]]:
    """Every process with its argument list."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
                yield int(entry.name), words


def parents(pids: Sequence[int]) -> list[int]:
    """Their parents, as far as there are any."""
    found = []
    for pid in pids:
        with suppress(OSError):
            found.append(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]))
    return [pid for pid in found if pid > 1]


def send(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to all that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
