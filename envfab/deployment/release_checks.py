"""Signatures of releases as hosts check them, before they unpack a wheel; see `agent/releases`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

from envfab.deployment.proposal import Proposal
from envfab.errors import DeploymentError, EnvfabError
from envfab.models.wheel import Wheel
from envfab.planning.plan import Status
from envfab.remote import agent_sources
from envfab.remote.agent_replies import ReleaseCheck, to_release_check
from envfab.remote.agent_session import Session
from envfab.signatures.sshsig import SSHSignature
from envfab.wheelhouse.wheelhouse import Wheelhouse

NO_SIGNERS = "the host installs only releases that its own signers signed, and the fleet has no signers"
NO_SIGNERS_HINT = "Fleet(signers=…): see docs/signed-releases.md"


def with_checked_releases(proposal: Proposal, wheelhouse: Wheelhouse) -> Proposal:
    """Return the proposal, blocked if its host does not take one of its releases.

    If the host cannot check signatures, a note says so; it blocks if the fleet requires that hosts check them.
    """
    if proposal.site is None or proposal.plan.status is not Status.CHANGES or not proposal.wheels:
        return proposal
    where = str(proposal.plan.target)
    try:
        if wheelhouse.signers is None:
            if proposal.probe is not None and proposal.probe.signed_only:
                raise DeploymentError(NO_SIGNERS, where=where, hint=NO_SIGNERS_HINT)
            return proposal
        unable = check_releases(proposal.site.agent(), wheelhouse, proposal.wheels, where)
    except EnvfabError as error:
        return proposal.blocked(error)
    notes = (*proposal.plan.notes, f"the host checks no signatures: {unable}") if unable else proposal.plan.notes
    return replace(proposal, plan=replace(proposal.plan, notes=notes))


def check_releases(
    agent: Session, wheelhouse: Wheelhouse, wheels: Sequence[Wheel], where: str, *, keep: bool = False
) -> str | None:
    """Have a host check the signatures of wheels; return why it cannot, None if it did. With `keep` it notes them.

    Raises `DeploymentError` if it refuses one, or if it cannot check signatures and must.
    """
    signers = wheelhouse.signers
    if signers is None:
        return None
    releases = wheelhouse.signed_releases(wheels)
    agent.load(agent_sources.RELEASES)
    reply = agent.ask(
        "check_releases",
        signers=signers.allowed.text,
        releases=[
            {
                "sha256": one.sha256,
                "filename": one.filename,
                "text": base64.b64encode(one.text).decode(),
                "signature": one.signature,
                "signer": signers.allowed.name_of(SSHSignature.parse(base64.b64decode(one.signature)).public_key),
            }
            for one in releases
        ],
        keep=keep,
    )
    check = to_release_check(reply, where, [one.sha256 for one in releases])
    if check.unable and (signers.required_on_hosts or check.own):
        who = f"{check.own} is there" if check.own else "require_host_verification"
        raise DeploymentError(
            f"the host cannot check signatures, and must ({who}): {check.unable}",
            where=where,
            hint="install OpenSSH 8.1 or later there",
        )
    _refuse(check, {one.sha256: one.filename for one in releases}, where)
    return check.unable


def _refuse(check: ReleaseCheck, filenames: dict[str, str], where: str) -> None:
    if not check.refused:
        return
    whose = check.own or "the fleet's signers"
    lines = [f"{filenames[sha256]}: {why}" for sha256, why in check.refused.items()]
    raise DeploymentError(
        "\n    ".join([f"the host refuses releases that are not signed as it must be, by {whose}", *lines]),
        where=where,
        hint=f"add the key that signed them to {whose} on the host" if check.own else "fab sign_wheels tells more",
    )
