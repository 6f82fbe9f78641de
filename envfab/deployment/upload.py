"""Bringing wheels to a host: into the store of the virtualenv's owner, each once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from envfab.deployment.context import DeploymentContext
from envfab.deployment.download import pull
from envfab.deployment.space import require_room
from envfab.errors import DeploymentError
from envfab.models.wheel import Wheel
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_interpreter, to_lacking

CHUNK = 1 << 18
# so many wheels are on their way at once: a slow connection is not asked for each, nor is a full disk sent all
WHEELS_AHEAD = 8
TRIES = 3


def send(work: DeploymentContext, wheels: Sequence[Wheel]) -> None:
    """Send the wheels that the store lacks, and have them unpacked there.

    Virtualenvs that share a store wait for each other, and the later ones then find it filled. Where the fleet has a
    `wheel_source`, the host fetches the wheels from there. What another rollout took out of the cache meanwhile is sent
    again. Raises `DeploymentError` before anything is sent, where there is no room for it.
    """
    wheelhouse, target, settings = work.around.wheelhouse, work.proposal.member.target, work.around.settings
    hashes = {wheelhouse.sha256(wheel): wheel for wheel in wheels}
    if not hashes:
        return
    kind = {"umask": settings.umask, "compile": settings.compile}
    entries = [{"sha256": sha256, "filename": wheel.filename} for sha256, wheel in hashes.items()]
    work.agent.load(agent_sources.GENERATIONS)
    with work.around.gates.one_at_a_time(("store", target.host, target.owner)):
        for _ in range(TRIES):
            reply = work.agent.ask("missing", hashes=list(hashes), **kind)
            interpreter = to_interpreter(reply, work.where) if settings.compile else None
            lacking = [hashes[sha256] for sha256 in to_lacking(reply, work.where, hashes)]
            require_room(work, reply, lacking, wheels)
            _send_all(work, lacking, kind, interpreter)
            if not to_lacking(work.agent.ask("fill", wheels=entries, **kind), work.where, hashes):
                return
    what = "other deployments of the same owner take the wheels away that are sent"
    raise DeploymentError(what, where=work.where, hint="try again once they have ended")


def _send_all(
    work: DeploymentContext, wheels: Sequence[Wheel], kind: Mapping[str, int], interpreter: str | None
) -> None:
    """Send wheels, or have them fetched; with their bytecode where there is an `interpreter` that wants it."""
    source = work.around.wheel_source
    if source is not None:
        pull(work, wheels, source)
    for number, wheel in enumerate(wheels, 1):
        if source is None:
            work.says(f"sending wheel {number} of {len(wheels)}: {wheel.filename}")
            _send_one(work, wheel)
        if interpreter is not None:
            _send_bytecode(work, wheel, interpreter)
        # it is unpacked while the next one is on its way
        entry = {"sha256": work.around.wheelhouse.sha256(wheel), "filename": wheel.filename}
        work.agent.tell("fill", wheels=[entry], **kind)
        if number % WHEELS_AHEAD == 0:
            work.agent.settle()


def _send_bytecode(work: DeploymentContext, wheel: Wheel, interpreter: str) -> None:
    """Send the bytecode of a wheel, where this machine can compile it; the host does it otherwise."""
    wheelhouse = work.around.wheelhouse
    sha256 = wheelhouse.sha256(wheel)
    found = work.around.compilers.bytecode(interpreter, wheelhouse.path_of(wheel), sha256)
    if found is None:
        work.compiled_there += 1
        return
    work.compiled_here += 1
    chunks = (found.data[start : start + CHUNK] for start in range(0, len(found.data), CHUNK))
    work.agent.tell_file("bytecode", chunks, len(found.data), sha256=sha256, digest=found.sha256)


def _send_one(work: DeploymentContext, wheel: Wheel) -> None:
    wheelhouse = work.around.wheelhouse
    path = wheelhouse.path_of(wheel)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DeploymentError(
            f"{path.name} cannot be read: {error.strerror}", where=work.where, hint=f"it should be {path}"
        ) from None
    with stream:
        size = os.fstat(stream.fileno()).st_size
        sha256 = wheelhouse.sha256(wheel)
        work.agent.tell_file("store", exactly(stream, size), size, sha256=sha256, filename=path.name)


def exactly(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """So many bytes, whatever becomes of the file meanwhile: the other side counts them, and refuses other content."""
    while size:
        chunk = stream.read(min(size, CHUNK)) or bytes(min(size, CHUNK))
        size -= len(chunk)
        yield chunk
