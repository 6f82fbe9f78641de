"""Errors, in words that a person can act on.

Every error that envfab raises on purpose is an `EnvfabError`; errors of other libraries are
translated at the edge that meets them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

SHOWN_OF_INTERNAL = 300  # characters


class EnvfabError(Exception):
    """What is wrong, where, and what to do about it: one line, or two with a hint."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        return f"{line}\n  {self.hint}" if self.hint else line

    def __reduce__(self) -> tuple[object, ...]:
        # an exception is copied by calling its class with `args`, which these classes do not take
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[EnvfabError], args: tuple[object, ...], attributes: dict[str, object]) -> EnvfabError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class InternalError(EnvfabError):
    """A fault in envfab itself, met while it worked on one target; the others are not concerned."""


def internal_error(error: Exception, where: str) -> InternalError:
    """An unexpected exception as one target's error; where it was raised goes to the log, which `fab --debug` shows."""
    logging.getLogger("envfab").debug("internal error at %s", where, exc_info=error)
    said = " ".join(str(error).split())[:SHOWN_OF_INTERNAL]
    return InternalError(
        f"internal error: {type(error).__name__}{': ' if said else ''}{said}",
        where=where,
        hint="this is a fault in envfab, please report it: fab --debug shows where it is",
    )


class FabfileFault(Exception):
    """A function of the fabfile raised: its exception in a line, and as the cause. The fault is not envfab's."""


def unforeseen(error: Exception, where: str) -> EnvfabError:
    """What no step of a deployment expects, as the error of one target: a fault of the fabfile's, or of envfab's."""
    if not isinstance(error, FabfileFault):
        return internal_error(error, where)
    logging.getLogger("envfab").debug("a function of the fabfile raised, for %s", where, exc_info=error.__cause__)
    return DeploymentError(
        f"unforeseen {error}", where=where, hint="a function of the fabfile raised it: fab --debug shows where"
    )


class ConfigurationError(EnvfabError, SystemExit):
    """A fabfile, a setting or a variable has a wrong value.

    It is raised while `fab` imports the fabfile, where nothing stands between an exception and
    the user's terminal: being a `SystemExit` too, it ends there with its message and exit
    status 1 instead of a traceback.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.code = f"envfab: {self}"


class UsageError(EnvfabError):
    """A command line that does not say what to do."""


class SelectorError(UsageError):
    """A name on the command line that selects nothing; `known` are the targets there are."""

    shown = 20

    def __init__(self, what: str, *, known: Sequence[str] = (), where: str = "", hint: str = "") -> None:
        self.known = tuple(known)
        super().__init__(what, where=where, hint=hint)

    def __str__(self) -> str:
        listed = "".join(f"\n    {target}" for target in self.known[: self.shown])
        if len(self.known) > self.shown:
            listed += f"\n    … and {len(self.known) - self.shown} more; fab targets lists them all"
        return super().__str__() + (f"\n  known targets:{listed}" if listed else "")


class RequirementsError(EnvfabError):
    """A requirements file that cannot be read; `where` is `file:line`."""


class SeveralErrors(RequirementsError):
    """All that is wrong with requirements files, so that one run tells it; it looks like the first of `errors`."""

    shown = 20

    def __init__(self, errors: Sequence[RequirementsError]) -> None:
        self.errors = tuple(errors)
        super().__init__(errors[0].what, where=errors[0].where, hint=errors[0].hint)

    @classmethod
    def of(cls, errors: Sequence[RequirementsError]) -> RequirementsError:
        """One error for `errors`: itself where there is one only, and each sentence once."""
        flat = [inner for error in errors for inner in (error.errors if isinstance(error, SeveralErrors) else (error,))]
        once = list({str(error): error for error in flat}.values())
        return once[0] if len(once) == 1 else cls(once)

    def __str__(self) -> str:
        lines = [str(error) for error in self.errors[: self.shown]]
        if len(self.errors) > self.shown:
            lines.append(f"and {len(self.errors) - self.shown} more")
        return "\n".join(lines)


class WheelError(EnvfabError):
    """A file that is not a sound wheel; `where` is the file."""


class WheelhouseError(EnvfabError):
    """The wheels directory or the release log is damaged, or cannot be used."""


class SupplyError(EnvfabError):
    """An index, a bundle, a lock file, an advisory export, a file of accepted findings or a VEX document is wrong, or
    cannot be read or written."""


class FormatError(EnvfabError):
    """Something was written by a newer envfab than this one."""


class Unreachable(EnvfabError):
    """A target that could not be spoken with; nothing was changed there. `where` is the target or host."""


class Unusable(Unreachable):
    """A target whose host was reached, and that cannot be worked with: sudo refuses, or its interpreter fails."""


class NeedsTerminal(Unreachable):
    """A host that asks its user a question, in a process that must not ask."""


class VirtualenvMissing(Unreachable):
    """A target whose host was reached, and where no virtualenv exists."""


class HostKeyError(Unreachable):
    """A host whose key is unknown, changed or revoked."""


class Locked(EnvfabError):
    """Another deployment is at work on the virtualenv."""


class AgentError(EnvfabError):
    """An operation on the managed side that did not succeed; `where` is the target."""


class Disconnected(AgentError):
    """The managed side went away in the middle of an operation."""


class DeploymentError(EnvfabError):
    """A step of a deployment that failed; `where` is the target."""


class RegistrationError(EnvfabError):
    """A package list that cannot be registered, or a server that did not take it; `where` is the target."""
