"""A year of rollouts, as a managing machine tells a collector of them: one a week, to all virtualenvs."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone

from flask.testing import FlaskClient

from benchmarks.collector.sizes import Sizes
from envfab.config.target import Target
from envfab.models.rollout_document import PackageChange, RolloutDocument, RolloutVirtualenv

# packages that a rollout changes
CHANGED = 20
# in each rollout so many virtualenvs of a thousand fail, and keep what they had
FAILED = 5
PATHS = 5


def target_of(number: int) -> Target:
    """The virtualenv that an application is: each on a host of its own, and siblings of a fifth of the others."""
    return Target("shop", f"web{number}.example.org", f"/srv/app{number % PATHS}/venv")


def rollout_id(week: int) -> str:
    """The rollout of a week of the year."""
    return f"20260101-000000-{week:04x}"


def put_rollouts(client: FlaskClient, sizes: Sizes) -> None:
    """Tell of each rollout once, as it ended."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    for week in range(sizes.weeks):
        document = _document(week, now - timedelta(weeks=sizes.weeks - week - 1, hours=1), sizes)
        answer = client.put(
            f"/rollouts/{document.rollout}", data=json.dumps(document.to_json()), content_type="application/json"
        )
        assert answer.status_code == 200, answer.text


def _document(week: int, began: datetime, sizes: Sizes) -> RolloutDocument:
    before, after = _packages(week - 1, sizes.packages), _packages(week, sizes.packages)
    changes = tuple(
        PackageChange("upgrade", name, old, new)
        for (name, old), (_, new) in zip(before, after, strict=True)
        if old != new
    )
    return RolloutDocument(
        rollout=rollout_id(week), number=2, state="ended", task="deploy", who="anna", origin="laptop",
        command="fab deploy --yes", version="1.0", began=began.isoformat(),
        ended=(began + timedelta(minutes=10)).isoformat(),
        virtualenvs=tuple(_virtualenv(number, week, changes, before, after) for number in range(sizes.applications)),
    )  # fmt: skip


def _packages(week: int, many: int) -> tuple[tuple[str, str], ...]:
    """What was deployed in a week: each package gets a new version in one week of ten."""
    every = max(1, many // CHANGED)
    return tuple((f"project-{one}", f"1.{(week + every - one % every) // every}") for one in range(many))


def _virtualenv(
    number: int,
    week: int,
    changes: tuple[PackageChange, ...],
    before: tuple[tuple[str, str], ...],
    after: tuple[tuple[str, str], ...],
) -> RolloutVirtualenv:
    target = target_of(number)
    has_failed = (number + 31 * week) % 1000 < FAILED
    packages = before if has_failed else after
    return RolloutVirtualenv(
        target.owner, target.host, target.path, "rolled-back" if has_failed else "deployed", changes=changes,
        packages=packages, interpreter=f"CPython 3.{9 + number % 5}.1",
        digest=hashlib.sha256(repr(packages).encode()).hexdigest(),
    )  # fmt: skip
