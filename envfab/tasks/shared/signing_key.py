"""Who must have signed the release log of a fleet, and which key whoever runs `fab` signs with."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
from functools import partial
from typing import TYPE_CHECKING

from envfab.config.fleet import Fleet
from envfab.errors import ConfigurationError

if TYPE_CHECKING:
    from envfab.signatures.ssh_keygen import SigningKey
    from envfab.tasks.output.console import Console
    from envfab.wheelhouse.release_log.log_signers import LogSigners

SIGNING_KEY = "ENVFAB_SIGNING_KEY"


def log_signers(fleet: Fleet, has_terminal: bool) -> LogSigners | None:
    """Return who must have signed the fleet's release log, and how this user signs; None if nothing need be signed.

    Raises `ConfigurationError` if the file of allowed signers cannot be read or understood.
    """
    if fleet.signers is None:
        return None
    from envfab.signatures.allowed_signers import AllowedSigners
    from envfab.wheelhouse.digest_cache import cache_folder
    from envfab.wheelhouse.release_log.log_signers import LogSigners

    allowed = AllowedSigners.read(fleet.at(fleet.signers))
    required = fleet.require_host_verification
    key, cache = partial(signing_key, fleet, has_terminal), cache_folder(os.environ)
    return LogSigners(allowed, key, required_on_hosts=required, cache=cache)


def signing_key(fleet: Fleet, has_terminal: bool, what: str = "the release log must be signed") -> SigningKey:
    """Return the key that this user signs with: of the environment, else of the fleet. `what` says what it is for.

    Raises `ConfigurationError` if none is named, or it cannot be read.
    """
    from envfab.signatures.ssh_keygen import SigningKey

    named = os.environ.get(SIGNING_KEY) or fleet.signing_key
    if named is None:
        raise ConfigurationError(
            f"{what}, and there is no key to sign with",
            hint=f"set {SIGNING_KEY}=~/.ssh/id_ed25519.pub, or Fleet(signing_key=…)",
        )
    return SigningKey.read(fleet.at(named), terminal=has_terminal)


def tell_signing_key(console: Console, signers: LogSigners | None) -> None:
    """Say which key the release log was signed with, if it was."""
    if signers is not None and signers.signed_with is not None:
        console.print(f"signed   with {signers.signed_with.fingerprint} ({signers.signed_with.path})", "dim")
