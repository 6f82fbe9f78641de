"""The traffic of the original agent (difio-virtualenv-python 3.1.1), recorded as it went over the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from envfab.registration.difio.protocol import Registration, format_registration, parse_registration

RECORDED = Path(__file__).with_name("original_agent")
UUID = "7a99f652-977a-477a-b35c-1d8e60478425"
# under CPython 2.7 and pip 1.5.6, which sees no wheel installations
OLD = Registration(7, UUID, "shop27", "http://web1", "python-2.7.18", ())
NEW = Registration(
    7,
    UUID,
    "shop36",
    "http://web1",
    "python-3.6.15",
    (("zope.interface", "5.5.2"), ("typing-extensions", "4.1.1"), ("setuptools", "44.1.1"), ("pip", "9.0.3")),
)


@pytest.mark.parametrize(("recording", "registration"), [("python27.http", OLD), ("python36.http", NEW)])
def test_what_the_original_agent_sends_is_understood(recording: str, registration: Registration) -> None:
    """Its form, which comes without a Content-Type, is read whole."""
    head, _, body = (RECORDED / recording).read_bytes().partition(b"\r\n\r\n")
    assert b"content-type" not in head.lower()
    assert parse_registration(body) == registration


def test_ours_is_the_same_byte_for_byte() -> None:
    """For the same virtualenv our form is the one that the original agent sends."""
    recorded = (RECORDED / "python36.http").read_bytes().partition(b"\r\n\r\n")[2]
    assert format_registration(NEW) == recorded
