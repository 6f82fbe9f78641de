"""Why an event or a document could not be delivered, and when another try is made."""

from __future__ import annotations

from collections.abc import Callable

from envfab.util.untrusted import shown_url

# seconds before the second and the third try
PAUSES = (0.4, 0.8)
# statuses, beside those from 500 on, that may be over a moment later
PASSING = (408, 425, 429)


class Undelivered(Exception):
    """Something was not delivered, for a `reason` without secrets; `again` says whether another try makes sense."""

    def __init__(self, reason: str, again: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again


def failure_of_answer(status: int, location: str | None) -> Undelivered | None:
    """Return why what a web server answers means that it did not take something; None if it did.

    `location` is where a redirect leads: it is not followed, since a stranger would get what was sent.
    """
    if location is not None:
        return Undelivered(f"HTTP {status} to {shown_url(location)}, which is not followed", again=False)
    if 200 <= status < 300:
        return None
    return Undelivered(f"HTTP {status}", again=status >= 500 or status in PASSING)


def ask_fabfile(value: object, called: str, problem_of: Callable[[object], str]) -> str:
    """Return a text of the fabfile, or what its function returns now; raises `Undelivered` if that cannot be used."""
    try:
        found = value() if callable(value) else value
    except Exception as error:  # noqa: BLE001 - the fabfile's own code may raise anything
        # the message of any other exception might hold a secret
        why = f": {error}" if isinstance(error, (KeyError, OSError)) else ""
        raise Undelivered(f"cannot read the {called}: {type(error).__name__}{why}", again=False) from None
    # without the line end that files and password programs add
    found = found.strip() if isinstance(found, str) else found
    if problem := problem_of(found):
        raise Undelivered(f"the {called} {problem}", again=False)
    return str(found)
