"""One deployment at a time in a virtualenv, and the lock's end with its last writer."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from envfab.errors import Disconnected, Locked
from envfab.remote import agent_sources
from envfab.remote.process import local_link
from envfab.remote.run_command import run_command
from envfab.remote.startup import Identity
from tests.agent.conftest import Starter

ADA = {"format": 1, "who": "ada", "from": "laptop", "since": "2026-11-20T21:49:00+00:00"}
BOB = {"format": 1, "who": "bob", "from": "desk", "since": "2026-11-20T22:00:00+00:00"}


def agents_of(virtualenv: Path) -> list[int]:
    """The processes that run the virtualenv's interpreter."""
    start = os.fsencode(virtualenv / "bin" / "python") + b"\0"
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if file.read_bytes().startswith(start):
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found


def test_whoever_holds_it_for_a_project_keeps_others_out(workbench: Path, deploying: Starter) -> None:
    """The agent of a project's user has no lock of its own; while it is there, nobody new gets the owner's."""
    owner, project, second = deploying(workbench), deploying(workbench), deploying(workbench)
    owner.ask("lock", holder=ADA)
    project.ask("hold")
    owner.close()
    with pytest.raises(Locked) as caught:
        second.ask("lock", holder=BOB)
    assert "ada from laptop" in str(caught.value)
    project.close()
    assert "probe" in second.ask("lock", holder=BOB)


def test_a_second_comer_is_told_who_from_where_since_when(workbench: Path, deploying: Starter) -> None:
    """While the first one holds it; afterwards the second one may have it."""
    first, second, third = (deploying(workbench) for _ in range(3))
    assert "probe" in first.ask("lock", holder=ADA)
    with pytest.raises(Locked) as caught:
        second.ask("lock", holder=BOB)
    assert str(caught.value) == (
        f"{workbench}: another deployment is under way: ada from laptop, since 2026-11-20T21:49:00+00:00\n"
        "  try again when it has ended, or wait for it: fab deploy --wait SECONDS"
    )
    first.close()
    second.ask("lock", holder=BOB)
    with pytest.raises(Locked, match="bob from desk"):
        third.ask("lock", holder=ADA)
    second.close()
    third.ask("lock", holder=ADA)


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"], indirect=True)
def test_a_killed_agent_frees_it_but_its_running_migration_does_not(
    workbench: Path, deploying: Starter, tmp_path: Path
) -> None:
    """An orphaned child still writes: the kernel keeps the lock for it, and no longer."""
    session = deploying(workbench)
    session.ask("lock", holder=ADA)
    session.load(agent_sources.DJANGO)
    site = next(workbench.glob("lib/python*/site-packages"))
    go = tmp_path / "go"
    # a program in Django's place, which runs until it is told to end
    (site / "django").mkdir()
    (site / "django" / "__init__.py").touch()
    program = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    (site / "django" / "__main__.py").write_text(program)
    try:
        frame: dict[str, object] = {"settings": "shop", "arguments": [], "env": {}, "env_file": None, "number": None}
        session._write_frame("django_admin", 0, dict(frame, path=str(workbench)))
        deadline = time.monotonic() + 20
        while len(agents_of(workbench)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        agent, child = sorted(agents_of(workbench))
        os.kill(agent, signal.SIGKILL)
        with pytest.raises(Disconnected, match="the connection ended"):
            session._reply()
        other = deploying(workbench)
        with pytest.raises(Locked, match="ada from laptop"):
            other.ask("lock", holder=BOB)
        go.touch()
        while os.path.exists(f"/proc/{child}") and time.monotonic() < deadline:
            time.sleep(0.02)
        other.ask("lock", holder=BOB)
    finally:
        go.touch()
        shutil.rmtree(site / "django")


def test_a_command_of_the_fabfile_never_holds_it(workbench: Path, deploying: Starter) -> None:
    """A service that `reload` starts outlives the deployment, and must not lock the next one out."""
    session = deploying(workbench)
    session.ask("lock", holder=ADA)
    outcome = run_command(local_link(), "sleep 30 >/dev/null 2>&1 & echo $!", where="x", identity=Identity())
    session.close()
    deploying(workbench).ask("lock", holder=BOB)
    os.kill(int(outcome.output), signal.SIGKILL)


def test_locking_twice_is_a_second_comer_too(workbench: Path, deploying: Starter) -> None:
    """Even by the same agent."""
    session = deploying(workbench)
    session.ask("lock", holder=ADA)
    with pytest.raises(Locked, match="ada from laptop"):
        session.ask("lock", holder=ADA)


def test_under_the_lock_only_news_is_read(workbench: Path, deploying: Starter) -> None:
    """Who knows how it was is told nothing where it still is so, and everything where it is not."""
    session = deploying(workbench)
    known = session.ask("probe")["stamp"]
    assert session.ask("lock", holder=ADA, known=known) == {"probe": None}
    session.close()
    folder = next(workbench.glob("lib/python*/site-packages"))
    (folder / "new-1.0.dist-info").mkdir()
    (folder / "new-1.0.dist-info" / "METADATA").write_text("Name: new\nVersion: 1.0\n")
    session = deploying(workbench)
    changed = session.ask("lock", holder=ADA, known=known)["probe"]
    assert changed["stamp"] != known
    assert changed == session.ask("probe")
