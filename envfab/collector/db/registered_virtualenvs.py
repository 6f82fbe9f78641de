"""Which virtualenvs of rollouts are registered as applications: those that `fab register` gives the same UUID."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from envfab.collector.db.batches import in_parts
from envfab.collector.db.schema import applications, virtualenvs
from envfab.config.target import Target
from envfab.registration.difio.registration import uuid_of_target

# the virtualenv that an application is
IS_REGISTERED = virtualenvs.c.uuid == applications.c.uuid
# applications with the virtualenv that each is, where a rollout told of it
REGISTERED = applications.outerjoin(virtualenvs, IS_REGISTERED)


def uuid_of_virtualenv(host: str, owner: str, path: str) -> str:
    """The UUID that a virtualenv registers with, where its fabfile or its agent gives it no other."""
    return uuid_of_target(Target(owner, host, path))


def targets_of(connection: Connection, uuids: Iterable[str]) -> dict[str, Target]:
    """The virtualenvs that rollouts told of, by the UUIDs of the applications that they are registered as."""
    found: dict[str, Target] = {}
    place = virtualenvs.c.owner, virtualenvs.c.host, virtualenvs.c.path
    for some in in_parts(sorted(set(uuids))):
        for uuid, *names in connection.execute(select(virtualenvs.c.uuid, *place).where(virtualenvs.c.uuid.in_(some))):
            found[uuid] = Target(*names)
    return found
