"""Authentication in processes that must not ask the user."""

from __future__ import annotations

import paramiko
import pytest

from envfab.errors import NeedsTerminal
from envfab.remote.ssh.authentication import Authentication, QuestionAsked
from envfab.remote.ssh.errors import failure
from envfab.remote.ssh.host_config import HostConfig
from envfab.remote.ssh.keys import KeyFiles


def test_a_question_is_not_asked_where_nobody_may_be_asked() -> None:
    """In a process without the terminal, the host is named, so that the first process can connect to it."""
    strategy = Authentication(HostConfig("web1", "web1"), "shop", {}, KeyFiles(), may_ask=False)
    with pytest.raises(QuestionAsked) as asked:
        strategy._second(paramiko.Transport.__new__(paramiko.Transport), ["keyboard-interactive"], None)
    told = failure(asked.value, "web1", "shop", "web1 port 22", 10)
    assert isinstance(told, NeedsTerminal)
    assert str(told) == "web1: the server asks a question"
