"""What comes from an index, by the real program: what is told of it, held back or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from envfab.fetch.bundle import write_bundle
from tests.support.faulty_index import Server, faulty
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace

HOUR = 60 * 60  # seconds
DAY = 24 * HOUR


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


def uploaded(server: Server, **times: Any) -> None:
    """Let the index tell upload times, by version: seconds before now, or what else it says; others are a year old."""

    def change(page: dict[str, Any]) -> None:
        for file in page["files"]:
            _name, version, *_tags = file["filename"].split("-")
            said = times.get(f"v{version.replace('.', '_')}", 365 * DAY)
            file["upload-time"] = ago(said) if isinstance(said, int) else said

    server.page = change


def ago(seconds: int) -> str:
    """A time before now as PEP 700 has it."""
    return (datetime.now(timezone.utc) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


WEEK = ["--older-than", "7d"]


class TestOlderThan:
    """Wheels that were uploaded a short time ago are no candidates (PEP 700)."""

    def test_the_newest_that_is_old_enough_is_taken(self, workplace: Workplace, server: Server) -> None:
        """What is held back is told, with its age, the rule and what is taken."""
        uploaded(server, v1_1=2 * DAY + 60)
        document = workplace.json("fetch_wheels", "shop", *WEEK, "--index", server.url)
        assert [one["wheel"] for one in document["fetched"]] == ["shop-1.0-py3-none-any.whl"]
        assert document["held_back"] == [
            {"name": "shop", "version": "1.1", "reason": "uploaded 2 days ago", "taken": "1.0"}
        ]
        done = workplace.fab("fetch_wheels", "shop", *WEEK, "--index", server.url)
        assert "shop 1.1 held back: uploaded 2 days ago, older_than is 7d; 1.0 taken" in done.stderr

    def test_what_the_requirements_rule_out_is_not_told(self, workplace: Workplace, server: Server) -> None:
        """A version that would not have been taken anyway was not held back."""
        uploaded(server, v1_1=60)
        document = workplace.json("fetch_wheels", "shop<1.1", *WEEK, "--index", server.url)
        assert (len(document["fetched"]), document["held_back"]) == (1, [])

    def test_the_setting_has_exceptions(self, workplace: Workplace, server: Server) -> None:
        """`older_than_except` has names and patterns; the flag outranks the setting."""
        uploaded(server, v1_1=60, v2_0=60)
        workplace.fabfile("", "'older_than': '24h', 'older_than_except': ('sh*',)")
        done = workplace.fab("fetch_wheels", "shop>1", "--index", server.url)
        assert done.returncode == 1
        assert "basket 2.0 held back: uploaded less than an hour ago, older_than is 1d" in done.stderr
        assert "to take them all the same: --older-than 0, or basket in older_than_except" in done.stderr
        assert workplace.fab("fetch_wheels", "shop>1", "--older-than", "0", "--index", server.url).returncode == 0

    @pytest.mark.parametrize("said", [None, "yesterday", "9999-99-99T00:00:00Z", "1" * 1000, "1970-01-01T00:00:00Z"])
    def test_a_wheel_of_unknown_age_is_refused(self, workplace: Workplace, server: Server, said: object) -> None:
        """No upload time, and one that is not a time, are neither old nor young: the message says so."""
        uploaded(server, v1_1=said, v1_0=said)
        done = workplace.fab("fetch_wheels", "shop", *WEEK, "--index", server.url)
        assert done.returncode == 1
        assert "shop 1.1 held back: the index tells no upload time of it, older_than is 7d" in done.stderr
        # a name that is right needs no other spelling
        assert "did you mean" not in done.stderr
        assert not (workplace.folder / "wheels").exists()

    def test_a_time_in_the_future_is_not_old(self, workplace: Workplace, server: Server) -> None:
        """The clocks differ, or the index makes it up."""
        uploaded(server, v1_1="2999-01-01T00:00:00Z")
        done = workplace.fab("fetch_wheels", "shop", *WEEK, "--index", server.url)
        assert done.returncode == 0, done.stderr
        assert "shop 1.1 held back: uploaded in the future, by the index's clock (2999-01-01 00:00)" in done.stderr

    def test_outdated_offers_what_would_be_fetched(self, installed: Workplace, server: Server) -> None:
        """And tells what is newer and held back."""
        make_wheel(server.folder, "shop", "1.2")
        uploaded(server, v1_2=3 * HOUR + 60)
        document = installed.json("outdated", *WEEK, "--index", server.url)
        assert [one["index"] for one in document["virtualenvs"][0]["outdated"]] == ["1.1"]
        assert [(one["version"], one["reason"]) for one in document["held_back"]] == [("1.2", "uploaded 3 hours ago")]

    def test_a_span_that_cannot_be_read_is_refused(self, workplace: Workplace) -> None:
        """By the name of the flag."""
        done = workplace.fab("fetch_wheels", "shop", "--older-than", "soon")
        assert done.returncode == 1
        assert "--older-than: must be a number of days or hours, like 7d or 24h, or 0, not 'soon'" in done.stderr


class TestOwnProjects:
    """Projects that are never looked up in the index."""

    def test_the_setting_names_them(self, workplace: Workplace, server: Server) -> None:
        """As `--own` does, also by a pattern."""
        workplace.fabfile("", "'own': 'bask*'")
        done = workplace.fab("fetch_wheels", "shop>1", "--index", server.url)
        assert done.returncode == 1
        assert not any("basket" in path for path in server.asked)

    def test_a_name_that_is_none_is_refused(self, workplace: Workplace) -> None:
        """By the name of the flag."""
        done = workplace.fab("fetch_wheels", "shop", "--own", "my corp")
        assert "--own: must be the name of a project, or a pattern like mycorp-*, not 'my corp'" in done.stderr


@pytest.fixture
def warned(workplace: Workplace) -> Workplace:
    """A folder whose fabfile has an advisory export that reports basket 2.0 and shop 1.1."""
    reported = [("basket", "2.0"), ("shop", "1.1")]
    for name, version in reported:
        affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "versions": [version]}]
        record = {"id": f"MAL-2026-{name}", "modified": ago(60), "summary": "Steals keys", "affected": affected}
        workplace.file(f"osv/{name}.json", json.dumps(record))
    workplace.fabfile("")
    fabfile = workplace.folder / "fabfile.py"
    fabfile.write_text(fabfile.read_text().replace("Fleet(", "Fleet(advisories='osv', "))
    return workplace


class TestMaliciousReleases:
    """Releases with a `MAL-` record in the fleet's export."""

    def test_fetch_wheels_refuses_them(self, warned: Workplace, server: Server) -> None:
        """With ids and summaries, before anything is downloaded."""
        done = warned.fab("fetch_wheels", "shop", "--index", server.url)
        assert done.returncode == 1
        assert "basket 2.0 is reported as malicious by MAL-2026-basket: Steals keys; shop 1.1 is" in done.stderr
        assert not any(path.endswith(".whl") for path in server.asked)
        assert warned.fab("fetch_wheels", "shop<1.1", "--index", server.url).returncode == 0

    def test_add_wheel_refuses_them_one_by_one(self, warned: Workplace, server: Server) -> None:
        """Others are added, and a bundle with one is refused whole."""
        document = warned.json("add_wheel", *map(str, sorted(server.folder.glob("shop-*.whl"))), status=1)
        assert [one["wheel"] for one in document["added"]] == ["shop-1.0-py3-none-any.whl"]
        (refused,) = document["refused"]
        assert "shop 1.1 is reported as malicious by MAL-2026-shop: Steals keys" in refused["error"]
        assert "if shop is a project of your own, name it in the setting own" in refused["error"]
        write_bundle(warned.folder / "carry.bundle", sorted(server.folder.glob("*.whl")))
        assert len(warned.json("add_wheel", "carry.bundle", status=1)["refused"]) == 1
        assert len(list((warned.folder / "wheels").iterdir())) == 1

    def test_own_projects_are_not_those_of_the_records(self, warned: Workplace, server: Server) -> None:
        """Somebody else has put a project of that name into the index."""
        fabfile = warned.folder / "fabfile.py"
        fabfile.write_text(fabfile.read_text().replace("'envfab': {", "'envfab': {'own': ['shop']"))
        assert warned.fab("add_wheel", str(server.folder / "shop-1.1-py3-none-any.whl")).returncode == 0

    def test_lock_refuses_them(self, warned: Workplace, server: Server) -> None:
        """Where the wheel was in the wheelhouse before; it is not locked, and nothing is written."""
        fabfile = warned.folder / "fabfile.py"
        text = fabfile.read_text()
        fabfile.write_text(text.replace("advisories='osv', ", ""))
        warned.add(*server.folder.glob("*.whl"))
        warned.file("shop.in", "shop\n")
        fabfile.write_text(text)
        done = warned.fab("lock", "shop.in")
        assert done.returncode == 1
        assert "shop 1.1 is reported as malicious" in done.stderr
        assert not (warned.folder / "shop.txt").exists()

    def test_an_old_export_is_told(self, warned: Workplace, server: Server) -> None:
        """What was found since it was made is not in it."""
        for file in (warned.folder / "osv").iterdir():
            file.write_text(json.dumps({**json.loads(file.read_text()), "modified": "2020-01-01T00:00:00Z"}))
        done = warned.fab("add_wheel", str(server.folder / "shop-1.0-py3-none-any.whl"))
        assert "/osv: its records of malicious releases are as of 2020-01-01, " in done.stderr

    def test_an_export_that_is_missing_refuses_everything(self, warned: Workplace, server: Server) -> None:
        """What cannot be looked up is not good."""
        fabfile = warned.folder / "fabfile.py"
        fabfile.write_text(fabfile.read_text().replace("'osv'", "'none.zip'"))
        done = warned.fab("add_wheel", str(server.folder / "shop-1.0-py3-none-any.whl"))
        assert done.returncode == 1
        assert "none.zip: cannot be read" in done.stdout
        assert not (warned.folder / "wheels").exists()

    def test_audit_reads_the_same_export(self, warned: Workplace) -> None:
        """Without `--osv`."""
        assert "2 records, as of " in warned.fab("audit").stdout


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
