"""`fab audit`, by the real program."""

from __future__ import annotations

import json
import shutil
from typing import Any

from tests.support.workplace import Workplace


def test_audit_tells_known_vulnerabilities_offline(installed: Workplace) -> None:
    """Findings with the export's age, exit 2; nothing known, exit 0; no export, exit 1."""
    affected: dict[str, Any] = {
        "package": {"ecosystem": "PyPI", "name": "shop"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0.1"}]}],
    }
    record = {"id": "GHSA-1", "aliases": ["CVE-1"], "modified": "2026-11-01T00:00:00Z", "summary": "Loses data"}
    installed.file("osv/GHSA-1.json", json.dumps({**record, "affected": [affected]}))
    done = installed.fab("audit", "--osv", "osv")
    assert done.returncode == 2, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].endswith("1 known to be vulnerable")
    assert lines[1].startswith("    Shop 1.0   CVE-1 (GHSA-1) · fixed in 1.0.1 · as of 2026-11-01, ")
    assert lines[2] == "        Loses data"
    (told,) = installed.json("audit", "--osv", "osv", status=2)["virtualenvs"]
    (one,) = told["vulnerabilities"]
    assert (one["name"], one["id"], one["aliases"], one["fixed"]) == ("Shop", "CVE-1", ["GHSA-1"], ["1.0.1"])
    assert one["as_of"] == "2026-11-01T00:00:00+00:00"
    affected["package"]["name"] = "other"
    installed.file("osv/GHSA-1.json", json.dumps({**record, "affected": [affected]}))
    assert installed.fab("audit", "--osv", "osv").returncode == 0
    site = next((installed.folder / "venv").glob("lib/python*/site-packages"))
    odd = installed.file(
        str(site / "Odd-2004d.dist-info" / "METADATA"), "Metadata-Version: 2.1\nName: Odd\nVersion: 2004d-x\n"
    )
    (odd.parent / "RECORD").write_text("")
    done = installed.fab("audit", "--osv", "osv")
    assert done.stdout.splitlines()[0].endswith("nothing known, 1 not checked")
    assert done.stdout.splitlines()[1] == "    Odd 2004d-x   not checked: its version does not follow PEP 440"
    (told,) = installed.json("audit", "--osv", "osv")["virtualenvs"]
    assert told["not_checked"] == [{"name": "Odd", "version": "2004d-x", "why": "its version does not follow PEP 440"}]
    shutil.rmtree(odd.parent)
    assert "audit needs a file of known vulnerabilities" in installed.fab("audit").stderr
    assert "none.zip: cannot be read" in installed.fab("audit", "--osv", "none.zip").stderr
