"""Errors of connecting: the exceptions of Paramiko and the system, in words for the user."""

from __future__ import annotations

import socket

import paramiko

from envfab.errors import NeedsTerminal, Unreachable
from envfab.remote.ssh.authentication import LoginRefused, QuestionAsked
from envfab.util.counts import count


def refused_at_once(error: BaseException | str) -> bool:
    """Return whether the server ended a new connection before the login, as sshd does above its `MaxStartups`.

    `error` is Paramiko's exception, or what the ssh program of a ProxyCommand printed.
    """
    if isinstance(error, str):
        return "kex_exchange_identification" in error or "Connection reset" in error
    if isinstance(error, (paramiko.AuthenticationException, TimeoutError)):
        return False
    return isinstance(error, (ConnectionResetError, EOFError)) or "banner" in str(error)


def failure(error: BaseException, name: str, user: str, place: str, timeout: int, tries: int = 1) -> Unreachable:
    """Convert an exception of connecting to an `Unreachable`.

    `place` is the address, `timeout` is in seconds, `tries` is how often it was tried.
    """
    if isinstance(error, QuestionAsked):
        return NeedsTerminal("the server asks a question", where=name)
    if isinstance(error, LoginRefused):
        return _login_refused(error, name, user)
    if isinstance(error, paramiko.BadAuthenticationType):
        return _refused(name, user, f"the server accepts {', '.join(error.allowed_types)} only")
    if isinstance(error, paramiko.PasswordRequiredException):
        return _refused(name, user, "the private key is encrypted", "--prompt-for-passphrase")
    if isinstance(error, paramiko.AuthenticationException):
        return _refused(name, user, "no key or password was accepted")
    if isinstance(error, socket.gaierror):
        return Unreachable(f"unknown host {place.rpartition(' port ')[0]!r}: {error.strerror}", where=name)
    if "Indecipherable protocol version" in str(error):
        return Unreachable(f"{place} is not an SSH server", where=name)
    if tries > 1 and refused_at_once(error):
        return Unreachable(
            f"{place} ended the connection before the login, {tries} times within {timeout} s",
            where=name,
            hint="raise MaxStartups in its sshd_config, or lower the setting parallel",
        )
    # Paramiko says "No existing session" if a handshake did not end in time
    if isinstance(error, TimeoutError) or "banner" in str(error) or "No existing session" in str(error):
        return Unreachable(f"no answer from {place} within {timeout} s", where=name)
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        return Unreachable(f"nothing listens at {place}", where=name)
    return Unreachable(f"cannot connect to {place}: {_first_line(error)}", where=name)


def _login_refused(error: LoginRefused, name: str, user: str) -> Unreachable:
    if error.cut_off:
        keys = count(error.cut_off, "key")
        return Unreachable(
            f"the server ended the login as {user} after {keys}",
            where=name,
            hint="name the right key in your SSH config: IdentityFile, with IdentitiesOnly yes",
        )
    if error.allowed:
        return _refused(name, user, f"the server accepts {', '.join(error.allowed)} only")
    skipped = f" ({'; '.join(error.skipped)})" if error.skipped else ""
    if error.encrypted:
        return _refused(name, user, "the private key is encrypted", "--prompt-for-passphrase")
    return _refused(name, user, f"no key or password was accepted{skipped}")


def _refused(name: str, user: str, why: str, option: str = "--prompt-for-login-password") -> Unreachable:
    return Unreachable(
        f"the login as {user} was refused: {why}",
        where=name,
        hint=f"does `ssh {user}@{name}` work? With a password, run fab {option}",
    )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
