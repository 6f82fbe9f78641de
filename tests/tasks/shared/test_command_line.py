"""Commands that are printed for people work as they are printed: the fabfile's names, its flags, what was chosen."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from envfab.tasks.shared.command_line import command, flags
from tests.support.fab import FAB, clean_environment, run_fab
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.support.workplace import freeze

# a fabfile of another name, in which the tasks have a name of their own, beside a task of the user's
FABFILE = """
from envfab import *
from invoke import Collection, task

@task
def restart(c):
    print("restarted")

fleet = Fleet(hosts=[Host("localhost", virtualenvs=[{virtualenvs}])])
ns = Collection(restart)
ns.add_collection(collection(fleet), name="env")
"""
# a path that neither a shell nor Fabric 1's arguments take as it is
AWKWARD = r"a\b, it's=c"


class Place:
    """A folder with a fabfile called `ops.py`, wheels of two packages, and two virtualenvs."""

    def __init__(self, folder: Path, make_virtualenv: VirtualenvMaker) -> None:
        self.folder = folder
        folder.mkdir()
        self.plain = make_virtualenv("3.11", folder / "plain")
        self.awkward = make_virtualenv("3.11", folder / AWKWARD)
        self.write(f"test -e {shlex.quote(str(folder / 'well'))}")
        (folder / "ssh config").write_text("")
        for name in ("shop", "basket"):
            self.release(name, "1.0")

    def write(self, before: str = "true") -> None:
        """Write the fabfile; `before` is a command of both virtualenvs."""
        both = ", ".join(
            f"Virtualenv({str(path)!r}, packages=['shop', 'basket'], before={before!r})"
            for path in (self.plain, self.awkward)
        )
        (self.folder / "ops.py").write_text(FABFILE.format(virtualenvs=both))

    def release(self, name: str, version: str) -> None:
        """A wheel into the wheelhouse."""
        wheel = make_wheel(self.folder / "made", name, version)
        assert self.fab("env.add_wheel", str(wheel)).returncode == 0

    def fab(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`fab` with the fabfile's name and an SSH configuration."""
        return run_fab(self.folder, "-c", "ops", "-S", "ssh config", *arguments)

    def printed(self, line: str, more: str = "") -> subprocess.CompletedProcess[str]:
        """Give a line to a shell as somebody does who copies it, with `more` at its end."""
        environment = clean_environment(self.folder / ".home")
        environment["PATH"] = f"{Path(FAB).parent}:{environment['PATH']}"
        return subprocess.run(
            f"{line}{more}", shell=True, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )


@pytest.fixture
def place(tmp_path: Path, make_virtualenv: VirtualenvMaker) -> Place:
    """The folder, with `before` failing until there is a file `well`."""
    return Place(tmp_path / "work", make_virtualenv)


def after(words: str, text: str) -> str:
    """The rest of the only line that begins with `words`."""
    (line,) = [line for line in text.splitlines() if line.startswith(words)]
    return line.removeprefix(words).strip()


def test_each_command_of_a_rollout_works_as_printed(place: Place) -> None:
    """Going on with what did not start, with the same choice; the saved plan; taking it back."""
    done = place.fab("env.deploy", "--yes", "--only", "shop", "--batch", "1")
    resume = after("to continue with these:", done.stdout)
    assert "--only shop --batch 1" in resume
    (place.folder / "well").touch()
    resumed = place.printed(resume, " --yes")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    # the virtualenv that failed did start; of the other one just what was chosen
    assert (freeze(place.plain), freeze(place.awkward)) == ({}, {"shop": "1.0"})
    back = place.printed(after("to roll back:", resumed.stdout), " --yes")
    assert back.returncode == 0, back.stdout + back.stderr
    assert freeze(place.awkward) == {}

    saved = place.fab("env.plan", "--out", "my plan.json").stdout
    deployed = place.printed(after("saved to my plan.json, for", saved), " --yes")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert freeze(place.awkward) == freeze(place.plain) == {"shop": "1.0", "basket": "1.0"}
    assert "fab -c ops -S 'ssh config' env.rollback --to" in deployed.stdout


def test_going_on_with_a_rollback_rolls_back(place: Place) -> None:
    """What a rollback did not come to is never deployed to: it goes on as a rollback, to the same deployment."""
    (place.folder / "well").touch()
    back = after("to roll back:", place.fab("env.deploy", "--yes").stdout)
    (place.folder / "well").unlink()
    with (place.folder / "ops.py").open("a") as fabfile:
        fabfile.write("ns.configure({'envfab': {'batch': 1}})\n")
    stopped = place.printed(back, " --yes")
    resume = after("to continue with these:", stopped.stdout)
    (place.folder / "well").touch()
    resumed = place.printed(resume, " --yes")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert sorted(map(len, (freeze(place.plain), freeze(place.awkward)))) == [0, 2]


def test_hints_call_tasks_as_the_fabfile_does(place: Place) -> None:
    """In errors, in plans and beside them; a command that is not of this fleet stays as it is."""
    (place.folder / "wheels" / "new-1.0-py3-none-any.whl").touch()
    listed = place.fab("env.wheels").stdout
    assert "fab -c ops -S 'ssh config' env.add_wheel" in listed
    missing = place.fab("env.lock")
    assert missing.returncode == 1
    assert "fab -c ops -S 'ssh config' env.lock:" in missing.stderr
    for text in (listed, missing.stderr):
        assert not re.search(r"\bfab (add_wheel|lock)\b", text)


def test_a_missing_virtualenv_is_told_with_the_command_that_makes_it(place: Place) -> None:
    """As this fabfile calls it; the status is `missing`, exit 1, and whoever copies the command has a virtualenv."""
    for path in (place.plain, place.awkward):
        shutil.rmtree(path)
    done = place.fab("env.plan")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "2 missing"
    hint = after("fab", done.stdout.replace("    fab", "fab", 1).partition("\n    fab")[0])
    assert hint == "-c ops -S 'ssh config' env.create_virtualenv makes it"
    document = json.loads(place.fab("env.deploy", "--yes", "--json").stdout)
    assert [one["status"] for one in document["virtualenvs"]] == ["missing", "missing"]
    made = place.printed(f"fab {hint.removesuffix(' makes it')}")
    assert made.returncode == 0, made.stdout + made.stderr
    assert place.fab("env.plan").stdout.splitlines()[-1] == "2 with changes"


def test_flags_are_spelled_so_that_they_are_read_back() -> None:
    """What is empty is left out, and a value that looks like a flag is bound to its own."""
    made = flags(only=["a", "b"], prune=True, force=False, plan="", wait=0, to="-x", max_failures="2")
    assert made == ["--only", "a", "--only", "b", "--prune", "--to=-x", "--max-failures", "2"]


def test_a_command_without_a_fabfile_is_spelled_as_documented() -> None:
    """Where no program runs, as in a test or in a script, tasks have the names of this project."""
    from envfab import Fleet

    assert command(Fleet(hosts=[]), "deploy", "--prune", names=["web1", "web2"]) == "fab deploy:web1,web2 --prune"
    odd = command(Fleet(hosts=[]), "deploy", names=["shop@web1:/srv/a,b c"])
    assert odd == "fab deploy '--name=shop@web1:/srv/a,b c'"
