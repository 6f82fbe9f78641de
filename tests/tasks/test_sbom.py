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
