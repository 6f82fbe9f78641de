"""An application with something of everything, some of it malicious."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask
from sqlalchemy import insert, select

from envfab.collector.days import DAY, milliseconds_now, monday_of
from envfab.collector.db.schema import applications, behind_weeks, rollouts
from envfab.collector.jobs import public_weeks
from envfab.models.rollout_document import DriftFound, PackageChange
from tests.collector.conftest import service_of
from tests.collector.sending import ROLLOUT, put_rollout, register, report, rollout, virtualenv

MARKUP = "<b onclick=\"alert('1')\">&amp;"
NOWHERE = ("/nothing/here", "/applications/nobody", "/?page=9", "/rollouts/nothing", "/hosts/nothing")
WRONG = ("/changes?from=tomorrow",)
LONG = "a-long-name-" + "x" * 150


def furnish(app: Flask) -> list[str]:
    """Register applications and send reports; the paths of all pages that there are then."""
    client = app.test_client()
    packages = [("Django", "5.1.3"), (MARKUP, MARKUP), (LONG, "1." + "0" * 150), ("project-0", "1.0")]
    drift = {
        "since": "2026-01-27T03:22:00+01:00", "package_count": 3, "file_count": 1_000_000,
        "packages": [{"n": LONG, "before": "1." + "0" * 150, "after": None}, {"n": MARKUP, "before": None, "after": MARKUP}],
        "files": [{"n": LONG, "count": 999}, {"n": MARKUP, "count": 1}, {"n": None, "count": 7}],
    }  # fmt: skip
    for version in ("6.7", "6.8"):
        register(client, "ordinary", [("whitenoise", version)], app_name="venv", app_url="http://web1.example.org")
    for number in range(32):
        register(client, f"sibling-{number}", [], app_url=f"http://{LONG}-{number}", digest="ab" * 32, drift=drift)
    register(client, "odd-sibling", [], app_url=MARKUP, digest="cd" * 32)
    register(client, "u1", packages, app_name=MARKUP, app_url="javascript:alert(1)", app_type=MARKUP)
    register(client, "u1", [*packages[1:], ("whitenoise", MARKUP)], app_name=MARKUP, app_url="javascript:alert(1)")
    register(client, LONG[:90], packages, app_name=LONG, app_url=f"http://{LONG}.example.org/{LONG}")
    register(client, "empty", [], app_name="empty")
    for _ in range(2):
        client.post("/reports/prog/", data=report(("version", MARKUP), (MARKUP, MARKUP), (LONG, LONG), ("=x", "=1+1")))
    client.post(
        "/", data=b"date:1763680000.1\nversion:1\nk\xff:\xfe\x00\x1b\npython:3;11;7;final;0;3.11.7\nsystem:Linux;6\n"
    )
    publish(app)
    service = service_of(app)
    with service.storage.writing() as connection:
        week = monday_of(milliseconds_now())
        numbers = list(connection.execute(select(applications.c.id)).scalars())
        rows = [
            {"week": week - 7 * age, "application_id": number, "packages": 9, "behind": age % 5}
            for age in range(1, 30)
            for number in numbers
        ]
        connection.execute(insert(behind_weeks), rows)
    tell_of_rollouts(app)
    return [
        "/rollouts", f"/rollouts?host={LONG}", "/rollouts?state=not+heard+of", "/rollouts?who=nobody", f"/rollouts/{ROLLOUT}", f"/rollouts/{ROLLOUT}?only=failed",
        "/rollouts/20261121-000000-0000", "/hosts", f"/hosts/{LONG}", "/hosts/web1", "/hosts/web1.example.org", "/host?host=../..%2F%3F", "/changes", "/changes?by=host",
        "/changes?by=virtualenv", "/changes?from=2001-01-01&to=2001-01-02", f"/changes?host={LONG}", "/changes?from=tomorrow", "/differing",
        "/", "/?sort=behind", "/?user_id=7", "/?q=empty", "/?q=nothing-like-that", "/applications/u1",
        f"/applications/{LONG[:90]}", "/applications/empty", "/applications/sibling-0", "/applications/odd-sibling", "/?sort=edited", "/packages/", f"/packages/{LONG}", "/packages/whitenoise",
        "/behind", "/usage", "/usage?program=prog", "/usage?days=30", "/usage/key?name=version", "/usage/reports/1",
        "/usage/reports/3", "/usage?program=open", "/public/open", "/search", "/search?q=a", "/vulnerabilities", "/vulnerabilities?only=accepted", "/vulnerabilities/GHSA-1", "/packages/project-0",
        "/?only=unknown", "/packages/?only=unknown&sort=-name", *NOWHERE,
    ]  # fmt: skip


def tell_of_rollouts(app: Flask) -> None:
    """Tell of three rollouts: one with odd names, one that was not heard of for long, and one of many siblings."""
    client = app.test_client()
    changes = tuple(
        PackageChange(action, name, before, after)
        for action, before, after in (
            ("install", None, "1.0"),
            ("upgrade", MARKUP, "1." + "0" * 150),
            ("remove", "2027.1.31", None),
        )
        for name in (MARKUP, LONG, "Django")
    )
    drift = DriftFound(2, 1_000_000, "2027-01-31T03:22:00+01:00")
    odd: dict[str, Any] = {
        "owner": MARKUP,
        "changes": changes,
        "message": f"{MARKUP} {LONG}",
        "drift": drift,
        "migrated": (LONG, "shop.0002") * 20,
    }
    places = [
        virtualenv("web1", interpreter=LONG, seconds=12345.678, **odd),
        virtualenv(LONG, "failed", path=f"/srv/{LONG}", packages=None, digest=None, **odd),
        virtualenv(LONG, path=MARKUP, packages=((MARKUP, MARKUP), (LONG, "1." + "0" * 150)), **odd),
        virtualenv("../../?", "rolled-back"), virtualenv("höst/ 1", "begun"),
    ]  # fmt: skip
    fields = {"task": MARKUP, "who": LONG, "origin": MARKUP, "command": f"fab {LONG} {MARKUP}", "log": f"/{LONG}/{MARKUP}", "slice": "1/20",
              "approved_by": (LONG, MARKUP), "out_of_service": (LONG, "web1")}  # fmt: skip
    assert put_rollout(client, rollout(*places, **fields)).status_code == 200
    siblings = [virtualenv(f"sibling-{number}", "current", changes=()) for number in range(32)]
    siblings += [virtualenv("odd-one", packages=(("Django", "2027.1.31"), (LONG, MARKUP)), digest="cd" * 32)]
    siblings += [
        virtualenv(f"unknown-{LONG}", "unreachable", packages=None, digest=None),
        virtualenv("older", interpreter="CPython 3.9.1"),
    ]
    assert put_rollout(client, rollout(*siblings, rollout="20261121-000000-0000", state="failed")).status_code == 200
    assert put_rollout(client, rollout(state="under way", rollout="20261122-000000-0000")).status_code == 200
    with service_of(app).storage.writing() as connection:
        silent = rollouts.c.rollout == "20261122-000000-0000"
        connection.execute(rollouts.update().where(silent).values(heard_at=rollouts.c.heard_at - DAY))


def publish(app: Flask) -> None:
    """Have a week of a program published, of which a policy says that everything in it is public."""
    service = service_of(app)
    keys = {key: {"any": True, "public": True} for key in (MARKUP, LONG, f"count.{LONG}", "version", "installation")}
    path = service.folder.policy_path("open")
    path.parent.mkdir()
    path.write_text(json.dumps({"format": 1, "program": "open", "date": "2026-01-01", "keys": keys}))
    for user in range(6):
        entries = (MARKUP, MARKUP), (LONG[:90], LONG), (LONG, LONG), (f"count.{LONG}", f"3 {LONG}"), ("version", LONG)
        age = ("installation", "2026-11-23 first month")
        app.test_client().post("/reports/open/", data=report(("user", str(user)), *entries, age))
    public_weeks.publish(service.storage, service.folder, ("open",), milliseconds_now() + 7 * DAY)
