"""Old code: which virtualenvs still run the code from before a rollout, while a database that they use is migrated."""

from __future__ import annotations

from collections.abc import Container, Iterable

from packaging.utils import canonicalize_name

from envfab.config.target import Member, Target
from envfab.deployment.proposal import Proposal
from envfab.planning.plan import Status

DJANGO = canonicalize_name("Django")


class OldCode:
    """The virtualenvs of a fleet that run code from before the rollout, by the label of their database.

    All members of the fleet count, also those that the rollout leaves out, but not those that are `without` such code.
    """

    def __init__(self, members: Iterable[Member] = (), without: Container[Target] = ()) -> None:
        self._users: dict[str, dict[Target, None]] = {}
        for member in members:
            if member.target not in without:
                for project in member.virtualenv.projects:
                    if project.database is not None:
                        self._users.setdefault(project.database, {})[member.target] = None
        self._replaced: set[Target] = set()

    @classmethod
    def of(cls, members: Iterable[Member], proposals: Iterable[Proposal]) -> OldCode:
        """Make it of a fleet, of which the proposals tell which virtualenvs run no older code.

        These are those that are current, so that their packages are what the rollout brings; those that do not exist;
        and those that have no Django yet.
        """
        return cls(members, {one.plan.target for one in proposals if not _may_run_older_code(one)})

    def replaced(self, target: Target) -> None:
        """Note that `target` runs the new code."""
        self._replaced.add(target)

    def beside(self, database: str | None, target: Target) -> tuple[Target, ...]:
        """Return the virtualenvs other than `target` that use the database; without a label none is known to."""
        users = self._users.get(database, {}) if database is not None else {}
        return tuple(other for other in users if other != target and other not in self._replaced)


def _may_run_older_code(proposal: Proposal) -> bool:
    probe = proposal.probe
    has_django = probe is None or DJANGO in probe.distributions or DJANGO in probe.outside
    return has_django and proposal.plan.status not in (Status.CURRENT, Status.MISSING)
