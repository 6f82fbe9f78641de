"""Dependency-Track's wire format (REST API v1): a bill of materials for a project, and what the server says to it.

Reading is bounded and says in one line what is wrong.
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

# One project a virtualenv, in one version for good: what people decided about its findings stays with it.
VERSION = "current"
LONGEST_NAME = 255  # characters; what its table of projects takes
MAX_PROBLEM = 256 * 1024  # bytes
SHOWN_ERRORS = 5
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Bom:
    """What is uploaded of a virtualenv: a CycloneDX document, for a project by `name`, made below `parent`.

    Of a project that is there already the server leaves the parent as it is.
    """

    name: str
    parent: str | None
    components: int
    document: str

    @property
    def key(self) -> str:
        """What tells the virtualenv from others at its server."""
        return self.name

    @property
    def uuid(self) -> None:
        """Dependency-Track gives a project its UUID itself."""

    @property
    def package_count(self) -> int:
        """How many packages it lists."""
        return self.components


def project_name(target: Target) -> str:
    """The name of a target's project: the target's own, as far as it fits."""
    name = str(target)
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - 17]}-{digest}"


def format_bom(bom: Bom) -> bytes:
    """The body of `PUT /api/v1/bom`; a parent may be given by its UUID, too."""
    fields: dict[str, Any] = {"projectName": bom.name, "projectVersion": VERSION, "autoCreate": True}
    if bom.parent is not None:
        fields["parentUUID" if _is_uuid(bom.parent) else "parentName"] = bom.parent
    fields["bom"] = base64.b64encode(bom.document.encode()).decode("ascii")
    return json.dumps(fields).encode("ascii")


def parse_upload(content: bytes) -> str:
    """The token of an answer; raises `RegistrationError` where it has none."""
    token = _object(content).get("token")
    if not isinstance(token, str) or not _is_uuid(token):
        raise RegistrationError("the answer has no token")
    return token


def parse_processing(content: bytes) -> bool:
    """Whether what a token stands for is still being processed; raises `RegistrationError` where that is not said."""
    processing = _object(content).get("processing")
    if not isinstance(processing, bool):
        raise RegistrationError("the answer does not say whether it is processing")
    return processing


def parse_problem(content: bytes) -> str:
    """A problem (RFC 9457) on one line, with the errors of a document that is not valid; empty where it is none."""
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
        raise RegistrationError("the answer is no JSON") from None
    if not isinstance(data, dict):
        raise RegistrationError("the answer must be a JSON object")
    return data


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
