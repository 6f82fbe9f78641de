"""Privileges that a deployment needs on the host, checked before anything is changed: sudo, and reading packages."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from envfab.config.command import Command
from envfab.config.target import Member
from envfab.deployment.proposal import Proposal
from envfab.errors import DeploymentError, EnvfabError, FabfileFault
from envfab.planning.plan import Status
from envfab.remote.sudo import SudoError

COMMANDS = ("smoke", "before", "reload", "check")


def planned_commands(member: Member) -> tuple[tuple[str, Command], ...]:
    """Return (field, command) for the fabfile's commands that a deployment runs, in order.

    Raises `EnvfabError` if a callable of the fabfile fails.
    """
    return tuple(_commands(member))


def _commands(member: Member) -> Iterator[tuple[str, Command]]:
    for field in COMMANDS:
        try:
            found = list(member.virtualenv.commands(field))
            if field == "reload":
                found += member.host.reload_commands(member.virtualenv)
        except FabfileFault as error:
            raise EnvfabError(
                f"cannot compute the {field} command: {error}",
                where=str(member.target),
                hint=f"correct the callable given as {field} in the fabfile",
            ) from None
        for command in found:
            yield field, command
    try:
        drain = member.host.how_to_drain()
    except FabfileFault as error:
        raise EnvfabError(
            f"cannot compute how to drain {member.host.name}: {error}",
            where=str(member.target),
            hint="correct the callable given as drain or undrain in the fabfile",
        ) from None
    if drain is not None:
        yield from (("drain", command) for command in drain.out)
        yield from (("undrain", command) for command in drain.back)


def _require_readable(proposal: Proposal) -> None:
    """Raise `DeploymentError` where a generation is to be made of files that the virtualenv's owner may not read."""
    unreadable = proposal.probe.unreadable if proposal.probe is not None else ()
    if not unreadable or not proposal.plan.actions or proposal.plan.generation is not None:
        return
    target = proposal.member.target
    raise DeploymentError(
        f"{unreadable[0]} cannot be read by {target.owner}",
        where=str(target),
        hint=f"as root: chown -R {' '.join(map(shlex.quote, (target.owner, *unreadable)))}",
    )


def with_privileges(proposal: Proposal) -> Proposal:
    """Return the proposal with its commands; blocked if sudo does not allow what they or the Django projects need.

    Also blocked if the virtualenv's owner may not read files that the next generation needs.
    """
    site = proposal.site
    if proposal.plan.status is not Status.CHANGES or site is None:
        return proposal
    try:
        _require_readable(proposal)
        commands = planned_commands(proposal.member)
        for field, command in commands:
            if command.on not in (None, proposal.member.host.name):
                # tested when it runs, before anything is switched
                continue
            with _named(f"the {field} command {command.shown!r}"):
                site.allowed(command.user, command.arguments)
        for project in proposal.member.virtualenv.projects:
            with _named(f"the project {project.settings}"):
                user = project.user or proposal.member.target.owner
                if site.as_user(user) != site.owner:
                    site.allowed(user, None)
    except EnvfabError as error:
        return proposal.blocked(error)
    shown = tuple(_shown(field, command) for field, command in commands)
    return replace(proposal, commands=shown)


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Add to a refusal of sudo what sudo was asked for."""
    try:
        yield
    except SudoError as refused:
        raise SudoError(f"{what}: {refused.what}", where=refused.where, hint=refused.hint) from None


def _shown(field: str, command: Command) -> tuple[str, str]:
    on = f"   on {command.on}" if command.on else ""
    return field, command.shown + (f"   as {command.user}" if command.user else "") + on
