"""Drift: what the agent finds changed since a deployment, and digests of what was deployed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envfab.remote import agent_sources
from envfab.remote.agent_session import OperationFailed, Session
from tests.agent.conftest import WHEN, Starter, compose, install, site_packages
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel

THREE = pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"], indirect=True)
TWO = pytest.mark.parametrize("version", ["2.7", "3.13"], indirect=True)
ONE = pytest.mark.parametrize("version", ["3.13"], indirect=True)
ANY = ("py2-none-any", "py3-none-any")
NOW = "2026-11-28T00:00:00+00:00"


def wheel(folder: Path, name: str, version: str = "1.0", **options: Any) -> Path:
    """A wheel for every interpreter."""
    return make_wheel(folder, name, version, **({"tags": ANY} | options))


@pytest.fixture
def with_pip() -> None:
    """Have pip in `venv`."""


@pytest.fixture
def venv(make_virtualenv: VirtualenvMaker, tmp_path: Path, version: str, request: pytest.FixtureRequest) -> Path:
    """A plain virtualenv of its own."""
    name = "a venv's !" if version == "2.7" else "a venv's ü !"
    return make_virtualenv(version, tmp_path / name, pip="with_pip" in request.fixturenames)


def drift(session: Session, read: bool = True) -> dict[str, Any]:
    """What the agent tells."""
    session.load(agent_sources.DRIFT)
    return session.ask("drift", read=read, most=1000, now=NOW)


def changes(session: Session, read: bool = True) -> dict[str, tuple[str, list[str]]]:
    """Path → (change, how) of the files that differ beside those of packages."""
    return {one["path"]: (one["change"], one["how"]) for one in drift(session, read)["changes"]}


def facts(venv: Path) -> dict[str, Any]:
    """What is known of the deployment that made the current generation."""
    found: dict[str, Any] = json.loads((venv / ".envfab" / "current" / ".envfab-deployed.json").read_text())
    return found


@THREE
def test_nothing_differs_after_a_deployment(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """By stat and by content, also once Python has written bytecode, and after the next deployment."""
    session = deploying(venv)
    session.load(agent_sources.INVENTORY)
    assert session.ask("compare") == {"known": False, "same": False}
    files = {"alpha/__init__.py": "def main(): pass\n", "alpha/snow ☃.txt": "x", "alpha-1.0.data/data/share/a.txt": "x"}
    alpha = wheel(tmp_path, "alpha", files=files, entry_points={"alpha": "alpha:main"})
    install(session, alpha, wheel(tmp_path, "beta"))
    subprocess.run([venv / "bin" / "python", "-c", "import alpha, beta"], check=True, env={"PATH": "/usr/bin:/bin"})
    for _ in range(2):
        assert session.ask("compare") == {"known": True, "same": True}
        found = drift(session)
        assert (found["differ"], found["packages"], found["changes"]) == (0, [], [])
        install(session, wheel(tmp_path, "beta", "2.0"))


def edited_in_place(path: Path) -> None:
    """Write another content of the same size, and give the file its time back."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[random.randrange(len(data))] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(path: Path) -> None:
    """Write a new file and rename it, as editors do."""
    draft = path.with_name("draft")
    draft.write_bytes(path.read_bytes() + b"#")
    draft.chmod(path.stat().st_mode)
    draft.replace(path)


def linked_instead(path: Path) -> None:
    """Put a link in the place of a file."""
    path.unlink()
    path.symlink_to("/etc/hostname")


EDITS: dict[str, tuple[Callable[[Path], object], tuple[str, list[str]]]] = {
    "bytes": (edited_in_place, ("changed", ["content"])),
    "replaced": (replaced, ("changed", ["content"])),
    "removed": (Path.unlink, ("removed", [])),
    "mode": (lambda path: path.chmod(path.stat().st_mode ^ 0o004), ("changed", ["mode"])),
    "link": (linked_instead, ("changed", ["kind"])),
    "added": (lambda path: path.with_name(f"{path.stem}-new{path.suffix}").write_text("x"), ("added", [])),
}


@TWO
def test_each_of_a_hundred_random_edits_is_found(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Bytes changed with size and time kept, additions, removals, modes and links, after a verification as well."""
    session = deploying(venv)
    files = {f"alpha/m{number}.py": f"x = {number}\n" for number in range(200)}
    data = {f"alpha-1.0.data/data/share/d{number}.txt": f"{number}" for number in range(20)}
    install(session, wheel(tmp_path, "alpha", files={**files, **data}))
    time.sleep(2.1)  # what is younger may change again without another ctime, and so is not remembered
    assert drift(session)["differ"] == 0
    site = site_packages(venv).relative_to(venv)
    paths = [f"{site}/alpha/m{number}.py" for number in range(200)] + [f"share/d{number}.txt" for number in range(20)]
    expected = {}
    for path in random.sample(paths, 100):
        name = random.choice([name for name in EDITS if name != "added" or path.startswith("lib")])
        edit, found = EDITS[name]
        edit(venv / path)
        expected[path.replace(".py", "-new.py") if name == "added" else path] = found
    assert changes(session) == expected
    assert changes(session) == expected


@ONE
def test_what_was_found_right_is_not_read_again(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Unless it is so young that it may change without another ctime."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    verified = venv / ".envfab" / "current" / ".envfab-verified.json"
    drift(session)
    young = json.loads(verified.read_text())["verified"]
    assert not [one for one in young if one.endswith("alpha.py")]
    time.sleep(2.1)
    drift(session)
    (known,) = [one for one in json.loads(verified.read_text())["verified"] if one.endswith("alpha.py")]
    status = (site_packages(venv) / "alpha.py").stat()
    assert known.startswith(f"{status.st_ino} {status.st_ctime_ns} ")
    verified.write_text(json.dumps({"deployment": "another", "verified": [], "seen": {}}))
    assert drift(session)["differ"] == 0


@ONE
def test_a_touched_file_is_no_drift_once_it_was_read(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """By stat it may have changed; after it was found right, stat suffices."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    os.utime(site_packages(venv) / "alpha.py", (1, 1))
    assert list(changes(session, read=False).values()) == [("changed", ["content"])]
    time.sleep(2.1)
    assert changes(session) == {}
    assert changes(session, read=False) == {}


@ONE
@pytest.mark.usefixtures("with_pip")
def test_packages_that_were_changed_by_hand_are_told_in_one_entry(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """Installed, removed, upgraded and reinstalled by pip; a file that is edited beside that is told by itself."""
    session = deploying(venv)
    names = ("gone", "newer", "again")
    files = {
        name: {f"{name}/__init__.py": "def main(): pass\n", f"{name}-1.0.data/data/share/{name}": "x"} for name in names
    }
    made = {name: wheel(tmp_path, name, files=files[name], entry_points={name: f"{name}:main"}) for name in names}
    install(session, *made.values())
    pip = [str(venv / "bin" / "python"), "-m", "pip", "-q", "--disable-pip-version-check"]
    offline = ["install", "--no-index", "--no-deps", "--root-user-action", "ignore"]
    subprocess.run([*pip, "uninstall", "-y", "gone"], check=True)
    others = [wheel(tmp_path, "newer", "2.0"), wheel(tmp_path, "extra", "3.0")]
    subprocess.run([*pip, *offline, *map(str, others)], check=True)
    subprocess.run([*pip, *offline, "--force-reinstall", str(made["again"])], check=True)
    replaced(site_packages(venv) / "again" / "__init__.py")
    found = drift(session)
    told = {one["name"]: (one["before"], one["after"]) for one in found["packages"]}
    assert told == {"gone": ("1.0", None), "newer": ("1.0", "2.0"), "extra": (None, "3.0"), "again": ("1.0", "1.0")}
    (edited,) = [one for one in found["changes"] if one["place"] == "packages"]
    assert (edited["path"].rpartition("/site-packages/")[2], edited["owner"]) == ("again/__init__.py", "again")
    assert found["others"] == len(found["changes"])


@TWO
def test_what_a_deployment_carries_over_goes_on_to_be_drift(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """With the time at which it was first seen, until its package is replaced, or the file is dropped."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha", files={"alpha.py": "", "alpha_data.txt": "x"}), wheel(tmp_path, "beta"))
    site = site_packages(venv)
    replaced(site / "alpha.py")
    (site / "by_hand.py").write_text("")
    (site / "beta.py").unlink()
    names = {"alpha.py": "changed", "by_hand.py": "added", "beta.py": "removed"}
    assert {one["path"].rpartition("/")[2]: one["change"] for one in drift(session)["changes"]} == names
    install(session, wheel(tmp_path, "gamma"))
    found = drift(session)["changes"]
    assert {one["path"].rpartition("/")[2]: one["change"] for one in found} == names
    assert {one["seen"] for one in found} == {NOW}
    path = next(one["path"] for one in found if one["change"] == "added")
    install(session, wheel(tmp_path, "alpha", "2.0"), wheel(tmp_path, "beta", "2.0"), drop=[path])
    assert drift(session)["changes"] == []
    assert not (site / "by_hand.py").exists()


@TWO
@pytest.mark.usefixtures("with_pip")
def test_the_digest_is_that_of_the_packages_whatever_installed_them(
    venv: Path, deploying: Starter, tmp_path: Path, make_virtualenv: VirtualenvMaker, version: str
) -> None:
    """Two virtualenvs with other paths: one had its packages by pip, the other gets them in two deployments."""
    files = {"alpha/__init__.py": "def main(): pass\n", "alpha-1.0.data/scripts/run": "#!python\nprint(1)\n"}
    wheels = [wheel(tmp_path, "alpha", files=files, entry_points={"alpha": "alpha:main"}), wheel(tmp_path, "beta")]
    other = make_virtualenv(version, tmp_path / "other", pip=True)
    pip = [str(other / "bin" / "python"), "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", *map(str, wheels)], check=True)
    gamma = wheel(tmp_path, "gamma")
    install(deploying(other), gamma, compile=True)
    session = deploying(venv)
    install(session, wheels[0], wheel(tmp_path, "beta", "0.9"))
    first = facts(venv)["digest"]
    install(session, wheels[1], gamma)
    assert facts(venv)["digest"] == facts(other)["digest"] != first
    assert facts(venv) == {**facts(other), "generation": 2, "deployment": "test.2", "when": WHEN}
    replaced(site_packages(venv) / "beta.py")
    install(session, gamma)
    assert facts(venv)["digest"] != facts(other)["digest"]


@ONE
@pytest.mark.usefixtures("with_pip")
def test_data_files_of_a_package_that_was_removed_by_hand_go_with_the_next_deployment(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """pip removes the generation's copy alone; the virtualenv's goes, unless it was changed, and a rollback keeps its own."""
    session = deploying(venv)
    files = {"alpha.py": "", "alpha-1.0.data/data/share/same.txt": "x", "alpha-1.0.data/data/share/edited.txt": "x"}
    install(session, wheel(tmp_path, "alpha", files=files))
    pip = [str(venv / "bin" / "python"), "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "uninstall", "-y", "alpha"], check=True)
    assert (venv / "share" / "same.txt").exists()
    replaced(venv / "share" / "edited.txt")
    install(session, wheel(tmp_path, "beta"))
    session.ask("tidy", previous=1, retain=[1], days=None)
    assert sorted(path.name for path in (venv / "share").iterdir()) == ["edited.txt"]
    session.ask("revert", number=2, previous=1, remove=True)
    assert sorted(path.name for path in (venv / "share").iterdir()) == ["edited.txt"]


@ONE
@pytest.mark.usefixtures("with_pip")
def test_a_failed_deployment_keeps_the_data_files_of_a_package_that_was_removed_by_hand(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """It had put the same file there."""
    session = deploying(venv)
    alpha = wheel(tmp_path, "alpha", files={"alpha.py": "", "alpha-1.0.data/data/share/same.txt": "x"})
    install(session, alpha)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "uninstall", "-y", "alpha"], check=True)
    install(session, alpha)
    session.ask("revert", number=2, previous=1, remove=True)
    assert (venv / "share" / "same.txt").read_text() == "x"


@ONE
def test_what_a_newer_envfab_wrote_is_refused(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """By a comparison, and by a deployment before it changes anything; what cannot be understood is not known."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    file = venv / ".envfab" / "generations" / "1" / ".envfab-deployed.json"
    file.write_text(json.dumps({**facts(venv), "format": 2}))
    message = "-deployed.json has format 2; this envfab reads formats up to 1: use the version that deployed there last"
    with pytest.raises(OperationFailed, match=message):
        drift(session)
    with pytest.raises(OperationFailed, match=message):
        compose(session, wheel(tmp_path, "beta"))
    assert session.ask("probe")["generations"] == [0, 1]
    file.write_text(json.dumps({**facts(venv), "format": 1}))
    inventory = file.with_name(".envfab-inventory.json")
    good = json.loads(inventory.read_text())
    (part, *others) = good["parts"]
    for wrong in (
        3,
        [3],
        [{**part, "stats": [1] * len(part["paths"])}],
        [{**part, "hashes": []}],
        [{**part, "scripts": 1}],
    ):
        inventory.write_text(json.dumps({**good, "parts": wrong}))
        assert drift(session) == {"known": False}
    inventory.write_text(json.dumps({**good, "parts": [{**part, "stats": ["x"] * len(part["paths"])}, *others]}))
    assert drift(session)["differ"] == len(part["paths"])
    for wrong_facts in ({"digest": 3}, {"data": {"share/x": 3}}, {"data": 3}):
        file.write_text(json.dumps({**facts(venv), **wrong_facts}))
        session.ask("tidy", previous=None, retain=[0, 1], days=None)
    inventory.write_text("{")
    assert drift(session) == {"known": False}
    install(session, wheel(tmp_path, "beta"))
    assert drift(session)["differ"] == 0


@ONE
def test_what_commands_of_a_deployment_change_belongs_to_it(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Before the switch, in the new generation; what was changed by hand before goes on to be drift."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha", files={"alpha.py": "", "alpha.po": "x"}), wheel(tmp_path, "beta"))
    replaced(site_packages(venv) / "beta.py")
    number = compose(session, wheel(tmp_path, "gamma"))
    site = venv / ".envfab" / "generations" / str(number) / site_packages(venv).relative_to(venv)
    before = json.loads((site.parents[2] / ".envfab-deployed.json").read_text())["digest"]
    (site / "alpha.mo").write_text("made")
    replaced(site / "alpha.po")
    session.ask("switch", number=number, base=number - 1, ran=True)
    assert [path.rpartition("/")[2] for path in changes(session)] == ["beta.py"]
    assert facts(venv)["digest"] != before
    install(session, wheel(tmp_path, "gamma", "2.0"))
    assert [path.rpartition("/")[2] for path in changes(session)] == ["beta.py"]


@ONE
@pytest.mark.usefixtures("with_pip")
def test_a_script_with_its_own_interpreter_is_the_same_in_digests(
    venv: Path, deploying: Starter, tmp_path: Path, make_virtualenv: VirtualenvMaker, version: str
) -> None:
    """It is linked as it is, and read where pip has put it."""
    script = {"alpha-1.0.data/scripts/run": "#!/usr/bin/env python\nprint(1)\n", "alpha.py": ""}
    alpha = wheel(tmp_path, "alpha", files=script)
    other = make_virtualenv(version, tmp_path / "other", pip=True)
    pip = [str(other / "bin" / "python"), "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", str(alpha)], check=True)
    for path, wheels in ((other, []), (venv, [alpha])):
        session = deploying(path)
        install(session, wheel(tmp_path, "beta"))
        install(session, *wheels, wheel(tmp_path, "gamma"))
    assert facts(venv)["digest"] == facts(other)["digest"]


@ONE
@pytest.mark.parametrize("same", [True, False])
def test_a_file_of_two_packages_is_no_drift_whichever_goes(
    venv: Path, deploying: Starter, tmp_path: Path, same: bool
) -> None:
    """It belongs to the one that was installed later; where that goes, to the other, whose file comes back from the store."""
    session = deploying(venv)
    alpha = wheel(
        tmp_path, "alpha", files={"alpha.py": "", "both.py": "x = 1\n", "alpha-1.0.data/data/share/both": "x"}
    )
    content = "x = 1\n" if same else "x = 2\n"
    beta = wheel(tmp_path, "beta", files={"beta.py": "", "both.py": content, "beta-1.0.data/data/share/both": "x"})
    install(session, alpha, beta)
    assert drift(session)["differ"] == 0
    install(session, remove=["beta"])
    assert drift(session)["differ"] == 0
    assert (site_packages(venv) / "both.py").read_text() == "x = 1\n"
    install(session, beta)
    install(session, wheel(tmp_path, "gamma"), remove=["alpha"])
    assert drift(session)["differ"] == 0
    replaced(site_packages(venv) / "both.py")
    assert [one["owner"] for one in drift(session)["changes"]] == ["beta"]


@ONE
def test_pinning_a_generation_and_files_that_deployments_write_anew_are_no_drift(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """The `.pth` that pins comes and goes; a script that names a generation's interpreter gets the virtualenv's."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    script = venv / "bin" / "by-hand"
    for pinned in (True, True, False):
        script.write_text(f"#!{venv.resolve()}/.envfab/generations/1/bin/python\n")
        install(session, wheel(tmp_path, "beta"), pinned=pinned)
        assert [one["path"] for one in drift(session)["changes"]] == ["bin/by-hand"]


@TWO
def test_pipes_and_sockets_are_neither_read_nor_drift(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Whoever makes them, before a deployment, in it, or after it; one in the place of a file has that count as removed."""
    site = site_packages(venv)
    os.mkfifo(site / "before")
    session = deploying(venv)
    files = {"alpha.py": "", "alpha-1.0.data/data/share/alpha.txt": "x"}
    install(session, wheel(tmp_path, "alpha", files=files))
    number = compose(session, wheel(tmp_path, "beta"))
    os.mkfifo(venv / ".envfab" / "generations" / str(number) / site_packages(venv).relative_to(venv) / "during")
    session.ask("switch", number=number, base=number - 1, ran=True)
    os.mkfifo(site_packages(venv) / "after")
    os.mkfifo(venv / "bin" / "after")
    assert drift(session)["differ"] == 0
    install(session, wheel(tmp_path, "beta", "2.0"))
    assert drift(session)["differ"] == 0
    for path in (site_packages(venv) / "alpha.py", venv / "share" / "alpha.txt"):
        path.unlink()
        os.mkfifo(path)
    inside = str(site_packages(venv).relative_to(venv))
    assert changes(session) == {f"{inside}/alpha.py": ("removed", []), "share/alpha.txt": ("changed", ["kind"])}
    install(session, wheel(tmp_path, "beta", "3.0"))
    assert set(changes(session)) >= {f"{inside}/alpha.py"}
