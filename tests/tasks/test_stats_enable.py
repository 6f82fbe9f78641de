"""`fab stats_enable`, by the real program."""

from __future__ import annotations

from tests.tasks.statistics_place import Place, entries


def test_opting_in_sends_what_was_kept_with_the_next_report(place: Place) -> None:
    """The oldest first, and without a word."""
    place.fab("wheels")
    done = place.fab("stats_enable")
    assert done.stdout == (
        f"enabled: reports go to {place.server.url}reports/envfab/\n"
        "1 report kept so far: sent with the next one, or now with fab stats_submit\n"
    )
    done = place.fab("targets")
    assert done.stderr == ""
    assert [entries(body)["task"] for body in place.server.bodies] == ["wheels", "targets"]
    assert place.status()["status"] == "enabled"
