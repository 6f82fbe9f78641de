"""Fixpoint of resolution: a solution that planning again after the deployment would not change."""

from __future__ import annotations

from dataclasses import replace

from envfab.planning.resolver import NoSolution, ResolutionProblem, Solution, resolve

_LOOKS = 5


def resolve_stable(problem: ResolutionProblem) -> Solution | NoSolution:
    """Resolve, then resolve again as if the solution were installed, until nothing changes.

    A search that backtracks may keep versions that it pinned because of a choice it then dropped. Without further
    searches, only the next plan would find the newer versions.
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
