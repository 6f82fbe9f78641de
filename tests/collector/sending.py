"""Registrations, reports and rollouts as clients send them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from envfab.models.rollout_document import PackageChange, RolloutDocument, RolloutVirtualenv

REGISTER = "/application/register/"
FORM = "application/x-www-form-urlencoded"
ROLLOUT = "20261120-214900-9f3a"
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
    body = form(registration_fields(uuid, packages, **fields))
    answer = client.post(REGISTER, data=body, content_type=FORM, buffered=True)
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


def virtualenv(host: str = "web1", status: str = "deployed", **fields: object) -> RolloutVirtualenv:
    """A virtualenv of a rollout: shop's on web1, which was given Django 5.2 in place of 5.1, or is to be."""
    given: dict[str, Any] = {
        "owner": "shop",
        "host": host,
        "path": "/srv/shop",
        "status": status,
        "changes": (PackageChange("upgrade", "Django", "5.1", "5.2"),),
        "packages": (("Django", "5.2"), ("asgiref", "3.8.1")),
        "interpreter": "CPython 3.11.7",
        "digest": "ab" * 32,
    }
    return RolloutVirtualenv(**(given | fields))


def rollout(*virtualenvs: RolloutVirtualenv, **fields: object) -> RolloutDocument:
    """A rollout that ended a minute ago, unless `fields` say another thing."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    given: dict[str, Any] = {
        "rollout": ROLLOUT,
        "number": 2,
        "state": "ended",
        "task": "deploy",
        "who": "anna",
        "origin": "laptop",
        "command": "fab deploy --yes",
        "version": "1.0",
        "began": (now - timedelta(minutes=5)).isoformat(),
        "ended": (now - timedelta(minutes=1)).isoformat(),
        "virtualenvs": virtualenvs or (virtualenv(),),
    }
    if fields.get("state") == "under way":
        given["ended"] = None
    return RolloutDocument(**(given | fields))


def put_rollout(client: FlaskClient, document: RolloutDocument, **options: Any) -> TestResponse:
    """The answer to a document of a rollout."""
    path = f"/rollouts/{document.rollout}"
    return client.put(path, data=json.dumps(document.to_json()), content_type="application/json", **options)
