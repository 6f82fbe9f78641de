"""What pages and JSON tell of drift and digests."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.collector.conftest import MakeApp
from tests.collector.sending import FORM, REGISTER, form, register, registration_fields

NOTHING: dict[str, Any] = {"since": None, "package_count": 0, "file_count": 0, "packages": [], "files": []}
EDITED: dict[str, Any] = {
    "since": "2026-01-27T03:22:00+01:00", "package_count": 2, "file_count": 24,
    "packages": [{"n": "requests", "before": "2.32.3", "after": "2.31.0"}],
    "files": [{"n": "shop", "count": 2}, {"n": None, "count": 1}],
}  # fmt: skip
USUAL, ODD = "a" * 64, "b" * 64


@pytest.fixture
def client(make_app: MakeApp, database: str) -> FlaskClient:
    """A client of a collector on each database."""
    return make_app(database=database).test_client()


def told(client: FlaskClient, path: str) -> str:
    """The text of a page."""
    page = client.get(path, headers={"Accept": "text/html"})
    assert page.status_code == 200
    main = re.search("<main.*</main>", page.text, re.DOTALL)
    assert main is not None
    return " ".join(unescape(re.sub("<[^>]*>", " ", main[0])).split())


def test_an_application_tells_what_was_changed_and_since_when(client: FlaskClient) -> None:
    """In a few words: packages with their versions, files by package; the list marks it, and can begin with it."""
    register(client, "u1", app_name="a-shop", digest=USUAL, drift=NOTHING)
    register(client, "u2", app_name="b-shop", digest=USUAL, drift=EDITED)
    page = told(client, "/applications/u2")
    assert "hand-edited since 2026-01-27" in page
    assert (
        "replaced requests 2.32.3 → 2.31.0 and 1 more package edited 2 files of shop edited 1 file of no package"
        " and 21 more files First seen 2026-01-27 02:22 UTC."
    ) in page
    assert "Changed by hand as deployed" in told(client, "/applications/u1")
    listed = told(client, "/?sort=edited")
    assert listed.index("b-shop") < listed.index("a-shop")
    assert "1 hand-edited" in listed
    assert "hand-edited since 2026-01-27" in listed
    assert "as deployed" in listed
    for path in ("/search?q=shop", "/packages/django"):
        assert "b-shop" in told(client, path)
        assert told(client, path).count("hand-edited") == 1


def test_what_is_not_known_is_told_as_such(client: FlaskClient) -> None:
    """Of agents that tell neither; also if an older registration told it. Where none tells it, lists are as before."""
    register(client, "u1")
    assert "hand-edited" not in told(client, "/")
    assert "Changed by hand not known whether hand-edited Digest not known" in told(client, "/applications/u1")
    register(client, "u2", digest=USUAL, drift=EDITED)
    register(client, "u3", digest=USUAL, drift=NOTHING)
    register(client, "u2")
    listed = told(client, "/")
    assert "0 hand-edited not known of 2" in listed
    assert listed.count("not known whether hand-edited") == 2
    assert client.get("/api/applications/u2").get_json()["drift"] is None


def test_siblings_tell_how_many_hosts_run_one_digest(client: FlaskClient) -> None:
    """Those of one name, at one path; the one that runs something else is marked, on its page and in lists."""
    for number in range(1, 13):
        register(client, f"u{number}", app_url=f"http://web{number}", digest=USUAL, drift=NOTHING, siblings="s")
    register(client, "elsewhere", app_url="http://web1", digest=ODD, siblings="t")
    register(client, "newer-python", app_url="http://web13", app_type="python-3.12.1", digest=ODD, siblings="s")
    register(client, "old-agent", app_url="http://web14", siblings="s")
    assert "14 hosts, 2 digests, not known of 1" in told(client, "/applications/u1")
    assert "1 host, 1 digest Digests" in told(client, "/applications/elsewhere")
    assert "other digest" not in told(client, "/")
    register(client, "u5", app_url="http://web5", digest=ODD, drift=NOTHING, siblings="s")
    assert told(client, "/").count("other digest than 11 siblings") == 1
    assert "other digest than 11 siblings" in told(client, "/applications/u5")
    assert "other digest" not in told(client, "/applications/u1")
    assert {one["uuid"] for one in client.get("/api/applications").get_json() if one["digest"] == ODD} == {
        "elsewhere", "newer-python", "u5",
    }  # fmt: skip
    assert "web5" in told(client, f"/?q={ODD}")


def test_two_that_differ_are_both_marked(client: FlaskClient) -> None:
    """Since neither is the usual one."""
    for uuid, digest in (("u1", USUAL), ("u2", ODD)):
        register(client, uuid, app_url=f"http://{uuid}", digest=digest, siblings="s")
    assert told(client, "/").count("other digest than 1 sibling") == 2


def test_json_tells_drift(client: FlaskClient) -> None:
    """As it was registered, with names in full."""
    register(client, "u1", digest=USUAL, drift=EDITED)
    (one,) = client.get("/api/applications").get_json()
    assert (one["digest"], one["drift"]) == (
        USUAL,
        {
            "since": EDITED["since"], "package_count": 2, "file_count": 24,
            "packages": [{"name": "requests", "before": "2.32.3", "after": "2.31.0"}],
            "files": [{"owner": "shop", "count": 2}, {"owner": None, "count": 1}],
        },
    )  # fmt: skip


def test_an_invalid_drift_is_refused_and_changes_nothing(client: FlaskClient) -> None:
    """With the reason; what the application said before stays."""
    register(client, "u1", digest=USUAL)
    answer = client.post(
        REGISTER, data=form(registration_fields("u1", drift={**NOTHING, "file_count": -1})), content_type=FORM
    )
    assert answer.status_code == 400
    assert "'file_count' must be a whole number from 0 up, not -1" in json.dumps(answer.text)
    assert client.get("/api/applications/u1").get_json()["digest"] == USUAL
