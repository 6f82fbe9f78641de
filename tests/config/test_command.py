"""Commands of a fabfile."""

from __future__ import annotations

from envfab import Command


def test_a_command_as_a_list_is_shown_as_one_would_type_it() -> None:
    """Its arguments stay as they are, whatever a shell would make of them."""
    command = Command(["echo", "it's", "$HOME", ""], user="root")
    assert command.arguments == ("echo", "it's", "$HOME", "")
    assert command.shown == """echo 'it'"'"'s' '$HOME' ''"""
    assert (Command("echo $HOME").arguments, Command("echo $HOME").shown) == (None, "echo $HOME")
