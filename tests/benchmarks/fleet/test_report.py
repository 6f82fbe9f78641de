"""Tests for the tables."""

from __future__ import annotations

import re

from benchmarks.fleet.report import document, gist
from tests.benchmarks.fleet.recorded import EVERYTHING, recorded


def rows(text: str) -> list[list[str]]:
    """The cells of all lines of tables."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_rows_have_time_cpu_and_memory() -> None:
    """A contender's row: median with least and most, CPU of both sides, memory of the controller."""
    row = ["**envfab**", "1.10 (1.00 - 1.20)", "0.55 (0.50 - 0.60)", "0.28 (0.25 - 0.30)", "64"]
    assert row in rows(document(EVERYTHING))


def test_who_compiles_stands_apart() -> None:
    """Where something is installed, those that leave bytecode and those that leave none have tables of their own."""
    upgrade = document(EVERYTHING).partition("### One package upgraded")[2].partition("### Cold")[0]
    compiled, _, bare = upgrade.partition("These leave none")
    assert "envfab" in compiled
    assert "shell, uv" not in compiled
    assert "shell, uv" in bare
    assert "envfab" not in bare


def test_fewer_rounds_are_marked() -> None:
    """Where one was measured less often than the others, the table says how often each was."""
    found = rows(document(EVERYTHING))
    assert next(row for row in found if row[0] == "pyinfra" and row[1] == "33.0")[-1] == "1"
    assert next(row for row in found if row[0] == "**envfab**" and row[1].startswith("25.0"))[-1] == "3"


def test_a_rollback_has_a_table_of_its_own() -> None:
    """Beside the plan that it is compared with; without one there is no table."""
    results = recorded({("plan", "envfab"): [2.0], ("rollback", "envfab"): [2.4]})
    row = ["**envfab**", "2.00", "2.40", "0.60"]
    assert row in rows(document(results))
    assert "rolled back" not in document(recorded({("plan", "envfab"): [2.0]}))


def test_verdicts_are_told_with_how_far_off() -> None:
    """A bar's row says what was measured, and by how much it is met or missed."""
    results = recorded({("nothing", "envfab"): [1.0], ("nothing", "pyinfra"): [5.7], ("nothing", "fabric-list"): [0.8]})
    found = rows(document(results))
    assert ["nothing", "pyinfra takes at least 6 times as long", "5.70 times", "**missed by 5.0%**"] in found
    assert next(row for row in found if "lists" in row[1])[-1] == "met, with 16.7% to spare"


def test_tables_are_rectangular() -> None:
    """Every table has as many cells in each row as in its head."""
    for block in re.findall(r"(?:^\|.*\n?)+", f"{document(EVERYTHING)}\n{gist(EVERYTHING)}", re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_gist_has_who_did_everything() -> None:
    """The README's table holds the medians of those that were measured at every workload, ours first."""
    found = [row for row in rows(gist(EVERYTHING)) if "---" not in row[0]]
    assert [row[0] for row in found] == ["seconds", "**envfab**", "shell, uv & ssh"]
    assert found[1] == ["**envfab**", "1.10", "25.0", "41.0", "yes"]
