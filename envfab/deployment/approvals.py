"""Approvals of saved plans: signatures by SSH keys in a file beside the plan, `FILE.approvals`, a line each.

    approval: plan=<SHA-256 of the plan's file> signed=2026-11-27T03:00:00+00:00 sig=U1NIU0lHAAAAAQ…

What is signed is all of the line before ` sig=`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from envfab.errors import DeploymentError, UsageError
from envfab.signatures.allowed_signers import AllowedSigners, still_to_come
from envfab.signatures.ssh_keygen import SigningKey
from envfab.signatures.sshsig import SignatureError, SSHSignature
from envfab.util.atomic import write_file
from envfab.util.folder_lock import locked
from envfab.util.paths import read_file
from envfab.util.times import in_utc, parse_time

# what the signatures are for
APPROVAL = "plan-approval@envfab"
DEPLOYMENT = "deployment@envfab"
LIMIT = 1 << 20  # bytes of the file
# reasons why approvals do not count, in a message
SHOWN = 5
_LINE = re.compile(
    r"(?P<text>approval: plan=(?P<plan>[0-9a-f]{64}) signed=(?P<signed>\S+)) sig=(?P<signature>[A-Za-z0-9+/]+=*)"
)


@dataclass(frozen=True, slots=True)
class Approval:
    """A line of the file: the SHA-256 of the plan that it approves (hex), when, and the signature without armour."""

    text: str
    plan: str
    signed: datetime
    signature: bytes

    @classmethod
    def parse(cls, line: str) -> Approval | None:
        """Parse a line; return None for any other."""
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        try:
            signed, signature = in_utc(parse_time(match["signed"])), base64.b64decode(match["signature"], validate=True)
        except (ValueError, binascii.Error):
            return None
        return cls(match["text"], match["plan"], signed, signature)

    @classmethod
    def sign(cls, plan: str, key: SigningKey, now: datetime) -> Approval:
        """Sign a plan, given by its SHA-256 in hex; raises `SignatureError`."""
        text = f"approval: plan={plan} signed={now.isoformat()}"
        (signature,) = key.sign([text.encode()], APPROVAL)
        return cls(text, plan, now, signature)

    def __str__(self) -> str:
        return f"{self.text} sig={base64.b64encode(self.signature).decode()}"


def approvals_file(plan: Path) -> Path:
    """Return the file with the approvals of a plan's file."""
    return plan.with_name(f"{plan.name}.approvals")


def read_approvals(plan: Path) -> list[Approval | None]:
    """Return the approvals beside a plan's file, None for each line that is not one; raises `UsageError`."""
    place = approvals_file(plan)
    try:
        lines = read_file(place, LIMIT).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot read the approvals: {getattr(error, 'strerror', None) or error}", where=str(place)
        ) from None
    return [Approval.parse(line) for line in lines if line.strip()]


def add_approval(plan: Path, approval: Approval) -> None:
    """Write an approval beside a plan's file, and keep those of the same plan that are there; raises `UsageError`."""
    place = approvals_file(plan)
    try:
        # two people may approve at the same time
        with locked(place.parent):
            kept = [one for one in read_approvals(plan) if one is not None and one.plan == approval.plan]
            lines = dict.fromkeys(map(str, [*kept, approval]))
            write_file(place, "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        raise UsageError(f"cannot write the approval: {error.strerror}", where=str(place)) from None


def forget_approvals(plan: Path) -> None:
    """Remove the approvals of an earlier plan, before another takes its place; raises `UsageError`."""
    place = approvals_file(plan)
    try:
        place.unlink(missing_ok=True)
    except OSError as error:
        what = f"cannot remove the approvals of the earlier plan: {error.strerror}"
        raise UsageError(what, where=str(place)) from None


class Approvers:
    """Checks approvals against a file of allowed signers."""

    def __init__(self, allowed: AllowedSigners, now: datetime) -> None:
        self._allowed = allowed
        self._now = now

    def approved_by(
        self, approvals: Sequence[Approval | None], plan: str, deployer: SigningKey, hint: str = ""
    ) -> tuple[str, ...]:
        """Return those other than the deployer who approved a plan, given by its SHA-256 in hex.

        Raises `DeploymentError` with `hint` if there are none, and the reason why each approval does not count.
        """
        found: dict[str, None] = {}
        reasons: list[str] = []
        for number, approval in enumerate(approvals, 1):
            try:
                name, key = self._check(approval, plan)
            except SignatureError as error:
                reasons.append(f"approval {number}: {error.what}")
                continue
            if self._allowed.may_be_one_person(key, deployer.public_key):
                reasons.append(f"approval {number}: by {name}, who deploys")
            else:
                found[name] = None
        if found:
            return tuple(found)
        what = "the plan must be approved by another person than the one who deploys"
        more = [f"and {len(reasons) - SHOWN} more that do not count"] if len(reasons) > SHOWN else []
        raise DeploymentError("\n    ".join([what, *(reasons[:SHOWN] or ["there is no approval"]), *more]), hint=hint)

    def _check(self, approval: Approval | None, plan: str) -> tuple[str, bytes]:
        """(who signed, with which key); raises `SignatureError` if it does not count."""
        if approval is None:
            raise SignatureError("cannot be read")
        if approval.plan != plan:
            raise SignatureError("of another plan, or the plan was changed after it")
        why = still_to_come(approval.signed, self._now)
        if why is not None:
            raise SignatureError(why)
        signature = SSHSignature.parse(approval.signature)
        return self._allowed.check(signature, approval.text.encode(), APPROVAL, approval.signed), signature.public_key


def prove_deployer(key: SigningKey, plan: str, now: datetime) -> None:
    """Raise `SignatureError` unless whoever deploys has the private half of a key, and not only names it."""
    text = f"deployment: plan={plan} signed={now.isoformat()}".encode()
    (made,) = key.sign([text], DEPLOYMENT)
    signature = SSHSignature.parse(made)
    if signature.public_key != key.public_key:
        raise SignatureError("ssh-keygen signed with another key", where=str(key.path))
    signature.verify(text, DEPLOYMENT)
