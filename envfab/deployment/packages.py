"""Bringing packages into a virtualenv: sending wheels, one call of pip, and a look at what came of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from envfab.deployment.pulling import pull
from envfab.deployment.work import Work
from envfab.errors import DeploymentError
from envfab.facts.probe import Probe
from envfab.facts.wheel import Wheel
from envfab.managed.survey import to_probe
from envfab.planning.plan import Action, Kind

CHUNK = 1 << 18


def send(work: Work, wheels: Sequence[Wheel]) -> None:
    """Send the wheels that the host's cache lacks; whoever shares the cache waits and then sends nothing.

    Where the fleet has a `wheel_source`, the host fetches them from there. What the virtualenv itself keeps goes into
    the cache by a link.
    """
    house, target = work.around.house, work.proposal.member.target
    hashes = {house.sha256(wheel): wheel for wheel in wheels}
    if not hashes:
        return
    kept = work.proposal.probe.kept if work.proposal.probe else ()
    with work.around.gates.one_at_a_time(("cache", target.host, target.owner)):
        lacking = work.agent.ask("lacking", hashes=list(hashes))["lacking"]
        here = [name for name in kept if name.partition(".")[0] in lacking]
        if here:
            work.agent.ask("offer", names=here)
            lacking = work.agent.ask("lacking", hashes=list(hashes))["lacking"]
        if work.around.wheel_source is not None:
            pull(work, [hashes[sha256] for sha256 in lacking], work.around.wheel_source)
            return
        for number, sha256 in enumerate(lacking, 1):
            path = house.path_of(hashes[sha256])
            work.says(f"sending wheel {number} of {len(lacking)}: {path.name}")
            try:
                stream = path.open("rb")
            except OSError as error:
                raise DeploymentError(
                    f"{path.name} cannot be read: {error.strerror}", where=work.where, hint=f"it should be {path}"
                ) from None
            with stream:
                size = os.fstat(stream.fileno()).st_size
                work.agent.send_file("store", exactly(stream, size), size, sha256=sha256, filename=path.name)


def exactly(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """So many bytes, whatever becomes of the file meanwhile: the other side counts them, and refuses other content."""
    while size:
        chunk = stream.read(min(size, CHUNK)) or bytes(min(size, CHUNK))
        size -= len(chunk)
        yield chunk


def apply(work: Work, actions: Sequence[Action], pip: Wheel | None) -> Probe:
    """Install and remove what `actions` say in one call of pip each, by the wheel `pip` where there is one."""
    settings = work.around.settings
    wheels = [_fields(work, action.wheel) for action in actions if action.wheel]
    _clear(work, actions)
    if not actions:
        return to_probe(work.proposal.member.target, work.agent.ask("probe"))
    reply = work.agent.ask(
        "install",
        wheels=wheels,
        remove=[action.shown_as for action in actions if action.kind is Kind.REMOVE],
        pip_wheel=_fields(work, pip) if pip else None,
        compile=settings.compile,
        umask=settings.umask,
    )
    return to_probe(work.proposal.member.target, reply["probe"])


def _clear(work: Work, actions: Sequence[Action]) -> None:
    """Take away what an interrupted pip left, before pip stumbles over it."""
    probe = work.proposal.probe
    leftovers = list(probe.leftovers) if probe else []
    if probe and (leftovers or probe.duplicates):
        work.agent.ask("clear", leftovers=leftovers, names=[str(action.name) for action in actions if action.wheel])


def _fields(work: Work, wheel: Wheel) -> dict[str, Any]:
    return {
        "name": str(wheel.name),
        "version": str(wheel.version),
        "filename": wheel.filename,
        "sha256": work.around.house.sha256(wheel),
    }


def compare(work: Work, actions: Sequence[Action], after: Probe) -> None:
    """Raise `DeploymentError` where a version is not what the actions say."""
    for action in actions:
        there = after.distributions.get(action.name)
        expected = None if action.kind is Kind.REMOVE else action.version
        if (there.version if there else None) != expected:
            found = f"{there.version_text} is installed" if there else "it is not installed"
            raise DeploymentError(f"{action.shown_as} should be {expected or 'gone'}, but {found}", where=work.where)


def verify(work: Work, actions: Sequence[Action]) -> None:
    """Raise `DeploymentError` where a file of what was installed is not as its RECORD says."""
    names = [str(action.name) for action in actions if action.wheel]
    wrong: Mapping[str, list[str]] = work.agent.ask("verify", names=names)["wrong"] if names else {}
    for name, problems in wrong.items():
        raise DeploymentError(f"files of {name} are not as its RECORD says: {'; '.join(problems)}", where=work.where)
