"""The end of a rollout, as `deploy` and `rollback` tell it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from envfab.tasks.output.console import Console
from envfab.tasks.shared.rollout import MOST_NAMES, RolloutRequest, _name_unstarted


def request(repeatable: bool) -> RolloutRequest:
    """A request for two groups."""

    def resume(names: Sequence[str]) -> str:
        return f"fab deploy:{','.join(names)}"

    return RolloutRequest(["%web", "%db"], True, lambda *_: None, resume, None, repeatable=repeatable)


@pytest.mark.parametrize(
    ("number", "repeatable", "continues"),
    [
        (2, True, "to continue with these: fab deploy:v0,v1"),
        (MOST_NAMES + 1, True, "to continue, which only probes what is done: fab deploy:%web,%db"),
        # a plain rollback, called again, would go back one further where it is done
        (
            MOST_NAMES + 1,
            False,
            f"to continue with these: fab deploy:{','.join(f'v{n}' for n in range(MOST_NAMES + 1))}",
        ),
    ],
)
def test_a_command_to_continue_fits_a_command_line(
    capsys: pytest.CaptureFixture[str], number: int, repeatable: bool, continues: str
) -> None:
    """It names what was not started, unless that is very much and the same command again does no harm."""
    _name_unstarted(Console(), [f"v{n}" for n in range(number)], request(repeatable))
    named, command = capsys.readouterr().out.splitlines()
    first = ", ".join(f"v{n}" for n in range(min(number, 12)))
    assert named == f"not started: {first}" + (f" and {number - 12} more" if number > 12 else "")
    assert command == continues
