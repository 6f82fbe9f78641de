"""Registrations under way: for the task, and after a deployment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from envfab.config.fleet import Fleet
from envfab.config.target import Member
from envfab.models.probe import Probe
from envfab.registration.after_deployment import after_deployment
from envfab.registration.delivery import register
from envfab.registration.difio.server import Difio
from envfab.registration.jobs import RegistrationOutcome, jobs_for
from envfab.registration.registry import KINDS
from envfab.registration.retry_queue import Missed, Pending
from envfab.util.progress import Silent
from envfab.util.state_folder import state_folder
from envfab.util.untrusted import shown_url
from tests.registration.probes import member, probe, there
from tests.support.registration_server import RecordingServer, Reply

ROOT = Path(__file__).parents[2]
REFUSED = Reply(b'{"message": "no such user", "exit_code": 3}')
HTML = Reply(b"<html>maintenance", 503, {"Content-Type": "text/html"})


@dataclass
class Warnings(Silent):
    """A reporter that keeps the warnings."""

    said: list[str] = field(default_factory=list)

    def warning(self, message: str) -> None:
        """Keep it."""
        self.said.append(message)


def virtualenv(path: str = "/srv/shop", version: str = "1") -> tuple[Member, Probe]:
    """A virtualenv with one package."""
    made = member(path=path)
    return made, probe(made, there("six", version))


def missed() -> list[str]:
    """The targets that are remembered."""
    return [one.target for one in remembered()]


def remembered() -> tuple[Missed, ...]:
    """What is remembered in the test's home."""
    return Pending(state_folder(os.environ), KINDS).read()


def fleet(*servers: Difio) -> Fleet:
    """A fleet that registers."""
    return Fleet(registration=servers)


def deployed(
    *servers: str | Difio, changed: Iterable[tuple[Member, Probe]] = (), patience: float = 2.0
) -> tuple[list[str], float]:
    """(the warnings, the seconds it took) of a deployment's end."""
    reporter = Warnings()
    configured = [one if isinstance(one, Difio) else Difio(one, user_id=7) for one in servers]
    began = time.monotonic()
    with after_deployment(fleet(*configured), changed, reporter, patience=patience):
        pass
    return reporter.said, time.monotonic() - began


def registered(*servers: str | Difio, paths: Iterable[str] = ("/srv/shop",)) -> list[RegistrationOutcome]:
    """The outcomes of the task's way."""
    configured = [one if isinstance(one, Difio) else Difio(one) for one in servers]
    jobs, unfit = jobs_for([virtualenv(path) for path in paths], configured)
    assert not unfit
    return register(jobs, configured, Silent(), os.environ)


def test_every_virtualenv_is_registered_at_every_server(server: RecordingServer) -> None:
    """Outcomes come in the order of virtualenvs and servers."""
    second = server.url.replace("register", "again")
    outcomes = registered(server.url, second, paths=("/srv/a", "/srv/b"))
    assert [(one.job.payload.name, one.job.server.url) for one in outcomes] == [
        ("a", server.url),
        ("a", second),
        ("b", server.url),
        ("b", second),
    ]
    assert all(outcome.answer for outcome in outcomes)
    assert sorted(server.names()) == ["a", "a", "b", "b"]
    assert not remembered()


def test_a_server_that_is_down_is_given_up_on(nobody: str, server: RecordingServer) -> None:
    """All others fare like the first, at once; another server is not held up."""
    outcomes = registered(nobody, server.url, paths=[f"/srv/{number}" for number in range(30)])
    assert sum(outcome.answer is not None for outcome in outcomes) == 30
    down = [outcome.error for outcome in outcomes if outcome.error]
    assert len(down) == 30
    assert "nothing listens there" in str(down[-1])


def test_what_failed_is_sent_with_the_next_run(server: RecordingServer) -> None:
    """It goes along with whatever is registered then, and is forgotten once it arrived."""
    server.answer = lambda _: HTML
    registered(server.url, paths=["/srv/a"])
    assert missed() == ["shop@web1:/srv/a"]
    server.answer = lambda _: Reply()
    outcomes = registered(server.url, paths=["/srv/b"])
    assert [(one.job.payload.name, one.job.missed is not None) for one in outcomes] == [("b", False), ("a", True)]
    assert sorted(server.names()) == ["a", "a", "b"]
    assert not remembered()


def test_what_is_registered_anew_is_not_sent_as_it_was(server: RecordingServer) -> None:
    """The state of now takes the place of what was missed."""
    server.answer = lambda _: HTML
    deployed(server.url, changed=[virtualenv(version="1")])
    server.answer = lambda _: Reply()
    deployed(server.url, changed=[virtualenv(version="2")])
    assert [request.installed["six"] for request in server.requests] == ["1", "2"]
    assert not remembered()


def test_a_refusal_is_not_repeated(server: RecordingServer) -> None:
    """The server has said no: sending it again would change nothing."""
    server.answer = lambda _: REFUSED
    warnings, _ = deployed(server.url, changed=[virtualenv()])
    assert warnings == ["shop@web1:/srv/shop: the registration was refused: no such user"]
    assert not remembered()


def test_what_another_server_missed_waits_for_it(server: RecordingServer, nobody: str) -> None:
    """Only configured servers are sent to."""
    deployed(nobody, changed=[virtualenv()])
    deployed(server.url)
    assert not server.requests
    assert missed() == ["shop@web1:/srv/shop"]


def test_a_deployment_registers_what_it_changed(server: RecordingServer) -> None:
    """With the fleet's user and token, silently."""
    warnings, _ = deployed(Difio(server.url, 7, lambda: "t0ken\n"), changed=[virtualenv()])
    assert warnings == []
    (request,) = server.requests
    assert request.data["user_id"] == 7
    assert request.installed == {"six": "1"}
    assert request.headers["authorization"] == "Bearer t0ken"


def test_it_is_sent_while_the_summary_is_printed(server: RecordingServer) -> None:
    """The body of the context need not be over."""
    with after_deployment(fleet(Difio(server.url)), [virtualenv()], Silent()):
        end = time.monotonic() + 5
        while not server.requests and time.monotonic() < end:
            time.sleep(0.01)
        assert server.requests


@pytest.mark.parametrize("answer", [HTML, Reply(b"[", 200), Reply(b"", 302, {"Location": "/x"}), Reply(status=500)])
def test_nonsense_after_a_deployment_is_a_warning(server: RecordingServer, answer: Reply) -> None:
    """It is told in a line and made up for at the next run."""
    server.answer = lambda _: answer
    (warning,), _ = deployed(server.url, changed=[virtualenv()])
    assert warning.startswith(f"{server.url}: Communication failed: ")
    assert warning.endswith("shop@web1:/srv/shop not registered; the next run sends it")
    assert missed() == ["shop@web1:/srv/shop"]


def test_a_server_that_is_down_is_one_warning(nobody: str) -> None:
    """However many virtualenvs were deployed to."""
    warnings, took = deployed(nobody, changed=[virtualenv(f"/srv/{number}") for number in range(20)])
    assert len(warnings) == 1
    assert "20 virtualenvs not registered; the next run sends it" in warnings[0]
    assert took < 2
    assert len(missed()) == 20


def test_a_slow_server_holds_up_the_end_for_a_bounded_time(server: RecordingServer) -> None:
    """After that it is a warning, and made up for."""
    server.answer = server.slow
    changed = [virtualenv(f"/srv/{number}") for number in range(20)]
    (warning,), took = deployed(server.url, changed=changed, patience=0.3)
    assert 0.3 <= took < 1.5
    # what is left of the time when it is asked
    assert re.search(r"no answer within 0\.[123] s", warning)
    assert len(missed()) == 20


DEPLOYMENT = """
import sys
from envfab.config.fleet import Fleet
from envfab.registration.difio.server import Difio
from envfab.registration.after_deployment import after_deployment
from tests.registration.test_delivery import Warnings, virtualenv
reporter = Warnings()
with after_deployment(Fleet(registration=[Difio(sys.argv[1])]), [virtualenv()], reporter):
    print("summary")
print(*reporter.said)
"""


def test_a_program_ends_though_the_server_is_silent(server: RecordingServer) -> None:
    """Two seconds after the summary the warning comes, and nothing is waited for any more."""
    server.answer = server.slow
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", DEPLOYMENT, server.url], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert time.monotonic() - began < 2 + 4
    assert re.match(
        rf"summary\n{re.escape(server.url)}: Communication failed: no answer within (2|1\.[0-9]) s", done.stdout
    )
    assert done.stderr == ""
    assert missed() == ["shop@web1:/srv/shop"]


def test_the_next_deployment_makes_up_for_it_though_it_changed_nothing(server: RecordingServer) -> None:
    """What was missed needs no new deployment of the same virtualenv."""
    server.answer = lambda _: HTML
    deployed(server.url, changed=[virtualenv()])
    server.answer = lambda _: Reply()
    assert deployed(server.url)[0] == []
    assert server.names() == ["shop", "shop"]
    assert not remembered()


def test_an_exception_of_the_body_comes_through(server: RecordingServer) -> None:
    """The summary's own trouble is not hidden, and the registration is sent all the same."""
    with (
        pytest.raises(ZeroDivisionError),
        after_deployment(fleet(Difio(server.url)), [virtualenv()], Silent()),
    ):
        raise ZeroDivisionError
    assert server.names() == ["shop"]


def test_a_fleet_without_servers_does_nothing() -> None:
    """No file, no warning."""
    assert deployed(changed=[virtualenv()])[0] == []
    assert not remembered()


def _absent() -> str:
    return os.environ["INVENTORY_TOKEN"]


def _broken() -> str:
    raise RuntimeError("the vault said: hush-hush")


def _unreadable() -> str:
    return Path("/nonexistent/token").read_text()


def _number() -> str:
    return 5  # type: ignore[return-value]  # what an untyped fabfile may do


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (_absent, "cannot read the token: KeyError: 'INVENTORY_TOKEN'"),
        (_broken, "cannot read the token: RuntimeError"),
        (_unreadable, "cannot read the token: FileNotFoundError: [Errno 2] No such file"),
        (_number, "the token must be a string, not int"),
    ],
)
def test_a_token_that_cannot_be_had_is_a_warning(server: RecordingServer, token: Callable[[], str], why: str) -> None:
    """Nothing is sent without it; of an unknown error only the kind is shown, for it may tell a secret."""
    (warning,), _ = deployed(Difio(server.url, 7, token), changed=[virtualenv()])
    assert warning.startswith(f"{server.url}: {why}")
    assert "hush" not in warning
    assert not server.requests
    assert missed() == ["shop@web1:/srv/shop"]


def test_a_token_is_asked_for_once(server: RecordingServer) -> None:
    """However many virtualenvs are registered."""
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        return "t0ken"

    registered(Difio(server.url, 7, token), paths=[f"/srv/{number}" for number in range(20)])
    assert len(server.requests) == 20
    assert len(asked) == 1


def test_secrets_are_not_written_down(nobody: str, clean_environment: Path) -> None:
    """Neither the token nor a password in the address is in any file."""
    with_password = nobody.replace("//", "//me:s3cret@")
    (warning,), _ = deployed(Difio(with_password, 7, "t0ken"), changed=[virtualenv()])
    assert "s3cret" not in warning
    assert remembered()[0].url == shown_url(with_password) == nobody
    for file in (path for path in clean_environment.rglob("*") if path.is_file()):
        assert b"s3cret" not in file.read_bytes()
        assert b"t0ken" not in file.read_bytes()


def test_the_variables_hold_after_a_deployment_too(
    server: RecordingServer, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Server and user are overridden, what describes one virtualenv is not."""
    for name, value in {"URL": server.url, "USER_ID": "12", "APP_NAME": "all-one", "UUID": "u"}.items():
        monkeypatch.setenv(f"DIFIO_{name}", value)
    deployed(nobody, changed=[virtualenv()])
    data = server.requests[0].data
    assert (data["user_id"], data["app_name"]) == (12, "shop")
    assert data["app_uuid"] != "u"


def test_wrong_variables_fail_no_deployment(server: RecordingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are a warning."""
    monkeypatch.setenv("DIFIO_USER_ID", "me")
    warnings, _ = deployed(server.url, changed=[virtualenv()])
    assert warnings == ["nothing was registered: DIFIO_USER_ID: must be a whole number, not 'me'"]


def test_a_virtualenv_that_cannot_be_registered_is_a_warning(server: RecordingServer) -> None:
    """The others are registered."""
    odd = member(path="/srv/odd")
    changed = [(odd, probe(odd, there("a\tb", "1"))), virtualenv()]
    warnings, _ = deployed(server.url, changed=changed)
    assert warnings == ["not registered: shop@web1:/srv/odd: the name of a package has control characters"]
    assert server.names() == ["shop"]


def test_without_a_home_the_warning_says_what_to_do(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be remembered has to be registered by hand."""
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_STATE_HOME")
    (warning,), _ = deployed(nobody, changed=[virtualenv()])
    assert warning.endswith("shop@web1:/srv/shop not registered; run fab register")
