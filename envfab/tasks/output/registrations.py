"""What became of registrations, to people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envfab.errors import EnvfabError
from envfab.planning.plan import status_without
from envfab.registration.jobs import RegistrationOutcome
from envfab.tasks.output.console import Console
from envfab.util.untrusted import shown_url


def show_outcomes(console: Console, outcomes: Sequence[RegistrationOutcome], errors: Sequence[EnvfabError]) -> int:
    """Print the servers' answers, and return the exit status: theirs where they agree, 1 after any error."""
    codes = {1} if errors else set()
    for error in errors:
        console.complain(str(error))
    several = len({outcome.job.target for outcome in outcomes if outcome.job.missed is None}) > 1
    told = ""
    for outcome in outcomes:
        if outcome.job.missed is not None:
            _tell_of_missed(console, outcome)
        elif outcome.answer is not None:
            if several and outcome.job.target != told:
                # the answer's own line is a contract, and does not say whose it is
                told = outcome.job.target
                console.print(told, "bold")
            console.print(f"{outcome.job.server.kind}: {outcome.answer.message}")
            codes.add(outcome.answer.exit_code)
        else:
            console.complain(f"{outcome.job.target}: {outcome.error}")
            codes.add(1)
    codes.discard(0)
    return codes.pop() if len(codes) == 1 else int(bool(codes))


def _tell_of_missed(console: Console, outcome: RegistrationOutcome) -> None:
    if outcome.answer is not None:
        console.note(f"sent an earlier failed registration: {outcome.job.target}: {outcome.answer.message}")


def registrations_json(outcomes: Sequence[RegistrationOutcome], errors: Sequence[EnvfabError]) -> list[dict[str, Any]]:
    """Return the same as JSON, with the errors of what could not be registered."""
    told = [_registration_json(outcome) for outcome in outcomes if outcome.job.missed is None]
    return told + [
        {"target": error.where, "status": status_without(error).value, "error": str(error)} for error in errors
    ]


def _registration_json(outcome: RegistrationOutcome) -> dict[str, Any]:
    sent, answer = outcome.job.payload, outcome.answer
    return {
        "target": outcome.job.target,
        "server": shown_url(outcome.job.server.url),
        "kind": outcome.job.server.kind,
        "uuid": sent.uuid,
        "name": sent.name,
        "packages": sent.package_count,
        "status": "failed" if answer is None else "refused" if answer.exit_code else "registered",
        "exit_code": answer.exit_code if answer else None,
        "message": answer.message if answer else None,
        "processed": outcome.processed,
        "error": str(outcome.error) if outcome.error else None,
    }
