"""The pages of rollouts, hosts, changes and differing hosts, and their JSON."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from html import unescape
from typing import Any
from urllib.parse import quote, unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from envfab.audit.end_of_life import ENDS
from envfab.collector.days import milliseconds_now
from envfab.collector.db.rollout_queries import SILENT_AFTER
from envfab.collector.db.schema import rollouts
from envfab.collector.views import rollouts as timeline
from envfab.config.target import Target
from envfab.models.rollout_document import DriftFound, PackageChange, RolloutVirtualenv
from envfab.registration.difio.registration import uuid_of_target
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import ROLLOUT, put_rollout, register, rollout, virtualenv

HTML = {"Accept": "text/html"}
TODAY = datetime.now(timezone.utc).date()


@pytest.fixture
def each(make_app: MakeApp, database: str) -> FlaskClient:
    """A client of an application on each database."""
    return make_app(database=database).test_client()


def words(client: FlaskClient, path: str, status: int = 200) -> str:
    """What a page says, as text."""
    answer = client.get(path, headers=HTML)
    assert answer.status_code == status, answer.text
    text = answer.text[answer.text.index("<main") : answer.text.index("</main")]
    text = re.sub(r"</?(small|span|wbr|a|strong|time|code)\b[^>]*>", "", text)
    return unescape(" ".join(re.sub("<[^>]+>", " ", text).split()))


def tell(client: FlaskClient, which: int, *virtualenvs: RolloutVirtualenv, **fields: Any) -> str:
    """Tell of one of several rollouts; its id."""
    name = f"20261120-214900-{which:04x}"
    assert put_rollout(client, rollout(*virtualenvs, rollout=name, **fields)).status_code == 200
    return name


def days_ago(days: int) -> str:
    """A time some days ago."""
    return (datetime.now(timezone.utc) - timedelta(days=days)).replace(microsecond=0).isoformat()


def silence(app: Flask, milliseconds: int) -> int:
    """Make all rollouts such that they were not heard of for some time; when they were."""
    heard = milliseconds_now() - milliseconds
    with service_of(app).storage.writing() as connection:
        connection.execute(rollouts.update().values(heard_at=heard))
    return heard


def test_the_timeline_is_newest_first(each: FlaskClient) -> None:
    """By when rollouts began, not by when they were told of; each with who, from where, what, and how it ended."""
    tell(each, 1, began=days_ago(1), task="rollback")
    tell(each, 2, began=days_ago(3), who="bert", state="failed")
    tell(each, 3, virtualenv("web1"), virtualenv("web2", "failed"))
    text = words(each, "/rollouts")
    assert re.findall(r"(deploy|rollback) by (\w+) from laptop", text) == [
        ("deploy", "anna"), ("rollback", "anna"), ("deploy", "bert"),
    ]  # fmt: skip
    assert "ended 1 deployed, 1 failed Django 5.1 → 5.2" in text
    assert "ended 1 rolled back" in text
    assert [one["who"] for one in each.get("/api/rollouts").get_json()] == ["anna", "anna", "bert"]


def test_the_timeline_is_filtered(client: FlaskClient) -> None:
    """By state, task, who, host and package, on the page and in JSON."""
    tell(client, 1, began=days_ago(1), task="rollback")
    other = virtualenv(changes=(PackageChange("remove", "lib", "1", None),))
    tell(client, 2, other, began=days_ago(1), who="bert", state="failed")
    tell(client, 3, virtualenv("web2"))
    found = {
        "state=failed": [2], "state=ended": [1, 3], "task=rollback": [1], "who=bert": [2], "host=web2": [3],
        "package=dJango": [1, 3], "package=lib": [2], "host=web2&package=lib": [], "q=BERT": [2], "q=0003": [3],
    }  # fmt: skip
    for query, numbers in found.items():
        told = client.get(f"/api/rollouts?{query}").get_json()
        assert sorted(int(one["rollout"][-4:]) for one in told) == numbers, query
        page = client.get(f"/rollouts?{query}").text
        assert len(set(re.findall(r'/rollouts/(20261120-\S+?)"', page))) == len(numbers), query


def test_the_timeline_of_some_days(client: FlaskClient) -> None:
    """`from` and `to` are included."""
    for age in range(4):
        tell(client, age, began=days_ago(age))
    told = client.get(f"/api/rollouts?from={TODAY - timedelta(days=2)}&to={TODAY - timedelta(days=1)}").get_json()
    assert [one["rollout"][-1] for one in told] == ["1", "2"]


def test_pages_of_the_timeline_keep_the_filter(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """And show each rollout once."""
    monkeypatch.setattr(timeline, "A_PAGE", 2)
    for number in range(5):
        tell(client, number, began=days_ago(number), who="bert" if number < 3 else "anna")
    page = client.get("/rollouts?who=bert").text
    assert 'href="/rollouts?who=bert&amp;page=2"' in page
    assert "page 1 of 2" in page
    assert client.get("/rollouts?who=bert&page=3", headers=HTML).status_code == 404


def test_a_rollout_that_is_not_heard_of_is_neither_under_way_nor_good(app: Flask) -> None:
    """In the timeline, on its page, among the filters and in JSON."""
    client = app.test_client()
    tell(client, 1, virtualenv("web1", "begun"), state="under way", number=1)
    assert "under way 1 being deployed" in words(client, "/rollouts")
    heard = datetime.fromtimestamp(silence(app, SILENT_AFTER + 1000) / 1000, timezone.utc)
    for path in ("/rollouts", "/rollouts/20261120-214900-0001"):
        page = client.get(path).text
        assert "under way</strong>" not in page
        assert 'class="fine"' not in page
        assert f"not heard of since {heard:%H:%M}" in words(client, path)
    assert client.get("/api/rollouts?state=under+way").get_json() == []
    assert [one["shown_state"] for one in client.get("/api/rollouts?state=not+heard+of").get_json()] == ["not heard of"]
    tell(client, 1, virtualenv("web1", "begun"), state="under way", number=1)
    assert "under way 1 being deployed" in words(client, "/rollouts")


def test_a_rollouts_page_tells_all(each: FlaskClient) -> None:
    """Whence, by whom approved, its log's place, changes with how many virtualenvs, and each virtualenv."""
    places = (
        virtualenv("web1", migrated=("shop.0002",), seconds=2.25),
        virtualenv("web2", "failed", message="no answer"),
    )
    put_rollout(
        each, rollout(*places, slice="1/2", log="/var/log/envfab/x", approved_by=("bert",), out_of_service=("web2",))
    )
    text = words(each, f"/rollouts/{ROLLOUT}")
    for said in ("ended · 1 deployed, 1 failed", "Approved by bert", "Slice 1/2", "Log laptop:/var/log/envfab/x", "Command fab deploy --yes",
                 "May still be out of service: web2", "UTC after 4 min 0 s", "Django upgrade 5.1 → 5.2 2 1", "web1shop: /srv/shop deployedmigrated: shop.0002 1 abababababab not known 2.2",
                 "web2shop: /srv/shop failedno answer 1"):  # fmt: skip
        assert said in text, said
    assert "web1" not in words(each, f"/rollouts/{ROLLOUT}?only=failed").partition("Virtualenvs")[2]
    assert "web2" not in words(each, f"/rollouts/{ROLLOUT}?q=WEB1").partition("Virtualenvs")[2]


def test_a_recovery_is_not_called_good(client: FlaskClient) -> None:
    """What is as it was before failed."""
    put_rollout(client, rollout(virtualenv("web1", "rolled-back")))
    assert '<span class="grave">failed (as it was before)</span>' in client.get("/rollouts").text


def test_a_host_has_virtualenvs_applications_and_rollouts(each: FlaskClient) -> None:
    """What each virtualenv has as last told, and the applications whose address names the host, in any case."""
    tell(each, 1, virtualenv("Web1"), virtualenv("web2"), began=days_ago(2))
    tell(each, 2, virtualenv("Web1", "current", changes=(), packages=(("Django", "5.3"),)))
    register(each, "u1", app_url="http://web1:8000/shop", app_name="the shop")
    register(each, "u2", app_url="http://web10/", app_name="another")
    text = words(each, "/hosts/Web1")
    assert "1 virtualenv, 1 registered application" in text
    assert "1 package Django 5.3" in text
    assert "the shop" in text
    assert "another" not in text
    assert text.count("1 current") == text.count("1 deployed") == 1
    listed = each.get("/api/hosts").get_json()
    assert [(one["host"], one["virtualenvs"], one["applications"]) for one in listed] == [
        ("Web1", 1, 1), ("web10", 0, 1), ("web2", 1, 0),
    ]  # fmt: skip


def test_any_name_of_a_host_has_a_page(client: FlaskClient) -> None:
    """Which the list leads to, whatever browsers make of it."""
    names = ["a/b", "/a", "a//b", "..", "../..", ".", "höst 1", "a?b#c%2F", "<b>&\"'", "日本", "a:b", "%"]
    put_rollout(client, rollout(*(virtualenv(name) for name in names)))
    links = re.findall(r'<th scope="row"><a href="([^"]+)">', client.get("/hosts").text)
    assert len(links) == len(names)
    for name, link in zip(sorted(names), map(unescape, links), strict=True):
        path = link.partition("?")[0]
        assert "/../" not in path + "/"
        assert "//" not in path
        assert words(client, link).startswith(f"{name} 1 virtualenv")
        assert client.get(f"/api/host?host={quote(name, safe='')}").get_json()["host"] == name


def test_a_host_that_is_not_known(client: FlaskClient) -> None:
    """Is not found."""
    assert client.get("/hosts/web1", headers=HTML).status_code == client.get("/api/hosts/web1").status_code == 404


def changed(client: FlaskClient, query: str = "") -> list[tuple[Any, ...]]:
    """What changed, by package."""
    told = client.get(f"/api/changes?{query}").get_json()["packages"]
    return [
        (one["name"], one["before"], one["after"], one["virtualenvs"], one["rollouts"], one["applications"])
        for one in told
    ]


def test_what_rollouts_and_registrations_changed_is_counted_apart(each: FlaskClient) -> None:
    """A change that was deployed and then registered is one line, with both counts."""
    register(each, "u1", [("Django", "5.1"), ("by-hand", "1")], app_url="http://web1")
    register(each, "u1", [("Django", "5.2"), ("by-hand", "2")], app_url="http://web1")
    tell(each, 1, virtualenv("web1"), virtualenv("web2"))
    tell(each, 2, virtualenv("web3"))
    assert changed(each) == [("by-hand", "1", "2", 0, 0, 1), ("Django", "5.1", "5.2", 3, 2, 1)]
    text = words(each, "/changes")
    assert "Django 5.1 → 5.2 in 3 virtualenvs 2 rollouts, the latest 20261120-214900-0002 by 1 application" in text
    assert "by-hand 1 → 2 by no rollout by 1 application" in text


def test_only_what_was_deployed_is_a_change(client: FlaskClient) -> None:
    """Not what was planned, failed, or is as before; nor a first registration."""
    for number, status in enumerate(("planned", "begun", "failed", "rolled-back", "skipped", "not known")):
        tell(client, number, virtualenv("web1", status))
    register(client, "u1")
    assert changed(client) == []
    assert "Nothing changed in these 7 days" in words(client, "/changes")


def test_changes_of_some_days(client: FlaskClient) -> None:
    """Both days are included."""
    for age in (1, 5, 6, 20):
        tell(client, age, virtualenv(changes=(PackageChange("install", f"age-{age}", None, "1"),)), began=days_ago(age))
    query = f"from={TODAY - timedelta(days=6)}&to={TODAY - timedelta(days=5)}"
    assert [one[0] for one in changed(client, query)] == ["age-5", "age-6"]
    assert [one[0] for one in changed(client)] == ["age-1", "age-5", "age-6"]
    assert f"/changes?from={TODAY - timedelta(days=29)}&amp;to={TODAY}" in client.get("/changes").text


def test_changes_by_host_and_virtualenv(each: FlaskClient) -> None:
    """Which hosts and virtualenvs changed, and what changed on one of them."""
    tell(each, 1, virtualenv("web1"), virtualenv("web1", path="/other"), virtualenv("web2", "failed"))
    tell(each, 2, virtualenv("web1", changes=(PackageChange("remove", "lib", "1", None),)))
    register(each, "u1", [("Django", "5.1")], app_url="http://web3")
    register(each, "u1", [("Django", "5.2")], app_url="http://web3")
    text = words(each, "/changes?by=host")
    assert "web1 to 2 virtualenvs by 2 rollouts by no application" in text
    assert "web3 by no rollout by 1 application" in text
    assert "web2" not in text
    text = words(each, "/changes?by=virtualenv")
    assert "web1shop: /other 1 rollout no" in text
    assert "web1shop: /srv/shop 2 rollouts no" in text
    assert changed(each, "host=web1") == [("Django", "5.1", "5.2", 2, 1, 0), ("lib", "1", None, 1, 1, 0)]
    assert changed(each, "host=web3") == [("Django", "5.1", "5.2", 0, 0, 1)]


@pytest.mark.parametrize("path", ["/changes", "/api/changes", "/rollouts"])
def test_a_wrong_day_has_one_message(client: FlaskClient, path: str) -> None:
    """In one line of text, and on a page with a way out."""
    for query in ("from=tomorrow", "to=2026-02-30", "to=20260201", "from=1969-12-31", "to=9999-12-31", "to=%C2%B2"):
        answer = client.get(f"{path}?{query}")
        name, _, day = unquote(query).partition("=")
        message = f"“{name}” must be a day such as 2026-11-01, not “{day}”."
        assert (answer.status_code, answer.text) == (400, f"{message}\n")
        if not path.startswith("/api"):
            assert message in words(client, f"{path}?{query}", 400)


def test_days_the_wrong_way_round(client: FlaskClient) -> None:
    """Are told as such."""
    answer = client.get("/changes?from=2026-11-20&to=2026-11-01")
    assert (answer.status_code, answer.text) == (400, "“from” must not be later than “to”.\n")


def groups(client: FlaskClient) -> list[dict[str, Any]]:
    """The siblings that differ."""
    found: list[dict[str, Any]] = client.get("/api/differing").get_json()
    return found


def hosts_in(group: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """The hosts of most, of the odd ones, and of unknown ones."""
    names = [[one["host"] for one in group[key]] for key in ("most", "odd", "unknown")]
    return names[0], names[1], names[2]


def test_which_virtualenvs_differ_and_in_what(each: FlaskClient) -> None:
    """By digest, with the packages in which an odd one differs from most."""
    old = virtualenv("web3", packages=(("Django", "5.1"), ("extra", "1")), digest="cd" * 32)
    put_rollout(each, rollout(virtualenv("web1"), virtualenv("web2"), old, virtualenv("alone", path="/alone")))
    (group,) = groups(each)
    assert hosts_in(group) == (["web1", "web2"], ["web3"], [])
    assert group["odd"][0]["differences"] == [
        {"name": "asgiref", "here": None, "most": "3.8.1"}, {"name": "Django", "here": "5.1", "most": "5.2"},
        {"name": "extra", "here": "1", "most": None},
    ]  # fmt: skip
    assert "web3 cdcdcdcdcdcd asgiref not there, most 3.8.1 Django 5.1, most 5.2 extra 1, most none" in words(
        each, "/differing"
    )
    assert "differs from siblings" in words(each, "/hosts/web3")
    assert "as its siblings" in words(each, "/hosts/web1")


def test_what_is_not_known_is_not_alike(client: FlaskClient) -> None:
    """A virtualenv without digest, one that was being deployed to, and one whose interpreter is not known."""
    strange = [
        virtualenv("web3", "unreachable", packages=None, digest=None),
        virtualenv("web4", "begun"),
        virtualenv("web5", digest=None),
    ]
    put_rollout(client, rollout(virtualenv("web1"), virtualenv("web2"), *strange, virtualenv("web6", interpreter=None)))
    found = sorted((hosts_in(one) for one in groups(client)), key=str)
    assert found == [(["web1", "web2"], [], ["web3", "web4", "web5"]), ([], [], ["web6"])]
    assert "not known whether it differs from siblings" in words(client, "/hosts/web4")


def test_a_virtualenv_that_is_being_deployed_to_stays_with_its_siblings(client: FlaskClient) -> None:
    """Although the rollout does not tell its interpreter meanwhile."""
    put_rollout(client, rollout(virtualenv("web1"), virtualenv("web2")))
    begun = virtualenv("web2", "begun", packages=None, digest=None, interpreter=None)
    tell(client, 1, virtualenv("web1", "planned"), begun, state="under way")
    assert [hosts_in(one) for one in groups(client)] == [(["web1"], [], ["web2"])]


def test_packages_tell_a_difference_where_no_digest_is_known(client: FlaskClient) -> None:
    """Among those that have none, and of one that has none among others."""
    other = (("Django", "4.2"),)
    places = [
        virtualenv("web1", digest=None),
        virtualenv("web2", digest=None),
        virtualenv("web3", digest=None, packages=other),
    ]
    put_rollout(
        client,
        rollout(
            *places,
            virtualenv("web4", path="/2"),
            virtualenv("web5", path="/2"),
            virtualenv("web6", path="/2", digest=None, packages=other),
        ),
    )
    assert [hosts_in(one) for one in groups(client)] == [
        (["web4", "web5"], ["web6"], []),
        (["web1", "web2"], ["web3"], []),
    ]


def test_what_was_changed_by_hand_is_not_alike(each: FlaskClient) -> None:
    """Although the same was deployed to it: of virtualenvs, as rollouts tell, and of applications, as they register."""
    found = DriftFound(0, 2, None)
    put_rollout(each, rollout(virtualenv("web1"), virtualenv("web2", "current", changes=(), drift=found)))
    drift = {"since": None, "package_count": 0, "file_count": 1, "packages": [], "files": [{"n": None, "count": 1}]}
    for number in range(2):
        fields: dict[str, Any] = {"drift": drift} if number else {}
        register(each, f"u{number}", app_url=f"http://app{number}", digest="ab" * 32, siblings="x", **fields)
    edited = [[one["host"] for one in group["most"] if one["edited"]] for group in groups(each)]
    assert edited == [["web2"], ["app1"]]
    text = words(each, "/differing")
    assert "0 hosts differ 2 deployed as most, and changed by hand since 0 not known 0 groups" in text
    assert "web2 hand-edited abababababab deployed as most, and changed by hand since" in text
    assert "deployed as its siblings, changed by hand since" in words(each, "/hosts/web2")
    assert "2 files changed" in words(each, "/hosts/web2")
    assert "0 packages" not in words(each, "/hosts/web2")


def test_a_host_tells_a_rollback_as_that(client: FlaskClient) -> None:
    """Of each virtualenv, as of the rollout."""
    put_rollout(client, rollout(task="rollback"))
    text = words(client, "/hosts/web1")
    assert (text.count("rolled back"), text.count("deployed")) == (2, 0)


def test_an_interpreter_past_its_end_of_life_is_marked(client: FlaskClient) -> None:
    """On the pages of hosts and of those that differ, and in JSON; that of PyPy lives as long as PyPy decides."""
    old = {"interpreter": "CPython 3.8.20"}
    put_rollout(client, rollout(virtualenv("web1", **old), virtualenv("web2", **old, digest="cd" * 32)))
    tell(client, 1, virtualenv("web3", interpreter="PyPy 3.8.16"), virtualenv("web4"))
    mark = f"end of life {ENDS['3.8']}"
    for path in ("/hosts/web1", "/differing"):
        assert mark in words(client, path), path
    for host, day in (("web1", ENDS["3.8"].isoformat()), ("web3", None), ("web4", None)):
        assert client.get(f"/api/hosts/{host}").get_json()["virtualenvs"][0]["end_of_life"] == day
        assert ("end of life" in words(client, f"/hosts/{host}")) == (day is not None)


def test_other_minor_versions_are_compared_apart(client: FlaskClient) -> None:
    """Wheels differ between them; a patch release of the interpreter does not matter."""
    places = [
        virtualenv("web1"),
        virtualenv("web2", interpreter="CPython 3.11.9"),
        virtualenv("web3", interpreter="CPython 3.12.1", digest="cd" * 32),
    ]
    put_rollout(client, rollout(*places))
    assert groups(client) == []
    assert "1 group of siblings to which the same was deployed" in words(client, "/differing")


def test_none_is_most_where_as_many_run_something_else(client: FlaskClient) -> None:
    """It says so."""
    put_rollout(client, rollout(virtualenv("web1"), virtualenv("web2", digest="cd" * 32)))
    assert groups(client)[0]["tied"] is True
    assert "None runs on more hosts than another" in words(client, "/differing")


def test_applications_that_differ(each: FlaskClient) -> None:
    """As they registered, with their packages; those without a digest are not known."""
    for number in range(3):
        register(
            each,
            f"u{number}",
            app_url=f"http://web{number}",
            digest=("cd" if number == 2 else "ab") * 32,
            siblings="x",
        )
    register(each, "u2", [("Django", "5.1.4")], app_url="http://web2", digest="cd" * 32, siblings="x")
    register(each, "u3", app_url="http://web3", siblings="x")
    (group,) = groups(each)
    assert hosts_in(group) == (["web0", "web1"], ["web2"], ["web3"])
    assert group["odd"][0]["differences"] == [
        {"name": "asgiref", "here": None, "most": "3.8.1"}, {"name": "Django", "here": "5.1.4", "most": "5.1.3"},
    ]  # fmt: skip


def test_a_registered_virtualenv_is_found_on_its_host(each: FlaskClient) -> None:
    """By the UUID that it registers with, whatever the host calls itself; a host is not listed under both names."""
    put_rollout(each, rollout(virtualenv("web1"), virtualenv("web2", digest="cd" * 32)))
    register(each, uuid_of_target(Target("shop", "web1", "/srv/shop")), app_name="venv", siblings="x", digest="ab" * 32)
    register(each, "other", app_name="venv", app_url="http://web9", siblings="x", digest="cd" * 32)
    listed = [(one["host"], one["virtualenvs"], one["applications"]) for one in each.get("/api/hosts").get_json()]
    assert listed == [("web1", 1, 1), ("web2", 1, 0), ("web9", 0, 1)]
    for path in ("/hosts/web1", "/hosts/web1.example.org"):
        assert "1 registered application" in words(each, path)
    assert "shop: /srv/shop" in words(each, "/hosts/web1")
    hosts = [one["host"] for group in groups(each) for one in (*group["most"], *group["odd"])]
    assert sorted(hosts) == ["web1", "web1", "web2", "web9"]
    assert 'href="/hosts/web1.example.org"' in each.get("/search?q=example.org").text


@pytest.mark.parametrize("path", ["/", "/search?q=venv", "/packages/django", "/applications/{uuid}"])
def test_applications_of_one_name_are_told_apart(client: FlaskClient, path: str) -> None:
    """By the virtualenv that a rollout told of."""
    put_rollout(client, rollout(virtualenv("web1", path="/srv/shop/venv"), virtualenv("web1", path="/srv/wiki/venv")))
    uuid = uuid_of_target(Target("shop", "web1", "/srv/wiki/venv"))
    register(client, uuid, app_name="venv")
    assert "shop@web1:/srv/wiki/venv" in words(client, path.format(uuid=uuid))


def test_a_registered_change_is_that_of_its_virtualenvs_host(each: FlaskClient) -> None:
    """As the rollout named it, and as the address does."""
    put_rollout(each, rollout(virtualenv("web1")))
    uuid = uuid_of_target(Target("shop", "web1", "/srv/shop"))
    register(each, uuid)
    register(each, uuid, [("Django", "5.2"), ("asgiref", "3.8.1")])
    assert "1 host where packages changed" in words(each, "/changes?by=host")
    for host in ("web1", "web1.example.org"):
        found = each.get(f"/api/changes?host={host}").get_json()["packages"]
        assert [one["applications"] for one in found if one["after"] == "5.2" and one["before"] == "5.1.3"] == [1]


def test_search_finds_rollouts_and_their_hosts(each: FlaskClient) -> None:
    """By id, by who began them, and by a part of a host's name."""
    put_rollout(each, rollout(virtualenv("web1.example.org")))
    for text in (ROLLOUT[:13], "ANNA"):
        assert f'href="/rollouts/{ROLLOUT}"' in each.get(f"/search?q={text}").text
    assert 'href="/hosts/web1.example.org"' in each.get("/search?q=EXAMPLE.org").text


def test_the_front_page_leads_to_the_last_rollout(client: FlaskClient) -> None:
    """With what became of it."""
    assert "Last rollout" not in words(client, "/")
    put_rollout(client, rollout(state="failed"))
    assert "Last rollout: deploy by anna, begun 5 minutes ago, failed" in words(client, "/")


@pytest.mark.parametrize("path", ["/rollouts", "/hosts", "/differing"])
def test_empty_pages_say_how_to_turn_it_on(client: FlaskClient, path: str) -> None:
    """With this server's address."""
    assert 'Fleet(events=[Collector("http://localhost/", token=…)])' in words(client, path)


def test_a_state_that_there_is_not_is_refused(client: FlaskClient) -> None:
    """As unknown values of all filters are, on the page and in JSON."""
    assert client.get("/rollouts?state=nonsense").status_code == 400
    assert client.get("/api/rollouts?state=nonsense").status_code == 400
