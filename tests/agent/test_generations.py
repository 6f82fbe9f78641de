"""Generations: composed beside what is current, made current by one rename, and taken back by another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from envfab.remote.agent_session import OperationFailed
from tests.agent.conftest import Starter, compose, fields, freeze, install, site_packages, store, versions
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel, sha256

OLDEST_AND_NEWEST = pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"], indirect=True)
ONE = pytest.mark.parametrize("version", ["3.13"], indirect=True)
ANY = ("py2-none-any", "py3-none-any")


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


def content(folder: Path) -> dict[str, object]:
    """All that is below a folder, links followed at its top: a file's bytes and mode, where a link leads."""
    found: dict[str, object] = {}
    for here, folders, names in os.walk(os.path.realpath(folder)):
        for name in names + folders:
            full = os.path.join(here, name)
            inside = os.path.relpath(full, os.path.realpath(folder))
            if inside.endswith((".pyc", ".pyo", "__pycache__")):
                continue
            if os.path.islink(full):
                found[inside] = os.readlink(full)
            elif os.path.isdir(full):
                found[inside] = "folder"
            else:
                found[inside] = (Path(full).read_bytes(), os.stat(full).st_mode)
    return found


def run(virtualenv: Path, program: str) -> str:
    """What a program prints, run by the virtualenv's interpreter."""
    command = [str(virtualenv / "bin" / "python"), "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}).stdout


@pytest.mark.usefixtures("with_pip")
def test_packages_and_scripts_are_installed_upgraded_and_removed(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """On each interpreter; pip sees what it would see after an installation of its own."""
    session = deploying(venv)
    others = freeze(venv)
    snow = "snow" if venv.name == "a venv's !" else "snow ☃ ü"
    files = {f"{snow}/__init__.py": "", f"{snow}/data.txt": "x", "alpha.py": "def main():\n    print('ran')\n"}
    first = [wheel(tmp_path, "alpha", files=files, entry_points={"alpha-run": "alpha:main"}), wheel(tmp_path, "beta")]
    found = install(session, *first)
    assert found["generation"] == 1
    assert found["plain"] is False
    assert freeze(venv) == sorted([*others, "alpha==1.0", "beta==1.0"])
    assert subprocess.run([venv / "bin" / "alpha-run"], capture_output=True, check=True).stdout == b"ran\n"
    assert (site_packages(venv) / snow / "data.txt").is_file()
    assert session.ask("verify", names=["alpha", "beta"], number=None) == {"wrong": {}}
    found = install(session, wheel(tmp_path, "alpha", "2.0"), remove=["beta"])
    assert found["generation"] == 2
    assert freeze(venv) == sorted([*others, "alpha==2.0"])
    assert not (site_packages(venv) / snow).exists()
    assert not (venv / "bin" / "alpha-run").exists()
    assert versions(deploying(venv).ask("probe")) == versions(found)


@OLDEST_AND_NEWEST
def test_nothing_changes_before_the_switch_and_going_back_is_bit_for_bit(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """A generation that is only composed is seen by nobody; after a switch back all is as it was."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    (site_packages(venv) / "made by hand.py").write_text("x = 1\n")
    before = content(venv / "bin"), content(site_packages(venv))
    number = compose(session, wheel(tmp_path, "alpha", "2.0"), wheel(tmp_path, "beta"))
    assert (content(venv / "bin"), content(site_packages(venv))) == before
    session.ask("switch", number=number, base=number - 1)
    assert (site_packages(venv) / "beta.py").is_file()
    assert (site_packages(venv) / "made by hand.py").is_file()
    assert session.ask("revert", number=number, previous=number - 1, remove=True) == {"switched": True}
    assert (content(venv / "bin"), content(site_packages(venv))) == before
    assert session.ask("probe")["generations"] == [0, 1]


@OLDEST_AND_NEWEST
def test_a_plain_virtualenv_is_the_same_after_it_was_given_generations(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """Its own files are generation 0, to which a switch leads back; released, it is plain again, and still the same."""
    session = deploying(venv)
    before = content(venv / "bin"), content(site_packages(venv))
    number = compose(session, wheel(tmp_path, "alpha"))
    assert not (venv / "bin").is_symlink()
    session.ask("switch", number=number, base=0)
    assert os.readlink(venv / "bin") == ".envfab/current/bin"
    session.ask("revert", number=number, previous=0, remove=True)
    assert (content(venv / "bin"), content(site_packages(venv))) == before
    assert session.ask("release") == {"was": "generations"}
    assert not (venv / "bin").is_symlink()
    assert not site_packages(venv).is_symlink()
    assert (content(venv / "bin"), content(site_packages(venv))) == before
    assert session.ask("release") == {"was": "plain"}
    assert session.ask("probe")["plain"] is True
    assert not (venv / ".envfab" / "generations").exists()


@OLDEST_AND_NEWEST
def test_the_interpreter_of_a_generation_starts_and_sees_its_own_packages(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """Before it is current, migrations are run by it: `sys.prefix` is the generation then."""
    session = deploying(venv)
    number = compose(session, wheel(tmp_path, "alpha"))
    found = session.ask("inspect", number=number)
    assert versions(found)["alpha"] == "1.0"
    assert "alpha" not in versions(session.ask("probe"))
    python = venv / ".envfab" / "generations" / str(number) / "bin" / "python"
    program = "import alpha, os, sys; print(os.path.realpath(sys.prefix) == os.path.realpath(sys.argv[1]))"
    root = str(python.parent.parent)
    assert subprocess.run([python, "-c", program, root], capture_output=True, check=True).stdout == b"True\n"


@ONE
@pytest.mark.parametrize(
    ("files", "entry_points", "named"),
    [
        ({"taking-1.0.data/scripts/python": "#!/bin/sh\n"}, {}, "python"),
        ({"taking-1.0.data/data/bin/python3": ""}, {}, "python3"),
        ({}, {"python3.13": "taking:main"}, "python3.13"),
        ({}, {"python-taking": "taking:main"}, None),
    ],
)
def test_a_script_in_the_place_of_the_interpreter_is_refused(
    venv: Path,
    deploying: Starter,
    tmp_path: Path,
    files: dict[str, str],
    entry_points: dict[str, str],
    named: str | None,
) -> None:
    """With its name, and before anything could start it; names that only begin so are fine."""
    session = deploying(venv)
    taking = wheel(tmp_path, "taking", files={"taking.py": "", **files}, entry_points=entry_points)
    if named is None:
        assert "taking" in versions(install(session, taking))
        return
    with pytest.raises(OperationFailed, match=f"taking 1.0: has a script in the place of the interpreter bin/{named}"):
        compose(session, taking)
    assert session.ask("probe")["generations"] == []


@OLDEST_AND_NEWEST
@pytest.mark.parametrize("status", [3, 0])
def test_a_pth_that_ends_the_interpreter_is_found_and_named(
    venv: Path, deploying: Starter, tmp_path: Path, status: int
) -> None:
    """It is found in the generation, before anybody starts with it; also where the interpreter ends as if all was well."""
    session = deploying(venv)
    deadly = f"import os; os._exit({status})\n"
    number = compose(session, wheel(tmp_path, "deadly", files={"deadly.pth": deadly, "fine.pth": "import sys\n"}))
    with pytest.raises(OperationFailed) as caught:
        session.ask("inspect", number=number)
    assert (
        f"Python does not start in the new generation, because of deadly.pth (it ended with status {status})"
        in caught.value.what
    )


def test_a_pinned_process_keeps_its_generation(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """What it imports after a switch is of the generation that it started with; one that starts then has the new one."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha", files={"a.py": "V = 1\n", "b.py": "V = 1\n"}), pinned=True)
    program = "import sys, a; sys.stdout.write('in\\n'); sys.stdout.flush(); sys.stdin.readline(); import b; print(b.V)"
    process = subprocess.Popen(
        [venv / "bin" / "python", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    found = install(
        session, wheel(tmp_path / "2", "alpha", "2.0", files={"a.py": "V = 2\n", "b.py": "V = 2\n"}), pinned=True
    )
    assert versions(found)["alpha"] == "2.0"
    assert process.communicate("\n", timeout=30)[0] == "1\n"
    assert run(venv, "import a, b; print(a.V + b.V)") == "4\n"
    found = install(session, remove=["alpha"])
    assert "alpha" not in versions(found)
    assert not list(site_packages(venv).glob("*pinned*"))


@ONE
def test_a_process_that_was_started_by_another_name_is_pinned_and_found_too(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """The fabfile names a link to the virtualenv, and a service the folder itself."""
    link = tmp_path / "link"
    link.symlink_to(venv)
    session = deploying(link)
    install(session, wheel(tmp_path, "alpha", files={"a.py": "V = 1\n", "b.py": "V = 1\n"}), pinned=True)
    program = "import sys, a; sys.stdout.write('in\\n'); sys.stdout.flush(); sys.stdin.readline(); import b; print(b.V)"
    process = subprocess.Popen(
        [venv / "bin" / "python", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    subprocess.run(["sleep", "0.1"], check=True)
    install(session, wheel(tmp_path / "2", "alpha", "2.0", files={"a.py": "", "b.py": "V = 2\n"}), pinned=True)
    said = session.ask("tidy", previous=1, retain=[1], days=None)["lingering"]
    assert [one["pid"] for one in said] == [process.pid]
    assert process.communicate("\n", timeout=30)[0] == "1\n"


@ONE
def test_a_file_of_two_owners_stays_with_the_one_that_stays(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Removing one of two packages that have the same file keeps it; removing both removes it."""
    session = deploying(venv)
    shared = {"shared/__init__.py": "", "shared/one.py": "", "shared/both.py": "x = 1\n"}
    more = {"shared/__init__.py": "", "shared/two.py": "", "shared/both.py": "x = 1\n"}
    install(session, wheel(tmp_path, "one", files=shared), wheel(tmp_path, "two", files=more))
    install(session, remove=["one"])
    assert {path.name for path in (site_packages(venv) / "shared").glob("*.py")} == {"__init__.py", "two.py", "both.py"}
    install(session, remove=["two"])
    assert not (site_packages(venv) / "shared").exists()


@ONE
def test_a_module_that_moves_from_one_package_to_another_is_there_in_either(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """lib1 1.0 owns bar.py, lib1 2.0 does not, lib2 brings it; and back."""
    session = deploying(venv)
    old = wheel(tmp_path, "lib1", files={"bar.py": "B = 1\n"})
    new = [wheel(tmp_path, "lib1", "2.0", files={"foo.py": ""}), wheel(tmp_path, "lib2", files={"bar.py": "B = 2\n"})]
    install(session, old)
    install(session, *new)
    assert run(venv, "import foo, bar; print(bar.B)") == "2\n"
    install(session, old, remove=["lib2"])
    assert run(venv, "import bar; print(bar.B)") == "1\n"
    assert not (site_packages(venv) / "foo.py").exists()


@ONE
def test_a_generation_whose_data_files_were_replaced_is_as_it_was_left(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """Data files of a package that is upgraded do not come along, and still are of the generation before."""
    session = deploying(venv)
    first = install(session, wheel(tmp_path, "d", files={"d.py": "", "d-1.0.data/data/etc/d.conf": "1\n"}))[
        "generation"
    ]
    install(session, wheel(tmp_path, "d", "2.0", files={"d.py": "", "d-2.0.data/data/etc/d.conf": "2\n"}))
    assert (venv / "etc" / "d.conf").read_text() == "2\n"
    assert session.ask("whole", numbers=[first])["whole"] == [first]


@ONE
def test_who_could_use_a_virtualenv_still_can(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Whatever the umask of a login, and of the packages: the links lead through folders that were not there before."""
    for folder in (venv, venv / "lib", site_packages(venv).parent, site_packages(venv), venv / "bin"):
        folder.chmod(0o755)
    before = os.umask(0o077)
    try:
        session = deploying(venv)
    finally:
        os.umask(before)
    found = install(session, wheel(tmp_path, "alpha"), umask=0o027)
    place, passed = site_packages(venv).resolve(), []
    while place != venv.resolve():
        passed.append(place)
        place = place.parent
    assert [folder for folder in passed if folder.stat().st_mode & 0o001 == 0] == []
    assert len(passed) == 6
    assert (venv / "bin").stat().st_mode & 0o005 == 0o005
    assert found["generation"] == 1


@ONE
def test_data_files_come_and_go_with_their_generation(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """They lie in the virtualenv itself; what was there before comes back, and what people changed stays changed."""
    session = deploying(venv)
    (venv / "etc").mkdir()
    (venv / "etc" / "own.conf").write_text("by hand\n")
    first = {"d.py": "", "data-1.0.data/data/etc/own.conf": "1\n", "data-1.0.data/data/share/man/d.1": "man\n"}
    number = compose(session, wheel(tmp_path, "data", files=first))
    assert (venv / "etc" / "own.conf").read_text() == "by hand\n"
    session.ask("switch", number=number, base=0)
    assert (venv / "etc" / "own.conf").read_text() == "1\n"
    assert (venv / "share" / "man" / "d.1").read_text() == "man\n"
    session.ask("revert", number=number, previous=0, remove=True)
    assert (venv / "etc" / "own.conf").read_text() == "by hand\n"
    assert not (venv / "share").exists()
    install(session, wheel(tmp_path, "data", files=first))
    changed = venv / "etc" / "own.conf.new"
    changed.write_text("changed by hand\n")
    changed.rename(venv / "etc" / "own.conf")
    install(session, wheel(tmp_path, "other"))
    assert (venv / "etc" / "own.conf").read_text() == "changed by hand\n"
    found = install(session, wheel(tmp_path, "data", "2.0", files={"d.py": ""}))
    session.ask("tidy", previous=found["generation"] - 1, retain=[], days=None)
    assert not (venv / "share").exists()


@ONE
def test_data_files_that_people_replaced_come_back(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Also those which were replaced after the generation was made: a switch notes them, and a switch back leaves others."""
    session = deploying(venv)
    first = wheel(tmp_path, "d", files={"d.py": "", "d-1.0.data/data/etc/a": "1\n", "d-1.0.data/data/etc/b": "1\n"})
    second = wheel(
        tmp_path, "d", "2.0", files={"d.py": "", "d-2.0.data/data/etc/a": "2\n", "d-2.0.data/data/etc/b": "2\n"}
    )
    install(session, first)
    number = compose(session, second)
    replace(venv / "etc" / "a", "by hand\n")
    session.ask("switch", number=number, base=1)
    assert (venv / "etc" / "a").read_text() == "2\n"
    replace(venv / "etc" / "b", "by hand, later\n")
    session.ask("revert", number=number, previous=1, remove=True)
    assert (venv / "etc" / "a").read_text() == "by hand\n"
    assert (venv / "etc" / "b").read_text() == "by hand, later\n"


def replace(file: Path, text: str) -> None:
    """Write a file as careful editors do: another one, and a rename."""
    draft = file.with_name("draft")
    draft.write_text(text)
    draft.rename(file)


@ONE
def test_a_generation_of_other_versions_is_not_the_one_asked_for(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """After a release, numbers begin anew: what the history says of 1 is of another one."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    there = versions(session.ask("probe"))
    install(session, wheel(tmp_path, "alpha", "2.0"))
    assert session.ask("whole", numbers=[1], versions=there)["whole"] == [1]
    assert session.ask("whole", numbers=[1], versions={**there, "alpha": "2.0"})["whole"] == []


@ONE
def test_a_generation_that_was_changed_afterwards_is_noticed(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Whatever is changed, added or removed in one that is kept: going back does not take it for what it was."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha", files={"a.py": "", "b.py": ""}))
    install(session, wheel(tmp_path, "alpha", "2.0"), wheel(tmp_path, "beta"))
    old = venv / ".envfab" / "generations" / "1"
    site = next(old.glob("lib/python*/site-packages"))
    assert session.ask("whole", numbers=[0, 1, 2, 7])["whole"] == [0, 1]
    (site / "c.py").touch()
    assert session.ask("whole", numbers=[1])["whole"] == []
    (site / "c.py").unlink()
    assert session.ask("whole", numbers=[1])["whole"] == [1]
    text = (site / "a.py").read_text()
    (site / "a.py").write_text(text + "# changed in place, and so in the store and in generation 2\n")
    assert session.ask("whole", numbers=[1])["whole"] == []


@ONE
def test_what_was_changed_in_the_store_is_unpacked_again(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """A file that was edited through a link would go into every later generation; so it is sent and unpacked anew."""
    session = deploying(venv)
    alpha = wheel(tmp_path, "alpha", files={"a.py": "V = 1\n"})
    install(session, alpha)
    kind = {"compile": False, "umask": 0o022}
    assert session.ask("missing", hashes=[sha256(alpha)], **kind)["lacking"] == []
    (site_packages(venv) / "a.py").write_text("V = 2\n")
    assert session.ask("missing", hashes=[sha256(alpha)], **kind)["lacking"] == [sha256(alpha)]
    install(session, alpha)
    assert run(venv, "import a; print(a.V)") == "1\n"


@ONE
def test_agents_of_two_hosts_that_share_a_home_do_not_share_their_drafts(
    venv: Path, deploying: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their process numbers may be equal, as in containers: neither removes what the other is unpacking."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    place = tmp_path / "home" / ".cache" / "envfab" / "store"
    place.mkdir(parents=True)
    session = deploying(venv)
    # of all processes, since which one is the agent is not known here
    others = [place / f".{name}" for name in os.listdir("/proc") if name.isdigit()]
    for other in others:
        other.mkdir()
        (other / "half").touch()
    install(session, wheel(tmp_path, "alpha"))
    assert all((other / "half").exists() for other in others)


@OLDEST_AND_NEWEST
def test_what_was_closed_to_others_in_one_virtualenv_is_open_in_the_next(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str
) -> None:
    """They share the files of a wheel, but not what somebody made of their modes."""
    one, other = (make_virtualenv(version, tmp_path / name) for name in ("one", "other"))
    names = ("alpha.py", "alpha.so")
    alpha = wheel(tmp_path, "alpha", files=dict.fromkeys(names, ""))
    install(deploying(one), alpha)
    for name in names:
        (site_packages(one) / name).chmod(0o600)
    session = deploying(other)
    asked = {"path": str(other), "hashes": [sha256(alpha)], "compile": False, "umask": 0o022}
    assert session.ask("missing", **asked)["lacking"] == [sha256(alpha)]
    install(session, alpha)
    assert [(site_packages(other) / name).stat().st_mode & 0o777 for name in names] == [0o644, 0o644]
    assert [(site_packages(one) / name).stat().st_mode & 0o777 for name in names] == [0o600, 0o600]


@ONE
@pytest.mark.usefixtures("with_pip")
def test_what_people_install_by_hand_is_carried_over(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """pip works in the current generation as ever; the next generation has what it did, the one before has not."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    install(session, wheel(tmp_path, "beta"))
    hand = wheel(tmp_path, "hand", entry_points={"by-hand": "hand:main"})
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-index", str(hand)], check=True, capture_output=True)
    subprocess.run([*pip, "uninstall", "-y", "alpha"], check=True, capture_output=True)
    found = install(session, wheel(tmp_path, "gamma"))
    assert {"hand", "beta", "gamma"} <= versions(found).keys()
    assert "alpha" not in versions(found)
    assert (venv / "bin" / "by-hand").is_file()
    session.ask("revert", number=3, previous=1, remove=True)
    assert "alpha" in versions(session.ask("probe"))
    assert "hand" not in versions(session.ask("probe"))


@OLDEST_AND_NEWEST
@pytest.mark.parametrize("kind", ["first", "next"])
def test_files_that_are_added_while_a_generation_is_made_are_in_it(
    venv: Path, deploying: Starter, tmp_path: Path, kind: str
) -> None:
    """A program that keeps uploads in its package goes on while migrations run; of its bytecode nothing is taken."""
    session = deploying(venv)
    if kind == "next":
        install(session, wheel(tmp_path, "alpha"))
    egg = site_packages(venv) / "gamma-1.0-py3.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / "EGG-INFO" / "PKG-INFO").write_text("Name: gamma\nVersion: 1.0\n")
    os.utime(egg, (1, 1))
    number = compose(session, wheel(tmp_path, "beta"))
    (egg / "__pycache__").mkdir()
    uploads = site_packages(venv) / "uploads" / "2026"
    uploads.mkdir(parents=True)
    (uploads / "a ü.txt").write_text("late")
    (uploads / "link").symlink_to("a ü.txt")
    (site_packages(venv) / "late.pyc").touch()
    session.ask("switch", number=number, base=number - 1)
    session.ask("tidy", previous=number - 1, retain=[], days=None)
    assert (uploads / "link").read_text() == "late"
    assert not (site_packages(venv) / "late.pyc").exists()
    assert "beta" in versions(session.ask("probe"))


@OLDEST_AND_NEWEST
@pytest.mark.parametrize("kind", ["first", "next"])
@pytest.mark.usefixtures("with_pip")
def test_packages_that_are_installed_while_a_generation_is_made_are_not_lost(
    venv: Path, deploying: Starter, tmp_path: Path, kind: str
) -> None:
    """The generation, which was verified without them, does not become current; the next one has them."""
    session = deploying(venv)
    if kind == "next":
        install(session, wheel(tmp_path, "alpha"))
    number = compose(session, wheel(tmp_path, "beta"))
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-index", str(wheel(tmp_path, "hand"))], check=True, capture_output=True)
    with pytest.raises(OperationFailed, match="installed or removed by hand during the deployment; deploy again"):
        session.ask("switch", number=number, base=number - 1)
    assert "beta" not in versions(session.ask("probe"))
    session.ask("revert", number=number, previous=number - 1, remove=True)
    assert {"hand", "beta"} <= versions(install(session, wheel(tmp_path, "beta"))).keys()


@ONE
def test_a_folder_of_packages_that_somebody_removed_is_made_again(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """The next generation has what the deployment installs, and no error names a folder inside of `.envfab`."""
    install(deploying(venv), wheel(tmp_path, "alpha"))
    mode = site_packages(venv).stat().st_mode
    shutil.rmtree(os.path.realpath(site_packages(venv)))
    assert versions(install(deploying(venv), wheel(tmp_path, "beta"))) == {"beta": "1.0"}
    assert site_packages(venv).stat().st_mode == mode
    assert run(venv, "import beta; print(beta.VERSION)") == "1.0\n"


@ONE
def test_where_links_cannot_be_made_files_are_copied(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, mounted: Path, version: str
) -> None:
    """The store lies on another file system; copies keep their time, so that bytecode stays valid."""
    venv = make_virtualenv(version, mounted / "v")
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha", files={"a.py": "V = 1\n"}), compile=True)
    program = "import a, os; print(os.path.basename(a.__cached__) in os.listdir(os.path.dirname(a.__cached__)))"
    assert run(venv, program) == "True\n"
    (pyc,) = site_packages(venv).glob("__pycache__/a.*.pyc")
    time = pyc.stat().st_mtime_ns
    run(venv, "import a")
    assert pyc.stat().st_mtime_ns == time
    assert (site_packages(venv) / "a.py").stat().st_nlink == 1


VERSION_OF_ALPHA = """
import importlib.metadata, alpha, os
print(importlib.metadata.version("alpha"))
try:
    open(os.path.join(os.path.dirname(alpha.__file__), "x"), "w")
except OSError:
    print("read-only")
"""


@pytest.fixture
def mounted(tmp_path: Path) -> Any:
    """Another file system than the one with the home."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=100m,mode=755", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@ONE
def test_a_full_disk_leaves_nothing_of_a_generation(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, mounted: Path, version: str
) -> None:
    """One message, and the virtualenv as it was."""
    venv = make_virtualenv(version, mounted / "v")
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    left = os.statvfs(mounted)
    with open(mounted / "filler", "wb") as stream:
        stream.truncate(0)
        os.posix_fallocate(stream.fileno(), 0, left.f_bavail * left.f_frsize - 100_000)
    big = wheel(tmp_path, "big", files={"big.bin": os.urandom(400_000)})
    before = content(site_packages(venv))
    with pytest.raises(OperationFailed, match=f"no space left on {venv}"):
        compose(session, big)
    assert content(site_packages(venv)) == before
    assert session.ask("probe")["generations"] == [0, 1]


@ONE
def test_a_full_home_is_told_of_by_its_name(
    venv: Path, deploying: Starter, tmp_path: Path, mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel fits into it, and what is in the wheel does not; nothing half-done is left in the store."""
    mounted.chmod(0o700)
    monkeypatch.setenv("HOME", str(mounted))
    session = deploying(venv)
    big = wheel(tmp_path, "big", files={"big.bin": os.urandom(400_000)})
    store(session, big)
    left = os.statvfs(mounted)
    with open(mounted / "filler", "wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, left.f_bavail * left.f_frsize - 100_000)
    place = mounted / ".cache" / "envfab" / "store"
    assert session.ask("probe")["generations"] == []
    with pytest.raises(OperationFailed, match=f"no space left on {place}"):
        session.ask("fill", wheels=[fields(big)], compile=False, umask=0o022)
    assert list(place.iterdir()) == []


@ONE
def test_a_home_from_which_nothing_may_be_executed_holds_the_store(
    venv: Path, deploying: Starter, tmp_path: Path, mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts of wheels are executed in the virtualenv, where they are copies."""
    subprocess.run(["mount", "-o", "remount,noexec", mounted], check=True)
    mounted.chmod(0o700)
    monkeypatch.setenv("HOME", str(mounted))
    files = {"tool.py": "def main(): print('tool')\n"}
    install(deploying(venv), wheel(tmp_path, "tool", files=files, entry_points={"tool": "tool:main"}))
    assert list((mounted / ".cache" / "envfab" / "store").glob("*-*"))
    assert subprocess.check_output([venv / "bin" / "tool"], text=True) == "tool\n"


@ONE
def test_a_service_that_may_write_nowhere_runs(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """As below systemd's ProtectSystem=strict: its view of the virtualenv is read-only, and follows the switch."""
    session = deploying(venv)
    alpha = {version: wheel(tmp_path / version, "alpha", version) for version in ("1.0", "2.0")}
    install(session, alpha["1.0"])
    view = tmp_path / "view"
    view.mkdir()
    if subprocess.run(["mount", "--bind", venv, view], check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", view], check=True)
        asked = [str(view / "bin" / "python"), "-c", VERSION_OF_ALPHA]
        assert subprocess.check_output(asked, text=True).split() == ["1.0", "read-only"]
        install(session, alpha["2.0"])
        assert subprocess.check_output(asked, text=True).split() == ["2.0", "read-only"]
    finally:
        subprocess.run(["umount", "-l", view], check=True)


@ONE
def test_a_first_deployment_that_fails_leaves_no_generation(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Neither its own nor the clone of what is there: the disk may be full of both."""
    session = deploying(venv)
    unknown = {**fields(wheel(tmp_path, "alpha")), "requested": True}
    kind = {"compile": False, "umask": 0o022, "link": True, "pinned": False}
    assert session.ask("probe")["plain"] is True
    with pytest.raises(OperationFailed, match="is incomplete; deploy again"):
        session.ask("compose", number=1, base=0, wheels=[unknown], remove=[], **kind)
    assert session.ask("probe")["generations"] == []
    number = compose(session, wheel(tmp_path, "beta"))
    session.ask("revert", number=number, previous=number - 1, remove=True)
    assert session.ask("probe")["generations"] == []


@ONE
@pytest.mark.parametrize("what", ["link", "mount"])
def test_folders_that_cannot_be_exchanged_are_refused(
    venv: Path, deploying: Starter, tmp_path: Path, what: str
) -> None:
    """A `bin` that is somebody's symbolic link, or a mount: one message, and nothing is changed."""
    if what == "link":
        (venv / "bin").rename(tmp_path / "elsewhere")
        (venv / "bin").symlink_to(tmp_path / "elsewhere")
    elif subprocess.run(["mount", "--bind", venv / "bin", venv / "bin"], check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        session = deploying(venv)
        expected = "is a symbolic link; make it a folder" if what == "link" else "is a mount"
        with pytest.raises(OperationFailed, match=expected):
            compose(session, wheel(tmp_path, "alpha"))
        assert session.ask("probe")["generations"] == []
    finally:
        if what == "mount":
            subprocess.run(["umount", "-l", venv / "bin"], check=True)


@ONE
def test_eggs_and_their_lines_go_with_what_replaces_them(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """A folder and a zip of `setup.py install`, and their scripts; the others' lines in easy-install.pth stay."""
    site = site_packages(venv)
    for name in ("one", "two"):
        egg = site / f"{name}-1.0-py3.13.egg"
        (egg / "EGG-INFO" / "scripts").mkdir(parents=True)
        (egg / "EGG-INFO" / "PKG-INFO").write_text(f"Name: {name}\nVersion: 1.0\n")
        (egg / "EGG-INFO" / "scripts" / f"{name}-run").touch()
        (egg / f"{name}.py").write_text("V = 'egg'\n")
        (venv / "bin" / f"{name}-run").write_text("#!/bin/sh\n")
    (site / "easy-install.pth").write_text("./one-1.0-py3.13.egg\n./two-1.0-py3.13.egg\n")
    session = deploying(venv)
    assert {name: one for name, one in versions(session.ask("probe")).items() if name != "pip"} == {
        "one": "1.0",
        "two": "1.0",
    }
    found = install(session, wheel(tmp_path, "one", "2.0", files={"one.py": "V = 'wheel'\n"}))
    assert versions(found)["one"] == "2.0"
    assert versions(found)["two"] == "1.0"
    assert run(venv, "import one, two; print(one.V, two.V)") == "wheel egg\n"
    assert not (venv / "bin" / "one-run").exists()
    assert (venv / "bin" / "two-run").exists()
    session.ask("revert", number=1, previous=0, remove=True)
    assert run(venv, "import one; print(one.V)") == "egg\n"


@ONE
def test_what_distutils_installed_is_refused_by_name(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Nothing lists its files: whoever removes it has to know them."""
    (site_packages(venv) / "legacy-1.0.egg-info").write_text("Name: legacy\nVersion: 1.0\n")
    session = deploying(venv)
    with pytest.raises(OperationFailed, match="legacy cannot be replaced: it was installed by distutils"):
        compose(session, wheel(tmp_path, "legacy", "2.0"))
    assert session.ask("probe")["generations"] == []


@ONE
def test_an_egg_info_with_a_list_of_its_files_is_replaced(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """As pip before 19 installed source distributions: `installed-files.txt` tells, or the top-level names do."""
    site = site_packages(venv)
    for name, listed in (("listed", True), ("named", False)):
        info = site / f"{name}-1.0-py3.13.egg-info"
        info.mkdir()
        (info / "PKG-INFO").write_text(f"Name: {name}\nVersion: 1.0\n")
        (site / name).mkdir()
        (site / name / "__init__.py").touch()
        (site / name / "old.py").touch()
        if listed:
            (info / "installed-files.txt").write_text(f"../{name}/__init__.py\n../{name}/old.py\nPKG-INFO\n")
        else:
            (info / "top_level.txt").write_text(f"{name}\n")
    session = deploying(venv)
    new = [wheel(tmp_path, name, "2.0", files={f"{name}/__init__.py": ""}) for name in ("listed", "named")]
    assert {"listed": "2.0", "named": "2.0"}.items() <= versions(install(session, *new)).items()
    assert not list(site_packages(venv).glob("*/old.py"))


@ONE
def test_links_that_lead_out_of_a_folder_lead_there_from_a_generation(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """A generation lies deeper than the folder that it is a copy of."""
    (venv / "tool.sh").write_text("#!/bin/sh\necho tool\n")
    (venv / "tool.sh").chmod(0o755)
    (venv / "bin" / "tool").symlink_to("../tool.sh")
    (venv / "bin" / "inner").symlink_to("tool")
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    assert subprocess.run([venv / "bin" / "inner"], capture_output=True, check=True).stdout == b"tool\n"
    session.ask("release")
    assert subprocess.run([venv / "bin" / "inner"], capture_output=True, check=True).stdout == b"tool\n"


@ONE
def test_only_what_nothing_needs_goes_in_the_end(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Generations beyond those to keep, what was set aside, and halves that a kill left."""
    session = deploying(venv)
    for number in range(4):
        install(session, wheel(tmp_path / str(number), "alpha", f"{number}.0"))
    assert (venv / ".envfab" / "displaced").is_dir()
    (venv / ".envfab" / "generations" / ".condemned-9").mkdir()
    session.ask("tidy", previous=3, retain=[2, 3], days=None)
    assert sorted(os.listdir(venv / ".envfab" / "generations")) == ["2", "3", "4"]
    assert not (venv / ".envfab" / "displaced").exists()


@ONE
def test_the_store_keeps_what_a_generation_uses(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """The rest goes once it was not used for the days that the setting says; `clean` takes it at once."""
    session = deploying(venv)
    used, unused = wheel(tmp_path, "used"), wheel(tmp_path, "unused", files={"u.py": "x" * 1000})
    install(session, used)
    store(session, unused)
    session.ask("fill", wheels=[fields(unused)], compile=False, umask=0o022)
    place = Path(os.environ["HOME"]) / ".cache" / "envfab" / "store"
    assert len(list(place.iterdir())) == 2
    session.ask("tidy", previous=None, retain=[0], days=30)
    assert len(list(place.iterdir())) == 2
    reply = session.ask("clean", all=False)
    assert reply["removed"] == 1
    assert reply["freed"] > 1000
    assert [path.name.partition("-")[0] for path in place.iterdir()] == [sha256(used)]
    session.ask("clean", all=True)
    assert list(place.iterdir()) == []
    assert run(venv, "import used; print(used.VERSION)") == "1.0\n"


@ONE
def test_processes_that_started_before_the_switch_are_named(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """By their number and name; one that started afterwards is not among them."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    program = "import sys; print('in'); sys.stdout.flush(); sys.stdin.readline()"
    arguments = [str(venv / "bin" / "python"), "-c", program]
    old = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert old.stdout is not None
    old.stdout.readline()
    subprocess.run(["sleep", "0.1"], check=True)
    install(session, wheel(tmp_path, "alpha", "2.0"))
    subprocess.run(["sleep", "0.1"], check=True)
    new = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert new.stdout is not None
    new.stdout.readline()
    try:
        said = session.ask("tidy", previous=1, retain=[1], days=None)["lingering"]
        assert [one["pid"] for one in said] == [old.pid]
    finally:
        for process in (old, new):
            process.communicate(b"\n")
    assert json.dumps(said)


@ONE
def test_files_that_two_packages_have_and_that_differ_are_named(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Whose is there is told; the same content in both is nothing to tell of, however it came there."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "one", files={"shared/__init__.py": "", "shared/a.py": "A = 1\n"}))
    store(session, two := wheel(tmp_path, "two", files={"shared/__init__.py": "", "shared/a.py": "A = 2\n"}))
    kind = {"compile": False, "umask": 0o022}
    session.ask("fill", wheels=[fields(two)], **kind)
    asked = {"remove": [], "link": True, "pinned": False, **kind}
    reply = session.ask("compose", number=2, base=1, wheels=[{**fields(two), "requested": False}], **asked)
    ((path, before, now),) = reply["conflicts"]
    assert (path.rpartition("/")[2], before, now) == ("a.py", "one", "two")
    session.ask("switch", number=2, base=1)
    assert run(venv, "import shared.a; print(shared.a.A)") == "2\n"


@ONE
def test_a_store_that_a_deployment_works_with_is_not_cleaned(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """What it has unpacked, and no generation has yet, stays until it has ended."""
    session, other = deploying(venv), deploying(venv)
    alpha = wheel(tmp_path, "alpha")
    number = compose(session, alpha)
    for everything in (False, True):
        with pytest.raises(OperationFailed, match="is in use by a deployment: try again when it has ended"):
            other.ask("clean", all=everything)
    session.ask("switch", number=number, base=0)
    session.ask("tidy", previous=0, retain=[0], days=30)
    assert other.ask("clean", all=True)["removed"] >= 1


@ONE
def test_a_wheel_that_left_the_cache_is_asked_for_again(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Another deployment of the owner, for another interpreter, found it there and unpacked it."""
    session = deploying(venv)
    alpha = wheel(tmp_path, "alpha")
    kind = {"compile": True, "umask": 0o027}
    assert session.ask("fill", wheels=[fields(alpha)], **kind) == {"lacking": [sha256(alpha)]}
    store(session, alpha)
    assert session.ask("missing", hashes=[sha256(alpha)], **kind)["lacking"] == []
    assert session.ask("fill", wheels=[fields(alpha)], **kind) == {"lacking": []}


@ONE
def test_what_is_no_generation_is_passed_over_or_refused(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Names that are no numbers are nobody's; a `current` that leads elsewhere is told of, and so is a link to others."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    generations = venv / ".envfab" / "generations"
    for name in ("²", "007", "x"):
        (generations / name).mkdir()
    (generations / "8").write_text("a file")
    (generations / "9").symlink_to(tmp_path)
    assert session.ask("probe")["generations"] == [0, 1, 8, 9]
    assert session.ask("tidy", previous=0, retain=[0], days=None)["left"] == []
    assert session.ask("probe")["generations"] == [0, 1]
    assert (tmp_path / "alpha-1.0-py2.py3-none-any.whl").is_file()
    current = venv / ".envfab" / "current"
    current.rename(current.with_name("aside"))
    current.symlink_to(generations / "1")
    with pytest.raises(OperationFailed, match="does not lead to a generation; correct it: ln -sfn generations/"):
        session.ask("probe")
    current.with_name("aside").rename(current)
    generations.rename(tmp_path / "generations")
    generations.symlink_to(tmp_path / "generations")
    with pytest.raises(OperationFailed, match="is a symbolic link; replace it by the folder that it leads to"):
        session.ask("probe")


@pytest.mark.parametrize("version", ["3.6", "3.13"], indirect=True)
def test_a_generation_whose_interpreter_is_gone_is_not_gone_back_to(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """As after an upgrade of the host's Python, when the current one was given another by hand or by --repair."""
    real = (venv / "bin" / "python").resolve()
    (tmp_path / "python").symlink_to(real)
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to(tmp_path / "python")
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    install(session, wheel(tmp_path, "alpha", "2.0"))
    assert session.ask("whole", numbers=[1])["whole"] == [1]
    (tmp_path / "python").unlink()
    assert session.ask("whole", numbers=[1])["whole"] == []


@OLDEST_AND_NEWEST
@pytest.mark.usefixtures("with_pip")
def test_scripts_that_were_made_in_bin_itself_get_the_virtualenvs_interpreter(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """`./python -m pip install` names that of the generation, which goes one day; all else in the script stays."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    byhand = wheel(
        tmp_path,
        "byhand",
        files={"byhand.py": "import sys\ndef main():\n    print(sys.prefix)\n"},
        entry_points={"byhand-run": "byhand:main"},
    )
    command = ["./python", "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-index", str(byhand)]
    subprocess.run(command, cwd=venv / "bin", check=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
    script = venv / "bin" / "byhand-run"
    before, mode = script.read_bytes(), script.stat().st_mode
    assert b"/.envfab/generations/1/bin/" in before
    install(session, wheel(tmp_path, "alpha", "2.0"))
    assert script.read_bytes() == before.replace(b"/.envfab/generations/1/", b"/")
    assert script.stat().st_mode == mode
    assert subprocess.check_output([script], text=True).strip() == str(venv)


@ONE
def test_a_file_is_as_one_of_its_owners_says(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Two that come together and differ: the later one wins, and neither is damaged; a file like nobody's is."""
    session = deploying(venv)
    one = wheel(tmp_path, "one", files={"shared.py": "A = 1\n", "one-1.0.data/data/etc/conf": "1\n"})
    two = wheel(tmp_path, "two", files={"shared.py": "A = 2\n", "two-1.0.data/data/etc/conf": "2\n"})
    install(session, one, two)
    assert (venv / "etc" / "conf").read_text() == "2\n"
    assert session.ask("verify", names=["one", "two"], number=1) == {"wrong": {}}
    replace(site_packages(venv) / "shared.py", "A = 3\n")
    wrong = session.ask("verify", names=["one", "two"], number=1)["wrong"]
    assert wrong == {"one": ["shared.py differs"], "two": ["shared.py differs"]}


@ONE
def test_data_files_that_are_called_as_something_of_a_generation_are_theirs(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """`lib64` leads to `lib`, as for pip; what is in `.envfab` is nobody's but envfab's."""
    if not (venv / "lib64").exists():
        (venv / "lib64").symlink_to("lib")
    session = deploying(venv)
    files = {"d-1.0.data/data/manifest.json": "{}", "d-1.0.data/data/lib64/d.txt": "d", "d.py": ""}
    install(session, wheel(tmp_path, "d", files=files))
    install(session, wheel(tmp_path, "other"))
    assert (venv / "manifest.json").read_text() == "{}"
    assert (venv / "lib" / "d.txt").read_text() == "d"
    assert session.ask("verify", names=["d"], number=None) == {"wrong": {}}
    assert session.ask("whole", numbers=[1])["whole"] == [1]
    hostile = wheel(tmp_path, "hostile", files={"hostile-1.0.data/data/.envfab/current": "x"})
    with pytest.raises(OperationFailed, match=r"hostile 1.0: has files in .envfab, which only envfab may use"):
        compose(session, hostile)
    assert session.ask("probe")["generations"] == [0, 1, 2]


@ONE
def test_a_file_that_a_package_took_the_place_of_stays_once_it_is_back(
    venv: Path, deploying: Starter, tmp_path: Path
) -> None:
    """A rollback brings back what people had put there; later deployments, and their rollbacks, leave it alone."""
    session = deploying(venv)
    (venv / "etc").mkdir()
    (venv / "etc" / "own.conf").write_text("by hand\n")
    number = compose(session, wheel(tmp_path, "data", files={"d.py": "", "data-1.0.data/data/etc/own.conf": "1\n"}))
    session.ask("switch", number=number, base=0)
    session.ask("revert", number=number, previous=0, remove=True)
    found = install(session, wheel(tmp_path, "other"))
    session.ask("tidy", previous=0, retain=[0], days=None)
    assert (venv / "etc" / "own.conf").read_text() == "by hand\n"
    assert session.ask("whole", numbers=[0])["whole"] == [0]
    session.ask("revert", number=found["generation"], previous=0, remove=True)
    assert (venv / "etc" / "own.conf").read_text() == "by hand\n"


@pytest.fixture
def layered(mounted: Path) -> Any:
    """Makes of a folder what it is in a container: one of a lower layer of an overlay."""
    layers: list[Path] = []

    def cover(folder: Path) -> None:
        for name in ("upper", "work"):
            (mounted / name).mkdir()
        options = ["-o", f"lowerdir=lower,upperdir={mounted}/upper,workdir={mounted}/work"]
        folder.rename(folder.with_name("lower"))
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "overlay", *options, "overlay", folder], cwd=folder.parent, check=False)
        if done.returncode:
            pytest.skip("overlays cannot be mounted here")
        layers.append(folder)

    yield cover
    for folder in layers:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def volume(tmp_path: Path) -> Any:
    """Mounts a folder with a file in it at a place: `volume(place)`; the folder."""
    folder = tmp_path / "volume"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "data.txt").write_text("precious")

    def mount(place: Path) -> Path:
        place.mkdir()
        if subprocess.run(["mount", "--bind", folder, place], capture_output=True, check=False).returncode:
            pytest.skip("mounting a file system needs root")
        return folder

    yield mount
    # a mount goes along with a folder above it that is renamed
    for line in Path("/proc/self/mounts").read_bytes().splitlines():
        name = line.split()[1].decode("unicode_escape").encode("latin-1").decode()
        if name.startswith(f"{tmp_path}/"):
            subprocess.run(["umount", "-l", name], check=True)


@ONE
@pytest.mark.parametrize("folder", ["bin", "packages"])
@pytest.mark.parametrize("operation", ["convert", "compose", "switch", "release"])
def test_a_mount_in_a_folder_that_would_be_replaced_is_refused(
    venv: Path, deploying: Starter, tmp_path: Path, volume: Any, operation: str, folder: str
) -> None:
    """What is mounted there stays there, with all that it has, and the message names it and what to do."""
    session = deploying(venv)
    if operation != "convert":
        install(session, wheel(tmp_path, "alpha"))
    place = (venv / "bin" if folder == "bin" else site_packages(venv)) / "uploads"
    mounted = volume(place)
    before = os.path.realpath(place)
    asked = {"switch": lambda: session.ask("switch", number=0, base=0), "release": lambda: session.ask("release")}
    ask = asked.get(operation, lambda: compose(session, wheel(tmp_path, "beta")))
    with pytest.raises(OperationFailed, match=f"{place} is a mount .* put a symbolic link there"):
        ask()
    assert os.path.realpath(place) == before
    assert (place / "below" / "data.txt").read_text() == "precious"
    assert (mounted / "below" / "data.txt").read_text() == "precious"


@ONE
def test_what_is_mounted_in_an_old_generation_is_never_removed(
    venv: Path, deploying: Starter, tmp_path: Path, volume: Any
) -> None:
    """The generation stays, out of the way, and is named each time until there is no mount in it any more."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "alpha"))
    old = Path(os.path.realpath(site_packages(venv)))
    install(session, wheel(tmp_path, "alpha", "2.0"))
    mounted = volume(old / "uploads")
    for _ in range(2):
        (left,) = session.ask("tidy", previous=1, retain=[], days=None)["left"]
        assert session.ask("probe")["generations"] == [2]
        assert (mounted / "below" / "data.txt").read_text() == "precious"
    (there,) = Path(left).rglob("uploads")
    subprocess.run(["umount", "-l", there], check=True)
    assert session.ask("tidy", previous=1, retain=[], days=None)["left"] == []
    assert (mounted / "below" / "data.txt").read_text() == "precious"


@pytest.fixture
def srv(tmp_path: Path) -> Path:
    """A folder whose path is no trouble to a command line."""
    (tmp_path / "srv").mkdir()
    return tmp_path / "srv"


@ONE
def test_a_virtualenv_of_a_lower_layer_is_refused_with_what_mends_it(
    make_virtualenv: VirtualenvMaker, deploying: Starter, srv: Path, layered: Any, version: str
) -> None:
    """Its folders cannot be exchanged for links; nothing was changed, and after that command they can."""
    make_virtualenv(version, venv := srv / "v")
    layered(srv)
    before = content(venv)
    session = deploying(venv)
    with pytest.raises(
        OperationFailed, match=f"{venv}/bin is part of a lower layer .* copy the virtualenv: "
    ) as caught:
        compose(session, wheel(srv, "alpha"))
    assert {path for path in content(venv) if not path.startswith(".envfab")} == before.keys()
    assert not (venv / "bin").is_symlink()
    assert session.ask("probe")["generations"] == []
    subprocess.run(["sh", "-c", caught.value.what.partition("copy the virtualenv: ")[2]], check=True)
    assert versions(install(deploying(venv), wheel(srv, "alpha")))["alpha"] == "1.0"


@ONE
def test_generations_of_a_lower_layer_are_removed(
    make_virtualenv: VirtualenvMaker, deploying: Starter, srv: Path, layered: Any, version: str
) -> None:
    """An image has a virtualenv with generations: in its containers, deployments go on, and it can be released."""
    make_virtualenv(version, venv := srv / "v")
    session = deploying(venv)
    for number in range(2):
        install(session, wheel(srv / str(number), "alpha", f"{number}.0"))
    layered(srv)
    session = deploying(venv)
    install(session, wheel(srv, "alpha", "2.0"))
    assert session.ask("tidy", previous=2, retain=[2], days=None)["left"] == []
    assert session.ask("probe")["generations"] == [2, 3]
    assert session.ask("release") == {"was": "generations"}
    assert versions(session.ask("probe")) == {"alpha": "2.0"}
    assert sorted(path.name for path in (venv / ".envfab").iterdir()) == []


@OLDEST_AND_NEWEST
def test_data_files_beside_the_folder_of_packages_come_and_go(
    venv: Path, deploying: Starter, tmp_path: Path, version: str
) -> None:
    """Directly in `lib/pythonX.Y/`, and in a folder of it, as all data files: published, replaced, taken back, removed."""
    library = f"lib/python{version}"
    (venv / library / "own.cfg").write_text("by hand\n")
    session = deploying(venv)

    def made(number: str) -> Path:
        data = f"d-{number}.0.data/data/{library}"
        files = {"d.py": "", f"{data}/own.cfg": number, f"{data}/d{number}.txt": number, f"{data}/more/x": number}
        return wheel(tmp_path, "d", f"{number}.0", files=files)

    def there() -> dict[str, str]:
        names = ("own.cfg", "d1.txt", "d2.txt", "more/x")
        return {name: (venv / library / name).read_text() for name in names if (venv / library / name).exists()}

    number = install(session, made("1"))["generation"]
    assert there() == {"own.cfg": "1", "d1.txt": "1", "more/x": "1"}
    assert session.ask("verify", names=["d"], number=None) == {"wrong": {}}
    install(session, made("2"))
    session.ask("tidy", previous=number, retain=[0, number], days=None)
    assert there() == {"own.cfg": "2", "d2.txt": "2", "more/x": "2"}
    assert session.ask("whole", numbers=[0, number])["whole"] == [0, number]
    session.ask("revert", number=number + 1, previous=number, remove=True)
    assert there() == {"own.cfg": "1", "d1.txt": "1", "more/x": "1"}
    install(session, remove=["d"])
    session.ask("tidy", previous=number, retain=[0, number], days=None)
    assert there() == {}
    session.ask("switch", number=0, base=0)
    assert there() == {"own.cfg": "by hand\n"}


@ONE
def test_in_the_end_no_data_file_of_any_other_generation_stays(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """A rollback was cut off after its switch: what it brought back goes, too, though it is not what was there before."""
    session = deploying(venv)
    for number in "12":
        files = {"d.py": "", f"d-{number}.0.data/data/share/{number}": ""}
        install(session, wheel(tmp_path, "d", f"{number}.0", files=files))
    session.ask("switch", number=1, base=0)
    install(session, wheel(tmp_path, "d", "3.0", files={"d.py": ""}))
    session.ask("tidy", previous=2, retain=[1, 2], days=None)
    assert not (venv / "share").exists()


@ONE
def test_what_stays_gets_its_own_files_back_from_what_goes(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Of two that have the same path and differ the later one won: modules, scripts, data files, and what was compiled."""
    session = deploying(venv)

    def made(name: str, version: str = "1.0", *, more: bool = True) -> Path:
        data = f"{name}-{version}.data"
        files = {f"{name}.py": f"def main():\n    print({name!r})\n", f"{data}/purelib/own_{name}.py": ""}
        if more:
            files |= {
                "both.py": f"V = {name!r}\n",
                f"{data}/data/etc/c": name,
                f"{data}/scripts/s": f"#!python\n#{name}",
            }
        scripts = {"run": f"{name}:main"} if more else {}
        return wheel(tmp_path, name, version, files=files, entry_points=scripts)

    def has() -> list[str]:
        both = run(venv, "import both; print(both.V)").strip()
        script = subprocess.run([venv / "bin" / "run"], capture_output=True, text=True, check=True).stdout.strip()
        return [both, (venv / "etc" / "c").read_text(), (venv / "bin" / "s").read_text().rpartition("#")[2], script]

    before = install(session, made("one"), made("two"), compile=True)["generation"]
    assert has() == ["two"] * 4
    install(session, remove=["two"], compile=True)
    assert has() == ["one"] * 4
    assert session.ask("verify", names=["one"], number=None) == {"wrong": {}}
    session.ask("revert", number=before + 1, previous=before, remove=True)
    assert has() == ["two"] * 4
    # it is there still, and has them no more
    install(session, made("two", "2.0", more=False), compile=True)
    assert has() == ["one"] * 4


@ONE
def test_a_file_that_cannot_come_back_is_named(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """The store has the wheel no more; what people have changed is neither brought back nor named."""
    session = deploying(venv)
    for name in ("one", "two"):
        install(session, wheel(tmp_path, name, files={"a.py": f"{name} = 1\n", "b.py": f"{name} = 1\n"}))
    replace(site_packages(venv) / "b.py", "by hand\n")
    kind = {"compile": False, "umask": 0o022, "link": True, "pinned": False}
    shutil.rmtree(Path(os.environ["HOME"]) / ".cache" / "envfab" / "store")
    reply = session.ask("compose", number=3, base=2, wheels=[], remove=["two"], **kind)
    assert reply["lost"] == [[str((site_packages(venv) / "a.py").relative_to(venv)), "one", "two"]]


@ONE
def test_what_a_kill_leaves_half_written_is_no_data_file(venv: Path, deploying: Starter, tmp_path: Path) -> None:
    """Drafts in a generation come neither into the next one nor into the virtualenv, and it is as it was left."""
    session = deploying(venv)
    install(session, wheel(tmp_path, "d", files={"d.py": "", "d-1.0.data/data/etc/d.conf": ""}))
    generation = venv / ".envfab" / "generations" / "1"
    drafts = (".envfab-manifest.json.new", "etc/.envfab.new")
    for draft in drafts:
        (generation / draft).write_text("half")
    install(session, wheel(tmp_path, "other"))
    for root in (venv, generation.with_name("2")):
        assert [draft for draft in drafts if (root / draft).exists()] == []
    assert session.ask("whole", numbers=[1])["whole"] == [1]


@OLDEST_AND_NEWEST
@pytest.mark.parametrize("kind", ["first", "next"])
def test_files_that_are_replaced_while_a_generation_is_made_are_in_it(
    venv: Path, deploying: Starter, tmp_path: Path, kind: str
) -> None:
    """What programs write anew and rename, data say; not in the place of what the deployment itself brings or writes."""
    session = deploying(venv)
    names = ["state.json", "built.json", "gone.json"]
    if kind == "next":
        files = {"a.py": "A = 1\n"}
        install(session, wheel(tmp_path, "a", files=files), wheel(tmp_path, "b", files={"b.py": "B = 1\n"}))
        names += ["a.py", "b.py"]
    for name in names[:3]:
        (site_packages(venv) / name).write_text("1")
    number = compose(session, wheel(tmp_path, "a", "2.0", files={"a.py": "A = 2\n"}))
    site = venv / ".envfab" / "generations" / str(number) / site_packages(venv).relative_to(venv)
    (site / "gone.json").unlink()
    (site / "built.json").unlink()
    (site / "built.json").write_text("by the deployment")
    for name in names:
        draft = site_packages(venv) / "draft"
        draft.write_text("X = 7")
        draft.rename(site_packages(venv) / name)
    session.ask("switch", number=number, base=number - 1)
    expected = {"state.json": "X = 7", "built.json": "by the deployment", "a.py": "A = 2\n", "b.py": "X = 7"}
    found = {name: (site_packages(venv) / name).read_text() for name in names if (site / name).exists()}
    assert found == {name: expected[name] for name in names if name in expected}
