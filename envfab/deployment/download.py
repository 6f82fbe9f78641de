"""Download of wheels by a host from a published index, so that this machine does not slow down a large fleet."""

from __future__ import annotations

from collections.abc import Sequence

from envfab.deployment.context import DeploymentContext
from envfab.errors import DeploymentError
from envfab.models.wheel import Wheel
from envfab.remote import agent_sources
from envfab.remote.agent_session import OperationFailed

# seconds to wait for each response of the index
PATIENCE = 30.0
# what to do about each kind of problem that the agent reports
HINTS = {
    "index-lacks": "bring the index that wheel_source names up to date (fab publish_index), and run this again",
    "index-other": "a released wheel never changes: bring the index up to date (fab publish_index), or find out what "
    "changed it",
    "index-page": "wheel_source must name a package index, like the folder that fab publish_index writes",
    "index-login": "wheel_source may hold a user and a password: https://USER:PASSWORD@…, best given by a callable",
    "index-silent": "wheel_source must be reachable from that host; without wheel_source, wheels are sent from here",
}


def pull(work: DeploymentContext, wheels: Sequence[Wheel], source: str) -> None:
    """Have the host download wheels from the index at `source` and check each by the SHA-256 of the release log.

    Raises `DeploymentError`, with advice, if the index lacks a wheel, has another file or cannot be used.
    """
    settings, wheelhouse = work.around.settings, work.around.wheelhouse
    if wheels:
        work.agent.load(agent_sources.DOWNLOAD)
    for number, wheel in enumerate(wheels, 1):
        path = wheelhouse.path_of(wheel)
        work.says(f"fetching wheel {number} of {len(wheels)}: {wheel.filename}")
        try:
            work.agent.ask(
                "pull",
                url=source,
                name=wheel.name,
                filename=wheel.filename,
                sha256=wheelhouse.sha256(wheel),
                size=path.stat().st_size,
                connect=settings.connect_timeout,
                answer=PATIENCE,
            )
        except OSError as error:
            raise DeploymentError(
                f"cannot read {path}: {error.strerror}", where=work.where, hint="fab verify_wheels tells more"
            ) from None
        except OperationFailed as failed:
            if failed.kind not in HINTS:
                raise
            raise DeploymentError(failed.what, where=work.where, hint=HINTS[failed.kind]) from None
