"""`fab timer` and `fab register_hook --systemd`, by the real program."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.fab import run_fab
from tests.support.systemd import FakeSystemd

# not root, so that the units are the user's
FABFILE = """
import os
os.geteuid = lambda: 4711
from envfab import Difio, Fleet, Host, Virtualenv, collection
fleet = Fleet(hosts=[Host("localhost", virtualenvs=[Virtualenv("/srv/v")])], registration=[Difio("http://127.0.0.1:9/")])
ns = collection(fleet)
"""


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, dict[str, str], FakeSystemd]:
    """A folder with a fabfile, and an environment with systemd's programs."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "fabfile.py").write_text(FABFILE)
    fake = FakeSystemd(tmp_path / "programs")
    return tmp_path / "work", {"PATH": f"{fake.folder}:{os.environ['PATH']}"}, fake


@pytest.mark.parametrize(
    ("words", "ending"),
    [
        (["timer:plan"], '"plan" "--check"\n'),
        (["timer:plan", "--metrics", "/x.prom"], '"plan" "--check" "--metrics" "/x.prom"\n'),
        (["timer:register"], '"register"\n'),
        (["timer:verify"], '"verify" "--check"\n'),
        (["timer:verify", "--metrics", "/x.prom"], '"verify" "--check" "--metrics" "/x.prom"\n'),
        (["register_hook", "--systemd"], '"register"\n'),
    ],
)
def test_a_timer_runs_the_task(place: tuple[Path, dict[str, str], FakeSystemd], words: list[str], ending: str) -> None:
    """The service starts this fabfile's `fab`, in its folder; `--remove` takes both units away."""
    folder, env, _ = place
    done = run_fab(folder, *words, env=env)
    assert done.returncode == 0, done.stderr
    units = folder / ".home" / ".config" / "systemd" / "user"
    service, timer = sorted(units.iterdir())
    assert done.stdout == f"changed  {service}\nchanged  {timer}\n"
    assert service.read_text().endswith(ending)
    assert f"\nWorkingDirectory={folder}\n" in service.read_text()
    assert run_fab(folder, *words, env=env).stdout == "nothing to change\n"
    removed = run_fab(folder, *words, "--remove", env=env)
    assert removed.stdout == f"removed  {timer}\nremoved  {service}\n"
    assert list(units.iterdir()) == []


def test_a_timer_that_ends_with_the_login_is_told(place: tuple[Path, dict[str, str], FakeSystemd]) -> None:
    """With the command that mends it."""
    folder, env, fake = place
    (fake.folder / "linger").write_text("Linger=no\n")
    done = run_fab(folder, "timer:plan", env=env)
    assert "the timer runs only while you are logged in; for always: sudo loginctl enable-linger $USER" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["timer"], "envfab: timer needs a task\n  say one of: fab timer:plan, fab timer:register, fab timer:verify"),
        (
            ["timer:deploy"],
            "envfab: 'deploy' is not a task for a timer\n  say one of: fab timer:plan, fab timer:register, fab timer:verify",
        ),
        (["timer:register", "--metrics", "x"], "envfab: --metrics is of plan and verify, not of register"),
        (["timer:plan", "--schedule", "x", "--remove"], "envfab: --schedule and --remove exclude each other"),
        (["register_hook", "--systemd", "--cron"], "envfab: --cron and --systemd exclude each other"),
        (["register_hook", "--schedule", "daily"], "envfab: --schedule needs --cron or --systemd"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    place: tuple[Path, dict[str, str], FakeSystemd], words: list[str], message: str
) -> None:
    """One message, exit 1, and systemd is not asked."""
    folder, env, fake = place
    done = run_fab(folder, *words, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{message}\n")
    assert fake.asked == []
