"""The file of tokens: one a line, each for reading, for registrations, or for both."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

from envfab.errors import ConfigurationError

log = logging.getLogger(__name__)


def read_tokens(path: Path) -> tuple[str, ...]:
    """The tokens of a file, one a line, so that an old one can stay valid while clients change; `#` comments out.

    `read:TOKEN` is for reading alone, `write:TOKEN` for registrations alone. A file that every user of the machine can
    read is taken with a warning: containers hand over secrets so.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        mode = path.stat().st_mode
        if stat.S_ISREG(mode) and mode & stat.S_IROTH:
            log.warning("every user of this machine can read the token file: chmod o= %s", path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"cannot read the token file: {reason}", where=str(path)) from None
    tokens = tuple(text for line in lines if (text := line.strip()) and not text.startswith("#"))
    if not tokens:
        raise ConfigurationError("the token file holds no token", where=str(path), hint="write one a line")
    return tokens
