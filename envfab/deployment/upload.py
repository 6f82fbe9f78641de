"""Bringing wheels to a host: into the store of the virtualenv's owner, each once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from envfab.deployment.context import DeploymentContext
from envfab.deployment.download import pull
from envfab.errors import DeploymentError
from envfab.models.wheel import Wheel
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_interpreter, to_lacking

CHUNK = 1 << 18
# so many wheels are on their way at once: a slow connection is not asked for each, nor is a full disk sent all
WHEELS_AHEAD = 8


def send(work: DeploymentContext, wheels: Sequence[Wheel]) -> None:
    """Send the wheels that the store lacks, and have them unpacked there.

    Virtualenvs that share a store wait for each other, and the later ones then find it filled. Where the fleet has a
    `wheel_source`, the host fetches the wheels from there.
    """
    wheelhouse, target, settings = work.around.wheelhouse, work.proposal.member.target, work.around.settings
    hashes = {wheelhouse.sha256(wheel): wheel for wheel in wheels}
    if not hashes:
        return
    kind = {"umask": settings.umask, "compile": settings.compile}
    entries = [{"sha256": sha256, "filename": wheel.filename} for sha256, wheel in hashes.items()]
    work.agent.load(agent_sources.GENERATIONS)
    with work.around.gates.one_at_a_time(("store", target.host, target.owner)):
        reply = work.agent.ask("missing", hashes=list(hashes), **kind)
        lacking = to_lacking(reply, work.where, hashes)
        interpreter = to_interpreter(reply, work.where)
        if work.around.wheel_source is not None:
            pull(work, [hashes[sha256] for sha256 in lacking], work.around.wheel_source)
        for number, sha256 in enumerate(lacking, 1):
            wheel = hashes[sha256]
            if work.around.wheel_source is None:
                work.says(f"sending wheel {number} of {len(lacking)}: {wheel.filename}")
                _send_one(work, wheel)
            if settings.compile:
                _send_bytecode(work, wheel, interpreter)
            # it is unpacked while the next one is on its way
            work.agent.tell("fill", wheels=[{"sha256": sha256, "filename": wheel.filename}], **kind)
            if number % WHEELS_AHEAD == 0:
                work.agent.settle()
        work.agent.ask("fill", wheels=entries, **kind)


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
