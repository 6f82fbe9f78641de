"""How far `migrate` came, as far as its output tells."""

from __future__ import annotations

import pytest

from envfab.deployment.django import MigrationProgress, progress

HEAD = "Operations to perform:\n  Apply all migrations: shop\nRunning migrations:\n"
FIRST = "  Applying shop.0001_initial... OK\n"
TRACE = "Traceback (most recent call last):\n  File x\ndjango.db.utils.OperationalError: all is OK\n"


@pytest.mark.parametrize(
    ("output", "applied", "unfinished"),
    [
        ("", (), ()),
        (HEAD + "  No migrations to apply.\n", (), ()),
        (HEAD + FIRST, ("shop.0001_initial",), ()),
        (HEAD + "  Applying shop.0001_initial... OK (1.234s)\n", ("shop.0001_initial",), ()),
        (HEAD + "  Applying shop.0001_initial...it prints\nmore\n OK\n", ("shop.0001_initial",), ()),
        (HEAD + "  Applying shop.0001_initial...", (), ("shop.0001_initial",)),
        (HEAD + FIRST + "  Applying shop.0002_price..." + TRACE, ("shop.0001_initial",), ("shop.0002_price",)),
        # the output of one that was killed: what was written last need not have come out
        (HEAD + "  Applying a.0001_x...\n  Applying b.0001_y...", ("a.0001_x",), ("b.0001_y",)),
    ],
)
def test_what_was_begun_and_what_was_finished(
    output: str, applied: tuple[str, ...], unfinished: tuple[str, ...]
) -> None:
    """A migration is applied once Django says OK, or begins the next one; the one it was at is not finished."""
    assert progress(output) == MigrationProgress(applied, unfinished)
