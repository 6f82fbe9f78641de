"""How a fabfile says that hosts are taken out of service."""

from __future__ import annotations

from typing import Any

import pytest

from envfab import Command, Fleet, Group, Host, Virtualenv
from envfab.config.drain import Drain
from envfab.errors import ConfigurationError, FabfileFault


def test_a_host_without_drain_stays_in_service() -> None:
    """There is nothing to do then."""
    assert Host("web1").how_to_drain() is None


def test_commands_may_be_computed_and_run_elsewhere() -> None:
    """As other commands; a callable takes the host, and `on` names who runs it."""
    host = Host(
        "web1",
        drain=lambda host: Command(f"lb disable {host.name}", on="lb1"),
        undrain=["true", Command(["lb", "enable", "web1"], user="root", on="lb1")],
        settle=0,
    )
    assert host.how_to_drain() == Drain(
        (Command("lb disable web1", on="lb1"),),
        (Command("true"), Command(["lb", "enable", "web1"], user="root", on="lb1")),
        0.0,
    )


def test_a_group_speaks_for_its_hosts_unless_they_speak_themselves() -> None:
    """The wait is ten seconds where none is given."""
    fleet = Fleet(
        groups=[Group("web", drain=lambda host: f"out {host.name}", undrain="in")],
        hosts=[
            Host("web1", groups="web"),
            Host("db1"),
            Host("web2", groups="web", drain="own", undrain="own", settle=3),
        ],
    )
    drains = [host.how_to_drain() for host in fleet.all_hosts()]
    assert drains[0] == Drain((Command("out web1"),), (Command("in"),), 10.0)
    assert drains[1] is None
    assert drains[2] == Drain((Command("own"),), (Command("own"),), 3.0)


def test_hosts_that_a_function_returns_have_groups_too() -> None:
    """They are known when they are needed."""
    fleet = Fleet(
        groups=[Group("web", drain="out", undrain="in", settle=1)], hosts=lambda: [Host("web1", groups="web")]
    )
    assert fleet.all_hosts()[0].how_to_drain() == Drain((Command("out"),), (Command("in"),), 1.0)


def test_a_group_that_no_host_is_in_is_named() -> None:
    """A slip of the pen would drain nothing, and nobody would know."""
    hosts = [Host("web1", groups=["wbe", "eu"])]
    groups = [Group(name, drain="out", undrain="in") for name in ("web", "eu", "other")]
    assert Fleet(groups=groups, hosts=hosts).empty_groups() == (
        "Fleet.groups: no host is in the group 'web', so it drains none; did you mean 'wbe'?",
        "Fleet.groups: no host is in the group 'other', so it drains none",
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Host("web1", drain="out"),
         "Host.undrain: must be given with drain: what takes a host out of service has to put it back"),
        (lambda: Host("web1", undrain="in"),
         "Host.drain: must be given with undrain: what takes a host out of service has to put it back"),
        (lambda: Host("web1", settle=3), "Host.settle: needs drain and undrain"),
        (lambda: Host("web1", drain="out", undrain="in", settle=-1), "Host.settle: must be seconds from 0 to 3600, not -1"),
        (lambda: Host("web1", drain="out", undrain="in", settle=True), "Host.settle: must be seconds from 0 to 3600, not True"),
        (lambda: Host("web1", drain="", undrain="in"), "Host.drain: must not be an empty command"),
        (lambda: Group("web"), "Group.drain: a group needs the commands that take its hosts out of service"),
        (lambda: Fleet(groups=[Group("a", drain="o", undrain="i"), Group("b", drain="o", undrain="i")],
                       hosts=[Host("web1", groups=["a", "b"])]),
         "Fleet.groups: a and b both say how to drain web1\n  say it in Host(…)"),
        (lambda: Virtualenv("/srv/v", reload=Command("x", on="lb1")),
         "Virtualenv.reload: on=… is for the commands of drain and undrain: others run on the virtualenv's host"),
        (lambda: list(Virtualenv("/srv/v", reload=lambda _: Command("x", on="lb1")).commands("reload")),
         "the command 'x': on=… is for the commands of drain and undrain: others run on the virtualenv's host"),
        (lambda: Command("x", on=""), "Command.on: must be text, not ''\n  give a string that is not empty"),
    ],
)  # fmt: skip
def test_what_could_leave_a_host_out_of_service_is_refused(make: Any, message: str) -> None:
    """Each mistake has one message, which names the field."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert str(caught.value).endswith(message)


def test_a_callable_that_fails_is_the_fabfiles_fault() -> None:
    """Its exception is told in a line."""
    with pytest.raises(FabfileFault, match="ZeroDivisionError: division by zero"):
        Host("web1", drain=lambda _host: 1 / 0, undrain="in").how_to_drain()
