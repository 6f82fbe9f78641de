"""`fab stats_show`, by the real program."""

from __future__ import annotations

import json

from tests.tasks.statistics_place import Place, entries


def test_where_nothing_waits_an_example_is_shown(place: Place) -> None:
    """It is a whole report, apart from the result; showing it makes none."""
    done = place.fab("stats_show")
    assert done.stdout == ""
    assert "task:stats_show\nended:done\nexit_status:0\n" in done.stderr
    document = json.loads(place.fab("stats_show", "--json").stdout)
    assert document["reports"] == []
    assert entries(document["example"].encode())["task"] == "stats_show"
    assert place.status()["waiting"] == 0
