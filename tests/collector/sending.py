"""Registrations and reports as clients send them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

REGISTER = "/application/register/"
FORM = "application/x-www-form-urlencoded"
DJANGO = (("Django", "5.1.3"), ("asgiref", "3.8.1"))


def registration_fields(
    uuid: str = "7a99f652", packages: Sequence[tuple[str, str]] = DJANGO, **fields: object
) -> dict[str, Any]:
    """The JSON of a registration; `fields` are others than the usual ones."""
    return {
        "user_id": 7,
        "app_name": "shop",
        "app_uuid": uuid,
        "app_type": "python-3.11.7",
        "app_url": "http://web1.example.org",
        "app_vendor": 1000,
        "pkg_type": 0,
        "installed": [{"n": name, "v": version} for name, version in packages],
    } | fields


def form(fields: Mapping[str, object] | object) -> bytes:
    """The body of a form with `fields` as its `json_data`."""
    return urlencode({"json_data": json.dumps(fields)}).encode()


def register(
    client: FlaskClient, uuid: str = "7a99f652", packages: Sequence[tuple[str, str]] = DJANGO, **fields: object
) -> None:
    """Register an application, successfully."""
    answer = client.post(REGISTER, data=form(registration_fields(uuid, packages, **fields)), content_type=FORM)
    assert answer.status_code == 200, answer.text


def report(*entries: tuple[str, str], date: str = "1763680000.250") -> bytes:
    """The bytes of a usage report."""
    lines = [("date", date), *entries]
    return "".join(f"{key}:{value}\n" for key, value in lines).encode()


def make_undeletable(patch: pytest.MonkeyPatch, path: Path) -> None:
    """As `chattr +i` does, which not every file system of a test has."""
    unlink = Path.unlink

    def refuse(self: Path, missing_ok: bool = False) -> None:
        if self == path:
            raise PermissionError(1, "Operation not permitted", str(self))
        unlink(self, missing_ok)

    patch.setattr(Path, "unlink", refuse)
