"""The server's policy: what it allows, what becomes of one that cannot be used, and what is held back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.usagestats import OPERATING_SYSTEM, PYTHON_VERSION, SESSION_TIME, Stats
from envfab.usagestats.delivery import wait_for_couriers
from envfab.usagestats.kept_policy import KeptPolicy, PolicyAnswer, read_kept, write_kept
from envfab.usagestats.policy import MAX_POLICY, PolicyError, ReportPolicy, allowed_bytes, held_entries, parse_policy
from envfab.usagestats.policy_fetch import judge_answer
from envfab.usagestats.report import Report, format_report, parse_report
from envfab.usagestats.transport import HttpAnswer
from tests.usagestats.conftest import Make
from tests.usagestats.server import Server

NOW = 1_795_759_014_000  # 2026-11-27
WEEK = 7 * 24 * 3600 * 1000
Get = Callable[[str], tuple[int, str, bytes]]


def policy_text(keys: Any, **more: Any) -> bytes:
    """The JSON of a policy."""
    return json.dumps({"format": 1, "program": "prog", "date": "2026-11-01", "keys": keys} | more).encode()


def policy(**keys: Any) -> ReportPolicy:
    """A policy of these keys."""
    return parse_policy(policy_text(keys), NOW)


def serve(status: int, body: bytes, kind: str = "application/json") -> Get:
    """Answer each GET so."""
    return lambda _: (status, kind, body)


def submit(stats: Stats, **info: str) -> None:
    """Submit a report, and wait for its delivery."""
    stats.submit(info)
    wait_for_couriers()


def sent(server: Server) -> list[dict[str, str]]:
    """The entries of the reports that came."""
    return [dict(parse_report(body).entries) for body in server.bodies]


ALLOWED = [
    ({"values": ["a", "b"]}, "a", True), ({"values": ["a", "b"]}, "c", False), ({"values": []}, "", False),
    ({"any": True}, "anything at all", True),
    ({"shape": "version"}, "1.2rc1+local", True), ({"shape": "version"}, "my secret", False),
    ({"shape": "integer"}, "-17", True), ({"shape": "integer"}, "1.5", False), ({"shape": "integer"}, "9" * 5000, False),
    ({"shape": "number"}, "0.004", True), ({"shape": "number"}, "1e5", False),
    ({"shape": "boolean"}, "True", True), ({"shape": "boolean"}, "maybe", False),
    ({"shape": "uuid"}, "40a68403-7390-4e4e-aa87-5f20ddd8f62f", True), ({"shape": "uuid"}, "me", False),
    ({"shape": "day"}, "2026-11-23", True), ({"shape": "installation"}, "2026-11-23 older", True),
    ({"shape": "installation"}, "2026-11-23 mine", False), ({"shape": "platform"}, "Debian GNU/Linux;12", True),
    ({"shape": "platform"}, "me@example.org", False), ({"any": True, "from_version": "1.2"}, "x", True),
    ({"any": True, "from_version": "1.2.0"}, "x", True), ({"any": True, "from_version": "1.3"}, "x", False),
    ({"any": True, "from_version": "1.10"}, "x", False), ({"any": True, "from_version": "v1"}, "x", True),
]  # fmt: skip


class TestRules:
    """What a policy allows."""

    @pytest.mark.parametrize(("rule", "value", "expected"), ALLOWED)
    def test_a_rule(self, rule: dict[str, Any], value: str, expected: bool) -> None:
        """A value is allowed where it is listed or has the shape, for programs of the version (here 1.2) or later."""
        assert policy(key=rule).allows("key", value, "1.2") is expected

    def test_a_program_of_no_version(self) -> None:
        """What is wanted from a version on is held back where the report's version is no number."""
        assert not policy(key={"any": True, "from_version": "0"}).allows("key", "x", "unknown")

    def test_keys_that_are_not_listed(self) -> None:
        """All else is held back, the id too; the date is always sent."""
        data = format_report(Report(NOW, "me", (("version", "1"), ("path", "/home/me"), ("mode", "x"), ("mode", "y"))))
        allows = policy(version={"shape": "version"}, mode={"values": ["x"]})
        assert allowed_bytes(allows, data) == b"date:1795759014.000\nversion:1\nmode:x\n"
        assert held_entries(allows, data) == (("user", "me"), ("path", "/home/me"), ("mode", "y"))

    def test_counters(self) -> None:
        """Of a counter the name and the value count, and never the sum."""
        allows = policy(**{"count.opened": {"values": ["pdf"]}})
        told = {value: allows.allows("count.opened", value, "1") for value in ("17 pdf", "17 doc", "17", "pdf")}
        assert told == {"17 pdf": True, "17 doc": False, "17": True, "pdf": True}
        assert not allows.allows("count.closed", "17 pdf", "1")

    def test_what_the_flags_write(self, make: Make) -> None:
        """The shapes fit what the library's own flags write."""
        stats = make(unique_user_id=True)
        data = stats.preview((), OPERATING_SYSTEM, PYTHON_VERSION, SESSION_TIME)
        platform, version = {"shape": "platform"}, {"shape": "version"}
        allows = policy(
            user={"shape": "uuid"}, version=version, architecture=platform, distribution=platform, system=platform,
            python=platform, session_time={"shape": "number"},
        )  # fmt: skip
        assert held_entries(allows, data) == ()
        assert allowed_bytes(allows, data) == data

    def test_a_report_of_which_nothing_is_left(self) -> None:
        """A report without an allowed entry is not sent."""
        assert allowed_bytes(policy(), format_report(Report(NOW, "me", (("a", "b"),)))) == b""


WRONG = {
    "no JSON": (b"<html>", "must be JSON"),
    "no text": (b"\xff\xfe\x00", "must be JSON"),
    "deep": (b"[" * 50_000, "must be JSON"),
    "a list": (b"[]", "must be a JSON object"),
    "no format": (b"{}", "must say its format: 1"),
    "a format that is true": (b'{"format": true}', "must say its format: 1"),
    "huge": (b" " * (MAX_POLICY + 1), "has more than 65536 bytes"),
    "a newer format": (policy_text({}, format=2), "has format 2; this program reads format 1"),
    "the future": (policy_text({}, date="2026-11-29"), "has a date in the future, 2026-11-29"),
    "no date": (policy_text({}, date="soon"), "must have a date YYYY-MM-DD"),
    "no program": (policy_text({}, program=None), "must name its program"),
    "keys in a list": (policy_text([]), "must have its keys in an object"),
    "many keys": (policy_text({str(n): {"any": True} for n in range(501)}), "has more than 500 keys"),
    "another field": (policy_text({}, expires=1), "has an unknown field 'expires'"),
    "a field of a key": (policy_text({"a": {"any": True, "max": 3}}), "has the key 'a', which has an unknown field 'max'"),
    "nothing of a key": (policy_text({"a": {}}), "has the key 'a', which must have either values, or a shape, or any"),
    "two of a key": (policy_text({"a": {"any": True, "values": []}}), "must have either values, or a shape, or any"),
    "no object": (policy_text({"a": "any"}), "has the key 'a', which must have an object"),
    "an expression": (policy_text({"a": {"shape": "(a+)+"}}), "must have one of the shapes version, integer, number"),
    "numbers": (policy_text({"a": {"values": [1]}}), "must have a list of texts as values"),
    "any: false": (policy_text({"a": {"any": False}}), "must have true for any, and true or false for public"),
    "a version": (policy_text({"a": {"any": True, "from_version": "new"}}), "must have a from_version that begins with"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "why"), WRONG.values(), ids=WRONG.keys())
def test_policies_that_cannot_be_used(data: bytes, why: str) -> None:
    """What is not a policy of this format, or is dated ahead, is refused in words."""
    with pytest.raises(PolicyError) as caught:
        parse_policy(data, NOW)
    assert why in str(caught.value)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)))  # fmt: skip
def test_any_json(told: Any) -> None:
    """Any JSON in any place is a policy or refused, and nothing else is raised."""
    for data in (json.dumps(told).encode(), policy_text({"a": told}), policy_text(told, date=told)):
        try:
            assert isinstance(parse_policy(data, NOW), ReportPolicy)
        except PolicyError:
            continue


class TestFetching:
    """When the server is asked, and what becomes of its answer."""

    def test_the_client_sends_nothing_outside_it(self, make: Make, server: Server) -> None:
        """What is not allowed stays here, is shown, and is not in what is shown as to be sent."""
        server.answer_get = serve(200, policy_text({"version": {"any": True}, "mode": {"values": ["x"]}}))
        submit(make(enabled=True), mode="x", what="ran")
        assert sent(server) == [{"version": "1.0", "mode": "x"}]
        assert server.asked == ["/policy.json"]
        stats = make()
        stats.note({"mode": "x", "secret": "s"})
        assert stats.preview({"secret": "t"}).decode().split("\n")[1:] == ["version:1.0", "mode:x", ""]
        assert stats.held_back() == (("secret", "s"),)

    def test_once_a_week(self, make: Make, location: Path, server: Server) -> None:
        """A week long the server is not asked again, and then once."""
        server.answer_get = serve(200, policy_text({"version": {"any": True}}))
        for _ in range(3):
            submit(make(enabled=True))
        assert len(server.asked) == 1
        kept = read_kept(location, server.url)
        write_kept(location, kept.after_policy(kept.asked - WEEK, kept.text))
        for _ in range(2):
            submit(make(enabled=True))
        assert len(server.asked) == 2

    def test_no_consent(self, make: Make, server: Server) -> None:
        """Before the user opts in the server is not asked for anything."""
        submit(make())
        make().flush()
        assert server.asked == []

    @pytest.mark.parametrize("status", [404, 410, 401, 403, 405, 400, 501])
    def test_servers_without_policies(self, make: Make, server: Server, status: int) -> None:
        """A server that refuses the address gets reports as ever."""
        server.answer_get = serve(status, b"no")
        submit(make(enabled=True), what="ran")
        assert sent(server) == [{"version": "1.0", "what": "ran"}]
        assert make().held_back() == ()

    def test_a_page_for_every_address(self, server: Server) -> None:
        """A server that answers HTML to everything has no policy, where it is proved that it is the server's answer."""
        kept = KeptPolicy(server.url.replace("http:", "https:"))
        answer = HttpAnswer(200, b"<html>Welcome", "text/html")
        assert judge_answer(kept, answer, NOW).answer is PolicyAnswer.NONE

    @pytest.mark.parametrize(
        ("status", "kind"), [(200, "text/html; charset=utf-8"), (407, "text/html"), (511, "text/html")]
    )
    def test_pages_on_the_way(self, make: Make, server: Server, status: int, kind: str) -> None:
        """What a network or a proxy on the way answers over HTTP is not taken for the server's; reports wait."""
        server.answer_get = serve(status, b"<html>Sign in", kind)
        submit(make(enabled=True), what="ran")
        assert server.bodies == []
        server.answer_get = serve(404, b"")
        assert make().flush() == 0
        assert sent(server) == [{"version": "1.0", "what": "ran"}]

    @pytest.mark.parametrize(
        ("status", "body"),
        [(200, b"{"), (200, policy_text({}, format=2)), (200, policy_text({}, date="2999-01-01")),
         (200, b" " * 500_000), (503, b""), (500, b""), (429, b"")],
    )  # fmt: skip
    def test_nothing_is_sent_while_it_is_not_known(self, make: Make, server: Server, status: int, body: bytes) -> None:
        """Until the first good answer reports wait, with a growing pause, and then all are sent."""
        server.answer_get = serve(status, body)
        submit(make(enabled=True), what="first")
        submit(make(enabled=True), what="second")
        assert (server.bodies, len(server.asked)) == ([], 1)
        assert make().flush() == 2
        server.answer_get = serve(404, b"")
        assert make().flush() == 0
        assert [entries["what"] for entries in sent(server)] == ["first", "second"]

    @pytest.mark.parametrize("status", [200, 500, 403, 501])
    def test_the_last_good_one_stays(self, make: Make, location: Path, server: Server, status: int) -> None:
        """A bad answer changes nothing but that the server is asked again a day later; 404 ends the policy."""
        good = KeptPolicy(server.url).after_policy(NOW - 5 * WEEK, policy_text({"mode": {"any": True}}))
        write_kept(location, good)
        server.answer_get = serve(status, b"nonsense")
        submit(make(enabled=True), mode="x")
        assert sent(server) == [{"mode": "x"}]
        kept = read_kept(location, server.url)
        assert (kept.answer, kept.text) == (PolicyAnswer.POLICY, good.text)
        now = time.time_ns() // 1_000_000
        assert not kept.due(now)
        assert kept.due(now + 25 * 3600 * 1000)
        write_kept(location, good)
        server.answer_get = serve(404, b"")
        submit(make(enabled=True), mode="x")
        assert sent(server)[1] == {"version": "1.0", "mode": "x"}

    def test_a_dead_server(self, make: Make, location: Path, dead: str) -> None:
        """Where no server answers reports wait as ever."""
        submit(make(enabled=True, drop_point=dead))
        assert read_kept(location, dead).why == "the server did not answer"
        assert make(drop_point=dead).flush() == 1

    def test_a_report_of_which_nothing_may_be_sent(self, make: Make, server: Server) -> None:
        """It is not sent, and does not wait for ever."""
        server.answer_get = serve(200, policy_text({"other": {"any": True}}))
        stats = make(enabled=True)
        submit(stats)
        assert (server.bodies, stats.flush(), stats.pending()) == ([], 0, ())

    def test_the_address(self, make: Make, location: Path, server: Server) -> None:
        """It is asked for below the drop point, with or without a slash at its end."""
        for drop_point in ("reports/prog/", "reports/prog"):
            submit(make(enabled=True, location=location / drop_point, drop_point=server.url + drop_point))
        assert server.asked == ["/reports/prog/policy.json"] * 2

    def test_another_host_is_not_asked(self, make: Make, server: Server) -> None:
        """An answer that leads to another host is none."""
        server.answer_get = serve(302, b"")
        submit(make(enabled=True))
        assert server.bodies == []


@pytest.mark.parametrize(
    "spoilt", [b"", b"format:2\n\n{}", b"format:1\nfrom:http://x/\nasked:1.0\nanswer:policy\nwhy:\n\n{"]
)
def test_a_spoilt_file(tmp_path: Path, spoilt: bytes) -> None:
    """A file that cannot be understood is as none: the server is asked before anything is sent."""
    (tmp_path / "policy").write_bytes(spoilt)
    assert not read_kept(tmp_path, "http://x/").known


def test_another_server(tmp_path: Path) -> None:
    """The policy of another drop point counts for nothing; a password is not written down."""
    write_kept(tmp_path, KeptPolicy("http://me:secret@x/").after_none(NOW))
    assert b"secret" not in (tmp_path / "policy").read_bytes()
    assert read_kept(tmp_path, "http://you:other@x/").known
    assert not read_kept(tmp_path, "http://y/").known


def test_a_server_that_trickles(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that comes byte by byte is given up after a while, and reports wait."""
    monkeypatch.setattr("envfab.usagestats.transport.DEADLINE", 0.2)

    class Trickle(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(b" ")
                    time.sleep(0.02)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    class Trickling(ThreadingHTTPServer):
        daemon_threads = True

    with Trickling(("127.0.0.1", 0), Trickle) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        stats = make(enabled=True, drop_point=f"http://127.0.0.1:{http.server_port}/")
        submit(stats)
        http.shutdown()
    assert (len(stats.pending()), read_kept(Path(stats.location), stats.drop_point).why) == (
        1,
        "the server did not answer",
    )
