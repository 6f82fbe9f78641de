"""What would mend a finding, by the planner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envfab.audit.findings import AuditedVirtualenv, Finding, FindingKind, FindingState
from envfab.audit.osv import read, vulnerabilities
from envfab.audit.remedies import Remedies
from envfab.audit.remedy import Remedy, RemedyKind
from envfab.config.host import Host
from envfab.config.target import Member
from envfab.config.virtualenv import Virtualenv
from envfab.fetch.probe_interpreters import Look
from envfab.models.probe import Probe
from tests.audit.test_osv import NAMES, export, record
from tests.planning.catalogue import TARGET, DictCatalogue, distribution, interpreter, probe, requirements, wheelhouse

ID = "CVE-1"


def audited(folder: Path, there: Probe, *records: dict[str, Any]) -> AuditedVirtualenv:
    """A virtualenv with the findings of an export."""
    virtualenv = Virtualenv(TARGET.path, packages=["x"])
    found = vulnerabilities(
        [*there.outside.values(), *there.distributions.values()], read(export(folder / "osv", *records), NAMES)
    )
    return AuditedVirtualenv(
        Look(Member(TARGET, Host("web1", virtualenvs=[virtualenv]), virtualenv, "shop"), there),
        tuple(
            Finding(
                TARGET, FindingKind.VULNERABILITY, distribution(f"{one.shown_as}==0").name, one.shown_as, one.version, one.ids, "", one.rating, one
            )
            for one in found
        ),
    )  # fmt: skip


def remedy(
    folder: Path,
    wheels: DictCatalogue | Sequence[str],
    lines: Sequence[str] = ("Django",),
    there: Probe | None = None,
    constraints: Sequence[str] = (),
    fixed: str = "5.2.9",
) -> Remedy:
    """That of the vulnerability of Django 5.1, which is installed."""
    catalogue = wheels if isinstance(wheels, DictCatalogue) else wheelhouse(wheels)
    row = audited(folder, there or probe("Django==5.1"), record(ID, {"introduced": "0"}, {"fixed": fixed}))
    (one,) = Remedies(catalogue, {TARGET: requirements(*lines, constraints=constraints)}).added(row).findings
    assert one.remedy is not None
    return one.remedy


def test_a_wheel_that_the_requirements_allow_mends(tmp_path: Path) -> None:
    """The newest one: that is what deploy will choose."""
    assert remedy(tmp_path, ["Django==5.2.9", "Django==5.2.10", "Django==5.1"]) == Remedy(
        RemedyKind.DEPLOY, "mended by Django 5.2.10, in the wheelhouse, allowed by requirements.txt:1", "5.2.10"
    )


def test_a_dependency_is_mended_by_an_upgrade(tmp_path: Path) -> None:
    """Also one that nothing requires, or that the system has."""
    allowed = Remedy(
        RemedyKind.DEPLOY, "mended by Django 5.2.9, in the wheelhouse, allowed by the requirements", "5.2.9"
    )
    shop = distribution("shop==1", ["Django>=5"])
    assert remedy(tmp_path, ["Django==5.2.9"], ["shop"], probe("Django==5.1", shop)) == allowed
    assert remedy(tmp_path, ["Django==5.2.9"], [], probe("Django==5.1")) == allowed
    assert remedy(tmp_path, ["Django==5.2.9"], [], probe(outside=[distribution("Django==5.1")])) == allowed


@pytest.mark.parametrize(
    ("lines", "constraints", "there", "why"),
    [
        (["Django<5.2"], (), "Django==5.1", "requirements.txt:1 (Django<5.2)"),
        (["Django==5.1"], (), "Django==5.1", "requirements.txt:1 (Django==5.1)"),
        (["Django"], ["django~=5.1.0"], "Django==5.1", "constraints.txt:1 (django~=5.1.0)"),
    ],
)
def test_what_holds_a_version_back_is_named(
    tmp_path: Path, lines: Sequence[str], constraints: Sequence[str], there: str, why: str
) -> None:
    """The line that would have to change; a newer version that is affected as well is no remedy."""
    found = remedy(tmp_path, ["Django==5.2.9", "Django==5.1.1"], lines, probe(there), constraints)
    text = f"Django 5.2.9 in the wheelhouse would mend it, but {why} does not allow it"
    assert found == Remedy(RemedyKind.REQUIREMENTS, text, "5.2.9")


@pytest.mark.parametrize("line", ["shop", "Django"])
def test_an_installed_package_that_holds_a_version_back_is_named(tmp_path: Path, line: str) -> None:
    """With its own requirement; also one that nothing requires, which deploy would not break."""
    shop = distribution("shop==1", ["Django<5.2"])
    found = remedy(tmp_path, ["Django==5.2.9"], [line], probe("Django==5.1", shop))
    text = "Django 5.2.9 in the wheelhouse would mend it, but shop 1 (Django<5.2) does not allow it"
    assert found == Remedy(RemedyKind.REQUIREMENTS, text, "5.2.9")


def test_a_version_that_does_not_go_with_the_others_is_told(tmp_path: Path) -> None:
    """The requirements ask for a newer version of another package than it goes with."""
    catalogue = wheelhouse({"Django==5.2.9": ["shop<2"], "shop==2": []})
    found = remedy(tmp_path, catalogue, ["shop>=2"], probe("Django==5.1", "shop==1"))
    text = "Django 5.2.9 in the wheelhouse would mend it, but it does not go with the other packages that deploy would choose"
    assert found == Remedy(RemedyKind.BLOCKED, text, "5.2.9")


def test_a_plan_that_is_blocked_mends_nothing(tmp_path: Path) -> None:
    """Its first reason is told: here a dependency of the new version that is missing."""
    found = remedy(tmp_path, wheelhouse({"Django==5.2.9": ["asgiref>=3.8"]}), ["Django>5.1"])
    assert found.kind is RemedyKind.BLOCKED
    assert (
        found.text == "Django 5.2.9 in the wheelhouse would mend it, but deploy is blocked: no wheel meets asgiref>=3.8"
    )


def test_what_the_wheelhouse_lacks_is_to_be_fetched(tmp_path: Path) -> None:
    """No wheel, one that does not fit, one that was withdrawn, one that is affected."""
    lacking = Remedy(
        RemedyKind.FETCH, "Django 5.2.9 would mend it, and the wheelhouse has no wheel of it that fits", "5.2.9"
    )
    catalogue = wheelhouse(["Django==5.2"])
    catalogue.add("Django==5.2.9", tag="cp27-cp27m-win32")
    catalogue.add("Django==5.3", yanked="loses data")
    catalogue.add("Django==6.0", requires_python=">=3.99")
    assert remedy(tmp_path, catalogue) == lacking
    held = remedy(tmp_path, [], ["Django<5.2"])
    assert held == replace(lacking, text=f"{lacking.text}; requirements.txt:1 (Django<5.2) does not allow it")


def test_without_a_fixed_version_nothing_mends(tmp_path: Path) -> None:
    """Nobody knows of one."""
    row = audited(tmp_path, probe("Django==5.1"), record(ID, {"introduced": "0"}))
    (one,) = Remedies(wheelhouse(["Django==5.2"]), {TARGET: requirements("Django")}).added(row).findings
    assert one.remedy == Remedy(RemedyKind.NONE, "no version is known to mend it")


def test_what_cannot_be_planned_is_told(tmp_path: Path) -> None:
    """The finding is there, whatever became of the remedy."""
    catalogue = wheelhouse([])
    catalogue.add("Django==5.2.9", tag="cp311-cp311-manylinux2014_x86_64")
    found = remedy(tmp_path, catalogue, there=probe("Django==5.1", python=interpreter(known_tags=False)))
    assert found.kind is RemedyKind.BLOCKED
    assert found.text.startswith("what would mend it is not known: ")


def test_findings_below_the_least_severity_get_none(tmp_path: Path) -> None:
    """They are not listed."""
    row = audited(tmp_path, probe("Django==5.1"), record(ID, {"introduced": "0"}))
    row = replace(row, findings=tuple(replace(one, state=FindingState.BELOW) for one in row.findings))
    (one,) = Remedies(wheelhouse([]), {TARGET: requirements("shop", "Django")}).added(row).findings
    assert one.remedy is None
    assert one.declared == "requirements.txt:2"


def test_two_remedies_may_exclude_each_other(tmp_path: Path) -> None:
    """Then one deployment cannot mend both."""
    records = [
        record("CVE-1", {"introduced": "0"}, {"fixed": "2"}),
        record("CVE-2", {"introduced": "0"}, {"fixed": "2"}, name="shop"),
    ]
    row = audited(tmp_path, probe("Django==1", "shop==1"), *records)
    for requires, works in (["Django<2"], False), (["Django>=2"], True):
        remedies = Remedies(wheelhouse({"Django==2": [], "shop==2": requires}), {TARGET: requirements()})
        found = remedies.added(row).findings
        assert [one.remedy and one.remedy.kind for one in found] == [RemedyKind.DEPLOY, RemedyKind.DEPLOY]
        assert remedies.work_together(row, found) is works
