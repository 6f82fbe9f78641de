"""Asking a server for its policy. Imported only by the thread that delivers."""

from __future__ import annotations

from envfab.usagestats.kept_policy import KeptPolicy
from envfab.usagestats.policy import MAX_POLICY, PolicyError, parse_policy
from envfab.usagestats.transport import TROUBLE, DropPoint, HttpAnswer

NAME = "policy.json"
_GONE = frozenset({404, 410})
_NOT_IMPLEMENTED = 501  # a server that takes POST alone
_PROXY_ASKS = 407  # a proxy on the way wants a password: the server was not asked


def fetch_policy(kept: KeptPolicy, ssl_verify: str | None, now: int) -> KeptPolicy:
    """What is known after asking the server at `now` (milliseconds since 1970)."""
    return judge_answer(kept, DropPoint(kept.drop_point, ssl_verify).request(NAME, limit=MAX_POLICY + 1), now)


def judge_answer(kept: KeptPolicy, answer: HttpAnswer, now: int) -> KeptPolicy:
    """What is known after the server's answer, which came at `now`."""
    if answer.status in _GONE:
        return kept.after_none(now)
    if _is_of_servers_without_policies(answer, kept.drop_point.lower().startswith("https:")):
        return kept.after_nonsense(now, _told(answer)) if kept.text else kept.after_none(now)
    if not 200 <= answer.status < 300:
        return kept.after_nonsense(now, _told(answer))
    try:
        parse_policy(answer.body, now)
    except PolicyError as error:
        return kept.after_nonsense(now, f"the policy {error}")
    return kept.after_policy(now, answer.body)


def _is_of_servers_without_policies(answer: HttpAnswer, is_proved: bool) -> bool:
    """Whether a server that never heard of policies answers so: it refuses, or has a page for every address.

    Unless it is proved that the server answers (HTTPS), such a page may be that of a network that wants its users to
    sign in.
    """
    refuses = 400 <= answer.status < 500 and answer.status not in TROUBLE and answer.status != _PROXY_ASKS
    has_pages = is_proved and answer.status == 200 and answer.kind == "text/html"
    return refuses or has_pages or answer.status == _NOT_IMPLEMENTED


def _told(answer: HttpAnswer) -> str:
    return f"the server answered {answer.status}" if answer.status else "the server did not answer"
