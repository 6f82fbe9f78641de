"""A target that could not be probed."""

from __future__ import annotations

from envfab.config.target import Target
from envfab.errors import EnvfabError
from envfab.planning.plan import status_without
from envfab.tasks.output.console import Console


def show_error(console: Console, target: Target, error: EnvfabError) -> None:
    """Print the target with its status, and the error below it."""
    console.print(f"{target}   {status_without(error).value}", "bold red")
    console.print(f"    {str(error).removeprefix(f'{target}: ')}", "red")
