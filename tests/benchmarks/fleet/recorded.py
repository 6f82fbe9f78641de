"""Figures as a run would leave them, made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.fleet.results import Played, Results, Run

MIB = 2**20
ENVFAB = Played("envfab", "envfab", "`fab deploy --yes`", compiles=True, ours=True)
UV = Played("shell-uv", "shell, uv & ssh", "a script", compiles=False, ours=False)
PYINFRA = Played("pyinfra", "pyinfra", "a deploy", compiles=True, ours=False)


def recorded(walls: Mapping[tuple[str, str], Sequence[float]], *, hosts: int = 20) -> Results:
    """Results with these seconds by workload and contender, a round each; CPU is a half and a quarter of them.

    A round in which memory was looked for comes first, with seconds that nobody should see.
    """
    runs = [Run(name, workload, 0, 999.0, 999.0, 999.0, 64 * MIB) for workload, name in walls]
    runs += [
        Run(name, workload, turn, wall, wall / 2, wall / 4)
        for (workload, name), each in walls.items()
        for turn, wall in enumerate(each, 1)
    ]
    return Results("2026-11-20", hosts, 30, {"Python": "3.11.7"}, (ENVFAB, UV, PYINFRA), tuple(runs))


EVERYTHING = recorded(
    {
        ("nothing", "envfab"): [1.2, 1.0, 1.1],
        ("nothing", "shell-uv"): [1.5, 1.4, 1.6],
        ("nothing", "pyinfra"): [6.6, 6.5, 7.5],
        ("upgrade", "envfab"): [25.0, 26.0, 24.0],
        ("upgrade", "shell-uv"): [9.0, 8.0, 8.5],
        ("upgrade", "pyinfra"): [33.0],
        ("cold", "envfab"): [40.0, 41.0, 42.0],
        ("cold", "shell-uv"): [12.0, 12.0, 12.0],
    }
)
