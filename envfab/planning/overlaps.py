"""Files that two distributions have with different content, found before a deployment from the RECORDs of wheels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from envfab.models.probe import Probe
from envfab.models.wheel import Release, Wheel
from envfab.planning.candidates import Candidates
from envfab.planning.catalogue import Catalogue
from envfab.planning.marker_environment import Environment
from envfab.planning.plan import Overlap, Plan
from envfab.util.counts import count

# a wheel's files, by (a root, a path below it), each with its hash as RECORD has it: `sha256=…`
Hashes = Mapping[tuple[str, str], str]
MOST_FILES = 1_000
SHOWN_FILES = 2


def of_plan(plan: Plan, probe: Probe, catalogue: Catalogue, hashes: Callable[[Wheel], Hashes]) -> tuple[Overlap, ...]:
    """Find the files that a plan's wheels overwrite of each other and of distributions that stay installed.

    `hashes` reads a wheel's RECORD; it is not called if the plan installs nothing. Distributions that stay installed
    are compared only if the catalogue has their wheel.
    """
    coming = [(action.shown_as, hashes(action.wheel)) for action in plan.actions if action.wheel is not None]
    if not coming:
        return ()
    gone = {action.name for action in plan.actions}
    candidates = Candidates(Environment(probe.interpreter), {}, catalogue)
    staying = []
    for name in sorted(probe.distributions.keys() - gone):
        there = probe.distributions[name]
        wheel = None
        if there.version is not None:
            wheel = _installed_from(candidates, candidates.shelf(name).get(there.version, ()))
        if wheel is not None:
            staying.append((there.shown_as, hashes(wheel)))
    return overlaps(staying, coming)


def _installed_from(candidates: Candidates, releases: Sequence[Release]) -> Wheel | None:
    fitting = candidates.fitting(releases)
    return fitting[0].wheel if fitting else None


def overlaps(staying: Iterable[tuple[str, Hashes]], coming: Iterable[tuple[str, Hashes]]) -> tuple[Overlap, ...]:
    """Find the files of `coming` that replace files of other content; both arguments are pairs (name, hashes).

    Each distribution in `coming` overwrites those in `staying`, and those before it in `coming`. Files whose hashes are
    of different algorithms are not compared. An `Overlap` lists at most `MOST_FILES` files, sorted.
    """
    owners: dict[tuple[str, str], tuple[str, str]] = {}
    for shown_as, files in staying:
        for place, recorded in files.items():
            owners[place] = shown_as, recorded
    found: dict[tuple[str, str], list[str]] = {}
    for shown_as, files in coming:
        for place, recorded in files.items():
            owner, other = owners.get(place, (shown_as, recorded))
            if owner != shown_as and other != recorded and _kind(other) == _kind(recorded):
                found.setdefault((owner, shown_as), []).append(place[1])
            owners[place] = shown_as, recorded
    return tuple(Overlap(loser, winner, tuple(sorted(paths)[:MOST_FILES])) for (loser, winner), paths in found.items())


def _kind(recorded: str) -> str:
    return recorded.partition("=")[0]


def spoken(overlap: Overlap) -> str:
    """Format an overlap as a warning: `x.py differs between alpha and beta: the file of beta will be installed`."""
    more = len(overlap.files) - SHOWN_FILES
    files = ", ".join(overlap.files[:SHOWN_FILES]) + (f" and {count(more, 'more file')}" if more > 0 else "")
    differ, what = ("differs", "the file") if len(overlap.files) == 1 else ("differ", "the files")
    pair = f"{overlap.loser} and {overlap.winner}"
    return f"{files} {differ} between {pair}: {what} of {overlap.winner} will be installed"
