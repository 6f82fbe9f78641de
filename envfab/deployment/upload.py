"""Upload of wheels into the store of a virtualenv's owner, each once for each host and owner."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from envfab.deployment.context import DeploymentContext
from envfab.deployment.download import pull
from envfab.deployment.release_checks import check_releases
from envfab.deployment.space import require_room
from envfab.errors import DeploymentError
from envfab.models.wheel import Wheel
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_interpreter, to_lacking

CHUNK = 1 << 18
# wheels sent without waiting for an answer: few enough that a full disk is noticed before all are sent
WHEELS_AHEAD = 8
TRIES = 3


def send(work: DeploymentContext, wheels: Sequence[Wheel]) -> None:
    """Send the wheels that the store lacks, and have them unpacked there.

    Deployments that share a store run this one after the other, so that each wheel is sent once. If the fleet has a
    `wheel_source`, the host downloads the wheels from there. Wheels that another rollout took out of the cache
    meanwhile are sent again, up to `TRIES` times in all. Raises `DeploymentError`, before anything is sent, if the host
    has not enough space or refuses a release; also if a wheel cannot be read.
    """
    wheelhouse, target, settings = work.around.wheelhouse, work.proposal.member.target, work.around.settings
    hashes = {wheelhouse.sha256(wheel): wheel for wheel in wheels}
    if not hashes:
        return
    kind = {"umask": settings.umask, "compile": settings.compile}
    entries = [{"sha256": sha256, "filename": wheel.filename} for sha256, wheel in hashes.items()]
    check_releases(work.agent, wheelhouse, wheels, work.where, keep=True)
    work.agent.load(agent_sources.GENERATIONS)
    with work.around.gates.one_at_a_time(("store", target.host, target.owner)):
        for _ in range(TRIES):
            reply = work.agent.ask("missing", hashes=list(hashes), read=work.proposal.repair is not None, **kind)
            interpreter = to_interpreter(reply, work.where) if settings.compile else None
            lacking = [hashes[sha256] for sha256 in to_lacking(reply, work.where, hashes)]
            require_room(work, reply, lacking, wheels)
            _send_all(work, lacking, kind, interpreter)
            if not to_lacking(work.agent.ask("fill", wheels=entries, **kind), work.where, hashes):
                return
    what = "the wheels were removed from the cache by other deployments of the same owner"
    raise DeploymentError(what, where=work.where, hint="try again when they have ended")


def _send_all(
    work: DeploymentContext, wheels: Sequence[Wheel], kind: Mapping[str, int], interpreter: str | None
) -> None:
    """Send wheels, or have the host download them; with bytecode for `interpreter`, unless that is None."""
    source = work.around.wheel_source
    if source is not None:
        pull(work, wheels, source)
    for number, wheel in enumerate(wheels, 1):
        if source is None:
            work.says(f"sending wheel {number} of {len(wheels)}: {wheel.filename}")
            _send_one(work, wheel)
        if interpreter is not None:
            _send_bytecode(work, wheel, interpreter)
        # the host unpacks it while the next one is sent
        entry = {"sha256": work.around.wheelhouse.sha256(wheel), "filename": wheel.filename}
        work.agent.tell("fill", wheels=[entry], **kind)
        if number % WHEELS_AHEAD == 0:
            work.agent.settle()


def _send_bytecode(work: DeploymentContext, wheel: Wheel, interpreter: str) -> None:
    """Send the bytecode of a wheel if this machine can compile it; otherwise the host compiles it."""
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
            f"cannot read {path}: {error.strerror}", where=work.where, hint="fab verify_wheels tells more"
        ) from None
    with stream:
        size = os.fstat(stream.fileno()).st_size
        sha256 = wheelhouse.sha256(wheel)
        work.agent.tell_file("store", exactly(stream, size), size, sha256=sha256, filename=path.name)


def exactly(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield exactly `size` bytes of a stream, padded with zero bytes if the file was shortened meanwhile.

    The agent expects the announced number of bytes, and refuses content with another SHA-256.
    """
    while size:
        chunk = stream.read(min(size, CHUNK)) or bytes(min(size, CHUNK))
        size -= len(chunk)
        yield chunk
