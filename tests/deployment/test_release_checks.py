"""What a plan says where hosts check signatures: refused, unable to, or told to by the host alone."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.proposal import Proposal
from envfab.deployment.release_checks import with_checked_releases
from envfab.errors import AgentError, ConfigurationError
from envfab.models.requirements import Requirements
from envfab.planning.plan import Action, ActionKind, Plan, Status
from envfab.remote.agent_session import Session
from envfab.remote.probe import TargetSession
from envfab.signatures.allowed_signers import AllowedSigners
from envfab.signatures.ssh_keygen import SigningKey
from envfab.wheelhouse.release_log.log_signers import LogSigners
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.planning.catalogue import probe
from tests.support.ssh_keys import make_key, public
from tests.support.wheels import make_wheel, sha256

FINE: dict[str, Any] = {"refused": [], "unable": None, "own": None}


class FakeSite:
    """A site whose agent gives one answer; `asked` is what it was asked."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        self.asked: dict[str, Any] = {}

    def agent(self) -> Session:
        """Itself, in the agent's place."""
        return cast(Session, self)

    def load(self, names: object) -> None:
        """Load nothing."""

    def ask(self, operation: str, **fields: Any) -> Mapping[str, Any]:
        """Give the answer."""
        self.asked = {"operation": operation, **fields}
        return self.answer


class Place:
    """A wheelhouse with a signed release of shop, and a plan that installs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        key = SigningKey.read(make_key(folder, "key"))
        self.allowed = AllowedSigners(folder / "allowed", f"me {public(folder / 'key')}\n")
        self._key = key
        self.wheelhouse().add(make_wheel(folder, "shop", "1.0"))

    def wheelhouse(self, required: bool = False, signers: bool = True) -> Wheelhouse:
        """The wheelhouse, where hosts may be required to check signatures."""
        rule = LogSigners(self.allowed, lambda: self._key, required_on_hosts=required) if signers else None
        return Wheelhouse(self.folder / "wheels", self.folder / "log", cache=self.folder / "cache", signers=rule)

    def checked(
        self, answer: Mapping[str, Any], *, signed_only: bool = False, **rule: bool
    ) -> tuple[Proposal, FakeSite]:
        """The plan after a host gave an answer."""
        wheelhouse = self.wheelhouse(**rule)
        ((release,),) = [wheelhouse.releases(name) for name in wheelhouse.projects()]
        fleet = Fleet(hosts=[Host("web1", virtualenvs=[Virtualenv("/srv/v")])])
        (member,) = fleet.members(lambda _host: "me")
        action = Action(ActionKind.INSTALL, release.wheel.name, "shop", None, release.wheel, "")
        site = FakeSite(answer)
        there = replace(probe(target=member.target), signed_only=signed_only)
        plan = Plan(member.target, Status.CHANGES, actions=(action,), notes=("a note",))
        proposal = Proposal(member, Requirements(()), plan, cast(TargetSession, site), there)
        return with_checked_releases(proposal, wheelhouse), site


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A wheelhouse whose releases are signed."""
    return Place(tmp_path_factory.mktemp("place"))


def test_a_host_is_asked_about_what_the_plan_installs(place: Place) -> None:
    """With the text and the signature in the log; what it finds signed leaves the plan as it is."""
    proposal, site = place.checked(FINE)
    assert (proposal.plan.status, proposal.plan.notes) == (Status.CHANGES, ("a note",))
    ((one,), signers) = site.asked["releases"], site.asked["signers"]
    assert signers == place.allowed.text
    assert site.asked["keep"] is False
    line = (place.folder / "log").read_text().strip()
    assert line == f"{base64.b64decode(one['text']).decode()} sig={one['signature']}"


def test_without_signers_nothing_is_asked(place: Place) -> None:
    """But a host that has signers of its own blocks the plan at once."""
    proposal, site = place.checked(FINE, signers=False)
    assert (proposal.plan.status, site.asked) == (Status.CHANGES, {})
    proposal, site = place.checked(FINE, signers=False, signed_only=True)
    assert (proposal.plan.status, site.asked) == (Status.BLOCKED, {})
    assert "its own signers signed, and the fleet has no signers" in str(proposal.plan.error)
    assert "Fleet(signers=…)" in str(proposal.plan.error)


def test_a_refused_release_blocks_the_plan(place: Place) -> None:
    """With the file, the reason, and whose signers they are."""
    digest = sha256(place.folder / "shop-1.0-py3-none-any.whl")
    for own, whose in ((None, "by the fleet's signers"), ("/etc/envfab/allowed_signers", "by /etc/envfab/allowed")):
        proposal, _ = place.checked({"refused": [[digest, "No principal matched."]], "unable": None, "own": own})
        assert proposal.plan.status is Status.BLOCKED
        said = str(proposal.plan.error)
        assert whose in said
        assert "\n    shop-1.0-py3-none-any.whl: No principal matched." in said


@pytest.mark.parametrize(
    ("required", "own", "blocked"), [(False, None, False), (True, None, True), (False, "/e", True)]
)
def test_a_host_that_cannot_check_is_told_or_blocked(place: Place, required: bool, own: str, blocked: bool) -> None:
    """A note tells it, unless the fleet or the host itself requires it."""
    answer = {"refused": [], "unable": "it has no ssh-keygen", "own": own}
    proposal, _ = place.checked(answer, required=required)
    if blocked:
        assert proposal.plan.status is Status.BLOCKED
        assert "the host cannot check signatures, and must (" in str(proposal.plan.error)
        assert "it has no ssh-keygen\n  install OpenSSH 8.1 or later there" in str(proposal.plan.error)
    else:
        assert proposal.plan.status is Status.CHANGES
        assert proposal.plan.notes == ("a note", "the host checks no signatures: it has no ssh-keygen")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"refused": [["0" * 64, "why"]], "unable": None, "own": None},
        {"refused": [["x"]], "unable": None, "own": None},
        {"refused": [["x", 1]], "unable": None, "own": None},
        {"refused": "no", "unable": None, "own": None},
        {"refused": [], "unable": 1, "own": None},
        {"refused": [], "unable": None, "own": ["x"]},
    ],
)
def test_what_no_agent_says_is_an_error_of_the_target(place: Place, answer: Mapping[str, Any]) -> None:
    """And never counts as checked."""
    proposal, _ = place.checked(answer)
    assert proposal.plan.status is Status.BLOCKED
    assert isinstance(proposal.error, AgentError)


def test_hosts_cannot_verify_what_nobody_signs() -> None:
    """The fabfile is wrong."""
    with pytest.raises(ConfigurationError, match="require_host_verification: needs signers"):
        Fleet(require_host_verification=True)
    with pytest.raises(ConfigurationError, match="must be True or False, not 'yes'"):
        Fleet(signers="x", require_host_verification="yes")  # type: ignore[arg-type]
