"""`fab stats_disable`, by the real program."""

from __future__ import annotations

from tests.tasks.statistics_place import Place, entries


def test_opting_out_deletes_what_was_kept(place: Place) -> None:
    """Reports and id are gone, nothing is recorded or sent any more; opting in again begins with a new id."""
    place.fab("wheels")
    (before,) = place.waiting()
    assert place.fab("stats_disable").stdout.startswith("disabled: nothing is recorded or sent")
    assert [name for name in place.kept if name.startswith("report_") or name == "user_id"] == []
    place.fab("wheels")
    assert place.waiting() == []
    assert place.status()["status"] == "disabled"
    assert "disabled" in place.fab("stats_submit", status=1).stderr
    assert place.server.bodies == []
    place.fab("stats_enable")
    place.fab("wheels")
    (body,) = place.server.bodies
    assert entries(body)["user"] != before["user"]
