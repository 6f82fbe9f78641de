"""Bringing packages into a virtualenv: sending wheels, one call of the installer, and a look at what came of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from packaging.utils import NormalizedName

from envfab.deployment.context import DeploymentContext
from envfab.deployment.download import pull
from envfab.deployment.installer import Installer
from envfab.errors import DeploymentError
from envfab.models.probe import Probe
from envfab.models.wheel import Wheel
from envfab.planning.plan import Action, ActionKind
from envfab.remote import agent_sources
from envfab.remote.agent_replies import to_damage, to_installed, to_lacking, to_probe

CHUNK = 1 << 18
# so many wheels are on their way at once: a slow connection is not asked for each, nor is a full disk sent all
WHEELS_AHEAD = 8


def send(work: DeploymentContext, wheels: Sequence[Wheel]) -> None:
    """Send the wheels that the host's cache lacks; whoever shares the cache waits and then sends nothing.

    Where the fleet has a `wheel_source`, the host fetches them from there. What the virtualenv itself keeps goes into
    the cache by a link.
    """
    wheelhouse, target = work.around.wheelhouse, work.proposal.member.target
    hashes = {wheelhouse.sha256(wheel): wheel for wheel in wheels}
    if not hashes:
        return
    kept = work.proposal.probe.kept if work.proposal.probe else ()
    with work.around.gates.one_at_a_time(("cache", target.host, target.owner)):
        lacking = to_lacking(work.agent.ask("lacking", hashes=list(hashes)), work.where, hashes)
        here = [name for name in kept if name.partition(".")[0] in lacking]
        if here:
            work.agent.ask("offer", names=here)
            lacking = to_lacking(work.agent.ask("lacking", hashes=list(hashes)), work.where, hashes)
        if work.around.wheel_source is not None:
            pull(work, [hashes[sha256] for sha256 in lacking], work.around.wheel_source)
            return
        for number, sha256 in enumerate(lacking, 1):
            path = wheelhouse.path_of(hashes[sha256])
            work.says(f"sending wheel {number} of {len(lacking)}: {path.name}")
            try:
                stream = path.open("rb")
            except OSError as error:
                raise DeploymentError(
                    f"{path.name} cannot be read: {error.strerror}", where=work.where, hint=f"it should be {path}"
                ) from None
            with stream:
                size = os.fstat(stream.fileno()).st_size
                work.agent.tell_file("store", exactly(stream, size), size, sha256=sha256, filename=path.name)
            if number % WHEELS_AHEAD == 0:
                work.agent.settle()
        work.agent.settle()


def exactly(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """So many bytes, whatever becomes of the file meanwhile: the other side counts them, and refuses other content."""
    while size:
        chunk = stream.read(min(size, CHUNK)) or bytes(min(size, CHUNK))
        size -= len(chunk)
        yield chunk


def apply(
    work: DeploymentContext, found: Probe, actions: Sequence[Action], installer: Installer, anew: Sequence[Action] = ()
) -> Probe:
    """Install and remove what `actions` say, in one call of the installer for each of the two; how it is afterwards.

    `found` is how it was before, with what an interrupted installer may have left lying about. What uv keeps unpacked
    of the packages `anew` is not used, but unpacked again.
    """
    settings = work.around.settings
    wheels = [_fields(work, action.wheel) for action in actions if action.wheel]
    _clear(work, found, actions)
    if not actions:
        return to_probe(work.proposal.member.target, work.agent.ask("probe"))
    request: dict[str, Any] = {
        "wheels": wheels,
        "remove": [action.shown_as for action in actions if action.kind is ActionKind.REMOVE],
        "compile": settings.compile,
        "umask": settings.umask,
    }
    program = _fields(work, installer.wheel) if installer.wheel else None
    if installer.is_uv:
        work.agent.load(agent_sources.UV + agent_sources.BYTECODE if settings.compile else agent_sources.UV)
        forget = [str(action.name) for action in anew]
        reply = work.agent.ask("install_by_uv", uv_wheel=program, link=settings.link, forget=forget, **request)
    else:
        reply = work.agent.ask("install", pip_wheel=program, **request)
    return to_installed(reply, work.proposal.member.target)


def spoken(actions: Sequence[Action]) -> str:
    """What actions do, in a few words: `installing Django`, `installing 3 packages, removing django-old`."""
    parts = []
    for verb, some in (
        ("installing", [one.shown_as for one in actions if one.wheel]),
        ("removing", [one.shown_as for one in actions if not one.wheel]),
    ):
        if some:
            parts.append(f"{verb} {some[0] if len(some) == 1 else f'{len(some)} packages'}")
    return ", ".join(parts)


def _clear(work: DeploymentContext, found: Probe, actions: Sequence[Action]) -> None:
    """Take away what an interrupted pip left, before pip stumbles over it."""
    if found.leftovers or found.duplicates:
        names = [str(action.name) for action in actions if action.wheel]
        work.agent.ask("clear", leftovers=list(found.leftovers), names=names)


def _fields(work: DeploymentContext, wheel: Wheel) -> dict[str, Any]:
    return {
        "name": str(wheel.name),
        "version": str(wheel.version),
        "filename": wheel.filename,
        "sha256": work.around.wheelhouse.sha256(wheel),
    }


def compare(work: DeploymentContext, actions: Sequence[Action], after: Probe) -> None:
    """Raise `DeploymentError` where a version is not what the actions say."""
    for action in actions:
        there = after.distributions.get(action.name)
        expected = None if action.kind is ActionKind.REMOVE else action.version
        if (there.version if there else None) != expected:
            found = f"{there.version_text} is installed" if there else "it is not installed"
            raise DeploymentError(f"{action.shown_as} should be {expected or 'gone'}, but {found}", where=work.where)


def verify(work: DeploymentContext, actions: Sequence[Action]) -> None:
    """Raise `DeploymentError` where a file of what was installed is not as its RECORD says.

    A file that several virtualenvs share may have been damaged in any of them: then what was kept unpacked of
    its package is thrown away, and the package installed once more.
    """
    wrong = _damaged(work, actions)
    if wrong and work.proposal.installer.is_uv:
        again = [action for action in actions if action.wheel and action.name in wrong]
        names = ", ".join(action.shown_as for action in again)
        work.says(f"unpacking again, for files are not as RECORD says: {names}")
        found = to_probe(work.proposal.member.target, work.agent.ask("probe")) if work.after is None else work.after
        work.after = apply(work, found, again, work.proposal.installer, anew=again)
        wrong = _damaged(work, again)
    shown = {action.name: action.shown_as for action in actions}
    for name, problems in wrong.items():
        raise DeploymentError(
            f"files of {shown[name]} are not as its RECORD says: {'; '.join(problems)}", where=work.where
        )


def _damaged(work: DeploymentContext, actions: Sequence[Action]) -> Mapping[NormalizedName, tuple[str, ...]]:
    """What is wrong with the files of the packages that were installed, by name."""
    names = [str(action.name) for action in actions if action.wheel]
    return to_damage(work.agent.ask("verify", names=names), work.where, names) if names else {}
