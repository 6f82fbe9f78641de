"""Start-up of a process on a host: through sudo, and past the output of shells' start-up files."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from envfab.errors import Disconnected, Unreachable, Unusable
from envfab.remote import command_line
from envfab.remote.process import Starter
from envfab.remote.sudo_advice import advise
from envfab.util.untrusted import one_line

# seconds that a login's start-up files and an interpreter may take to start
START_LIMIT = 60.0
MAX_LINE = 500  # characters
# sudo may print this after the reason of a refusal
AFTERTHOUGHT = "sudo: error initializing audit plugin sudoers_audit"


@dataclass(frozen=True, slots=True)
class Identity:
    """The user that runs a process: `user` by sudo, or the login user if it is None."""

    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Identity(user={self.user!r})"


class Opening:
    """A process that is starting, by sudo if that is needed; raises `Unreachable` for the target.

    `announced` is called with a word and a prompt and returns the process's arguments. The process must print the word
    on a line before anything else. With `as_written` it uses sudo itself, with that prompt.
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
        """Answer sudo and read up to the process's word; return what start-up files and sudo printed before it.

        The password is sent only before the command has printed its word, so that the command cannot ask for it.
        Raises `Unusable` if sudo refuses or the process ends.
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
                # ended first, since it may have the only place
                self.process.kill()
                raise advise(self._starter, str(self._identity.user), self._where)
            self.process.write(self._identity.password.encode() + b"\n")
            asked = True

    def _refused(self, noise: str) -> Unusable:
        status = self.process.finish()
        last = last_line(noise.replace(AFTERTHOUGHT, "")) or f"exit status {status}"
        if self._identity.user is None:
            return Unusable(f"cannot run commands there: {last}", where=self._where)
        return Unusable(f"sudo to {self._identity.user} failed: {last}", where=self._where)


def last_line(printed: str) -> str:
    """Return the last line that is not empty, without control characters and shortened."""
    lines = (one_line(line) for line in reversed(printed.splitlines()))
    return next((line[:MAX_LINE] for line in lines if line), "")
