"""`fab audit`, by the real program."""

from __future__ import annotations

import json
import shlex
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from envfab.audit.end_of_life import ENDS
from tests.support.serving import serving
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace

LATER = (date.today() + timedelta(days=90)).isoformat()
HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"


@pytest.fixture(scope="module")
def fleet(make_virtualenv: VirtualenvMaker, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A virtualenv with shop 1.0 in it, deployed from the wheelhouse."""
    workplace = Workplace(tmp_path_factory.mktemp("audit") / "work")
    venv = make_virtualenv("3.11", workplace.folder / "venv")
    workplace.file("shop.txt", "shop<2\n")
    workplace.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(venv)!r}, requirements='shop.txt')])")
    workplace.add_made("Shop", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stderr
    return workplace


@pytest.fixture
def audited(fleet: Workplace) -> Workplace:
    """The same, with an export that knows a vulnerability of shop; its interpreter is no finding."""
    fleet.file("shop.txt", "shop<2\n")
    fleet.file("accepted_findings", "# none\n")
    if ENDS["3.11"] < date.today():
        fleet.file("accepted_findings", f"python-3.11-eol until {LATER} because this test is old\n")
    write_export(fleet, shop_record())
    return fleet


def shop_record(**fields: Any) -> dict[str, Any]:
    """A record on shop before 1.0.1."""
    affected: dict[str, Any] = {
        "package": {"ecosystem": "PyPI", "name": fields.pop("name", "shop")},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fields.pop("fixed", "1.0.1")}]}],
    }
    made = {"id": "GHSA-1", "aliases": ["CVE-1"], "modified": "2026-11-01T00:00:00Z", "summary": "Loses data"}
    return {**made, "severity": [{"type": "CVSS_V3", "score": HIGH}], **fields, "affected": [affected]}


def write_export(workplace: Workplace, *records: dict[str, Any]) -> None:
    """The folder of an export with these records alone."""
    shutil.rmtree(workplace.folder / "osv", ignore_errors=True)
    for one in records:
        workplace.file(f"osv/{one['id']}.json", json.dumps(one))


def finding(workplace: Workplace, *arguments: str, status: int = 2) -> dict[str, Any]:
    """The one vulnerability that is told as JSON."""
    (told,) = workplace.json("audit", "--osv", "osv", *arguments, status=status)["virtualenvs"]
    (one,) = told["vulnerabilities"]
    assert isinstance(one, dict)
    return one


def test_audit_tells_known_vulnerabilities_offline(audited: Workplace) -> None:
    """Findings with severity and the export's age, exit 2; nothing known, exit 0; no export, exit 1."""
    done = audited.fab("audit", "--osv", "osv")
    assert done.returncode == 2, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].endswith("1 known to be vulnerable")
    assert lines[1].startswith("    Shop 1.0   CVE-1 (GHSA-1) · high 7.5 · fixed in 1.0.1 · as of 2026-11-01, ")
    assert lines[2] == "        Loses data"
    one = finding(audited)
    assert (one["name"], one["id"], one["aliases"], one["fixed"]) == ("Shop", "CVE-1", ["GHSA-1"], ["1.0.1"])
    assert (one["severity"], one["rating"], one["score"], one["vector"]) == (None, "high", 7.5, HIGH)
    assert (one["as_of"], one["kind"], one["state"]) == ("2026-11-01T00:00:00+00:00", "vulnerability", "open")
    write_export(audited, shop_record(name="other"))
    assert audited.fab("audit", "--osv", "osv").returncode == 0
    site = next((audited.folder / "venv").glob("lib/python*/site-packages"))
    odd = audited.file(
        str(site / "Odd-2004d.dist-info" / "METADATA"), "Metadata-Version: 2.1\nName: Odd\nVersion: 2004d-x\n"
    )
    (odd.parent / "RECORD").write_text("")
    done = audited.fab("audit", "--osv", "osv")
    assert done.stdout.splitlines()[0].endswith("nothing known, 1 not checked")
    assert done.stdout.splitlines()[1] == "    Odd 2004d-x   not checked: its version does not follow PEP 440"
    (told,) = audited.json("audit", "--osv", "osv")["virtualenvs"]
    shutil.rmtree(odd.parent)
    assert told["not_checked"] == [{"name": "Odd", "version": "2004d-x", "why": "its version does not follow PEP 440"}]
    assert "audit needs a file of known vulnerabilities" in audited.fab("audit").stderr
    assert "none.zip: cannot be read" in audited.fab("audit", "--osv", "none.zip").stderr


def test_what_is_below_the_least_severity_is_counted_in_a_line(audited: Workplace) -> None:
    """It makes no exit 2; a severity that is not known is never below."""
    done = audited.fab("audit", "--osv", "osv", "--min-severity", "critical")
    assert done.returncode == 0, done.stderr
    assert "CVE-1" not in done.stdout
    assert "1 finding below critical not listed (--min-severity)" in done.stdout
    assert finding(audited, "--min-severity", "critical", status=0)["state"] == "below"
    assert finding(audited, "--min-severity", "HIGH")["state"] == "open"
    write_export(audited, shop_record(severity=[{"type": "CVSS_V3", "score": "CVSS:9.9/A:B"}]))
    done = audited.fab("audit", "--osv", "osv", "--min-severity", "critical")
    assert done.returncode == 2
    assert "CVE-1 (GHSA-1) · severity unknown · fixed in" in done.stdout
    done = audited.fab("audit", "--osv", "osv", "--min-severity", "severe")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "envfab: --min-severity: must be low, medium, high or critical, not 'severe'\n"


def test_an_accepted_finding_does_not_count(audited: Workplace) -> None:
    """Until it expires; what was accepted for nothing is told, if the whole fleet was audited."""
    done = audited.fab("accept_finding", "cve-1", "--reason", "no network", "--until", LATER, "--package", "shop")
    assert done.returncode == 0, done.stderr
    done = audited.fab("audit", "--osv", "osv")
    assert done.returncode == 0, done.stdout
    assert "1 accepted" in done.stdout
    assert f"accepted until {LATER}: no network (accepted_findings:" in done.stdout
    one = finding(audited, "--sarif", "a.sarif", status=0)
    (result,) = [
        it
        for it in json.loads((audited.folder / "a.sarif").read_text())["runs"][0]["results"]
        if it["ruleId"] == "CVE-1"
    ]
    assert result["suppressions"][0]["justification"].startswith(
        f"accepted until {LATER}: no network (accepted_findings:"
    )
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "shop.txt"},
        "region": {"startLine": 1},
    }
    assert (one["state"], one["accepted"]["reason"], one["accepted"]["expired"]) == ("accepted", "no network", False)
    file = audited.folder / "accepted_findings"
    file.write_text(
        file.read_text().replace(f"cve-1 until {LATER}", "cve-1 until 2026-10-01") + f"CVE-7 until {LATER} because x\n"
    )
    done = audited.fab("audit", "--osv", "osv")
    assert done.returncode == 2
    assert "        accepted until 2026-10-01: expired (accepted_findings:" in done.stdout
    assert "CVE-7 is accepted and was not found: remove the line" in done.stdout
    assert finding(audited)["accepted"]["expired"] is True
    for part in (["audit:localhost"], ["-H", "localhost", "audit"]):
        assert "CVE-7" not in audited.fab(*part, "--osv", "osv").stdout
    file.write_text("CVE-1\n")
    done = audited.fab("audit", "--osv", "osv")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"envfab: {file}:1: 'CVE-1' cannot be understood\n" in done.stderr


def test_an_interpreter_past_its_end_of_life_is_a_finding(
    workplace: Workplace, make_virtualenv: VirtualenvMaker
) -> None:
    """With the severity high, and it can be accepted like others."""
    old = make_virtualenv("3.8", workplace.folder / "old")
    workplace.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(old)!r}, packages=['shop'])])")
    write_export(workplace, shop_record())
    done = workplace.fab("audit", "--osv", "osv", "--sarif", "a.sarif")
    assert done.returncode == 2, done.stderr
    (result,) = json.loads((workplace.folder / "a.sarif").read_text())["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"] == {"artifactLocation": {"uri": "fabfile.py"}}
    assert done.stdout.splitlines()[0].endswith("Python past its end of life")
    assert "python-3.8-eol · high\n" in done.stdout
    assert "        Python 3.8 gets no fixes of vulnerabilities any more since 2024-10-07\n" in done.stdout
    assert workplace.fab("accept_finding", "python-3.8-eol", "--reason", "Debian", "--until", LATER).returncode == 0
    (told,) = workplace.json("audit", "--osv", "osv")["virtualenvs"]
    assert told["vulnerabilities"] == []
    assert [(one["id"], one["kind"], one["state"]) for one in told["end_of_life"]] == [
        ("python-3.8-eol", "end-of-life", "accepted")
    ]


def test_what_cannot_be_read_takes_the_remedies_alone(audited: Workplace) -> None:
    """A requirements file with a mistake, a release log that is a folder: the findings are told, with a warning."""
    audited.file("shop.txt", "release: <>\n")
    done = audited.fab("audit", "--osv", "osv")
    assert done.returncode == 2, done.stderr
    assert "what would mend the findings is not told: shop.txt:1: " in done.stderr
    assert "CVE-1 (GHSA-1)" in done.stdout
    audited.file("shop.txt", "shop\n")
    log = audited.folder / "release_log"
    log.rename(audited.folder / "kept")
    log.mkdir()
    done = audited.fab("audit", "--osv", "osv")
    log.rmdir()
    (audited.folder / "kept").rename(log)
    assert done.returncode == 2, done.stderr
    assert "what would mend the findings is not told: " in done.stderr
    assert "CVE-1 (GHSA-1)" in done.stdout


def test_vex_documents_are_read_and_written(audited: Workplace) -> None:
    """What others call not affected does not count; what is written says the same, and is read again."""
    purl = "pkg:pypi/shop@1.0"
    said = {
        "vulnerability": {"name": "CVE-1"},
        "products": [{"@id": purl}],
        "status": "not_affected",
        "impact_statement": "no code",
    }
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "x:1",
        "author": "us",
        "version": 1,
        "statements": [said],
    }
    audited.file("vex.json", json.dumps({**document, "timestamp": "2026-11-01T00:00:00Z"}))
    done = audited.fab(
        "audit", "--osv", "osv", "--vex", "vex.json", "--openvex", "out.json", "--cyclonedx-vex", "cdx.json"
    )
    assert done.returncode == 0, done.stderr
    assert "1 not affected" in done.stdout.splitlines()[0]
    assert "        not affected: no code, vex.json\n" in done.stdout
    (one,) = json.loads((audited.folder / "out.json").read_text())["statements"]
    assert (one["products"][0]["@id"], one["status"], one["impact_statement"]) == (
        purl,
        "not_affected",
        "no code",
    )
    told = finding(audited, "--vex", "out.json", "--vex", "cdx.json", status=0)
    assert (told["state"], told["vex"]["status"], told["vex"]["text"]) == ("not_affected", "not_affected", "no code")
    done = audited.fab("audit", "--osv", "osv", "--vex", "vex.json", "--vex", "osv/GHSA-1.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("envfab: osv/GHSA-1.json: is not a VEX document: it is neither an OpenVEX nor")
    write_export(audited, shop_record(name="other"))
    done = audited.fab("audit", "--osv", "osv", "--openvex", "none.json")
    assert done.returncode == 0
    assert "--openvex: none.json is not written: there is no finding" in done.stderr
    assert not (audited.folder / "none.json").exists()


def command_after(output: str, what: str) -> list[str]:
    """The words after `fab` of a command that was printed."""
    (line,) = [line for line in output.splitlines() if line.startswith(what)]
    program, *words = shlex.split(line.removeprefix(what))
    assert program == "fab"
    return words


def test_the_printed_commands_mend_a_finding(installed: Workplace, tmp_path: Path) -> None:
    """First the one that fetches the wheel, then the one that deploys it; what holds it back is named between them."""
    write_export(installed, shop_record())
    done = installed.fab("audit", "--osv", "osv")
    assert "        Shop 1.0.1 would mend it, and the wheelhouse has no wheel of it that fits\n" in done.stdout
    other = Workplace(tmp_path / "other")
    other.fabfile("")
    other.add_made("Shop", "1.0.1")
    assert other.fab("publish_index:simple").returncode == 0
    with serving(other.folder / "simple") as url:
        fetched = installed.fab(*command_after(done.stdout, "fetch what is missing with: "), "--index", url)
    assert fetched.returncode == 0, fetched.stderr
    installed.file("shop.txt", "shop==1.0\n")
    one = finding(installed)
    text = "Shop 1.0.1 in the wheelhouse would mend it, but shop.txt:1 (shop==1.0) does not allow it"
    assert one["remedy"] == {"kind": "requirements", "version": "1.0.1", "text": text}
    installed.file("shop.txt", "shop<2\n")
    done = installed.fab("audit", "--osv", "osv")
    assert "        mended by Shop 1.0.1, in the wheelhouse, allowed by shop.txt:1\n" in done.stdout
    deployed = installed.fab(*command_after(done.stdout, "mend with: "), "--yes")
    assert deployed.returncode == 0, deployed.stderr
    assert "CVE-1" not in installed.fab("audit", "--osv", "osv").stdout


def test_with_approvers_a_plan_is_to_be_made(audited: Workplace) -> None:
    """Nothing else can be deployed there; the command that is printed makes it."""
    audited.add_made("Shop", "1.0.1")
    fabfile = audited.folder / "fabfile.py"
    before = fabfile.read_text()
    fabfile.write_text(before.replace("Fleet(", "Fleet(approvers='approvers', "))
    words = command_after(audited.fab("audit", "--osv", "osv").stdout, "mend with: ")
    assert words == ["plan", "--upgrade", "Shop", "--out", "mend.json"]
    planned = audited.fab(*words)
    assert planned.returncode == 0, planned.stderr
    assert json.loads((audited.folder / "mend.json").read_text())["virtualenvs"][0]["actions"][0]["version"] == "1.0.1"
    fabfile.write_text(before)
