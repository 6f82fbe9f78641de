"""How much the collector that is measured holds."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Sizes:
    """Applications, packages of each, weeks in which each registered, usage reports, records of the OSV export."""

    applications: int = 1000
    packages: int = 200
    weeks: int = 52
    reports: int = 1_000_000
    records: int = 20_000

    @classmethod
    def from_arguments(cls, description: str | None) -> Sizes:
        """The sizes that the command line asks for."""
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        for one in fields(cls):
            parser.add_argument(f"--{one.name}", type=int, default=one.default, metavar="N")
        return cls(**vars(parser.parse_args()))

    def __str__(self) -> str:
        return (
            f"{self.applications} applications of {self.packages} packages, {self.weeks} weeks of registrations, "
            f"{self.reports} usage reports, {self.records} known vulnerabilities"
        )
