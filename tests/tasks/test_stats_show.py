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


def test_what_is_held_back(place: Place) -> None:
    """What the server does not ask for is shown apart, and is not among what would be sent."""
    told = {"format": 1, "program": "envfab", "date": "2026-11-01", "keys": {"task": {"values": ["wheels"]}}}
    place.server.answer_get = lambda _: (200, "application/json", json.dumps(told).encode())
    place.fab("stats_enable")
    place.fab("wheels")
    place.server.answer = lambda _: (503, {})
    place.fab("wheels")
    done = place.fab("stats_show")
    assert [set(entries(part)) for part in done.stdout.encode().split(b"\n\n")] == [{"date", "task"}]
    assert "held back, since the server does not ask for it:\n\nuser:" in done.stderr
    held = json.loads(place.fab("stats_show", "--json").stdout)["held_back"]
    assert ["ended", "done"] in held
    assert ["task", "wheels"] not in held
