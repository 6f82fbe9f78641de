"""Recorded agents against the real one that they were recorded from."""

from __future__ import annotations

from pathlib import Path

from envfab.config.host import Host
from envfab.remote import agent_sources
from envfab.remote.agent_session import start_agent
from envfab.remote.process import Reservation, local_link
from envfab.remote.startup import Identity
from tests.support.recorded import RecordedLinks, record
from tests.support.virtualenvs import VirtualenvMaker


def test_a_recorded_agent_replies_as_the_real_one(tmp_path: Path, make_virtualenv: VirtualenvMaker) -> None:
    """Through the same start and the same frames, modules that are loaded later included."""
    path = make_virtualenv("3.11", tmp_path / "venv", pip=True)

    def said(place: Reservation) -> dict[str, object]:
        with (
            place,
            start_agent(
                place, f"{path}/bin/python", str(path), where="here", identity=Identity(), modules=agent_sources.PROBE
            ) as session,
        ):
            probe = session.ask("probe")
            session.load(agent_sources.TAGS)
            return {"probe": probe, "tags": session.ask("tags")}

    real = said(local_link().reserve(1))
    played = said(RecordedLinks(record(path)).link(Host("web1")).reserve(1))
    kind = played["probe"]["own"].pop()  # type: ignore[index]  # an agent's reply
    assert (kind["name"], kind["version"]) == ("kind", "0")
    assert played == real
