"""Proposals on their way from one process to another."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.proposal import DriftRepair, Proposal
from envfab.deployment.proposal_work import ProposalWork
from envfab.errors import DeploymentError
from envfab.models.drift import Drift
from envfab.models.requirements import Requirements
from envfab.planning.planner import plan
from envfab.remote.probe import TargetSession
from envfab.remote.process import local_link
from tests.planning.catalogue import probe, requirements, wheelhouse


def test_all_that_a_proposal_says_arrives() -> None:
    """Each of its fields; the session is one of the process in which it arrives."""
    (member,) = Fleet(hosts=[Host("web1", virtualenvs=[Virtualenv("/srv/shop/venv", user="shop")])]).members(
        lambda _host: "shop"
    )
    ours, theirs = (TargetSession(member, local_link(), None, None) for _ in range(2))
    error = DeploymentError("why", where="shop@web1:/srv/shop/venv")
    found = probe("b==1", target=member.target)
    sent = Proposal(
        member,
        Requirements(()),
        plan(found, requirements("a"), wheelhouse(["a==1"])),
        theirs,
        found,
        error=error,
        undoes="20261120-214900-9f3a.1",
        saved="0123",
        commands=(("reload", "true"),),
        repair=DriftRepair(("bin/made-by-hand",)),
        drift=Drift(3, 100),
    )
    optional = [field for field in fields(Proposal) if field.default is not MISSING]
    assert [field.name for field in optional if getattr(sent, field.name) == field.default] == []
    work = ProposalWork(lambda _found: sent)
    arrived = work.unpack(work.pack(sent), member, ours)
    assert arrived.site is ours
    assert str(arrived.error) == str(error)
    assert replace(arrived, site=theirs, error=error) == sent
