"""A process on its way up: through sudo, past whatever start-up files print, to the first word that is its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from envfab.errors import Disconnected, Unreachable, Unusable
from envfab.remote import command_line
from envfab.remote.process import Starter
from envfab.remote.sudo_advice import advise
from envfab.util.untrusted import one_line

# how long an interpreter and the start-up files of a login may take to come up
START_LIMIT = 60.0
MAX_LINE = 500  # characters
# what sudo says last, after it has said what is wrong
AFTERTHOUGHT = "sudo: error initializing audit plugin sudoers_audit"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who runs something there: `user` under sudo, or, where it is None, whoever logged in."""

    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Identity(user={self.user!r})"


class Opening:
    """A process on its way up, under sudo where that is needed; raises `Unreachable` for the target.

    `announced` makes its arguments: it is to print the word that it is given, on a line, before anything else. With
    `as_written` it uses sudo itself, and asks with the words that it is given second.
    """

    def __init__(
        self,
        starter: Starter,
        announced: Callable[[str, str], list[str]],
        where: str,
        identity: Identity,
        as_written: bool = False,
    ) -> None:
        self._starter = starter
        self._where = where
        self._identity = identity
        self._prompt = f"envfab-{secrets.token_hex(8)}:"
        self._word = f"envfab-{secrets.token_hex(8)}"
        line = announced(self._word, self._prompt)
        if identity.user is not None and not as_written:
            line = command_line.as_user(identity.user, self._prompt, line)
        try:
            self.process = starter.start(line)
        except (Unreachable, Disconnected) as error:
            kind = Unusable if isinstance(error, Unusable) else Unreachable
            raise kind(error.what, where=where, hint=error.hint) from None
        self.process.limit(START_LIMIT)

    def noise(self) -> str:
        """Go through sudo and past the start-up files; what they printed.

        sudo is answered before its command has said that it runs, and never again: what that command prints
        cannot get at the password.
        """
        prompt, word = self._prompt.encode(), self._word.encode() + b"\n"
        asked = False
        while True:
            marker, noise = self.process.stream.until([prompt, word], START_LIMIT)
            if marker == word:
                return noise
            if marker is None:
                raise self._refused(noise)
            if asked:
                raise Unusable(f"sudo refused the password for user {self._identity.user}", where=self._where)
            if self._identity.password is None:
                # it has the only place
                self.process.kill()
                raise advise(self._starter, str(self._identity.user), self._where)
            self.process.write(self._identity.password.encode() + b"\n")
            asked = True

    def _refused(self, noise: str) -> Unusable:
        status = self.process.finish()
        last = last_line(noise.replace(AFTERTHOUGHT, "")) or f"it ended with status {status}"
        if self._identity.user is None:
            return Unusable(f"no command can be run there: {last}", where=self._where)
        return Unusable(f"sudo to {self._identity.user} failed: {last}", where=self._where)


def last_line(printed: str) -> str:
    """The last line that says something, as far as one can be expected to read it."""
    lines = (one_line(line) for line in reversed(printed.splitlines()))
    return next((line[:MAX_LINE] for line in lines if line), "")
