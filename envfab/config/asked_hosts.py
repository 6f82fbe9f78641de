"""The hosts of a fleet: a list, or a function of the fabfile that is asked for them when they are first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, overload

from envfab.config.host import Host
from envfab.errors import ConfigurationError, EnvfabError
from envfab.util.untrusted import one_line

# characters of an exception's message that are shown
SHOWN = 300


class AskedHosts(Sequence[Host]):
    """The hosts that `function` returns: it is called once, when they are first needed, not for `fab --list`.

    `check` returns the hosts as a tuple, or raises `ConfigurationError`. So does what first needs the hosts, also where
    the function fails.
    """

    def __init__(self, function: Callable[[], Any], check: Callable[[Iterable[Any]], tuple[Host, ...]]) -> None:
        self._function = function
        self._check = check
        self._asking = threading.Lock()
        self._hosts: tuple[Host, ...] | None = None

    def ask(self) -> tuple[Host, ...]:
        """Return the hosts; call the function if that has not succeeded yet."""
        with self._asking:
            if self._hosts is None:
                self._hosts = self._checked(self._call())
            return self._hosts

    def _checked(self, found: Any) -> tuple[Host, ...]:
        try:
            return self._check(found)
        except ConfigurationError as error:
            # the line that it names is not of the fabfile, but of what runs its tasks
            field = error.where.rpartition(": ")[2]
            raise ConfigurationError(error.what, where=f"{field}: what {self.name} returns", hint=error.hint) from None

    def _call(self) -> Any:
        try:
            found = self._function()
            # a generator runs only now
            return tuple(found) if isinstance(found, Iterable) and not isinstance(found, (str, bytes)) else found
        except EnvfabError:
            raise
        except Exception as failure:  # noqa: BLE001 - the fabfile's own code may raise anything
            why = one_line(str(failure))[:SHOWN]
            raise ConfigurationError(
                f"cannot get the hosts: {self.name} raised {type(failure).__name__}{': ' if why else ''}{why}",
                where="Fleet.hosts",
            ) from None

    @property
    def name(self) -> str:
        """The function, as messages name it."""
        return f"{getattr(self._function, '__name__', type(self._function).__name__)}()"

    def __len__(self) -> int:
        return len(self.ask())

    def __iter__(self) -> Iterator[Host]:
        return iter(self.ask())

    @overload
    def __getitem__(self, index: int) -> Host: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Host]: ...

    def __getitem__(self, index: int | slice) -> Host | Sequence[Host]:
        return self.ask()[index]

    def __repr__(self) -> str:
        return f"the hosts that {self.name} returns"
