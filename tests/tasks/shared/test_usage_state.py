"""What the tasks `stats_…` share, by the real program."""

from __future__ import annotations

import pytest

from tests.tasks.statistics_place import Place


@pytest.mark.parametrize(
    ("task", "line"),
    [
        (["stats_enable"], None),
        (["stats_disable"], None),
        (["stats_show", "--json"], None),
        (["stats_submit"], None),
        (
            ["stats_status"],
            "the fleet has no usage statistics: say Fleet(usage_stats=UsageStats(URL)) in the fabfile\n",
        ),
    ],
)
def test_a_fleet_without_statistics_is_told_how_to_have_them(place: Place, task: list[str], line: str | None) -> None:
    """Status says it and ends well; what cannot be done fails, and says the same."""
    place.fabfile(usage="None")
    if line is not None:
        assert place.fab(*task).stdout == line
    else:
        done = place.fab(*task, status=1)
        said = "envfab: the fleet has no usage statistics\n  say Fleet(usage_stats=UsageStats(URL)) in the fabfile\n"
        assert (done.stdout, done.stderr) == ("", said)
