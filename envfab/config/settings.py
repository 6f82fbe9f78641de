"""The scalars of Invoke's configuration under the key `envfab`, as frozen settings.

They come from `fabric.yaml`, from `FABRIC_ENVFAB_…` variables and from `ns.configure`, so a number may
arrive as text. `defaults()` has text, too: Invoke casts a variable to the type of the value that it
replaces, which would end `FABRIC_ENVFAB_PARALLEL=many` in a traceback and turn
`FABRIC_ENVFAB_COMPILE=false` into true. (The same happens to a variable that replaces an unquoted number
or truth value of a YAML file; quoted ones are safe.)
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from envfab.config.name_patterns import NO_NAMES, NamePatterns
from envfab.errors import ConfigurationError
from envfab.util.times import parse_span

PREFIX = "FABRIC_ENVFAB_"
PROVENANCE = ("keep", "verify", "off")
HOST_KEYS = ("strict", "accept-new", "off")
TRUE = ("true", "yes", "on", "1")
FALSE = ("false", "no", "off", "0")
# what envfab 1 knew, and why there is no need for it
OBSOLETE = {
    "installer": "this setting has no effect any more, since envfab unpacks wheels itself",
    "link": "this setting has no effect any more, since files are always links where links can be made",
}
# Decimal numbers that are a forgotten leading zero, not the masks 0o26, 0o33 and 0o115.
UMASK_SLIPS = (22, 27, 77)


@dataclass(frozen=True, slots=True)
class Settings:
    """How the tasks work; times are in seconds.

    `batch` is a number of virtualenvs or a percentage (`"25%"`). `max_failures` is 1 where only `batch` is
    set, and no limit where it says `none`. `own` are projects that are never looked up in an index.
    """

    parallel: int = 20
    jump_parallel: int = 10
    processes: int | None = None
    batch: int | str | None = None
    max_failures: int | None = None
    keep: int = 3
    check_retries: int = 10
    check_timeout: float = 30.0
    host_keys: str = "strict"
    compile: bool = True
    store_days: int = 30
    umask: int = 0o022
    connect_timeout: float = 10.0
    command_timeout: float | None = None
    compilers: tuple[str, ...] = ()
    log_rollouts: int = 50
    log_megabytes: int = 200
    older_than: int = 0
    older_than_except: NamePatterns = NO_NAMES
    own: NamePatterns = NO_NAMES
    provenance: str = "keep"

    @classmethod
    def from_mapping(
        cls,
        mapping: Mapping[str, Any],
        typed: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Settings:
        """Read what the configuration says, and the flags `typed`, which outrank it.

        Raises `ConfigurationError` that names the key, the flag, or the variable of `environ` that set the key.
        """
        flags = typed or {}
        given = {**mapping, **flags}
        for key in given:
            if key not in READERS and key not in OBSOLETE:
                _unknown(f"envfab.{key}", difflib.get_close_matches(str(key), READERS, n=1))
        names = {key: _name(key, flags, environ or {}) for key in READERS}
        values = {key: READERS[key](names[key], value) for key, value in (defaults() | given).items() if key in READERS}
        if values["batch"] is not None and _absent(given.get("max_failures")):
            values["max_failures"] = 1
        return cls(**values)


def refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    """Raise `ConfigurationError` for a `FABRIC_ENVFAB_…` variable that names no setting; Invoke would ignore it."""
    known = {f"{PREFIX}{key.upper()}" for key in (*READERS, *OBSOLETE)}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name.removeprefix(PREFIX).lower(), READERS, n=1)
            _unknown(name, [f"{PREFIX}{key.upper()}" for key in close])


def obsolete(mapping: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each setting of envfab 1 that is still set, and has no effect any more."""
    found = []
    for key, why in OBSOLETE.items():
        variable = f"{PREFIX}{key.upper()}"
        name = f"envfab.{key}" if key in mapping else variable if variable in environ else None
        if name is not None:
            found.append(f"{name}: {why}; remove it")
    return tuple(found)


def defaults() -> dict[str, str | None]:
    """Every setting with its default, as text: what a collection is configured with."""
    return {
        "parallel": "20",
        "jump_parallel": "10",
        "processes": "auto",
        "batch": None,
        "max_failures": None,
        "keep": "3",
        "check_retries": "10",
        "check_timeout": "30",
        "host_keys": "strict",
        "compile": "true",
        "store_days": "30",
        "umask": "022",
        "connect_timeout": "10",
        "command_timeout": None,
        "compilers": None,
        "log_rollouts": "50",
        "log_megabytes": "200",
        "older_than": "0",
        "older_than_except": None,
        "own": None,
        "provenance": "keep",
    }


def _name(key: str, flags: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """What the user wrote to set a key: a flag, a variable or, in a file, the key."""
    variable = f"{PREFIX}{key.upper()}"
    return f"--{key.replace('_', '-')}" if key in flags else variable if variable in environ else f"envfab.{key}"


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _optional(read: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """The reader of a setting that may be unset: null, the empty text, `none`."""

    def read_optional(where: str, value: Any) -> Any:
        if _absent(value) or (isinstance(value, str) and value.strip().lower() == "none"):
            return None
        return read(where, value)

    return read_optional


def _or_auto(read: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """The reader of a setting that may be `auto`, which is None."""

    def read_or_auto(where: str, value: Any) -> Any:
        if _absent(value) or (isinstance(value, str) and value.strip().lower() == "auto"):
            return None
        return read(where, value)

    return read_or_auto


def _whole(least: int) -> Callable[[str, Any], int]:
    """The reader of a whole number that is at least `least`."""

    def read(where: str, value: Any) -> int:
        number = value
        if isinstance(value, str) and re.fullmatch(r"[0-9]+", value.strip(), re.ASCII):
            number = int(value)
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            _wrong(where, value, f"a whole number from {least} up")
        return number

    return read


def _seconds(where: str, value: Any) -> float:
    number = value
    if isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value.strip(), re.ASCII):
        number = float(value)
    if not isinstance(number, (int, float)) or isinstance(number, bool) or not 0 < number < float("inf"):
        _wrong(where, value, "a number of seconds greater than 0")
    return float(number)


def _batch(where: str, value: Any) -> int | str:
    if isinstance(value, str) and (percent := re.fullmatch(r"([0-9]+) ?%", value.strip(), re.ASCII)):
        if not 1 <= int(percent[1]) <= 100:
            _wrong(where, value, "a percentage from 1% to 100%")
        return f"{int(percent[1])}%"
    if isinstance(value, str) and not value.strip().isdecimal():
        _wrong(where, value, "a number of virtualenvs, or a percentage like 25%")
    return _whole(1)(where, value)


read_batch = _optional(_batch)


def _truth(where: str, value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in TRUE + FALSE:
        _wrong(where, value, "true or false")
    return text in TRUE


def _programs(where: str, value: Any) -> tuple[str, ...]:
    """A list of paths; in a text they are separated as in `PATH`."""
    if _absent(value):
        return ()
    given = value.split(os.pathsep) if isinstance(value, str) else value
    if not isinstance(given, (list, tuple)) or not all(isinstance(one, str) and _is_program(one) for one in given):
        _wrong(where, value, "a list of full paths of interpreters")
    return tuple(given)


def _is_program(path: str) -> bool:
    return path.startswith(("/", "~/")) and path.isprintable()


def _span(where: str, value: Any) -> int:
    try:
        return parse_span(str(value).strip())
    except ValueError:
        _wrong(where, value, "a number of days or hours, like 7d or 24h, or 0")


def _names(where: str, value: Any) -> NamePatterns:
    """Names of projects, and patterns; in a text they are separated by commas."""
    if _absent(value):
        return NO_NAMES
    words = [word.strip() for word in value.split(",")] if isinstance(value, str) else value
    try:
        return NamePatterns.parse(words)
    except (ValueError, TypeError):
        _wrong(where, value, "a list of names of projects, or patterns like mycorp-*")


def _choice(*choices: str) -> Callable[[str, Any], str]:
    """The reader of one of a few words. YAML reads a bare `off` as false, so false is `off`."""

    def read(where: str, value: Any) -> str:
        text = "off" if value is False else str(value).strip().lower()
        if text not in choices:
            _wrong(where, value, f"one of {', '.join(choices)}")
        return text

    return read


def _umask(where: str, value: Any) -> int:
    """Text is octal; a number is itself, as Python's `0o22` and YAML's `022` (18) are."""
    number = value
    if isinstance(value, str) and re.fullmatch(r"(0o)?[0-7]{1,4}", value.strip(), re.ASCII):
        number = int(value.strip().removeprefix("0o"), 8)
    elif isinstance(value, int) and value in UMASK_SLIPS:
        _wrong(where, value, f"an octal mask in quotes: '{value:03d}'")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 0o777:
        _wrong(where, value, "an octal mask in quotes, like '022'")
    return number


def _wrong(where: str, value: Any, wanted: str) -> NoReturn:
    raise ConfigurationError(f"must be {wanted}, not {value!r}", where=where)


def _unknown(where: str, close: Sequence[str]) -> NoReturn:
    raise ConfigurationError(
        "unknown setting" + (f"; did you mean {close[0]}?" if close else ""),
        where=where,
        hint=f"the settings are: {', '.join(READERS)}",
    )


READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "parallel": _whole(1),
    "jump_parallel": _whole(1),
    "processes": _or_auto(_whole(1)),
    "batch": read_batch,
    "max_failures": _optional(_whole(1)),
    "keep": _whole(1),
    "check_retries": _whole(0),
    "check_timeout": _seconds,
    "host_keys": _choice(*HOST_KEYS),
    "compile": _truth,
    "store_days": _whole(0),
    "umask": _umask,
    "connect_timeout": _seconds,
    "command_timeout": _optional(_seconds),
    "compilers": _programs,
    "log_rollouts": _whole(0),
    "log_megabytes": _whole(1),
    "older_than": _span,
    "older_than_except": _names,
    "own": _names,
    "provenance": _choice(*PROVENANCE),
}
