"""Receivers of events, as a fabfile names them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from envfab import Collector, Exec, Fleet, Webhook
from envfab.config.events import key_of
from envfab.errors import ConfigurationError

URL = "https://hooks.example.org/T000/s3cret"


def test_a_fleet_has_receivers_of_both_kinds() -> None:
    """One need not be in a list; text of a command is for a shell, a list is a program."""
    hook = Webhook(URL, secret="long enough", format="slack", kinds=["rollout.failed"])
    assert Fleet(events=[hook, Exec("./notify | mail"), Exec(["./notify"])]).events == (
        hook, Exec("./notify | mail"), Exec(("./notify",)),
    )  # fmt: skip
    assert Fleet(events=hook).events == (hook,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Webhook("hooks.example.org"), "Webhook.url: must be an http or https URL\n  say Webhook("),
        (lambda: Webhook("https://"), "Webhook.url: must be an http or https URL"),
        (lambda: Webhook("https://a b/"), "Webhook.url: must be an http or https URL"),
        (lambda: Webhook(7), "Webhook.url: must be text, or a function that returns it, not int"),  # type: ignore[arg-type]
        (lambda: Webhook(URL, secret=""), "Webhook.secret: must not be empty"),
        (lambda: Webhook(URL, secret=b"x"), "Webhook.secret: must be text, or a function that returns it, not bytes"),  # type: ignore[arg-type]
        (lambda: Webhook(URL, secret="whsec_?"), "Webhook.secret: must be Base64 after whsec_"),
        (lambda: Webhook(URL, format="xml"), "Webhook.format: must be one of json, slack, not 'xml'"),
        (
            lambda: Webhook(URL, kinds=["rollout.fail"]),
            "Webhook.kinds: 'rollout.fail' is not a kind of event; did you mean rollout.failed?\n  the kinds are: rollout.begun, ",
        ),
        (lambda: Exec(""), "Exec.command: must be text, not ''"),
        (lambda: Exec([]), "Exec.command: must be a command, not an empty list"),
        (lambda: Exec(7), "Exec.command: must be a list of strings, not 7"),  # type: ignore[arg-type]
        (
            lambda: Fleet(events=["https://hooks.example.org"]),  # type: ignore[list-item]
            "Fleet.events: must hold only receivers of events, such as Webhook(…) or Exec(…), not 'https://hooks.example.org'",
        ),
    ],
)
def test_what_cannot_be_is_one_clear_error(make: Callable[[], object], says: str) -> None:
    """With the line of the fabfile; no secret is shown."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert f": {says}" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    """Neither is an address, which may be one."""
    assert repr(Webhook(URL, secret="s3cret-key")) == "Webhook(format='json', kinds=())"


def test_a_collector_gets_no_events() -> None:
    """It stands beside their receivers, and is told whole rollouts."""
    hook, collector = Webhook(URL), Collector("https://inventory.example.org/envfab/", token="s3cret")
    fleet = Fleet(events=[hook, collector])
    assert (fleet.receivers, fleet.collectors) == ((hook,), (collector,))


def test_of_a_collector_nothing_secret_is_shown() -> None:
    """Its address may hold a password."""
    assert repr(Collector("https://anna:s3cret@inventory.example.org", token="s3cret")) == "Collector()"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Collector("inventory"), "Collector.url: must be an http or https URL\n  say Collector("),
        (lambda: Collector(None), "Collector.url: must be text, or a function that returns it, not NoneType"),  # type: ignore[arg-type]
        (lambda: Collector("https://a/?token=s3cret"), "Collector.url: must be an address without '?' and '#'"),
        (
            lambda: Collector("https://a/b/application/register/"),
            "Collector.url: must be the address of the collector itself, without application/register",
        ),
        (lambda: Collector("https://a", token=b"s3cret"), "Collector.token: must be text, or a function"),  # type: ignore[arg-type]
        (
            lambda: Collector("https://a", token="s3cret\n"),
            "Collector.token: must be of printable ASCII without spaces, and not empty",
        ),
        (
            lambda: Collector("https://a", token=""),
            "Collector.token: must be of printable ASCII without spaces, and not empty",
        ),
        (lambda: Collector("https://a", kinds=["rollout.ended"]), "Collector(…): "),  # type: ignore[call-arg]
    ],
)
def test_what_cannot_be_a_collector_is_one_clear_error(make: Callable[[], object], says: str) -> None:
    """With the line of the fabfile; no secret is shown."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert f": {says}" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_secret_is_base64_after_its_prefix_and_itself_without() -> None:
    """As Standard Webhooks writes keys; a password of any other kind works, too."""
    assert key_of("whsec_AAEC") == b"\x00\x01\x02"
    assert key_of("pässword") == "pässword".encode()


def test_a_collector_is_named_once() -> None:
    """Also where the same address ends with a slash; functions are not called to find out."""
    with pytest.raises(
        ConfigurationError, match=r"Fleet\.events: must name each Collector\(…\) once\n  leave out the second one"
    ):
        Fleet(events=[Collector("https://a.example.org"), Collector("https://a.example.org/", token="s3cret")])
    assert len(Fleet(events=[Collector(lambda: URL), Collector(lambda: URL)]).collectors) == 2
