"""Registrations while processes of the collector and of its database are killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.postgres import running_postgres
from tests.support.registration_load import killing, lost_of, register_steadily
from tests.support.sshd import Unavailable
from tests.support.web_workers import web_workers


def test_what_was_answered_is_not_lost_when_workers_and_the_database_are_killed(tmp_path: Path) -> None:
    """Two workers, PostgreSQL that writes to disk before it answers, and 25 registrations a second meanwhile."""
    try:
        with running_postgres(durable=True) as server:
            variables = {
                "ENVFAB_COLLECTOR_DATA": str(tmp_path / "data"),
                "ENVFAB_COLLECTOR_DATABASE": server.make_database(),
                "ENVFAB_COLLECTOR_OPEN": "1",
            }
            with web_workers(tmp_path, 2, **variables) as (url, process):
                with killing(process, server, every=0.4, crashes=(1.0, 2.5)) as killed:
                    answers = register_steadily(url, rate=25, seconds=5, applications=10, packages=20)
                assert killed["workers"] >= 3
                assert killed["servers"] == 2
                assert answers.stored >= 20, answers.failures
                assert lost_of(answers, url) == {}
    except Unavailable as reason:
        pytest.skip(str(reason))
