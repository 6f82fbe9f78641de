"""What an installation that was cut off had unpacked is taken away, and nothing else."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from envfab.remote import agent_sources
from tests.agent.conftest import Starter, install, site_packages, store
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel, second_name, sha256

pytestmark = pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"], indirect=True)
ANY = ("py2-none-any", "py3-none-any")


@pytest.fixture(scope="module")
def workbench(make_virtualenv: VirtualenvMaker, tmp_path_factory: pytest.TempPathFactory, version: str) -> Path:
    """A virtualenv of its own: what other tests leave in a shared one may belong to anybody."""
    return make_virtualenv(version, tmp_path_factory.mktemp("swept") / "venv")


def test_only_what_is_of_the_wheel_and_of_no_distribution_goes(
    workbench: Path, deploying: Starter, tmp_path: Path
) -> None:
    """Whole files and beginnings of them, their bytecode and empty folders; not what another one owns, nor other content."""
    session = deploying(workbench)
    files = {
        "sweepable/__init__.py": "",
        "sweepable/deep/new.py": "NEW = 1\n" * 1000,
        "sweepable/deep/cut.txt": "one two three",
        "sweepable/own.txt": "what the wheel has",
        "sweepable-1.0.data/purelib/sweepable_beside.py": "x = 1\n",
        "sweepable-1.0.data/scripts/sweepable-run": "#!python\n",
        "sweeper.py": "E = 1\n",
    }
    sweepable = make_wheel(tmp_path, "sweepable", "1.0", tags=ANY, files=files)
    sweeper = make_wheel(tmp_path, "sweeper", "1.0", tags=ANY, files={"sweeper.py": "E = 1\n"})
    install(session, sweeper)
    store(session, sweepable)
    site = site_packages(workbench)
    (site / "sweepable" / "deep" / "__pycache__").mkdir(parents=True)
    (site / "sweepable" / "deep" / "new.py").write_text(files["sweepable/deep/new.py"])
    (site / "sweepable" / "deep" / "__pycache__" / "new.cpython-39.pyc").write_text("")
    (site / "sweepable" / "deep" / "cut.txt").write_text("one tw")
    (site / "sweepable" / "own.txt").write_text("what somebody wrote")
    (site / "sweepable_beside.py").write_text("")
    session.load(agent_sources.SWEEP)
    removed = session.ask("sweep", wheels=[sha256(sweepable), "0" * 64], names=[])["removed"]
    assert sorted(Path(file).name for file in removed) == ["cut.txt", "new.py", "sweepable_beside.py"]
    assert sorted(path.relative_to(site).as_posix() for path in site.rglob("*sweepable*")) == ["sweepable"]
    assert [path.name for path in (site / "sweepable").iterdir()] == ["own.txt"]
    assert (site / "sweeper.py").exists()
    (site / "sweepable" / "own.txt").unlink()
    (site / "sweepable").rmdir()
    install(session, remove=["sweeper"])


def test_what_may_be_of_a_distribution_without_record_stays(
    workbench: Path, deploying: Starter, tmp_path: Path
) -> None:
    """Of what setuptools installed only its own list tells; without one nobody knows, and nothing goes."""
    session = deploying(workbench)
    files = {"sweptspace/__init__.py": "N = 1\n", "swept_new.py": "x = 1\n"}
    swept = make_wheel(tmp_path, "swept", "1.0", tags=ANY, files=files)
    store(session, swept)
    session.load(agent_sources.SWEEP)
    site = site_packages(workbench)
    (site / "sweptspace").mkdir()
    for name, content in files.items():
        (site / name).write_text(content)
    old = site / "sweptspace.old-1.0.egg-info"
    old.mkdir()
    assert session.ask("sweep", wheels=[sha256(swept)], names=["swept"]) == {"removed": []}
    (old / "installed-files.txt").write_text("../sweptspace/__init__.py\nPKG-INFO\n")
    assert [Path(file).name for file in session.ask("sweep", wheels=[sha256(swept)], names=["swept"])["removed"]] == [
        "swept_new.py"
    ]
    assert (site / "sweptspace" / "__init__.py").exists()
    shutil.rmtree(old)
    shutil.rmtree(site / "sweptspace")


def test_nothing_outside_the_folders_of_packages_goes(workbench: Path, deploying: Starter, tmp_path: Path) -> None:
    """Not by a member's second name, which Python 3.12 and later unpack to, nor by `..`, nor along a link."""
    session = deploying(workbench)
    site = site_packages(workbench)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.py").write_text("KEPT = 1\n")
    up = "../" * (len(site.parts) - 1)
    hostile = tmp_path / "hostile-1.0-py2.py3-none-any.whl"
    with zipfile.ZipFile(hostile, "w") as archive:
        names = (f"{outside}/kept.py", f"{up.rstrip('/')}{outside}/kept.py", "linked/kept.py")
        for number, name in enumerate(names):
            archive.writestr(second_name(zipfile.ZipInfo(f"plain_{number}.py"), name), "KEPT = 1\n")
            archive.writestr(zipfile.ZipInfo(name), "KEPT = 1\n")
    store(session, hostile)
    (site / "linked").symlink_to(outside)
    session.load(agent_sources.SWEEP)
    assert session.ask("sweep", wheels=[sha256(hostile)], names=[]) == {"removed": []}
    assert (outside / "kept.py").exists()
    (site / "linked").unlink()


def test_a_wheel_that_is_damaged_or_gone_says_nothing(workbench: Path, deploying: Starter, tmp_path: Path) -> None:
    """Going back does not end there."""
    session = deploying(workbench)
    swept = make_wheel(tmp_path, "swept", "1.0", tags=ANY)
    store(session, swept)
    (cached,) = (Path(os.environ["HOME"]) / ".cache/envfab/wheels").glob(sha256(swept))
    cached.write_bytes(b"PK no more")
    session.load(agent_sources.SWEEP)
    assert session.ask("sweep", wheels=[sha256(swept), "0" * 64], names=[]) == {"removed": []}


def test_what_is_installed_stays(workbench: Path, deploying: Starter, tmp_path: Path) -> None:
    """All of it is in RECORD, whatever else may have been wrong."""
    session = deploying(workbench)
    swept = make_wheel(tmp_path, "swept", "1.0", tags=ANY)
    install(session, swept)
    session.load(agent_sources.SWEEP)
    assert session.ask("sweep", wheels=[sha256(swept)], names=["swept"]) == {"removed": []}
    assert session.ask("verify", names=["swept"]) == {"wrong": {}}
    install(session, remove=["swept"])
