"""Proposals made of probes, in this process or in another one."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from envfab.config.target import Member, Target
from envfab.models.distribution import Distribution
from envfab.models.interpreter import Interpreter
from envfab.models.requirements import Requirements
from envfab.remote.probe import ProbeResult, TargetSession

if TYPE_CHECKING:
    from envfab.deployment.proposal import Proposal
    from envfab.planning.plan import Plan

NOTHING_REQUIRED = Requirements(())
ANY = Target("", "", "")
# what most virtualenvs of a fleet have in common: kept once in memory, however many processes it came from
COMMON = (Distribution, Interpreter)


def _nothing(_proposal: Proposal) -> None:
    """Do nothing with a proposal."""


@dataclass(frozen=True, slots=True)
class ProposalWork:
    """How a proposal is made of a probe (it is a `Work`).

    `look` makes it, in any thread of any process; `planned` is called with each in this process.
    """

    look: Callable[[ProbeResult], Proposal]
    requirements: Mapping[Target, Requirements] = field(default_factory=dict)
    planned: Callable[[Proposal], None] = _nothing
    _plans: dict[bytes, Plan] = field(default_factory=dict)
    _common: dict[bytes, object] = field(default_factory=dict)

    def make(self, found: ProbeResult) -> Proposal:
        """Make the proposal."""
        return self.look(found)

    def accept(self, proposal: Proposal) -> None:
        """Call `planned`."""
        self.planned(proposal)

    def is_needed(self, proposal: Proposal) -> bool:
        """Return whether a deployment may follow, which needs the agent."""
        return proposal.has_work

    def pack(self, proposal: Proposal) -> bytes:
        """Return a proposal without its session and member, and without what is the same for most of a fleet."""
        plan = pickle.dumps(replace(proposal.plan, target=ANY, fingerprint=None))
        rest = io.BytesIO()
        probe = replace(proposal.probe, target=ANY) if proposal.probe is not None else None
        others = (
            proposal.site is None,
            proposal.error,
            proposal.undoes,
            proposal.saved,
            proposal.commands,
            proposal.repair,
            proposal.drift,
        )
        _Pickler(rest).dump((proposal.plan.fingerprint, probe, *others))
        return pickle.dumps((plan, rest.getvalue()))

    def unpack(self, packed: bytes, member: Member, site: TargetSession) -> Proposal:
        """Return the proposal for `member`, with a session that is not open; equal plans share their memory."""
        # loaded while the first hosts are being probed
        from envfab.deployment.proposal import Proposal

        plan, rest = pickle.loads(packed)
        digest = hashlib.blake2b(plan, digest_size=16).digest()
        if digest not in self._plans:
            self._plans[digest] = pickle.loads(plan)
        unpickler = _Unpickler(io.BytesIO(rest))
        unpickler.common = self._common
        fingerprint, probe, unreached, error, undoes, saved, commands, repair, drift = unpickler.load()
        return Proposal(
            member,
            self.requirements.get(member.target, NOTHING_REQUIRED),
            replace(self._plans[digest], target=member.target, fingerprint=fingerprint),
            None if unreached else site,
            replace(probe, target=member.target) if probe is not None else None,
            error,
            undoes,
            saved,
            commands,
            repair,
            drift,
        )


class _Pickler(pickle.Pickler):
    """Writes each of the `COMMON` objects as bytes of its own, which `_Unpickler` knows again."""

    def persistent_id(self, obj: Any) -> bytes | None:
        return pickle.dumps(obj) if isinstance(obj, COMMON) else None


class _Unpickler(pickle.Unpickler):
    common: dict[bytes, object]

    def persistent_load(self, pid: bytes) -> object:
        key = hashlib.blake2b(pid, digest_size=16).digest()
        if key not in self.common:
            self.common[key] = pickle.loads(pid)
        return self.common[key]
