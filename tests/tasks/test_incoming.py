"""What comes from an index, by the real program: what is told of it, held back or refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.faulty_index import Server, faulty
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An index with shop 1.0, and 1.1, which requires basket."""
    folder = tmp_path / "there"
    make_wheel(folder, "shop", "1.0")
    make_wheel(folder, "shop", "1.1", requires=["basket"])
    make_wheel(folder, "basket", "2.0")
    with faulty(folder) as running:
        yield running


def with_status(server: Server, project: str, status: str, reason: str = "") -> None:
    """Let the index give a project a status."""

    def change(page: dict[str, Any]) -> None:
        if page["name"] == project:
            page["project-status"] = {"status": status, "reason": reason}

    server.page = change


class TestProjectStatus:
    """PEP 792."""

    def test_one_that_is_not_active_is_told_once(self, workplace: Workplace, server: Server) -> None:
        """Archived projects are fetched, with a warning that has the index's reason."""
        with_status(server, "basket", "archived", "use bag")
        done = workplace.fab("fetch_wheels", "shop", "basket", "--index", server.url)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("the project basket is archived: use bag") == 1
        document = workplace.json("fetch_wheels", "shop", "--index", server.url)
        assert document["project_statuses"] == [{"name": "basket", "status": "archived", "reason": "use bag"}]

    def test_one_that_is_quarantined_is_refused(self, workplace: Workplace, server: Server) -> None:
        """None of its wheels is a candidate, and the message has the reason."""
        with_status(server, "basket", "quarantined", "malware")
        done = workplace.fab("fetch_wheels", "shop>=1.1", "--index", server.url)
        assert done.returncode == 1
        assert f"{server.url} says that basket is quarantined: malware" in done.stderr
        assert not (workplace.folder / "wheels").exists()

    def test_outdated_tells_it_of_what_is_installed(self, installed: Workplace, server: Server) -> None:
        """Also where there is nothing newer."""
        with_status(server, "shop", "deprecated")
        done = installed.fab("outdated", "--index", server.url)
        assert "the project Shop is deprecated" in done.stderr
        document = installed.json("outdated", "--index", server.url)
        assert document["project_statuses"] == [{"name": "Shop", "status": "deprecated", "reason": ""}]
