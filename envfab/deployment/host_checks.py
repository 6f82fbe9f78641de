"""What a host must allow and accept before a plan may be carried out there."""

from __future__ import annotations

from envfab.deployment.privileges import with_privileges
from envfab.deployment.proposal import Proposal
from envfab.deployment.release_checks import with_checked_releases
from envfab.wheelhouse.wheelhouse import Wheelhouse


def checked_on_host(proposal: Proposal, wheelhouse: Wheelhouse) -> Proposal:
    """Return the proposal with its commands; blocked if its host does not allow them, or refuses a release."""
    return with_checked_releases(with_privileges(proposal), wheelhouse)
