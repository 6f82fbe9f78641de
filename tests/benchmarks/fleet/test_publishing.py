"""Tests for what is written into the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fleet.errors import BenchmarkError
from benchmarks.fleet.publishing import between, pages, publish
from benchmarks.fleet.results import load
from tests.benchmarks.fleet.recorded import EVERYTHING

ROOT = Path(__file__).resolve().parents[3]


def test_only_what_is_between_the_markers_changes() -> None:
    """Words around the markers stay; what was between them is replaced, once or twice."""
    text = "before\n<!-- x -->\nold\n<!-- /x -->\nafter\n"
    once = between(text, "x", "new", where="page.md")
    assert once == "before\n<!-- x -->\nnew\n<!-- /x -->\nafter\n"
    assert between(once, "x", "new", where="page.md") == once


@pytest.mark.parametrize("text", ["", "<!-- x -->", "<!-- /x --> <!-- x -->", "<!-- x --><!-- x --><!-- /x -->"])
def test_page_without_its_markers_is_refused(text: str) -> None:
    """A page that lost a marker is left alone, and the message says what it needs."""
    with pytest.raises(BenchmarkError, match=r"page\.md needs the lines <!-- x --> and <!-- /x -->"):
        between(text, "x", "new", where="page.md")


def test_pages_and_plot_are_written(tmp_path: Path) -> None:
    """README, the page of benchmarks and the plot hold what the results say."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("<!-- benchmark -->\n<!-- /benchmark -->\n")
    (tmp_path / "docs" / "benchmarks.md").write_text("<!-- fleet -->\n<!-- /fleet -->\n")
    publish(EVERYTHING, tmp_path)
    assert "**envfab**" in (tmp_path / "README.md").read_text()
    assert "1.10 (1.00 - 1.20)" in (tmp_path / "docs" / "benchmarks.md").read_text()
    assert (tmp_path / "docs" / "benchmarks.svg").read_text().startswith("<svg")


def test_documentation_shows_what_was_measured_last() -> None:
    """What README and docs/benchmarks.md show is what is recorded, and was not written by hand."""
    recorded = ROOT / "benchmarks" / "results" / "fleet.json"
    # before the first whole run there is nothing to show
    expected = pages(load(recorded), ROOT) if recorded.exists() else {}
    assert {path.name for path, text in expected.items() if path.read_text(encoding="utf-8") != text} == set()
