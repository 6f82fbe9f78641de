"""What an audit tells people, beside its findings."""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone

import pytest

from envfab.audit.end_of_life import MADE
from envfab.audit.osv import OSVExport
from envfab.audit.severity import Severity
from envfab.tasks.output.audit import show_audit
from envfab.tasks.output.console import Console


@pytest.mark.parametrize(("days", "told"), [(365, False), (366, True)])
def test_a_table_of_python_versions_that_is_a_year_old_is_told(
    capsys: pytest.CaptureFixture[str], days: int, told: bool
) -> None:
    """Versions may have ended since, and a newer envfab knows them."""
    now = datetime.combine(MADE + timedelta(days=days), time(), timezone.utc)
    show_audit(Console(), [], OSVExport(), Severity.NONE, now)
    said = f"the ends of life of Python versions are as of {MADE}, more than a year old: update envfab"
    assert (said in " ".join(capsys.readouterr().err.split())) is told
