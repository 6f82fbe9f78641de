"""TOML out of others' files."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from typing import Any

from envfab.errors import RequirementsError
from envfab.util.versions import shortened


def parse_toml(text: str, where: str, what: str) -> dict[str, Any]:
    """The document; raises `RequirementsError`, which says that the file is not `what`."""
    try:
        import tomllib
    except ModuleNotFoundError:
        import tomli as tomllib  # type: ignore[import-not-found,no-redef]  # 3.10 has none
    try:
        return tomllib.loads(text)
    except RecursionError:
        problem = "it is nested too deeply"
    except ValueError as error:
        # with numbers that Python refuses to read among it
        problem = shortened(" ".join(str(error).split()), 200)
    raise RequirementsError(f"is not a valid {what}: {problem}", where=where) from None
