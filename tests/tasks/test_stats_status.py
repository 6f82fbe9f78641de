"""`fab stats_status`, by the real program."""

from __future__ import annotations

import json
from pathlib import Path

from tests.tasks.statistics_place import Place, entries


def test_status_without_statistics_for_programs(place: Place) -> None:
    """`--json` says that they are not configured."""
    place.fabfile(usage="None")
    assert place.status() == {"format": 1, "configured": False}


def test_status_tells_all(place: Place) -> None:
    """Server without its password, folder, number of reports; asking for it writes nothing."""
    place.fabfile(usage=f"UsageStats({place.server.url.replace('//', '//me:secret@')!r})")
    found = place.status()
    folder = found.pop("folder")
    assert found == {
        "format": 1, "configured": True, "status": "unset", "recorded": True,
        "server": place.server.url, "waiting": 0, "forbidden_by": [], "policy": None,
    }  # fmt: skip
    assert not Path(folder).exists()
    assert Path(folder).parent == place.folder / ".home/.local/state/envfab/usage_stats"
    place.fab("wheels")
    done = place.fab("stats_status")
    assert done.stdout == (
        f"status   not chosen yet: reports are kept, and nothing is sent\nserver   {place.server.url}\n"
        f"kept in  {folder}\nwaiting  1 report\n"
    )
    elsewhere = place.folder / "state"
    assert place.status({"XDG_STATE_HOME": str(elsewhere)})["folder"].startswith(f"{elsewhere}/envfab/usage_stats/")


def test_the_policy_of_the_server(place: Place) -> None:
    """What may be sent is told, and why nothing is sent while a policy cannot be understood."""
    told = {"format": 2, "program": "envfab", "date": "2026-11-01", "keys": {"task": {"any": True}}}
    place.server.answer_get = lambda _: (200, "application/json", json.dumps(told).encode())
    place.fab("stats_enable")
    place.fab("wheels")
    why = "the policy has format 2; this program reads format 1"
    assert place.fab("stats_status").stdout.endswith(f"policy   not known, so nothing is sent ({why})\n")
    assert f"what the server takes is not known: {why}" in place.fab("stats_submit", status=1).stderr
    told["format"] = 1
    place.fab("stats_submit", "--json")
    assert place.fab("stats_status").stdout.endswith("policy   of 2026-11-01: 1 key may be sent\n")
    assert place.status()["policy"] == {"answer": "policy", "trouble": None, "date": "2026-11-01", "keys": ["task"]}
    assert [set(entries(body)) for body in place.server.bodies] == [{"date", "task"}] * len(place.server.bodies)
