"""Rollouts, hosts and changes as JSON tells them."""

from __future__ import annotations

from datetime import date
from typing import Any

from envfab.collector.db.change_queries import ChangeLine
from envfab.collector.db.differing import Difference, OddSibling, Sibling, SiblingGroup
from envfab.collector.db.host_queries import HostLine, HostRollout, ToldVirtualenv
from envfab.collector.db.rollout_queries import RolloutMember, ToldChange, ToldRollout
from envfab.collector.template_filters import end_of_life_of, iso


def rollout_json(one: ToldRollout, now: int) -> dict[str, Any]:
    """A rollout in a list. `state` is that of its document, `shown_state` what pages call it."""
    return {
        "rollout": one.rollout,
        "number": one.number,
        "state": one.state,
        "shown_state": one.state_at(now),
        "heard_at": iso(one.heard_at),
        "task": one.task,
        "who": one.who,
        "origin": one.origin,
        "command": one.command,
        "version": one.version,
        "began": iso(one.began),
        "ended": iso(one.ended) if one.ended is not None else None,
        "slice": one.slice,
        "log": one.log,
        "approved_by": list(one.approved_by),
        "out_of_service": list(one.out_of_service),
        "statuses": dict(one.statuses),
        "changed_packages": one.packages,
    }


def change_json(one: ToldChange) -> dict[str, Any]:
    """A change of a rollout, and of how many virtualenvs it is."""
    return {
        "action": one.action,
        "name": one.shown_as,
        "before": one.before,
        "after": one.after,
        "virtualenvs": one.virtualenvs,
        "deployed": one.deployed,
    }


def member_json(one: RolloutMember) -> dict[str, Any]:
    """A virtualenv of a rollout, as its document has it."""
    return {
        "owner": one.owner,
        "host": one.host,
        "path": one.path,
        "status": one.status,
        "deployment": one.deployment,
        "changes": one.set_number,
        "interpreter": one.interpreter,
        "digest": one.digest,
        "drift": _drift(one),
        "migrated": list(one.migrated),
        "message": one.message,
        "seconds": one.seconds,
    }


def host_json(one: HostLine) -> dict[str, Any]:
    """A host in a list."""
    return {"host": one.name, "virtualenvs": one.virtualenvs, "applications": one.applications, "last": iso(one.last)}


def virtualenv_json(one: ToldVirtualenv) -> dict[str, Any]:
    """A virtualenv of a host; `packages` is the key of `package_sets`, and null where they are not known."""
    return {
        "owner": one.owner,
        "path": one.path,
        "rollout": one.rollout,
        "status": one.status,
        "known_at": iso(one.known_at) if one.known_at is not None else None,
        "interpreter": one.interpreter,
        "end_of_life": _day(end_of_life_of(one.interpreter or "")),
        "digest": one.digest,
        "packages": str(one.package_set_id) if one.package_set_id is not None else None,
        "drift": _drift(one),
    }


def host_rollout_json(one: HostRollout) -> dict[str, Any]:
    """A rollout of a host."""
    return {
        "rollout": one.rollout,
        "began": iso(one.began),
        "task": one.task,
        "who": one.who,
        "statuses": dict(one.statuses),
    }


def package_line_json(one: ChangeLine) -> dict[str, Any]:
    """What changed in a package."""
    return {
        "name": one.shown_as,
        "before": one.before,
        "after": one.after,
        "virtualenvs": one.virtualenvs,
        "rollouts": one.rollouts,
        "latest_rollout": one.latest,
        "applications": one.applications,
    }


def group_json(one: SiblingGroup) -> dict[str, Any]:
    """Siblings, and which of them differ."""
    return {
        "source": "rollouts" if one.path is not None else "registrations",
        "name": one.name,
        "path": one.path,
        "user_id": one.user_id,
        "kind": one.kind or None,
        "tied": one.tied if one.odd else False,
        "most": [_sibling_json(it) for it in one.most],
        "odd": [_odd_json(it) for it in one.odd],
        "unknown": [_sibling_json(it) for it in one.unknown],
    }


def _odd_json(one: OddSibling) -> dict[str, Any]:
    found = one.differences
    return _sibling_json(one.sibling) | {
        "differences": None if found is None else [_difference_json(it) for it in found]
    }


def _difference_json(one: Difference) -> dict[str, Any]:
    return {"name": one.shown_as, "here": one.here, "most": one.most}


def _sibling_json(one: Sibling) -> dict[str, Any]:
    return {"host": one.host, "digest": one.digest, "uuid": one.uuid, "edited": one.edited}


def _day(one: date | None) -> str | None:
    return one.isoformat() if one is not None else None


def _drift(one: RolloutMember | ToldVirtualenv) -> dict[str, Any] | None:
    if one.drift_packages is None:
        return None
    since = iso(one.drift_since) if one.drift_since is not None else None
    return {"packages": one.drift_packages, "files": one.drift_files, "since": since}
