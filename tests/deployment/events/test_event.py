"""Events as JSON, and as a text for a chat."""

from __future__ import annotations

import json

from envfab.config.events import BEGUN, FAILED, LOCK_WAITED
from envfab.deployment.events.event import Event, EventVirtualenv, Source, changes_of

SOURCE = Source("deploy", "anna", "laptop", "20261120-214900-9f3a", "3/8", "/logs/20261120-214900-9f3a", ("ben",))
DJANGO = ("upgrade", "Django", "5.1", "5.2")


def failed(number: int, what: str = "the check failed") -> EventVirtualenv:
    """A virtualenv that failed."""
    return EventVirtualenv(f"shop@web{number}:/v", "failed", f"20261120-214900-9f3a.{number}", what)


def test_an_event_has_all_that_it_is_about() -> None:
    """Under these keys, which stay."""
    counts = {"deployed": 7, "failed": 1}
    one = Event(FAILED, SOURCE, (failed(1),), changes_of([DJANGO] * 7), counts, 42.1182, 1, ("web1",))
    document = one.to_json()
    assert document.pop("id") == one.id
    assert document.pop("time") == one.time
    assert document == {
        "version": 1,
        "kind": "rollout.failed",
        "task": "deploy",
        "who": "anna",
        "from": "laptop",
        "rollout": "20261120-214900-9f3a",
        "slice": "3/8",
        "approved_by": ["ben"],
        "virtualenvs": [
            {
                "target": "shop@web1:/v",
                "status": "failed",
                "deployment": "20261120-214900-9f3a.1",
                "message": "the check failed",
            }
        ],
        "more_virtualenvs": 0,
        "changes": [
            {"action": "upgrade", "name": "Django", "installed": "5.1", "version": "5.2", "virtualenvs": 7}
        ],
        "more_changes": 0,
        "counts": {"deployed": 7, "failed": 1},
        "out_of_service": ["web1"],
        "seconds": 42.118,
        "log": "/logs/20261120-214900-9f3a",
    }  # fmt: skip


def test_an_event_of_a_large_fleet_stays_small() -> None:
    """At most 100 virtualenvs and 100 changes are named; long messages are cut."""
    changes = changes_of(("install", f"package{number}", None, "1.0") for number in range(500))
    one = Event(FAILED, SOURCE, tuple(failed(number, "x" * 10_000) for number in range(100)), changes, total=10_000)
    document = one.to_json()
    assert (len(document["virtualenvs"]), document["more_virtualenvs"]) == (100, 9_900)
    assert (len(document["changes"]), document["more_changes"]) == (100, 400)
    assert len(one.body("json")) < 80_000


def chat(one: Event) -> str:
    """What a chat shows of it."""
    document = json.loads(one.body("slack"))
    assert document.keys() == {"text"}
    return str(document["text"])


def test_a_chat_gets_a_few_lines() -> None:
    """What, who, how it went, what failed first, and the log."""
    counts = {"deployed": 93, "failed": 7}
    text = chat(Event(FAILED, SOURCE, tuple(map(failed, range(7))), (), counts, 42.1, 7, ("web1", "web2")))
    assert text.splitlines() == [
        "*deploy 20261120-214900-9f3a*: failed after 42 s, 93 deployed, 7 failed, by anna from laptop, slice 3/8, approved by ben",
        *(f"`shop@web{number}:/v` failed: the check failed" for number in range(5)),
        "and 2 more",
        "may still be out of service: web1, web2",
        "log: `/logs/20261120-214900-9f3a`",
    ]
    assert chat(Event(BEGUN, SOURCE, (), changes_of([DJANGO]), total=8)).splitlines() == [
        "*deploy 20261120-214900-9f3a*: begun, 8 virtualenvs, by anna from laptop, slice 3/8, approved by ben",
        "Django 5.1 → 5.2",
    ]


def test_what_a_host_says_calls_no_one_and_formats_nothing() -> None:
    """In Slack it is escaped, in Mattermost @channel is broken, and no line or code begins."""
    text = chat(Event(LOCK_WAITED, SOURCE, (failed(1, "<!channel> & `x`\n@channel @Here shop@web1"),), total=1))
    assert text.splitlines()[1] == (
        "`shop@web1:/v` failed: &lt;!channel&gt; &amp; 'x' @\u200bchannel @\u200bHere shop@web1"
    )
