"""`fab sbom`, by the real program."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.fab import run_fab
from tests.support.wheels import release_line, sha256
from tests.tasks.registration import fabfile, install, localhost


def test_bills_of_materials(tmp_path: Path, shop: Path) -> None:
    """One line a virtualenv on standard output, or one file each; digests come from the release log."""
    wheel = install(shop, "Shop", "2.1", "typing-extensions")
    fabfile(tmp_path / "work", localhost(shop, tmp_path / "gone"))
    (tmp_path / "work" / "release_log").write_text(release_line(wheel, "Shop", "2.1") + "\n")
    done = run_fab(tmp_path / "work", "sbom")
    assert done.returncode == 1
    assert "bin/python does not exist" in done.stderr
    (line,) = done.stdout.splitlines()
    document = json.loads(line)
    (found,) = [one for one in document["components"] if one["name"] == "Shop"]
    assert found["hashes"] == [{"alg": "SHA-256", "content": sha256(wheel)}]
    done = run_fab(tmp_path / "work", f"sbom::{shop},output=bills")
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "work" / "bills").iterdir()
    assert done.stdout == f"bills/{file.name}\n"
    assert json.loads(file.read_text())["components"] == document["components"]


def test_bills_are_written_as_spdx_where_that_is_asked_for(tmp_path: Path, shop: Path) -> None:
    """With what the virtualenv's distributions contain; a bill in a wheel that cannot be read is a warning."""
    install(shop, "Shop", "2.1")
    (info,) = shop.glob("lib/python*/site-packages/Shop-2.1.dist-info")
    (info / "sboms").mkdir()
    (info / "sboms" / "odd.json").write_text("{}")
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: Shop\nVersion: 2.1\nLicense-Expression: MIT\n")
    (info / "RECORD").write_text(f"{info.name}/sboms/odd.json,,\n")
    fabfile(tmp_path / "work", localhost(shop))
    done = run_fab(tmp_path / "work", "sbom", "--format", "spdx", "--output", "bills")
    assert done.returncode == 0, done.stderr
    assert "Shop-2.1.dist-info/sboms/odd.json: not read, since it is neither CycloneDX nor SPDX 2" in done.stderr
    (file,) = (tmp_path / "work" / "bills").iterdir()
    assert file.name.endswith("+shop.spdx.json")
    document = json.loads(file.read_text())
    assert document["spdxVersion"] == "SPDX-2.3"
    licences = {one["name"]: one["licenseDeclared"] for one in document["packages"]}
    assert (licences["Shop"], licences["CPython"]) == ("MIT", "NOASSERTION")


def test_another_format_is_refused(tmp_path: Path) -> None:
    """Before anything is looked at."""
    fabfile(tmp_path / "work")
    done = run_fab(tmp_path / "work", "sbom:format=swid")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "envfab: --format: must be cyclonedx or spdx, not 'swid'\n"
