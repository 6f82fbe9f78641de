"""`fab stats_submit`, by the real program."""

from __future__ import annotations

import json

import pytest

from tests.tasks.statistics_place import NESTED, Place, host


def test_what_is_shown_is_what_arrives(place: Place) -> None:
    """`stats_show` prints, byte for byte, what `stats_submit` sends; neither adds a report of its own."""
    place.fabfile(host(place.folder / "venv"))
    place.fab("targets")
    place.fab("wheels")
    shown = place.fab("stats_show")
    place.fab("stats_enable")
    assert place.server.bodies == []
    assert place.fab("stats_submit").stdout == "2 reports sent\n"
    assert shown.stdout.encode() == b"\n".join(place.server.bodies)
    assert place.server.paths == ["/reports/envfab/"] * 2
    assert "2 reports for" in shown.stderr
    assert "not chosen yet" in shown.stderr
    assert place.fab("stats_submit").stdout == "no reports are waiting\n"
    assert json.loads(place.fab("stats_submit", "--json").stdout) == {"format": 1, "sent": 0, "waiting": 0}
    assert len(place.server.bodies) == 2


@pytest.mark.parametrize(
    ("status", "why"),
    [(404, "the server refused them"), (503, "no answer, or an error of the server")],
)
def test_what_is_not_taken_says_why(place: Place, status: int, why: str) -> None:
    """A refusal, which only whoever configured the server can mend, is told apart from trouble that passes."""
    place.fab("targets")
    place.fab("wheels")
    place.fab("stats_enable")
    place.server.answer = lambda _body: (status, {})
    done = place.fab("stats_submit", status=1)
    assert done.stdout == "0 reports sent\n"
    assert done.stderr == (
        f"envfab: {place.server.url}reports/envfab/: 2 reports not accepted ({why}); kept for later\n"
    )
    place.server.answer = lambda _body: (200, {})
    assert place.fab("stats_submit").stdout == "2 reports sent\n"


def test_nothing_is_submitted_before_opting_in(place: Place) -> None:
    """`stats_submit` says what to run, by the name that the task has in this fabfile."""
    place.fabfile(end=NESTED)
    place.fab("our_env.wheels")
    done = place.fab("our_env.stats_submit", status=1)
    assert done.stderr.endswith("and nothing is sent\n  opt in with fab our_env.stats_enable\n")
    assert place.server.bodies == []
