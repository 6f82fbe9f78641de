"""What a deployment tells registration servers."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from envfab.deployment import closing
from envfab.errors import Disconnected
from tests.support.dependency_track import KEY, running_dependency_track
from tests.support.registration_server import Reply, running_server
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze


def fleet(local: Workplace, path: Path, url: str) -> None:
    """A fabfile with one virtualenv and one registration server."""
    local.file(
        "fabfile.py",
        "from envfab import *\n"
        f"fleet = Fleet(hosts=[Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'])])],\n"
        f"              registration=[Difio({url!r}, user_id=7)])\n"
        "ns = collection(fleet)\n",
    )  # fmt: skip


def test_a_deployment_that_changed_something_is_told(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path
) -> None:
    """The server gets the packages as they are after the deployment; a current virtualenv tells nothing."""
    path = make_virtualenv("3.11", tmp_path / "v")
    with running_server() as server:
        fleet(local, path, server.url)
        local.add_made("shop", "1.0")
        done = local.fab("deploy", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert [request.installed["shop"] for request in server.requests] == ["1.0"]
        assert server.requests[0].data["user_id"] == 7
        local.fab("deploy", "--yes")
        assert len(server.requests) == 1


def test_the_digest_and_what_was_carried_over_are_told(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path
) -> None:
    """Of the deployment that just ended, not of the one before; a rollback tells those of the older generation."""
    path = make_virtualenv("3.11", tmp_path / "v")
    with running_server() as server:
        fleet(local, path, server.url)
        local.add_made("shop", "1.0")
        local.add_made("basket", "1.0")
        assert local.fab("deploy", "--yes").returncode == 0
        first = server.requests[0].data
        assert first["drift"] == {"since": None, "package_count": 0, "file_count": 0, "packages": [], "files": []}
        (next(path.glob("lib/python*/site-packages")) / "by_hand.py").write_text("")
        local.add_made("shop", "2.0")
        assert local.fab("deploy", "--upgrade", "--yes").returncode == 0
        second = server.requests[1].data
        digests = [one["digest"] for one in local.json("history")["virtualenvs"][0]["deployments"]]
        assert [second["digest"], first["digest"]] == digests
        assert len(set(digests)) == 2
        assert (second["drift"]["file_count"], second["drift"]["files"]) == (1, [{"n": None, "count": 1}])
        assert local.fab("rollback", "--yes").returncode == 0
        back = server.requests[2].data
        assert (back["digest"], back["drift"]["file_count"]) == (first["digest"], 1)


def test_what_differs_is_told_as_it_is_found_by_reading(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path
) -> None:
    """A file that was only touched is no drift; without a deployment, and where it cannot be read, drift is not told."""
    path = make_virtualenv("3.11", tmp_path / "v")
    with running_server() as server:
        fleet(local, path, server.url)
        local.add_made("shop", "1.0")

        def told(*expected_warnings: str) -> dict[str, Any]:
            done = local.fab("register")
            assert done.returncode == 0, done.stderr
            assert [line for line in done.stderr.splitlines() if "warning" in line] == list(expected_warnings)
            data: dict[str, Any] = server.requests[-1].data
            return data

        assert told().keys() & {"digest", "drift", "siblings"} == set()
        assert local.fab("deploy", "--yes").returncode == 0
        file = next(path.glob("lib/python*/site-packages")) / "shop.py"
        os.utime(file, (1, 1))
        touched = told()
        assert touched["drift"]["file_count"] == 0
        assert touched["digest"] == server.requests[-2].data["digest"]
        file.unlink()
        assert told()["drift"]["files"] == [{"n": "shop", "count": 1}]
        facts = path / ".envfab" / "generations" / "1" / ".envfab-deployed.json"
        facts.write_text(json.dumps({**json.loads(facts.read_text()), "format": 2}))
        newer = told(
            f"warning: drift is not known: root@localhost:{path}: {facts} has format 2; this envfab reads formats up to 1:"
            " use the version that deployed there last, or a newer one"
        )
        assert newer.keys() & {"digest", "drift"} == set()


def test_a_server_that_is_down_or_slow_fails_and_delays_nothing(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path
) -> None:
    """The deployment is as good as without it: a warning, and what was missed is sent by the next run."""
    path = make_virtualenv("3.11", tmp_path / "v")
    with running_server() as server:
        fleet(local, path, server.url)
        local.add_made("shop", "1.0")
        server.answer = server.slow
        began = time.monotonic()
        done = local.fab("deploy", "--yes")
        took = time.monotonic() - began
        server.released.set()
        assert done.returncode == 0, done.stdout + done.stderr
        assert freeze(path) == {"shop": "1.0"}
        assert "warning: " in done.stderr
        assert took < 30
        server.requests.clear()
        server.answer = lambda _request: Reply()
        assert local.fab("deploy", "--yes").returncode == 0
        assert [request.installed["shop"] for request in server.requests] == ["1.0"]


def test_a_deployment_uploads_the_bill_of_materials(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path
) -> None:
    """With the hash of the wheel that it installed, and its licence, which policies of Dependency-Track look for.

    A server that is down is a warning, made up for by the next run.
    """
    path = make_virtualenv("3.11", tmp_path / "v")
    with running_dependency_track() as track:
        local.file(
            "fabfile.py",
            "from envfab import *\n"
            f"fleet = Fleet(hosts=[Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'])])],\n"
            f"              registration=[DependencyTrack({track.url!r}, {KEY!r})])\n"
            "ns = collection(fleet)\n",
        )  # fmt: skip
        metadata = "Metadata-Version: 2.4\nName: shop\nVersion: 1.0\nLicense-Expression: MIT\n"
        local.add_made("shop", "1.0", dist_info={"METADATA": metadata})
        track.answer = lambda _: Reply(b"<html>", 502, {"Content-Type": "text/html"})
        done = local.fab("deploy", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning: " in done.stderr
        assert KEY not in done.stdout + done.stderr
        track.answer = lambda _: None
        assert local.fab("deploy", "--yes").returncode == 0
        (uploaded,) = track.projects.values()
        (shop,) = [one for one in uploaded.bom["components"] if one["name"] == "shop"]
        assert shop["version"] == "1.0"
        assert shop["hashes"][0]["alg"] == "SHA-256"
        assert [one["license"]["id"] for one in shop["licenses"]] == ["MIT"]
        (deployment,) = local.json("history")["virtualenvs"][0]["deployments"]
        assert {"name": "envfab:digest", "value": deployment["digest"]} in uploaded.bom["metadata"]["component"][
            "properties"
        ]


def test_a_deployment_ends_well_where_licences_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is over by then: a warning says what the registration lacks."""

    def cut_off(_site: object) -> None:
        raise Disconnected("the connection was lost", where="web1")

    said: list[str] = []
    monkeypatch.setattr(closing, "materials", cut_off)
    around = SimpleNamespace(needs_materials=True, reporter=SimpleNamespace(warning=said.append))
    work: Any = SimpleNamespace(around=around, site=None)
    assert closing._materials(work) is None
    assert said == ["licences and bundled libraries are not known: web1: the connection was lost"]
