"""Delivery to a real server: what is refused, unreadable, late, moved or behind TLS."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from envfab.usagestats.delivery import RETRY, wait_for_couriers
from envfab.usagestats.pause import FIRST, Pause, parse_pauses
from envfab.usagestats.queue import Queue, write_atomically
from envfab.usagestats.report import MAX_REPORT
from envfab.usagestats.stats import Stats
from envfab.usagestats.transport import SendOutcome, SendResult, _is_same_host, sender
from tests.usagestats.conftest import Make
from tests.usagestats.server import OK, Reply, Server, running_server


def submit(stats: Stats, what: str = "ran") -> None:
    """Submit, and wait as a program's end does."""
    stats.submit({"what": what})
    wait_for_couriers()


def waiting(location: Path) -> list[str]:
    """The reports that wait."""
    return Queue(location).names()


def refuse(*whats: str, status: int = 400) -> object:
    """An answer that refuses the reports with these `what`s."""

    def answer(body: bytes) -> Reply:
        return (status, {}) if any(f"what:{what}\n".encode() in body for what in whats) else OK

    return answer


class TestRefused:
    """A report that the server does not take."""

    @pytest.mark.parametrize("status", [400, 403, 404, 413, 500])
    def test_it_blocks_no_other(self, make: Make, location: Path, server: Server, status: int) -> None:
        """The ones behind a refused report are delivered in the same run; the refused one is kept."""
        for what in ("bad", "worse", "good"):
            submit(make(), what)
        server.answer = refuse("bad", "worse", status=status)  # type: ignore[assignment]  # a function made by a function
        submit(make(enabled=True), "new")
        assert server.what == ["bad", "worse", "good", "new"]
        assert len(waiting(location)) == 2

    def test_it_is_tried_again_later(self, make: Make, location: Path, server: Server) -> None:
        """It waits for its pause, which doubles; then it goes out."""
        server.answer = refuse("bad")  # type: ignore[assignment]  # a function made by a function
        submit(make(enabled=True), "bad")
        submit(make(), "next")
        assert server.what == ["bad", "next"]
        self.let_pauses_end(location)
        submit(make(), "again")
        assert server.what == ["bad", "next", "again", "bad"]
        (pause,) = parse_pauses((location / RETRY).read_bytes()).reports.values()
        assert pause.failures == 2
        assert 1.9 * FIRST < pause.until - time.time() * 1000 <= 2 * FIRST
        server.answer = lambda _: OK
        self.let_pauses_end(location)
        submit(make(), "last")
        assert waiting(location) == []
        assert not (location / RETRY).exists()

    def let_pauses_end(self, location: Path) -> None:
        """As if every pause had passed."""
        text = (location / RETRY).read_text()
        now = f"{time.time():.3f}"
        (location / RETRY).write_text("".join(
            line if line.startswith("format:") else f"{line.rpartition(' ')[0]} {now}\n"
            for line in text.splitlines(keepends=True)
        ))  # fmt: skip
        time.sleep(0.002)


class TestTrouble:
    """A server that is down or in trouble."""

    def test_a_dead_server(self, make: Make, location: Path, dead: str, server: Server) -> None:
        """Nothing is lost; while the pause lasts nobody asks again; after it all goes out in order."""
        submit(make(enabled=True, drop_point=dead), "one")
        assert parse_pauses((location / RETRY).read_bytes()).server.failures == 1
        submit(make(), "two")
        assert server.bodies == []
        assert len(waiting(location)) == 2
        (location / RETRY).unlink()
        submit(make(), "three")
        assert server.what == ["one", "two", "three"]

    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_a_server_in_trouble(self, make: Make, location: Path, server: Server, status: int) -> None:
        """One answer of that kind is enough for this run."""
        for what in ("one", "two"):
            submit(make(), what)
        server.answer = lambda _: (status, {})
        submit(make(enabled=True), "three")
        assert server.what == ["one"]
        assert len(waiting(location)) == 3

    def test_a_pause_that_the_server_asks_for(self, make: Make, location: Path, server: Server) -> None:
        """Retry-After is heeded."""
        server.answer = lambda _: (503, {"Retry-After": "3600"})
        submit(make(enabled=True))
        pause = parse_pauses((location / RETRY).read_bytes()).server
        assert 3_500_000 < pause.until - time.time() * 1000 <= 3_600_000

    @pytest.mark.parametrize("seconds", ["9" * 5000, "\u00b2", "-1", "1e9", "Thu, 26 Nov 2026 12:00:00 GMT"])
    def test_a_pause_that_is_no_number_ends_nothing(
        self, make: Make, location: Path, server: Server, seconds: str
    ) -> None:
        """Python reads no number of 5,000 digits; the report waits like any other."""
        server.answer = lambda _: (503, {"Retry-After": seconds})
        submit(make(enabled=True))
        assert parse_pauses((location / RETRY).read_bytes()).server.until > time.time() * 1000
        assert len(waiting(location)) == 1

    def test_the_pause_grows(self, make: Make, location: Path, dead: str) -> None:
        """Each run that finds the server dead doubles the pause."""
        stats = make(enabled=True, drop_point=dead)
        stats.submit({})
        wait_for_couriers()
        for failures in (2, 3):
            stats.flush()
            pause = parse_pauses((location / RETRY).read_bytes()).server
            assert pause.failures == failures
            assert abs(pause.until - time.time() * 1000 - FIRST * 2 ** (failures - 1)) < 5000

    def test_flush_does_not_wait_for_a_pause(self, make: Make, location: Path, server: Server) -> None:
        """A person who asks for it gets everything sent now."""
        submit(make(), "one")
        location.joinpath(RETRY).write_bytes(b"format:1\nserver:5 %d.000\n" % (time.time() + 3600))
        stats = make(enabled=True)
        assert stats.flush() == 0
        assert server.what == ["one"]

    def test_flush_before_opt_in(self, make: Make, server: Server) -> None:
        """Without the user's consent `flush()` sends nothing, and says what waits."""
        submit(make(), "one")
        assert make().flush() == 1
        assert server.bodies == []


class TestSpoiltQueue:
    """What somebody or something else left in the folder."""

    def test_it_blocks_nothing(self, make: Make, location: Path, server: Server) -> None:
        """Empty and too large files are removed, unreadable ones skipped, foreign ones sent, the good one arrives."""
        location.mkdir()
        (location / "report_1_1.txt").write_bytes(b"")
        (location / "report_2_1.txt").write_bytes(b"x" * (MAX_REPORT + 1))
        (location / "report_3_1.txt").mkdir()
        (location / "report_4_1.txt").symlink_to("/nowhere")
        (location / "report_5_1.txt").write_bytes(b"date:5.1\nwhat:foreign\n")
        (location / "report_:odd name\n").write_bytes(b"date:5.1\nwhat:odd\n")
        submit(make(enabled=True), "good")
        assert server.what == ["odd", "foreign", "good"]
        assert len(server.bodies) == 3
        assert waiting(location) == ["report_3_1.txt", "report_4_1.txt"]

    def test_what_would_not_be_sent_is_not_shown(self, make: Make, location: Path) -> None:
        """`pending()` has just what goes out: the largest report that servers accept, and no byte more."""
        location.mkdir()
        (location / "report_1_1.txt").write_bytes(b"")
        (location / "report_2_1.txt").write_bytes(b"x" * (MAX_REPORT + 1))
        (location / "report_3_1.txt").write_bytes(b"y" * MAX_REPORT)
        assert make().pending() == (b"y" * MAX_REPORT,)

    def test_what_cannot_be_removed_is_not_sent_by_every_run(
        self, make: Make, location: Path, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A report that was delivered but cannot be removed is paused like a refused one."""
        # No file system here lets a file be read and its neighbours be removed, but not the file itself, for root too.
        stats = make(enabled=True)
        monkeypatch.setattr(Queue, "remove", lambda *_: False)
        submit(stats, "stuck")
        submit(make(), "next")
        assert server.what == ["stuck", "next"]
        assert set(parse_pauses((location / RETRY).read_bytes()).reports) == set(waiting(location))

    @pytest.mark.parametrize("spoilt", [b"", b"\xff\xfe", b"format:1\nserver:x y\n:::\n", b"format:99\nserver:9 9.0\n"])
    def test_spoilt_pauses(self, make: Make, location: Path, server: Server, spoilt: bytes) -> None:
        """A spoilt file of pauses holds nothing back."""
        location.mkdir()
        (location / RETRY).write_bytes(spoilt)
        submit(make(enabled=True))
        assert server.what == ["ran"]

    def test_a_spoilt_status(self, make: Make, location: Path) -> None:
        """A status that says neither is no choice; one that cannot be read is not taken for a yes."""
        location.mkdir()
        (location / "status").write_bytes(b"\xffMAYBE")
        assert make().status == Stats.UNSET
        (location / "status").unlink()
        (location / "status").mkdir()
        assert make().status == Stats.ERRORED


def test_a_report_that_comes_while_another_is_sent(make: Make, location: Path, server: Server) -> None:
    """Who finds the queue locked leaves its report to whoever holds the lock, who sends it before going away."""
    stats = make(enabled=True)
    held = threading.Event()

    def answer(body: bytes) -> Reply:
        if b"what:first\n" in body:
            make().submit({"what": "second"})
            held.set()
        return OK

    server.answer = answer
    stats.submit({"what": "first"})
    wait_for_couriers()
    assert held.is_set()
    assert server.what == ["first", "second"]
    assert waiting(location) == []


def test_the_failure_is_written_down_before_the_attempt(make: Make, location: Path, server: Server) -> None:
    """Were the program killed while it waits for the server, the next one would find a pause."""
    seen: list[Pause] = []

    def answer(_: bytes) -> Reply:
        seen.append(parse_pauses((location / RETRY).read_bytes()).server)
        return OK

    server.answer = answer
    submit(make(enabled=True))
    assert [pause.failures for pause in seen] == [1]
    assert not (location / RETRY).exists()


class TestHttp:
    """One POST."""

    def test_the_request(self, server: Server) -> None:
        """A report is posted as plain text in UTF-8, to the address as it was given."""
        assert sender(server.url + "a b?ä=1#part", None)(b"date:1.000\n") == SendResult(SendOutcome.STORED)
        assert server.bodies == [b"date:1.000\n"]
        assert server.paths == ["/a%20b?%C3%A4=1"]
        assert server.headers[0]["Content-Type"] == "text/plain; charset=utf-8"

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_server_that_moved(self, server: Server, status: int) -> None:
        """The report is posted again where the server says on its host, with its body."""
        server.answer = lambda _: (200, {}) if server.paths[-1] == "/new" else (status, {"Location": "/new"})
        assert sender(server.url, None)(b"x") == SendResult(SendOutcome.STORED)
        assert (server.bodies, server.paths) == ([b"x", b"x"], ["/", "/new"])

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_another_host_gets_nothing(self, server: Server, status: int) -> None:
        """Nobody consented to sending reports there: another name, another port."""
        for to in (server.url.replace("127.0.0.1", "localhost"), server.url.replace("127.0.0.1", "x@127.0.0.1")):
            with running_server() as old:
                old.answer = lambda _, to=to: (status, {"Location": to})  # type: ignore[misc]
                assert sender(old.url, None)(b"x") == SendResult(SendOutcome.REFUSED)
        with running_server() as old:
            old.answer = lambda _: (status, {"Location": server.url})
            assert sender(old.url, None)(b"x") == SendResult(SendOutcome.REFUSED)
        assert server.bodies == []

    @pytest.mark.parametrize(
        ("old", "new", "same"),
        [
            ("http://a.example/x", "https://a.example/y", True),
            ("http://a.example:80/", "https://A.EXAMPLE:443/", True),
            ("https://a.example/", "http://a.example/", False),
            ("https://a.example/", "https://a.example:8443/", False),
            ("http://a.example:8080/", "https://a.example/", False),
            ("http://a.example/", "http://a.example.evil.example/", False),
            ("http://a.example/", "http://evil.example/a.example", False),
        ],
    )
    def test_which_addresses_are_of_one_host(self, old: str, new: str, same: bool) -> None:
        """One host and port; https in the place of http is another port of the same server."""
        assert _is_same_host(old, new) is same

    def test_moved_in_a_circle(self, server: Server) -> None:
        """A server that moves for ever has refused."""
        server.answer = lambda _: (307, {"Location": server.url})
        assert sender(server.url, None)(b"x") == SendResult(SendOutcome.REFUSED)
        assert len(server.bodies) < 15

    @pytest.mark.parametrize("to", ["file:///etc/hostname", "ftp://127.0.0.1/", "nonsense:x"])
    def test_moved_to_nowhere(self, server: Server, to: str) -> None:
        """Only web servers are followed."""
        server.answer = lambda _: (307, {"Location": to})
        assert sender(server.url, None)(b"x") == SendResult(SendOutcome.REFUSED)

    def test_see_other(self, server: Server) -> None:
        """303 says that it is done."""
        server.answer = lambda _: (303, {"Location": server.url + "thanks"})
        assert sender(server.url, None)(b"x") == SendResult(SendOutcome.STORED)
        assert server.paths == ["/"]

    def test_credentials(self, server: Server) -> None:
        """A user and password in the address become HTTP Basic, and are told to no other server."""
        with running_server() as old:
            old.answer = lambda _: (307, {"Location": server.url})
            sender(old.url.replace("//", "//me:p%40ss@"), None)(b"x")
            assert old.headers[0]["Authorization"] == "Basic bWU6cEBzcw=="
        assert server.headers == []

    def test_no_answer(self, dead: str) -> None:
        """A port where nobody listens gives no answer."""
        assert sender(dead, None)(b"x") == SendResult(SendOutcome.NO_ANSWER)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody else trusts, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "usage statistics test")])
    today = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_atomically(path, private + made.public_bytes(serialization.Encoding.PEM))
    return path


class TestTls:
    """https."""

    @pytest.mark.parametrize("kind", [str, os.fsencode, Path])
    def test_a_certificate_of_ones_own(self, make: Make, certificate: Path, kind: type) -> None:
        """`ssl_verify` names what to trust, as text, bytes or a path."""
        with running_server(self.context(certificate)) as tls:
            submit(make(enabled=True, drop_point=tls.url, ssl_verify=kind(certificate)))
            assert tls.what == ["ran"]

    def test_an_unknown_certificate(self, make: Make, location: Path, certificate: Path) -> None:
        """Nothing is sent to a server whose certificate is not trusted."""
        with running_server(self.context(certificate)) as tls:
            submit(make(enabled=True, drop_point=tls.url))
            assert tls.bodies == []
        assert len(waiting(location)) == 1

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_the_variables_of_requests(self, certificate: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
        """The variables by which users told the original library about their certificates still count."""
        monkeypatch.setenv(variable, str(certificate))
        with running_server(self.context(certificate)) as tls:
            assert sender(tls.url, None)(b"x") == SendResult(SendOutcome.STORED)

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to name a certificate by its hash")
    def test_a_folder_of_certificates(self, certificate: Path, tmp_path: Path) -> None:
        """`ssl_verify` may be a folder, as OpenSSL wants it."""
        command = ["openssl", "x509", "-noout", "-hash", "-in", str(certificate)]
        name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        shutil.copy(certificate, tmp_path / f"{name}.0")
        with running_server(self.context(certificate)) as tls:
            assert sender(tls.url, str(tmp_path))(b"x") == SendResult(SendOutcome.STORED)

    def test_a_system_without_certificates(self, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the system has no certificates, certifi's are trusted, as in the original library."""
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
        monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
        shutil.copy(certificate, bundle := certificate.with_name("bundle.pem"))
        monkeypatch.setattr("certifi.where", lambda: str(bundle))
        with running_server(self.context(certificate)) as tls:
            assert sender(tls.url, None)(b"x") == SendResult(SendOutcome.STORED)

    def test_never_back_to_plain_text(self, server: Server, certificate: Path) -> None:
        """A report meant for https goes nowhere else, whatever the server says."""
        with running_server(self.context(certificate)) as tls:
            tls.answer = lambda _: (307, {"Location": server.url})
            assert sender(tls.url, str(certificate))(b"x") == SendResult(SendOutcome.REFUSED)
        assert server.bodies == []

    def test_trust_that_is_missing(self, make: Make, location: Path) -> None:
        """A file of certificates that does not exist sends nothing and raises nothing."""
        submit(make(enabled=True, drop_point="https://127.0.0.1:9/", ssl_verify="/nowhere.pem"))
        assert len(waiting(location)) == 1

    def context(self, certificate: Path) -> ssl.SSLContext:
        """What the server needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return context
