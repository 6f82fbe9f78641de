"""How a run of the tests ended, counted: what was collected, what ran, what failed; and what is tried a second time.

    python -m tests.support.tally FILE     after a run that wrote its tally to FILE (ENVFAB_TESTS_TALLY=FILE)

Some tests are about time, and a machine may be busy. So a few failed tests are tried once more, alone, and listed; but
only after a run that is known to be whole: every test that was collected has run, and pytest itself ended as it should.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

# more than these are no accident
SECOND_TRIES = 3


@dataclass(frozen=True, slots=True)
class Tally:
    """pytest's exit status, the number of tests that were collected, the ids of those that ran and that failed."""

    status: int
    collected: int
    ran: int
    failed: tuple[str, ...]

    @classmethod
    def read(cls, file: Path) -> Tally:
        """What `Counting` wrote; raises OSError and ValueError where it did not."""
        document = json.loads(file.read_text(encoding="utf-8"))
        return cls(document["status"], document["collected"], document["ran"], tuple(document["failed"]))

    def objection(self) -> str:
        """Why this run cannot be trusted, or made good by a second try; empty where all is well, or may become so."""
        if self.status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return f"pytest ended with status {self.status}, which is not that of failed tests"
        if self.ran != self.collected or not self.collected:
            return f"{self.collected} tests were collected, {self.ran} ran"
        if (self.status == pytest.ExitCode.OK) != (not self.failed):
            return f"pytest ended with status {self.status}, and {len(self.failed)} tests failed"
        if len(self.failed) > SECOND_TRIES:
            return f"{len(self.failed)} tests failed; at most {SECOND_TRIES} are tried a second time"
        return ""


class Counting:
    """A plugin that writes a run's tally to a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ran: set[str] = set()
        self._failed: dict[str, None] = {}
        file.unlink(missing_ok=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A part of a test has ended."""
        if report.when == "call" or not report.passed:
            self._ran.add(report.nodeid)
        if report.failed:
            self._failed[report.nodeid] = None

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """All has ended."""
        made = Tally(int(exitstatus), session.testscollected, len(self._ran), tuple(self._failed))
        self._file.write_text(json.dumps(asdict(made)), encoding="utf-8")


def main(file: Path, try_again: Callable[[Sequence[str]], int], say: Callable[[str], None]) -> int:
    """The exit status of a run that wrote its tally to `file`, after a second try of what failed, if that may be."""
    try:
        tally = Tally.read(file)
    except (OSError, ValueError, KeyError, TypeError):
        say("the tests did not come to an end: there is no tally of them")
        return 1
    if objection := tally.objection():
        say(objection)
        return 1
    if not tally.failed:
        return 0
    say(f"a second try, one after the other, of: {', '.join(tally.failed)}")
    status = try_again(tally.failed)
    say(f"{'needed a second try' if status == 0 else 'failed twice'}: {', '.join(tally.failed)}")
    return status


def run_again(failed: Sequence[str]) -> int:
    """pytest's exit status for just these tests."""
    return subprocess.run([sys.executable, "-m", "pytest", "-p", "no:xdist", *failed], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), run_again, lambda line: print(line, flush=True)))
