"""Commands of a fabfile, and the checks of what takes their place."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from envfab.config.validation import check_optional_text, check_text, check_user, configuration, error, put, wrong
from envfab.errors import ConfigurationError, EnvfabError, FabfileFault

# fields whose commands another host may run
ELSEWHERE = ("drain", "undrain")
ON_ELSEWHERE = f"on=… is for the commands of {' and '.join(ELSEWHERE)}: others run on the virtualenv's host"
# what systemctl(1) can do with services that use a virtualenv
SYSTEMCTL = ("restart", "reload", "try-restart", "reload-or-restart", "try-reload-or-restart")
# systemd.unit(5); no patterns, which a rule of sudo could not tell from names
UNIT = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*", re.ASCII)


@configuration
class Command:
    """A command, and the user that runs it (default: the SSH user).

    Text is for a shell; a list is a program and its arguments, which run without one. `on` names another host that runs
    it, for commands that take hosts out of service: `localhost` is this machine.
    """

    text: str | Sequence[str]
    user: str | None = None
    on: str | None = None

    @classmethod
    def systemctl(cls, verb: str, *units: str, user: str = "root") -> Command:
        """Make the command that restarts or reloads systemd units, which one narrow rule of sudo allows.

        `verb` is `restart`, `reload`, `try-restart`, `reload-or-restart` or `try-reload-or-restart`.
        """
        if verb not in SYSTEMCTL:
            raise error("Command.systemctl", f"verb must be one of {', '.join(SYSTEMCTL)}, not {verb!r}")
        if not units:
            raise error("Command.systemctl", "needs a unit", f"say Command.systemctl({verb!r}, 'shop.service')")
        for unit in units:
            if not isinstance(unit, str) or not UNIT.fullmatch(unit):
                raise error("Command.systemctl", f"{unit!r} is not the name of a unit")
        return cls(("systemctl", verb, *units), user=user)

    def __post_init__(self) -> None:
        if isinstance(self.text, (list, tuple)):
            _check_arguments(self)
        else:
            check_text(self, "text")
            if "\0" in self.text:
                wrong(self, "text", "a command cannot hold a NUL character")
        check_user(self, "user")
        check_optional_text(self, "on")

    @property
    def arguments(self) -> tuple[str, ...] | None:
        """The program and its arguments; None where it is text for a shell."""
        return None if isinstance(self.text, str) else tuple(self.text)

    @property
    def shown(self) -> str:
        """As it is typed in a shell."""
        return self.text if isinstance(self.text, str) else shlex.join(self.text)


def _check_arguments(command: Command) -> None:
    """Check a list: a program, and the texts that are its arguments."""
    hint = "say Command(['systemctl', 'reload', 'shop'], user='root')"
    words = tuple(command.text)
    for word in words:
        if not isinstance(word, str):
            wrong(command, "text", f"{word!r} must be a string: a list is a program and its arguments", hint)
        if "\0" in word:
            wrong(command, "text", f"{word!r} cannot be an argument: it holds a NUL character")
    if not words or not words[0].strip() or words[0] != words[0].strip():
        wrong(command, "text", "a list must begin with a program", hint)
    if words[0].startswith("-") or "=" in words[0].partition("/")[0]:
        # sudo takes NAME=value for a variable
        wrong(command, "text", f"{words[0]!r} is not a program", hint)
    if len(words) == 1 and " " in words[0]:
        wrong(command, "text", f"{words[0]!r} is a program with its arguments in one string", hint)
    put(command, "text", words)


def check_commands(owner: object, name: str) -> None:
    value = getattr(owner, name)
    _command(owner, name, value)
    put(owner, name, tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,))


def _command(owner: object, name: str, value: object) -> None:
    """Refuse what is not a command, at any depth; what a callable returns is checked when it is called."""
    if isinstance(value, str):
        if not value.strip():
            wrong(owner, name, "must not be an empty command")
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for item in value:
            _command(owner, name, item)
    elif isinstance(value, Command):
        if value.on is not None and name not in ELSEWHERE:
            wrong(owner, name, ON_ELSEWHERE)
    elif not callable(value):
        hint = "give a string, Command(text, user=…), a callable, or a list"
        wrong(owner, name, f"must be a command, not {value!r}", hint)


def flat_commands(spec: object, owner: object, elsewhere: bool = False) -> Iterator[Command]:
    """Yield the commands that `spec` stands for: strings, `Command`s, callables of their `owner`, sequences of these.

    The `owner` is a virtualenv or a host; `elsewhere` says that another host may run them. Raises
    `ConfigurationError`, and `FabfileFault` if a callable fails.
    """
    if isinstance(spec, str):
        yield Command(spec)
    elif isinstance(spec, Command):
        if spec.on is not None and not elsewhere:
            raise ConfigurationError(ON_ELSEWHERE, where=f"the command {spec.shown!r}")
        yield spec
    elif callable(spec):
        yield from flat_commands(_called(spec, owner), owner, elsewhere)
    elif isinstance(spec, Sequence):
        for one in spec:
            yield from flat_commands(one, owner, elsewhere)
    elif spec is not None:
        named = getattr(owner, "path", None) or getattr(owner, "name", "")
        kind = type(owner).__name__.lower()
        raise ConfigurationError(
            f"must be a command, not {spec!r}",
            where=f"a command of {named}",
            hint=f"give a string, Command(text, user=…), a callable that takes the {kind}, or a sequence of these",
        )


def _called(function: Callable[[Any], Any], owner: object) -> Any:
    try:
        return function(owner)
    except EnvfabError:
        raise
    except Exception as error:
        raise FabfileFault(f"{type(error).__name__}: {error}") from error
