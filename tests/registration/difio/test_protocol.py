"""Difio's protocol: forms and answers, read and written."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from envfab.errors import RegistrationError
from envfab.models.drift import Drift, FileChange, FileChangeKind, Place
from envfab.models.drift import PackageDrift as DriftPackage
from envfab.registration.difio import protocol
from envfab.registration.difio.drift import (
    MAX_COUNT,
    ChangedFiles,
    ChangedPackage,
    RegisteredDrift,
    registered_drift,
)
from envfab.registration.difio.protocol import Registration
from envfab.registration.servers import ServerAnswer

UUID = "7a99f652-977a-477a-b35c-1d8e60478425"
SHOP = Registration(7, UUID, "shop", "http://web1", "python-3.11.7", (("Django", "5.2.1"), ("pip", "24.0")))


def payload(**changes: Any) -> dict[str, Any]:
    """What the original agent sends, with changes."""
    sent = {
        "user_id": 7,
        "app_name": "shop",
        "app_uuid": UUID,
        "app_type": "python-3.11.7",
        "app_url": "http://web1",
        "app_vendor": 1000,
        "pkg_type": 0,
        "installed": [{"n": "Django", "v": "5.2.1"}, {"n": "pip", "v": "24.0"}],
    }
    return sent | changes


def body(data: object) -> bytes:
    """The form of some JSON, as the original agent encodes it."""
    return urlencode({"json_data": json.dumps(data)}).encode()


def refusal(form: bytes) -> str:
    """Why a form is refused."""
    with pytest.raises(RegistrationError) as caught:
        protocol.parse_registration(form)
    assert "\n" not in str(caught.value)
    return str(caught.value)


NO_DRIFT: dict[str, Any] = {"since": None, "package_count": 0, "file_count": 0, "packages": [], "files": []}
storable = st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029")
texts = st.text(storable, min_size=1, max_size=40).filter(lambda text: bool(text.strip()))
packages = st.lists(
    st.tuples(texts, st.text(storable, max_size=10)),
    max_size=8,
    unique_by=lambda package: canonicalize_name(package[0]),
).map(tuple)
plain = st.text("abc.-1é ", max_size=9)
numbers = st.integers(0, MAX_COUNT)
drifts = st.builds(
    RegisteredDrift,
    st.none() | st.datetimes(timezones=st.just(timezone.utc), min_value=datetime(1971, 1, 1)).map(datetime.isoformat),
    numbers,
    numbers,
    st.lists(st.builds(ChangedPackage, plain, st.none() | plain, st.none() | plain), max_size=3).map(tuple),
    st.lists(st.builds(ChangedFiles, st.none() | plain, numbers), max_size=3).map(tuple),
)
registrations = st.builds(
    Registration, st.integers(0, protocol.MAX_USER_ID), texts, texts, texts, texts, packages,
    st.none() | st.text("0123456789abcdef", min_size=64, max_size=64), st.none() | drifts, st.none() | texts,
)  # fmt: skip


@given(registrations)
def test_what_is_formatted_is_parsed_as_the_same(registration: Registration) -> None:
    """Every registration comes back from its form as it went in."""
    assert protocol.parse_registration(protocol.format_registration(registration)) == registration


def test_the_form_holds_the_documented_fields() -> None:
    """The form has one field, `json_data`, with the protocol's keys in the original agent's order."""
    form = parse_qs(protocol.format_registration(SHOP).decode("ascii"), strict_parsing=True)
    assert list(form) == ["json_data"]
    assert list(json.loads(form["json_data"][0]).items()) == list(payload().items())


def test_what_is_known_of_drift_comes_behind_the_fields_of_the_protocol() -> None:
    """A server that knows the original protocol alone finds what it knows; an older registration has neither field."""
    drift = RegisteredDrift(
        "2026-11-27T02:22:00+00:00", 1, 2, (ChangedPackage("x", "2", "1"),), (ChangedFiles(None, 2),)
    )
    form = parse_qs(
        protocol.format_registration(replace(SHOP, digest="a" * 64, drift=drift, siblings="s")).decode("ascii")
    )
    (sent,) = form["json_data"]
    assert list(json.loads(sent)) == [*payload(), "digest", "drift", "siblings"]
    old = protocol.parse_registration(body(payload()))
    assert (old.digest, old.drift, old.siblings) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"digest": "A" * 64}, "digest must be a SHA-256 in hex"),
        ({"digest": 7}, "digest must be a text"),
        ({"siblings": "a\n"}, "siblings has control characters"),
        (
            {"drift": {**NO_DRIFT, "since": "0001-01-01T00:00:00+14:00"}},
            "drift: 'since' must be a time as ISO 8601 has it, not '0001-01-01T00:00:00+14:00'",
        ),
        ({"drift": []}, "drift: it must be an object, not a list"),
        ({"drift": {}}, "drift: 'since' is missing"),
        ({"drift": {**NO_DRIFT, "since": "lately"}}, "drift: 'since' must be a time as ISO 8601 has it, not 'lately'"),
        ({"drift": {**NO_DRIFT, "file_count": -1}}, "drift: 'file_count' must be a whole number from 0 up, not -1"),
        (
            {"drift": {**NO_DRIFT, "file_count": 10**9}},
            "drift: 'file_count' must be at most 1000000, not 1000000000",
        ),
        (
            {"drift": {**NO_DRIFT, "files": [{"n": None, "count": 1}] * 21}},
            "drift: 'files' has 21 entries, and may have 20",
        ),
        (
            {"drift": {**NO_DRIFT, "files": [{"n": "a\x1b[m", "count": 1}]}},
            "drift: 'n' has control characters",
        ),
    ],
)
def test_an_invalid_digest_or_drift_is_refused(changes: dict[str, Any], why: str) -> None:
    """The whole registration, with the field and what is wrong with it."""
    assert refusal(body(payload(**changes))) == why


def test_what_a_host_makes_too_long_is_cut() -> None:
    """So that no server refuses the registration because of it."""
    long = "x" * 500
    packages = tuple(DriftPackage(long, long, None, 1, "lately") for _ in range(30))
    files = tuple(FileChange("x", FileChangeKind.ADDED, (), Place.PACKAGES, f"{n}{long}", False, "") for n in range(30))
    registration = replace(SHOP, drift=registered_drift(Drift(1, 1, packages, files, 10**9)))
    assert protocol.parse_registration(protocol.format_registration(registration)) == registration
    assert registration.drift is not None
    assert (registration.drift.package_count, registration.drift.since) == (30, None)


def test_agents_of_other_platforms_and_languages_can_register() -> None:
    """Another vendor, another kind of packages and unknown keys are passed over."""
    data = payload(app_vendor=0, pkg_type=5, extra={"a": 1}, installed=[{"n": "rails", "v": "4.2", "t": 300}])
    assert protocol.parse_registration(body(data)).packages == (("rails", "4.2"),)


def test_the_first_entry_of_a_package_counts() -> None:
    """A package listed twice, however it is spelled, is taken once."""
    data = payload(installed=[{"n": "Virtual_Env", "v": "1"}, {"n": "six", "v": "2"}, {"n": "virtual-env", "v": "3"}])
    assert protocol.parse_registration(body(data)).packages == (("Virtual_Env", "1"), ("six", "2"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"user_id": "7"}, "user_id must be a whole number from 0 up"),
        ({"user_id": True}, "user_id must be a whole number from 0 up"),
        ({"user_id": -1}, "user_id must be a whole number from 0 up"),
        ({"user_id": 2**63}, "user_id must be a whole number from 0 up"),
        ({"user_id": float("nan")}, "json_data is not JSON"),
        ({"app_uuid": ""}, "app_uuid is empty"),
        ({"app_uuid": "x" * 101}, "app_uuid has more than 100 characters"),
        ({"app_name": None}, "app_name must be a text"),
        ({"app_name": "a\0b"}, "app_name has control characters"),
        ({"app_name": "\ud800"}, "json_data is not JSON"),
        ({"app_url": "http://\x1b[2J"}, "app_url has control characters"),
        ({"app_type": ["python"]}, "app_type must be a text"),
        ({"installed": "Django"}, "installed must be a list"),
        ({"installed": {"n": "Django"}}, "installed must be a list"),
        ({"installed": ["Django"]}, "installed must be a list of objects with n and v"),
        ({"installed": [{"n": "Django"}]}, "v is missing"),
        ({"installed": [{"n": "Django", "v": 5}]}, "v must be a text"),
        ({"installed": [{"n": " ", "v": "5"}]}, "the name of a package is empty"),
        ({"installed": [{"n": "Django", "v": "5" * 201}]}, "the version of Django has more than 200 characters"),
        ({"installed": [{"n": "a", "v": "1"}] * 10_001}, "installed has more than 10000 packages"),
    ],
)
def test_wrong_values_are_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    """What cannot be stored or shown is refused, and the field is named."""
    assert refusal(body(payload(**changes))) == message


@pytest.mark.parametrize("field", ["user_id", "app_uuid", "app_name", "app_url", "app_type", "installed"])
def test_missing_fields_are_refused(field: str) -> None:
    """Every field that is stored must be there."""
    data = payload()
    del data[field]
    assert refusal(body(data)) == f"{field} is missing"


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (b"", "the form must have the field json_data, once"),
        (b"data=1", "the form must have the field json_data, once"),
        (b"json_data=1&json_data=2", "the form must have the field json_data, once"),
        (b"json_data=[1]", "json_data must be a JSON object"),
        (b"json_data={", "json_data is not JSON"),
        (b"json_data=" + b"[" * 100_000, "json_data is not JSON"),
        (b'json_data={"user_id":' + b"9" * 5000 + b"}", "json_data is not JSON"),
        (b"json_data=%ff", "the form is not UTF-8"),
        (b"\xff", "the form is not UTF-8"),
        (b"a=1&" * 21, "the form has more than 20 fields"),
        (b"json_data=" + b"x" * protocol.MAX_BODY, "the registration has more than 2097152 bytes"),
    ],
)
def test_forms_that_are_none_are_refused_in_one_line(form: bytes, message: str) -> None:
    """Whatever bytes come, the answer is one line."""
    assert refusal(form) == message


@given(st.binary(max_size=200))
def test_no_bytes_make_it_crash(data: bytes) -> None:
    """Any bytes are either a registration or refused."""
    for form in (data, b"json_data=" + data):
        with pytest.raises(RegistrationError):
            protocol.parse_registration(form)


def test_a_registration_that_no_server_could_store_cannot_be_made() -> None:
    """The same rules hold for what we send."""
    with pytest.raises(RegistrationError, match="installed names a package twice"):
        Registration(7, UUID, "shop", "http://web1", "python-3.11.7", (("six", "1"), ("SIX", "2")))
    with pytest.raises(RegistrationError, match="app_name is empty"):
        Registration(7, UUID, "", "http://web1", "python-3.11.7", ())


@given(st.builds(ServerAnswer, st.text(storable, max_size=50), st.integers(0, 255)))
def test_an_answer_comes_back_as_it_went(answer: ServerAnswer) -> None:
    """Every answer is parsed as what was formatted."""
    assert protocol.parse_answer(protocol.format_answer(answer)) == answer


def test_our_own_server_answers_like_the_original() -> None:
    """The message names the application, the exit code is 0."""
    answer = json.loads(protocol.format_answer(protocol.registered(UUID)))
    assert answer == {"message": f"Success, registered/updated application with uuid {UUID}", "exit_code": 0}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>", "the answer is not JSON"),
        (b"\xff", "the answer is not text"),
        (b"[]", "the answer must be a JSON object"),
        (b'{"exit_code": 0}', "message is missing"),
        (b'{"message": "fine"}', "exit_code is missing"),
        (b'{"message": 1, "exit_code": 0}', "message must be a text of at most 2000 characters"),
        (b'{"message": "fine", "exit_code": "0"}', "exit_code must be a whole number from 0 to 255"),
        (b'{"message": "fine", "exit_code": false}', "exit_code must be a whole number from 0 to 255"),
        (b'{"message": "fine", "exit_code": 256}', "exit_code must be a whole number from 0 to 255"),
    ],
)
def test_answers_that_are_none_are_refused(data: bytes, message: str) -> None:
    """Only the protocol's answer counts as one; 256 would end a process as success."""
    with pytest.raises(RegistrationError) as caught:
        protocol.parse_answer(data)
    assert str(caught.value) == message
