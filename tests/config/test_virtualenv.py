"""The commands of a virtualenv."""

from __future__ import annotations

import pytest

from envfab import Command, Virtualenv
from envfab.config.command import flat_commands
from envfab.errors import ConfigurationError

PATH = "/srv/shop/venv"


def test_commands_are_strings_commands_callables_and_sequences_of_these() -> None:
    """All of them come out flat, in order, callables asked with the virtualenv."""
    virtualenv = Virtualenv(
        PATH, check=["a", Command("b", user="root"), lambda one: [f"ls {one.path}", lambda _: "d"], [["e"]]]
    )
    assert virtualenv.commands("check") == (
        Command("a"),
        Command("b", user="root"),
        Command(f"ls {PATH}"),
        Command("d"),
        Command("e"),
    )
    assert virtualenv.commands("before") == ()


def test_what_a_callable_returns_must_be_a_command() -> None:
    """A callable that returns something else is an error that names the virtualenv."""
    with pytest.raises(ConfigurationError, match=f"^a command of {PATH}: must be a command, not 5"):
        tuple(flat_commands(lambda _: 5, Virtualenv(PATH)))
