"""What an installation that was cut off had unpacked is taken away, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from envfab.managed import bundle
from tests.managed.agent.conftest import Starter, install, site_packages, store
from tests.support.wheels import make_wheel, sha256

pytestmark = pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"], indirect=True)
ANY = ("py2-none-any", "py3-none-any")


def test_only_what_is_of_the_wheel_and_of_no_distribution_goes(
    workbench: Path, deploying: Starter, tmp_path: Path
) -> None:
    """Whole files and beginnings of them, their bytecode and empty folders; not what another one owns, nor other content."""
    session = deploying(workbench)
    files = {
        "delta/__init__.py": "",
        "delta/deep/new.py": "NEW = 1\n" * 1000,
        "delta/deep/cut.txt": "one two three",
        "delta/own.txt": "what the wheel has",
        "delta-1.0.data/purelib/delta_beside.py": "x = 1\n",
        "delta-1.0.data/scripts/delta-run": "#!python\n",
        "epsilon.py": "E = 1\n",
    }
    delta = make_wheel(tmp_path, "delta", "1.0", tags=ANY, files=files)
    epsilon = make_wheel(tmp_path, "epsilon", "1.0", tags=ANY, files={"epsilon.py": "E = 1\n"})
    install(session, epsilon)
    store(session, delta)
    site = site_packages(workbench)
    (site / "delta" / "deep" / "__pycache__").mkdir(parents=True)
    (site / "delta" / "deep" / "new.py").write_text(files["delta/deep/new.py"])
    (site / "delta" / "deep" / "__pycache__" / "new.cpython-39.pyc").write_text("")
    (site / "delta" / "deep" / "cut.txt").write_text("one tw")
    (site / "delta" / "own.txt").write_text("what somebody wrote")
    (site / "delta_beside.py").write_text("")
    session.load(bundle.SWEEP)
    removed = session.ask("sweep", wheels=[sha256(delta), "0" * 64])["removed"]
    assert sorted(Path(file).name for file in removed) == ["cut.txt", "delta_beside.py", "new.py"]
    assert sorted(path.relative_to(site).as_posix() for path in site.rglob("*delta*")) == ["delta"]
    assert [path.name for path in (site / "delta").iterdir()] == ["own.txt"]
    assert (site / "epsilon.py").exists()
    (site / "delta" / "own.txt").unlink()
    (site / "delta").rmdir()
    install(session, remove=["epsilon"])


def test_what_is_installed_stays(workbench: Path, deploying: Starter, tmp_path: Path) -> None:
    """All of it is in RECORD, whatever else may have been wrong."""
    session = deploying(workbench)
    zeta = make_wheel(tmp_path, "zeta", "1.0", tags=ANY)
    install(session, zeta)
    session.load(bundle.SWEEP)
    assert session.ask("sweep", wheels=[sha256(zeta)]) == {"removed": []}
    assert session.ask("verify", names=["zeta"]) == {"wrong": {}}
    install(session, remove=["zeta"])
