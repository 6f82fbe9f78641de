"""Asking a server for its policy. Imported only by the thread that delivers."""

from __future__ import annotations

from envfab.usagestats.kept_policy import KeptPolicy
from envfab.usagestats.policy import MAX_POLICY, PolicyError, parse_policy
from envfab.usagestats.transport import TROUBLE, DropPoint, HttpAnswer

NAME = "policy.json"
_GONE = frozenset({404, 410})
_NOT_IMPLEMENTED = 501  # a server that takes POST alone


def fetch_policy(kept: KeptPolicy, ssl_verify: str | None, now: int) -> KeptPolicy:
    """What is known after asking the server at `now` (milliseconds since 1970)."""
    answer = DropPoint(kept.drop_point, ssl_verify).request(NAME, limit=MAX_POLICY + 1)
    if answer.status in _GONE:
        return kept.after_none(now)
    if _is_of_servers_without_policies(answer):
        return kept.after_nonsense(now, _told(answer)) if kept.text else kept.after_none(now)
    if not 200 <= answer.status < 300:
        return kept.after_nonsense(now, _told(answer))
    try:
        parse_policy(answer.body, now)
    except PolicyError as error:
        return kept.after_nonsense(now, f"the policy {error}")
    return kept.after_policy(now, answer.body)


def _is_of_servers_without_policies(answer: HttpAnswer) -> bool:
    """Whether a server that never heard of policies answers so: it refuses, or has a page for every address."""
    refuses = 400 <= answer.status < 500 and answer.status not in TROUBLE
    return refuses or answer.status == _NOT_IMPLEMENTED or (answer.status == 200 and answer.kind == "text/html")


def _told(answer: HttpAnswer) -> str:
    return f"the server answered {answer.status}" if answer.status else "the server did not answer"
