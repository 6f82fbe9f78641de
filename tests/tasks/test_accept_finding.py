"""`fab accept_finding`, by the real program."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.support.workplace import Workplace

LATER = (date.today() + timedelta(days=90)).isoformat()
FAR = (date.today() + timedelta(days=500)).isoformat()
GIVEN = ["--reason", "r", "--until", LATER]


@pytest.fixture
def fleet(workplace: Workplace) -> Workplace:
    """A fleet of one host, which is not asked."""
    workplace.fabfile("Host('web1.invalid', groups=['web'], virtualenvs=[Virtualenv('/srv/v', packages=['shop'])])")
    return workplace


def test_a_line_is_added_for_each_finding(fleet: Workplace) -> None:
    """After those that are there; the place is the fabfile's, beside it or elsewhere."""
    file = fleet.file("accepted_findings", "# ours\n")
    done = fleet.fab("accept_finding", "CVE-1", "GHSA-2", "--reason", "it's late", "--until", LATER)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"accepted_findings: CVE-1 until {LATER} because it's late\n")
    told = fleet.json("accept_finding", "CVE-3", "--package", "A.b", "--target", "%web", *GIVEN)
    assert told["accepted"] == [{"id": "CVE-3", "until": LATER, "reason": "r", "package": "a-b", "target": "%web"}]
    assert file.read_text() == (
        f"# ours\nCVE-1 until {LATER} because it's late\nGHSA-2 until {LATER} because it's late\n"
        f"CVE-3 until {LATER} for a-b on %web because r\n"
    )
    fabfile = fleet.folder / "fabfile.py"
    fabfile.write_text(fabfile.read_text().replace("Fleet(", "Fleet(accepted_findings='elsewhere', "))
    assert fleet.fab("accept_finding", "CVE-1", *GIVEN).returncode == 0
    assert (fleet.folder / "elsewhere").read_text() == f"CVE-1 until {LATER} because r\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "accept_finding needs a finding\n  fab accept_finding CVE-2026-1234 --reason TEXT --until YYYY-MM-DD"),
        (["CVE-1"], "accept_finding needs a reason\n  fab accept_finding CVE-1 --reason TEXT --until YYYY-MM-DD"),
        (
            ["CVE-1", "--reason", "r"],
            "accept_finding needs the last day on which the finding is accepted\n"
            "  fab accept_finding CVE-1 --reason TEXT --until YYYY-MM-DD",
        ),
        (["<1>", *GIVEN], "accept_finding: '<1>' must be the ID of a finding, such as CVE-2026-1234"),
        (["CVE-1", "--reason", "a\nb", "--until", LATER], "accept_finding: the reason must be one line of text"),
        (["CVE-1", "--reason", "r", "--until", "soon"], "accept_finding: 'soon' must be a day, such as 2027-01-31"),
        (["CVE-1", "--reason", "r", "--until", "2026-11-01"], "--until: 2026-11-01 has gone by: name a day to come"),
        (["CVE-1", "--reason", "r", "--until", FAR], f"accept_finding: {FAR} is more than a year ahead: use "),
        (["CVE-1", "--package", "a/b", *GIVEN], "accept_finding: 'a/b' must be the name of a package"),
        (["CVE-1", "--target", "web9", *GIVEN], "'web9' matches no virtualenv\n"),
        (["CVE-1", "--target", "web1:", *GIVEN], "'web1:' has an empty part\n"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(fleet: Workplace, arguments: list[str], message: str) -> None:
    """One message, exit 1."""
    done = fleet.fab("accept_finding", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"envfab: {message}"), done.stderr
    assert not (fleet.folder / "accepted_findings").exists()
