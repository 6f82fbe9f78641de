"""Dependency-Track's wire format (REST API v1): a bill of materials for a project, and the server's answers.

Reading is bounded; errors are one line.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from envfab.config.target import Target
from envfab.errors import RegistrationError
from envfab.registration.http import SHOWN
from envfab.util.untrusted import one_line, parse_json

# One project for each virtualenv, always in the same version: what people decide about its findings stays with it.
VERSION = "current"
LONGEST_NAME = 255  # characters; what its table of projects takes
MAX_PROBLEM = 256 * 1024  # bytes
SHOWN_ERRORS = 5
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Bom:
    """A CycloneDX document for the project `name`, which the server creates below `parent` where it does not exist.

    The server never changes the parent of a project that exists.
    """

    name: str
    parent: str | None
    components: int
    document: str

    @property
    def key(self) -> str:
        """What identifies the virtualenv at its server."""
        return self.name

    @property
    def uuid(self) -> None:
        """Dependency-Track gives a project its UUID itself."""

    @property
    def package_count(self) -> int:
        """How many packages it lists."""
        return self.components


def project_name(target: Target) -> str:
    """The name of a target's project: the target, shortened to `LONGEST_NAME` characters with a checksum."""
    name = str(target)
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - 17]}-{digest}"


def format_bom(bom: Bom) -> bytes:
    """The body of `PUT /api/v1/bom`; the parent is a name or a UUID."""
    fields: dict[str, Any] = {"projectName": bom.name, "projectVersion": VERSION, "autoCreate": True}
    if bom.parent is not None:
        fields["parentUUID" if _is_uuid(bom.parent) else "parentName"] = bom.parent
    fields["bom"] = base64.b64encode(bom.document.encode()).decode("ascii")
    return json.dumps(fields).encode("ascii")


def parse_upload(content: bytes) -> str:
    """The token in an answer to an upload; raises `RegistrationError` where it has none."""
    token = _object(content).get("token")
    if not isinstance(token, str) or not _is_uuid(token):
        raise RegistrationError("the answer has no token")
    return token


def parse_processing(content: bytes) -> bool:
    """Whether an upload is still being processed; raises `RegistrationError` where the answer does not say."""
    processing = _object(content).get("processing")
    if not isinstance(processing, bool):
        raise RegistrationError("the answer does not say whether it is processing")
    return processing


def parse_problem(content: bytes) -> str:
    """A problem (RFC 9457) on one line, with the errors of an invalid document; empty where it is not a problem."""
    try:
        problem = _object(content)
    except RegistrationError:
        return ""
    title, detail = (one_line(str(problem.get(field) or ""))[:SHOWN] for field in ("title", "detail"))
    status = problem.get("status")
    head = f"{title} ({status})" if title and isinstance(status, int) else title
    said = ": ".join(filter(None, (head, detail)))
    errors = problem.get("errors")
    listed = [one_line(str(one))[:SHOWN] for one in errors] if isinstance(errors, list) else []
    more = [f"and {len(listed) - SHOWN_ERRORS} more"] if len(listed) > SHOWN_ERRORS else []
    return "; ".join(filter(None, (said, *listed[:SHOWN_ERRORS], *more)))


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        data = parse_json(content)
    except ValueError:
        raise RegistrationError("the answer is not JSON") from None
    if not isinstance(data, dict):
        raise RegistrationError("the answer must be a JSON object")
    return data


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
