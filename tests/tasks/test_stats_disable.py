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


def test_erasing_at_the_server(place: Place) -> None:
    """With `--erase` the server is asked to delete all reports under the id, which is gone after its answer."""
    place.fab("stats_enable")
    place.fab("wheels")
    place.server.reply = b"erased:1\n"
    assert place.fab("stats_disable", "--erase").stdout.endswith("\nerased at the server: 1 report\n")
    assert place.server.paths[-1] == "/reports/envfab/erase"
    assert {"user_id", "erasure"} & set(place.kept) == set()
    assert place.status()["status"] == "disabled"


def test_an_erasure_that_is_not_confirmed(place: Place) -> None:
    """The user is opted out all the same, is told why and how to go on, and can ask again."""
    place.fab("stats_enable")
    place.fab("wheels")
    place.server.answer = lambda _: (503, {})
    said = place.fab("stats_disable", "--erase", status=1).stderr
    assert (
        f"{place.server.url}reports/envfab/: opted out, but nothing is known to be erased: the server answered 503"
        in said
    )
    assert "fab stats_disable --erase asks again" in said
    assert place.status()["status"] == "disabled"
    place.server.answer, place.server.reply = lambda _: (200, {}), b"erased:1\n"
    assert "erased at the server: 1 report" in place.fab("stats_disable", "--erase").stdout
