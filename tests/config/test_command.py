"""Commands of a fabfile."""

from __future__ import annotations

from typing import Any

import pytest

from envfab import Command
from envfab.errors import ConfigurationError


def test_a_command_as_a_list_is_shown_as_one_would_type_it() -> None:
    """Its arguments stay as they are, whatever a shell would make of them."""
    command = Command(["echo", "it's", "$HOME", ""], user="root")
    assert command.arguments == ("echo", "it's", "$HOME", "")
    assert command.shown == """echo 'it'"'"'s' '$HOME' ''"""
    assert (Command("echo $HOME").arguments, Command("echo $HOME").shown) == (None, "echo $HOME")


def test_systemctl_makes_a_program_with_arguments_that_root_runs() -> None:
    """So that one rule of sudo allows just that."""
    assert Command.systemctl("restart", "shop.service", "worker@1") == Command(
        ["systemctl", "restart", "shop.service", "worker@1"], user="root"
    )
    assert Command.systemctl("try-restart", r"srv-shop\x2dvenv.mount", user="www").user == "www"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("start", "shop"), "verb must be one of restart, reload, try-restart, reload-or-restart, "
         "try-reload-or-restart, not 'start'"),
        (("restart",), "needs a unit\n  say Command.systemctl('restart', 'shop.service')"),
        (("restart", "shop*"), "'shop*' is not the name of a unit"),
        (("restart", "--all"), "'--all' is not the name of a unit"),
        (("restart", "shop reload"), "'shop reload' is not the name of a unit"),
        (("restart", 3), "3 is not the name of a unit"),
    ],
)  # fmt: skip
def test_systemctl_refuses_what_no_rule_could_name(words: tuple[Any, ...], message: str) -> None:
    """Other verbs, patterns and flags; the message says which."""
    with pytest.raises(ConfigurationError) as caught:
        Command.systemctl(*words)
    assert str(caught.value).endswith(f"Command.systemctl: {message}")
