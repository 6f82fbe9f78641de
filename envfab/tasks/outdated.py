"""The task `outdated`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from envfab.errors import SupplyError
    from envfab.planning.catalogue import Catalogue


def task(fleet: Fleet) -> Any:
    """`outdated` for `fleet`."""

    @ours(index="also look for newer versions in this package index", check="exit with 2 if something is outdated")
    def outdated(
        c: Context,
        name: Iterable[str] = (),
        index: str = "",
        older_than: str = "",
        check: bool = False,
        json: bool = False,
    ) -> None:
        """Show which packages have newer versions in the wheelhouse or an index, and which the requirements allow."""
        from envfab.deployment.requirements_files import read_requirements
        from envfab.fetch.age_rule import OldEnough
        from envfab.fetch.fetch import opened
        from envfab.fetch.outdated import held_back, not_active
        from envfab.fetch.outdated import outdated as behind
        from envfab.fetch.probe_interpreters import look
        from envfab.index.client import PagesAlone
        from envfab.tasks.output.held_back import held_back_json, warn_of_held_back
        from envfab.tasks.output.outdated import outdated_json, show_outdated
        from envfab.tasks.output.project_status import status_json, warn_of_statuses
        from envfab.tasks.shared.incoming import age_rule

        run = TaskContext(fleet, c, json, older_than=older_than)
        sources: dict[str, Catalogue] = {"wheelhouse": run.open_wheelhouse()}
        problems: Mapping[NormalizedName, SupplyError] = {}
        with run.console as console, run.connections() as links, ExitStack() as stack:
            members = run.select(list(name))
            requirements = read_requirements(fleet, members)
            if index:
                reached = stack.enter_context(opened(index, own=run.settings.own))
                pages = PagesAlone(reached)
                sources["index"] = old_enough = OldEnough(pages, age_rule(run.settings))
                problems = pages.problems
            looks = look(members, links, run.settings, console)
            probes = [found.probe for found in looks if found.probe]
            if index:
                reached.expect(dict.fromkeys(one for probe in probes for one in probe.distributions))
            rows = [
                (found, list(behind(found.probe, requirements[found.member.target], sources)) if found.probe else [])
                for found in looks
            ]
            statuses = not_active(probes, pages) if index else {}
            held = held_back(probes, old_enough, pages) if index else []
            for found, older in rows:
                show_outdated(console, found, older)
            warn_of_held_back(console, held)
            warn_of_statuses(console, statuses)
            for problem in problems.values():
                console.warning(f"without the index: {problem}")
            if json:
                console.json(
                    {"format": 1, "virtualenvs": [outdated_json(found, older) for found, older in rows],
                     "index_errors": [str(problem) for problem in problems.values()],
                     "project_statuses": status_json(statuses), "held_back": held_back_json(held)}
                )  # fmt: skip
        if problems or any(found.error for found in looks):
            raise Exit(code=1)
        if check and any(older for _found, older in rows):
            raise Exit(code=2)

    return outdated
