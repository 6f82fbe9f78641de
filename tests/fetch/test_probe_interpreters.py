"""The interpreters of targets, and what is installed there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from envfab.errors import AgentError
from envfab.fetch import probe_interpreters
from envfab.remote.probe import ProbeResult
from tests.audit.test_triage import WEB1
from tests.planning.catalogue import interpreter, probe


class Mute:
    """A target whose agent does not answer when it is asked for tags."""

    def tags(self) -> None:
        """Fail as an agent does."""
        raise AgentError("it did not answer")


def looked(monkeypatch: pytest.MonkeyPatch, **options: bool) -> list[probe_interpreters.Look]:
    """What is told of it; what `probe_all` does about errors is tested with it."""

    @contextmanager
    def probe_all(*_arguments: Any, look: Callable[[Any], Any]) -> Iterator[Any]:
        found = ProbeResult(WEB1, Mute(), probe("Django==5.1", python=interpreter(known_tags=False)))  # type: ignore[arg-type]
        yield SimpleNamespace(all=lambda: [look(found)])

    monkeypatch.setattr(probe_interpreters, "probe_all", probe_all)
    return probe_interpreters.look([], None, None, None, **options)  # type: ignore[arg-type]


def test_tags_that_need_not_be_known_may_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed is told all the same; whoever must know the tags has an error instead."""
    (found,) = looked(monkeypatch, must=False)
    assert found.probe is not None
    assert found.probe.interpreter.tags is None
    assert looked(monkeypatch, tags=False)[0].probe == found.probe
    with pytest.raises(AgentError):
        looked(monkeypatch)
