"""Policies of programs: what clients may send, in the file `policy.json` beside the reports of a program."""

from __future__ import annotations

from envfab.collector.db.engine import CollectorError
from envfab.collector.report_store import ReportFolder
from envfab.usagestats.policy import PolicyError, ReportPolicy, parse_policy


def read_policy(folder: ReportFolder, program: str, now: int) -> tuple[bytes, ReportPolicy] | None:
    """The policy of a program, as it lies there and as it is read at `now` (milliseconds since 1970).

    None where there is no file; raises `CollectorError` for one that clients could not use.
    """
    path = folder.policy_path(program)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CollectorError(f"cannot read the policy: {error.strerror}", where=str(path)) from None
    try:
        policy = parse_policy(data, now)
    except PolicyError as error:
        raise CollectorError(f"the policy {error}", where=str(path)) from None
    if policy.program != program:
        raise CollectorError(f"the policy must be of the program {program!r}, not {policy.program!r}", where=str(path))
    return data, policy


def check_policies(folder: ReportFolder, now: int) -> None:
    """Read the policies of all programs; raises `CollectorError` for the first that clients could not use."""
    for program in folder.programs():
        read_policy(folder, program, now)
