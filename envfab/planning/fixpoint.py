"""The solution that planning again, once it is carried out, would leave as it is."""

from __future__ import annotations

from dataclasses import replace

from envfab.planning.resolver import NoSolution, ResolutionProblem, Solution, resolve

_LOOKS = 5


def resolve_stable(problem: ResolutionProblem) -> Solution | NoSolution:
    """Resolve, then again as if the solution were installed, until nothing changes.

    A search that goes back on a choice may keep what it had pinned for that choice's sake, so that a newer version,
    which is fine by then, would be found by the next plan only.
    """
    solution = resolve(problem)
    for _ in range(_LOOKS):
        if isinstance(solution, NoSolution) or all(candidate.wheel is None for candidate in solution.chosen.values()):
            break
        assuming = replace(problem.candidates, assumed=solution.chosen)
        again = resolve(replace(problem, candidates=assuming))
        if isinstance(again, NoSolution) or again.chosen == solution.chosen:
            break
        solution = again
    return solution
