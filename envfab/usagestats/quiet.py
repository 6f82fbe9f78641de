"""Where errors end: statistics must never break the program that they are about."""

from __future__ import annotations

import logging
from types import TracebackType

# The name under which programs may already have set a level for the original library.
LOGGER = "usagestats"


class quietly:
    """Within the block any `Exception` ends it, and is told at level DEBUG only: others would reach stderr.

    It catches everything on purpose: values, flags and overridden methods are the program's own
    code, and may raise whatever they like.
    """

    def __init__(self, doing: str) -> None:
        self.doing = doing

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if kind is None or not issubclass(kind, Exception):
            return False
        logging.getLogger(LOGGER).debug("Could not %s", self.doing, exc_info=error)
        return True
