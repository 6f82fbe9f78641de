"""`fab stats_status`, by the real program."""

from __future__ import annotations

from pathlib import Path

from tests.tasks.statistics_place import Place


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
        "server": place.server.url, "waiting": 0, "forbidden_by": [],
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
