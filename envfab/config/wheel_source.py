"""The package index that targets fetch wheels from: an address, or a function that returns one."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from envfab.errors import ConfigurationError

SOURCE_HINT = "give the address of what fab publish_index wrote: 'https://wheels.example.org/simple/'"


def ask_for_source(function: Callable[[], object]) -> str:
    """The address that the fabfile's function returns; raises `ConfigurationError`."""
    try:
        url = function()
    except Exception as failure:  # noqa: BLE001 - the fabfile's own code may raise anything
        # the message of any other exception might hold a secret
        why = f": {failure}" if isinstance(failure, (KeyError, OSError)) else ""
        raise ConfigurationError(
            f"cannot get the address: {type(failure).__name__}{why}", where="Fleet.wheel_source"
        ) from None
    url = url.strip() if isinstance(url, str) else url
    if problem := problem_of_source(url):
        raise ConfigurationError(problem, where="Fleet.wheel_source", hint=SOURCE_HINT)
    return str(url)


def problem_of_source(url: object) -> str:
    """Why this cannot be the address of a package index, empty where it can; the address may hold a password."""
    if not isinstance(url, str):
        return f"must be text, not {type(url).__name__}"
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or re.search(r"[\x00-\x20\x7f]", url):
        return "must be the http or https address of a folder"
    return ""
