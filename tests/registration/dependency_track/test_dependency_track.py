"""Dependency-Track: what is uploaded over real HTTP, and everything that can come back."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.config.fleet import Fleet
from envfab.config.target import Member, Target
from envfab.errors import RegistrationError
from envfab.models.probe import Probe
from envfab.registration.after_deployment import after_deployment
from envfab.registration.delivery import register
from envfab.registration.dependency_track.protocol import (
    Bom,
    parse_problem,
    parse_processing,
    parse_upload,
    project_name,
)
from envfab.registration.dependency_track.server import DependencyTrack
from envfab.registration.dependency_track.upload import put
from envfab.registration.difio.server import Difio
from envfab.registration.http import registration_session
from envfab.registration.jobs import RegistrationOutcome, jobs_for
from envfab.registration.registry import KINDS, servers_for
from envfab.registration.retry_queue import Missed, Pending
from envfab.registration.servers import RegistrationServer, ServerAnswer
from envfab.util.progress import Silent
from envfab.util.state_folder import state_folder
from tests.registration.probes import member, probe, there
from tests.support.dependency_track import JSON, KEY, DependencyTrackServer, problem, running_dependency_track
from tests.support.registration_server import RecordingServer, Reply

HTML = {"Content-Type": "text/html"}
TEXT = {"Content-Type": "text/plain"}
NAME = "shop@web1:/srv/shop"
SHOP = Bom(NAME, None, 1, "{}")


@dataclass
class Warnings(Silent):
    """A reporter that keeps the warnings."""

    said: list[str] = field(default_factory=list)

    def warning(self, message: str) -> None:
        """Keep it."""
        self.said.append(message)


@pytest.fixture
def track() -> Iterator[DependencyTrackServer]:
    """A Dependency-Track server."""
    with running_dependency_track() as running:
        yield running


def virtualenv(path: str = "/srv/shop", version: str = "1") -> tuple[Member, Probe]:
    """A virtualenv with two packages, one of which needs the other."""
    made = member(path=path)
    return made, probe(made, there("six", version), there("Django", "5.2", "six"))


def registered(
    *servers: RegistrationServer[Any],
    paths: tuple[str, ...] = ("/srv/shop",),
    processing: float = 5.0,
    version: str = "1",
) -> tuple[list[RegistrationOutcome], list[str]]:
    """(the outcomes, the warnings) of the task's way."""
    reporter = Warnings()
    jobs, unfit = jobs_for([virtualenv(path, version) for path in paths], servers)
    assert not unfit
    return register(jobs, servers, reporter, os.environ, processing), reporter.said


def remembered() -> tuple[Missed, ...]:
    """What is remembered in the test's home."""
    return Pending(state_folder(os.environ), KINDS).read()


def failure(url: str, key: str | None = KEY, bom: Bom = SHOP) -> str:
    """What is said where there is no answer."""
    with registration_session() as session, pytest.raises(RegistrationError) as caught:
        put(session, url, key, bom)
    return str(caught.value)


def test_each_virtualenv_is_a_project(track: DependencyTrackServer) -> None:
    """Named like the target, in one version for good, with a document that the schema allows; and it is processed."""
    track.polls = 1
    outcomes, warnings = registered(DependencyTrack(f"{track.url}/", lambda: f"{KEY}\n"), paths=("/srv/a", "/srv/b"))
    assert warnings == []
    assert [(one.answer.message, one.processed) for one in outcomes if one.answer] == [
        ("2 packages of shop@web1:/srv/a", True),
        ("2 packages of shop@web1:/srv/b", True),
    ]
    assert sorted(track.projects) == ["shop@web1:/srv/a", "shop@web1:/srv/b"]
    request = track.projects["shop@web1:/srv/a"]
    assert {name: value for name, value in request.fields.items() if name != "bom"} == {
        "projectName": "shop@web1:/srv/a",
        "projectVersion": "current",
        "autoCreate": True,
    }
    assert request.components == {"six": "1", "Django": "5.2"}
    assert request.headers["x-api-key"] == KEY
    assert request.headers["user-agent"].startswith("envfab/")
    assert "authorization" not in request.headers
    assert len(track.questions) == 4
    assert not remembered()


@pytest.mark.parametrize("parent", ["shop", "0f9a3c8e-9f6c-4c0e-8a51-0d5f3a4e7b11"])
def test_projects_are_made_below_a_parent(track: DependencyTrackServer, parent: str) -> None:
    """By its name or its UUID; a parent that does not exist is told with what to do, and it is made up for later."""
    server = DependencyTrack(track.url, KEY, parent)
    (outcome,), _ = registered(server)
    assert outcome.error is not None
    assert "HTTP 404, text/plain - The parent project could not be found." in outcome.error.what
    assert outcome.error.hint.startswith(f"is there a project {parent} without a version?")
    track.parents.add(parent)
    (outcome,), _ = registered(server)
    assert outcome.answer is not None
    field = "parentName" if parent == "shop" else "parentUUID"
    assert track.projects[NAME].fields[field] == parent


def test_both_kinds_stand_side_by_side(track: DependencyTrackServer, server: RecordingServer) -> None:
    """Each server gets what is its own, and a virtualenv is told to both."""
    outcomes, _ = registered(Difio(server.url), DependencyTrack(track.url, KEY))
    assert [type(one.job.server) for one in outcomes if one.answer] == [Difio, DependencyTrack]
    assert server.names() == ["shop"]
    assert list(track.projects) == [NAME]


def test_difio_url_takes_the_place_of_difio_servers_alone(track: DependencyTrackServer) -> None:
    """The variable speaks of one protocol; others' servers stay."""
    deptrack = DependencyTrack(track.url, KEY)
    environment = {"DIFIO_URL": "http://e.org/"}
    assert servers_for([Difio("http://old/"), deptrack], environment) == (Difio("http://e.org/"), deptrack)
    assert servers_for([deptrack], environment) == (Difio("http://e.org/"), deptrack)


def test_a_long_target_keeps_a_name_of_its_own() -> None:
    """The server takes 255 characters; two targets that begin alike stay two."""
    first, second = (project_name(Target("shop", "web1", f"/srv/{'x' * 300}/{end}")) for end in "ab")
    assert len(first) == len(second) == 255
    assert first != second
    assert first.startswith("shop@web1:/srv/xxx")


def test_a_fleets_localhost_has_the_machines_own_name(track: DependencyTrackServer) -> None:
    """Or all machines' local virtualenvs would be one project."""
    mine = member(host="localhost")
    jobs, _ = jobs_for([(mine, probe(mine, node="desk7"))], [DependencyTrack(track.url, KEY)])
    assert jobs[0].payload.name == "shop@desk7:/srv/shop/venv"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"<html>\nBad gateway", 502, HTML), "HTTP 502, text/html - <html> Bad gateway\n  give the address of Dep"),
        (Reply(b"<html>", 200, {"Content-Type": "text/html; charset=utf-8"}), "HTTP 200, text/html - <html>"),
        (Reply(b"", 401, {}), "HTTP 401, no Content-Type\n  the API key's team needs the permissions BOM_UPLOAD and "
         "PROJECT_CREATION_UPLOAD"),
        (Reply(b"The principal does not have permission to create project.", 401, TEXT),
         "HTTP 401, text/plain - The principal does not have permission to create project.\n  the API key's team"),
        (problem(403, "Project access denied", "Access to the requested project is forbidden"),
         "Project access denied (403): Access to the requested project is forbidden\n  the API key's team needs"),
        (problem(500, "Unexpected error", "\x1b[2Jan error"), "Unexpected error (500): [2Jan error"),
        (Reply(b"[1", 400, {"Content-Type": "application/problem+json"}), "HTTP 400, application/problem+json - [1"),
        (Reply(b"[1", 200, JSON), "the answer is not JSON - [1"),
        (Reply(b"[]", 200, JSON), "the answer must be a JSON object - []"),
        (Reply(b'{"token": "../../secret"}', 200, JSON), 'the answer has no token - {"token": "../../secret"}'),
        (Reply(b"", 404, {}), "HTTP 404, no Content-Type"),
        (Reply(b"", 302, {"Location": "https://me:pw@e.org/login?next=x"}), "HTTP 302 to https://e.org/login\n  give the"),
    ],
)  # fmt: skip
def test_anything_but_an_answer_is_told_with_what_came(track: DependencyTrackServer, reply: Reply, said: str) -> None:
    """`Communication failed`, what came on one line, and what to do; never the key."""
    track.answer = lambda _: reply
    message = failure(track.url)
    assert message.startswith(f"{track.url}: Communication failed: {said}")
    assert KEY not in message


def test_what_does_not_validate_is_refused_for_good(track: DependencyTrackServer) -> None:
    """Dependency-Track's own words, the first errors, and how many there are more; it is not sent again."""
    errors = [f"$.components[{number}].name: is missing" for number in range(7)]
    track.answer = lambda _: problem(400, "The uploaded BOM is invalid", "Schema validation failed", errors)
    (outcome,), _ = registered(DependencyTrack(track.url, KEY))
    listed = "; ".join(errors[:5])
    said = f"{NAME}: The uploaded BOM is invalid (400): Schema validation failed; {listed}; and 2 more"
    assert outcome.answer == ServerAnswer(said, 1)
    assert outcome.processed is None
    assert not remembered()


def test_the_double_refuses_what_is_no_cyclonedx(track: DependencyTrackServer) -> None:
    """So what the other tests send is valid by the schema."""
    with registration_session() as session:
        answer = put(session, track.url, KEY, SHOP)
    assert "Schema validation failed; " in answer.message
    assert answer.exit_code == 1


def test_a_key_does_not_follow_a_redirect(track: DependencyTrackServer) -> None:
    """Another host never sees it, nor the document."""
    with running_dependency_track() as stranger:
        track.answer = lambda request: Reply(b"", 307, {"Location": stranger.url + request.path})
        assert f"HTTP 307 to {stranger.url}/api/v1/bom" in failure(track.url)
        assert stranger.requests == []


@pytest.mark.parametrize("key", ["", "two words", "schlüssel", None])
def test_a_key_that_no_header_can_hold_is_not_sent(track: DependencyTrackServer, key: str | None) -> None:
    """And not shown."""
    message = failure(track.url, key)
    assert message == f"{track.url}: the API key is empty, or not of printable ASCII without spaces"
    assert track.requests == []


def test_a_key_that_cannot_be_had_fails_in_one_line(track: DependencyTrackServer) -> None:
    """What a callable's own error says might be secret, so only its kind is told."""

    def broken() -> str:
        raise RuntimeError("s3cret")

    (outcome,), _ = registered(DependencyTrack(track.url, broken))
    assert str(outcome.error) == f"{track.url}: cannot read the API key: RuntimeError"


def test_a_netrc_and_a_password_in_the_address_stand_beside_the_key(
    track: DependencyTrackServer, clean_environment: Path
) -> None:
    """A proxy in front may want Basic, from the address; what `~/.netrc` has is for others."""
    netrc = clean_environment / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\n")
    netrc.chmod(0o600)
    registered(DependencyTrack(track.url, KEY))
    registered(DependencyTrack(track.url.replace("//", "//me:pw@"), KEY))
    first, second = track.uploads
    assert "authorization" not in first.headers
    assert (second.headers["authorization"], second.headers["x-api-key"]) == ("Basic bWU6cHc=", KEY)


def test_what_failed_is_kept_and_sent_with_the_next_run(track: DependencyTrackServer) -> None:
    """The document as it was made, and no key, in the user's own file; it is forgotten once it arrived."""
    track.answer = lambda _: Reply(b"<html>", 503, HTML)
    server = DependencyTrack(track.url, KEY)
    registered(server, paths=("/srv/a",))
    state = state_folder(os.environ)
    assert state is not None
    assert KEY not in (state / "registrations.json").read_text()
    (kept,) = remembered()
    assert kept.url == track.url
    track.answer = lambda _: None
    outcomes, _ = registered(server, paths=("/srv/b",))
    assert [(one.job.target, one.job.missed is not None) for one in outcomes] == [
        ("shop@web1:/srv/b", False),
        ("shop@web1:/srv/a", True),
    ]
    assert isinstance(kept.payload, Bom)
    assert track.projects["shop@web1:/srv/a"].body == track.uploads[0].body
    assert not remembered()


def test_what_is_registered_anew_is_not_sent_as_it_was(track: DependencyTrackServer, server: RecordingServer) -> None:
    """The state of now takes the place of what was missed, for each kind of server alone."""
    track.answer = lambda _: Reply(b"", 503, {})
    server.answer = lambda _: Reply(b"", 503, {})
    both = (DependencyTrack(track.url, KEY), Difio(server.url))
    registered(*both, version="1")
    registered(*both, version="2")
    assert len(remembered()) == 2
    track.answer = lambda _: None
    registered(both[0], version="3")
    assert track.projects[NAME].components["six"] == "3"
    assert [type(one.payload).__name__ for one in remembered()] == ["Registration"]


def test_a_kept_document_goes_to_no_other_kind_of_server(track: DependencyTrackServer) -> None:
    """Not even where one has the other's address now."""
    track.answer = lambda _: Reply(b"", 503, {})
    registered(DependencyTrack(track.url, KEY))
    outcomes, _ = registered(Difio(track.url), paths=())
    assert outcomes == []
    assert len(remembered()) == 1


def test_a_dead_server_is_given_up_on(track: DependencyTrackServer, nobody: str) -> None:
    """All others fare like the first, at once; another server is not held up."""
    dead = nobody.removesuffix("/application/register/")
    servers = DependencyTrack(dead, KEY), DependencyTrack(track.url, KEY)
    outcomes, _ = registered(*servers, paths=tuple(f"/srv/{number}" for number in range(9)))
    assert sum(one.answer is not None for one in outcomes) == 9
    assert {one.error.what for one in outcomes if one.error} == {"Communication failed: nothing listens there"}
    assert len(remembered()) == 9


def test_processing_is_waited_for_and_no_longer_than_that(track: DependencyTrackServer) -> None:
    """What does not end in time is a warning; the upload arrived, and nothing is kept."""
    track.polls = 10_000
    began = time.monotonic()
    outcomes, (warning,) = registered(DependencyTrack(track.url, KEY), paths=("/srv/a", "/srv/b"), processing=0.6)
    assert time.monotonic() - began < 5
    assert warning == (
        f"{track.url}: 2 of 2 bills of materials are not known to be processed (after 0.6 s)\n"
        "  they arrived; the server goes on by itself"
    )
    assert [(one.answer is not None, one.processed) for one in outcomes] == [(True, False)] * 2
    assert not remembered()


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(b"", 404, {}), "HTTP 404, no Content-Type"),
        (Reply(b"<html>", 200, HTML), "HTTP 200, text/html - <html>"),
        (Reply(b'{"processing": "maybe"}', 200, JSON), "the answer does not say whether it is processing"),
        (Reply(b"", 302, {"Location": "http://e.org/login"}), "HTTP 302 to http://e.org/login"),
    ],
)
def test_a_server_that_does_not_tell_is_a_warning(track: DependencyTrackServer, reply: Reply, why: str) -> None:
    """Older servers have no such address: the upload counts all the same."""
    track.answer = lambda request: reply if request.method == "GET" else None
    (outcome,), (warning,) = registered(DependencyTrack(track.url, KEY))
    assert f"(Communication failed: {why}" in warning
    assert (outcome.answer is not None, outcome.processed) == (True, False)


def test_a_server_that_falls_silent_while_it_processes_holds_up_nothing(track: DependencyTrackServer) -> None:
    """The time that was given is all that it takes."""
    track.answer = lambda request: track.slow(request) if request.method == "GET" else None
    began = time.monotonic()
    _, (warning,) = registered(DependencyTrack(track.url, KEY), processing=0.4)
    assert time.monotonic() - began < 4
    assert "1 of 1 bill of materials is not known" in warning


def deployed(
    *servers: RegistrationServer[Any], paths: tuple[str, ...] = ("/srv/shop",), patience: float = 2.0
) -> tuple[list[str], float]:
    """(the warnings, the seconds it took) of a deployment's end."""
    reporter = Warnings()
    changed = [virtualenv(path) for path in paths]
    began = time.monotonic()
    with after_deployment(Fleet(registration=servers), changed, reporter, patience=patience):
        pass
    return reporter.said, time.monotonic() - began


def test_a_deployment_uploads_what_it_changed_and_does_not_wait_for_more(track: DependencyTrackServer) -> None:
    """It is not asked how the processing goes on: nobody could do anything about it there."""
    track.polls = 10_000
    warnings, _ = deployed(DependencyTrack(track.url, KEY))
    assert warnings == []
    assert list(track.projects) == [NAME]
    assert track.questions == []
    assert not remembered()


def test_a_slow_server_holds_up_a_deployment_for_a_bounded_time(track: DependencyTrackServer) -> None:
    """Making documents is a part of that time; what was made is sent with the next run, the rest is told."""
    track.answer = track.slow
    warnings, took = deployed(DependencyTrack(track.url, KEY), patience=1.0)
    assert took < 3
    (warning,) = warnings
    # what making the document leaves of the second
    assert re.fullmatch(
        rf"{re.escape(track.url)}: Communication failed: no answer within (1|0\.[1-9]) s\n"
        rf"  {re.escape(NAME)} not registered; the next run sends it",
        warning,
    )
    assert [one.target for one in remembered()] == [NAME]
    warnings, _ = deployed(DependencyTrack(track.url, KEY), paths=("/srv/a", "/srv/b"), patience=0.0)
    assert warnings[0] == "not registered: no time for 2 bills of materials\n  run fab register"


def test_a_release_log_that_cannot_be_read_fails_no_deployment(
    track: DependencyTrackServer, server: RecordingServer, tmp_path: Path
) -> None:
    """It is a warning: the log of a newer envfab, say. Servers that need nothing of it are told."""
    (tmp_path / "release_log").write_text("format: 99\n")
    reporter = Warnings()
    fleet = Fleet(registration=[DependencyTrack(track.url, KEY), Difio(server.url)], root=tmp_path)
    with after_deployment(fleet, [virtualenv()], reporter):
        pass
    (warning,) = reporter.said
    assert "the release log has format 99" in warning
    assert (server.names(), track.requests) == (["shop"], [])


def test_without_the_extra_the_other_servers_are_told(
    track: DependencyTrackServer, server: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line for the server, with the command that installs what is missing."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "cyclonedx"]:
        monkeypatch.setitem(sys.modules, name, None)
    servers = DependencyTrack(track.url, KEY), Difio(server.url)
    jobs, (unfit,) = jobs_for([virtualenv("/srv/a"), virtualenv("/srv/b")], servers)
    assert str(unfit) == f"{track.url}: a bill of materials needs cyclonedx-python-lib\n  pip install 'envfab[sbom]'"
    assert [job.payload.name for job in jobs] == ["a", "b"]


FIELDS = ["token", "processing", "title", "detail", "status", "errors"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=8,
)


@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_answer_breaks_the_reading(content: bytes) -> None:
    """Whatever a server says is an answer, or one of our own errors."""
    for parse in (parse_upload, parse_processing):
        try:
            assert parse(content) is not None
        except RegistrationError:
            continue
    assert "\n" not in parse_problem(content)
