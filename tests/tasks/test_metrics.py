"""`--metrics` of `fab plan`, `fab verify` and `fab audit`, by the real program."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace

Samples = dict[tuple[str, str], float]


@pytest.fixture(scope="module")
def fleet(make_virtualenv: VirtualenvMaker, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A virtualenv with shop 1.0, one that lacks a wheel, and a host that does not answer."""
    workplace = Workplace(tmp_path_factory.mktemp("metrics") / "work")
    good, bad = (make_virtualenv("3.11", workplace.folder / name) for name in ("good", "bad"))
    workplace.fabfile(
        f"Host('localhost', virtualenvs=[Virtualenv({str(good)!r}, packages=['shop']),"
        f" Virtualenv({str(bad)!r}, packages=['nowhere', 'shop'])]),"
        " Host('nowhere.invalid', virtualenvs=[Virtualenv('/srv/v')])"
    )
    workplace.add(make_wheel(workplace.folder / "made", "shop", "1.0"))
    assert workplace.fab(f"deploy:localhost:{good}", "--yes").returncode == 0
    return workplace


def samples(file: Path) -> Samples:
    """The samples in a file of metrics: by name, and by the label that tells them apart."""
    found = {}
    for family in text_string_to_metric_families(file.read_text(encoding="utf-8")):
        assert family.documentation
        for one in family.samples:
            label = one.labels.get("path") or one.labels.get("status") or one.labels.get("task") or ""
            found[one.name.removeprefix("envfab_"), Path(label).name] = one.value
    return found


def test_a_plan_tells_statuses_missing_wheels_and_the_last_deployment(fleet: Workplace) -> None:
    """And nothing that it does not know: a host that does not answer has no changes, not none to do."""
    before = time.time()
    assert fleet.fab("plan", "--metrics", "envfab.prom").returncode == 1
    found = samples(fleet.folder / "envfab.prom")
    assert (fleet.folder / "envfab.prom").stat().st_mode & 0o777 == 0o644
    told = {label: value for (name, label), value in found.items() if name == "virtualenvs"}
    assert told == {"changes": 0, "current": 1, "blocked": 1, "unreachable": 1, "missing": 0}
    assert {label: value for (name, label), value in found.items() if name == "virtualenv_current"} == {
        "good": 1, "bad": 0, "v": 0,
    }  # fmt: skip
    assert {label: value for (name, label), value in found.items() if name == "virtualenv_wheels_missing"} == {
        "good": 0, "bad": 1,
    }  # fmt: skip
    deployed = found["virtualenv_last_deployment_timestamp_seconds", "good"]
    assert before - 600 < deployed <= time.time()
    assert 0 <= found["virtualenv_last_deployment_age_seconds", "good"] < 600
    assert ("virtualenv_last_deployment_age_seconds", "bad") not in found
    assert before <= found["metrics_timestamp_seconds", "plan"] <= time.time()


def of(found: Samples, name: str) -> dict[str, float]:
    """The samples of one metric, by their label."""
    return {label: value for (metric, label), value in found.items() if metric == name}


def test_what_was_changed_by_hand_is_told(fleet: Workplace) -> None:
    """By `verify` with the time of the first difference, by `plan` without; of what is not known there is nothing."""
    assert fleet.fab("verify", "--metrics", "verify.prom").returncode == 1
    found = samples(fleet.folder / "verify.prom")
    assert of(found, "virtualenv_drift_files") == of(found, "virtualenv_drift_packages") == {"good": 0}
    assert of(found, "virtualenv_drift_since_timestamp_seconds") == {}
    added = next((fleet.folder / "good").glob("lib/python*/site-packages")) / "by_hand.py"
    added.write_text("")
    before = time.time() - 1
    fleet.fab("verify", "--metrics", "verify.prom")
    fleet.fab("plan", "--metrics", "plan.prom")
    added.unlink()
    found, planned = samples(fleet.folder / "verify.prom"), samples(fleet.folder / "plan.prom")
    for one, by in ((found, "content"), (planned, "stat")):
        assert of(one, "virtualenv_drift_files") == {"good": 1}
        assert of(one, "virtualenv_drift_packages") == {"good": 0}
        file = fleet.folder / ("verify.prom" if one is found else "plan.prom")
        assert f'by="{by}"' in file.read_text()
    assert before <= found["virtualenv_drift_since_timestamp_seconds", "good"] <= time.time()
    assert of(planned, "virtualenv_drift_since_timestamp_seconds") == {}
    assert found["metrics_timestamp_seconds", "verify"] >= before


def test_an_audit_tells_known_vulnerabilities(fleet: Workplace) -> None:
    """Zero where there are none; nothing of a host that does not answer; findings by severity, without accepted ones."""
    affected = {"package": {"ecosystem": "PyPI", "name": "shop"}, "versions": ["1.0"]}
    fleet.file(
        "osv/GHSA-1.json", json.dumps({"id": "GHSA-1", "modified": "2026-11-01T00:00:00Z", "affected": [affected]})
    )
    assert fleet.fab("audit", "--osv", "osv", "--metrics", "audit.prom").returncode == 1
    found = samples(fleet.folder / "audit.prom")
    assert {label: value for (name, label), value in found.items() if name == "virtualenv_vulnerabilities"} == {
        "good": 1, "bad": 0,
    }  # fmt: skip
    assert found["virtualenv_packages_unchecked", "good"] == 0
    assert of(found, "virtualenv_findings_accepted") == {"good": 0, "bad": 0}
    later = (datetime.now(timezone.utc) + timedelta(days=30)).date()
    text = (fleet.folder / "audit.prom").read_text()
    assert re.search(r'findings\{.*good".*severity="unknown"\} 1\n', text)
    fleet.file("accepted_findings", f"GHSA-1 until {later} because x\nCVE-7 until {later} because x\n")
    # a host that does not answer may have it
    assert "CVE-7" not in fleet.fab("audit", "--osv", "osv", "--metrics", "audit.prom").stdout
    text, found = (fleet.folder / "audit.prom").read_text(), samples(fleet.folder / "audit.prom")
    assert re.search(r'findings\{.*good".*severity="unknown"\} 0\n', text)
    assert of(found, "virtualenv_findings_accepted") == of(found, "virtualenv_vulnerabilities") == {"good": 1, "bad": 0}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            "no/such/x.prom",
            "envfab: --metrics: 'no/such/x.prom': the folder 'no/such' does not exist\n  make it first\n",
        ),
        ("good", "envfab: --metrics: 'good' is a folder: name a file\n"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_hosts_are_asked(
    fleet: Workplace, place: str, message: str
) -> None:
    """One message, exit 1."""
    for task in ("plan", "verify"):
        done = fleet.fab(task, "--metrics", place)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", message)
