"""Why an event could not be delivered."""

from __future__ import annotations

from collections.abc import Callable


class Undelivered(Exception):
    """An event was not delivered, for a `reason` that holds no secret; `again` says whether another try makes sense."""

    def __init__(self, reason: str, again: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again


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
