"""Installing with each interpreter's own pip, old or new, or with a pip out of the wheelhouse."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envfab.remote.agent_session import OperationFailed
from tests.agent.conftest import Starter, fields, freeze, install, site_packages, store, versions
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel, sha256

OLDEST_AND_NEWEST = pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"], indirect=True)
ANY = ("py2-none-any", "py3-none-any")


def wheel(folder: Path, name: str, version: str = "1.0", **options: object) -> Path:
    """A wheel for every interpreter."""
    return make_wheel(folder, name, version, **({"tags": ANY} | options))  # type: ignore[arg-type]


def test_wheels_are_installed_upgraded_and_removed(
    workbench: Path, deploying: Starter, tmp_path: Path, version: str
) -> None:
    """By the version's own pip, in one call; `pip freeze` shows plain versions, and nothing is left of the work."""
    session = deploying(workbench)
    others = freeze(workbench)
    # the last pip for 2.7 finds no such name in a zip file
    snow = "snow" if version == "2.7" else "snow ☃ ü"
    files = {f"{snow}/__init__.py": "", f"{snow}/data.txt": "x", "alpha.py": "A = 1\n"}
    entries = {"alpha-run": "alpha:main"}
    first = [wheel(tmp_path, "alpha", files=files, entry_points=entries), wheel(tmp_path, "beta")]
    before = set(os.listdir(workbench)) | {".envfab"}
    assert versions(install(session, *first)["probe"]) == versions(session.ask("probe"))
    assert freeze(workbench) == sorted([*others, "alpha==1.0", "beta==1.0"])
    assert session.ask("verify", names=["alpha", "beta"]) == {"wrong": {}}
    assert (site_packages(workbench) / snow / "data.txt").is_file()
    reply = install(session, wheel(tmp_path, "alpha", "2.0"), remove=["beta"])
    assert "beta" not in versions(reply["probe"])
    assert freeze(workbench) == sorted([*others, "alpha==2.0"])
    assert not (site_packages(workbench) / snow).exists()
    assert set(os.listdir(workbench)) == before
    assert os.listdir(workbench / ".envfab") == []
    assert not list(workbench.parent.rglob("x"))
    install(session, remove=["alpha"])


@OLDEST_AND_NEWEST
def test_what_an_installer_must_change_is_not_taken_for_damage(
    workbench: Path, deploying: Starter, tmp_path: Path
) -> None:
    """A script's first line, and bytecode that a wheel brings and pip compiles anew; a changed script is damage."""
    session = deploying(workbench)
    files = {
        "delta/__init__.py": "D = 1\n",
        "delta/__pycache__/__init__.cpython-36.pyc": "of another machine",
        "delta/__pycache__/__init__.cpython-313.pyc": "of another machine",
        "delta-1.0.data/scripts/delta-run.py": "#!python\nprint(1)\n",
        "delta-1.0.data/scripts/delta.sh": "#!/bin/sh\necho 1\n",
    }
    install(session, wheel(tmp_path, "delta", files=files), compile=True)
    assert session.ask("verify", names=["delta"]) == {"wrong": {}}
    script = workbench / "bin" / "delta-run.py"
    script.write_text(script.read_text().replace("print(1)", "print(2)"))
    assert session.ask("verify", names=["delta"])["wrong"] == {"delta": ["../../../bin/delta-run.py differs"]}
    install(session, remove=["delta"])


@OLDEST_AND_NEWEST
def test_what_is_damaged_is_seen_and_mended_by_a_reinstall(workbench: Path, deploying: Starter, tmp_path: Path) -> None:
    """The same version again, files put right."""
    session = deploying(workbench)
    gamma = wheel(tmp_path, "gamma", files={"gamma.py": "G = 1\n", "gamma_b.py": "x = 1\n", "other.py": ""})
    install(session, gamma)
    site = site_packages(workbench)
    (site / "gamma.py").write_text("G = 2\n")
    (site / "gamma_b.py").unlink()
    assert session.ask("verify", names=["gamma"])["wrong"] == {
        "gamma": ["gamma.py differs", "gamma_b.py: No such file or directory"]
    }
    install(session, gamma)
    assert session.ask("verify", names=["gamma"])["wrong"] == {}


@OLDEST_AND_NEWEST
@pytest.mark.parametrize(("umask", "compile"), [(0o022, True), (0o077, False)])
def test_files_get_the_wanted_mode_and_bytecode_where_it_is_wanted(
    workbench: Path, deploying: Starter, tmp_path: Path, umask: int, compile: bool
) -> None:
    """The setting decides who can read what is installed, and not the umask that the agent inherits."""
    inherited = os.umask(0o077)
    try:
        session = deploying(workbench)
    finally:
        os.umask(inherited)
    install(session, wheel(tmp_path, "delta", files={"delta/__init__.py": ""}), umask=umask, compile=compile)
    folder = site_packages(workbench) / "delta"
    modes = [path.stat().st_mode & 0o077 for path in (folder, folder / "__init__.py")]
    assert modes == ([0o055, 0o044] if umask == 0o022 else [0, 0])
    assert bool(list(folder.rglob("__init__*.pyc"))) is compile


@OLDEST_AND_NEWEST
def test_nobody_s_settings_reach_pip(
    workbench: Path, deploying: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile pip.conf, PIP_* variables, PYTHON* variables and the C locale are passed over."""
    home = Path(os.environ["HOME"])
    settings = "[global]\nno-binary = :all:\ntarget = /nonexistent\nindex-url = http://127.0.0.1:9/\nrequire-virtualenv = yes\n"
    for file in (home / ".config" / "pip" / "pip.conf", home / ".pip" / "pip.conf", workbench / "pip.conf"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(settings)
    for name, value in {
        "PIP_NO_BINARY": ":all:",
        "PIP_TARGET": "/nonexistent",
        "PYTHONPATH": str(home),
        "PYTHONUSERBASE": str(home),
        "LC_ALL": "C",
    }.items():
        monkeypatch.setenv(name, value)
    session = deploying(workbench)
    install(session, wheel(tmp_path, "zeta", files={"zeta.py": ""}))
    (workbench / "pip.conf").unlink()
    assert "zeta==1.0" in freeze(workbench)


@OLDEST_AND_NEWEST
def test_a_failure_of_pip_says_what_pip_said(workbench: Path, deploying: Starter, tmp_path: Path) -> None:
    """One line for the user, all of the output for whoever wants it, and nothing staged is left."""
    session = deploying(workbench)
    broken = tmp_path / "eta-1.0-py2.py3-none-any.whl"
    broken.write_bytes(b"no zip file")
    with pytest.raises(OperationFailed) as caught:
        install(session, broken)
    assert caught.value.what.startswith("pip ended with status ")
    assert "\n" not in caught.value.what
    assert "eta" in caught.value.output
    assert not (workbench / ".envfab" / "stage").exists()
    assert session.ask("probe")["leftovers"] == []


def test_a_wheel_damaged_in_the_cache_is_not_installed(workbench: Path, deploying: Starter, tmp_path: Path) -> None:
    """It is hashed again before pip sees it, and thrown away."""
    session = deploying(workbench)
    theta = wheel(tmp_path, "theta")
    store(session, theta)
    cached = Path(os.environ["HOME"]) / ".cache" / "envfab" / "wheels" / sha256(theta)
    cached.write_bytes(cached.read_bytes() + b"!")
    with pytest.raises(OperationFailed, match=r"theta-1\.0-py2\.py3-none-any\.whl is damaged in the cache"):
        session.ask("install", wheels=[fields(theta)], remove=[], pip_wheel=None, compile=False, umask=0o022)
    assert not cached.exists()
    assert "theta" not in versions(session.ask("probe"))


@pytest.fixture(scope="session")
def pip_wheel(make_virtualenv: VirtualenvMaker, tmp_path_factory: pytest.TempPathFactory, version: str) -> Path:
    """A wheel of the version's own pip, packed again out of a virtualenv."""
    from tests.support.wheels import write_zip

    site = site_packages(make_virtualenv(version, tmp_path_factory.mktemp("packed") / "venv"))
    info = next(site.glob("pip-*.dist-info"))
    number = info.name.removeprefix("pip-").removesuffix(".dist-info")
    members = {
        str(path.relative_to(site)): path.read_bytes()
        for folder in (site / "pip", info)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and path.name not in ("INSTALLER", "REQUESTED", "direct_url.json")
    }
    record = f"{info.name}/RECORD"
    members[record] = b"".join(
        f"{name},,\n".encode() if name == record else _row(name, content) for name, content in members.items()
    )
    path = tmp_path_factory.mktemp("wheelhouse") / f"pip-{number}-py2.py3-none-any.whl"
    write_zip(path, members)
    return path


def _row(name: str, content: bytes) -> bytes:
    from tests.support.wheels import record_digest

    return f"{name},sha256={record_digest(content)},{len(content)}\n".encode()


@pytest.mark.parametrize("version", ["2.7", "3.13"], indirect=True)
def test_pip_is_run_from_a_wheel_where_it_is_missing_and_can_install_itself(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, pip_wheel: Path
) -> None:
    """Environments without pip are deployed to as well, and a plan may bring pip."""
    bare = make_virtualenv(version, tmp_path / "bare venv", pip=False)
    session = deploying(bare)
    assert session.ask("probe")["pip"] is None
    with pytest.raises(OperationFailed, match=r"pip ended with status 1: .*No module named pip"):
        install(session, wheel(tmp_path, "iota"))
    store(session, pip_wheel)
    reply = install(session, wheel(tmp_path, "iota"), pip_wheel=fields(pip_wheel))
    assert versions(reply["probe"]) == {"iota": "1.0"}
    reply = install(session, pip_wheel, pip_wheel=fields(pip_wheel))
    assert reply["probe"]["pip"] == fields(pip_wheel)["version"]
    assert session.ask("verify", names=["pip", "iota"])["wrong"] == {}
    assert freeze(bare) == ["iota==1.0"]
