"""Results → Markdown: what docs/benchmarks.md and the README show between their markers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.fleet.bars import Verdict, verdicts
from benchmarks.fleet.results import Figure, Played, Results, seconds
from benchmarks.fleet.workloads import COLD, NOTHING, PLAN, ROLLBACK, TEN_FIRST, TEN_REST, UPGRADE

SECTIONS = (NOTHING, UPGRADE, COLD)
WITH, WITHOUT = "These leave bytecode:", "These leave none (Python compiles later, when a module is first imported):"
TEN_TITLE = "Ten virtualenvs on one host"
ROLLBACK_TITLE = "All hosts rolled back, after the upgrade"
PLOT_TEXT = "Seconds that each takes, by workload"


def document(results: Results) -> str:
    """The generated part of docs/benchmarks.md."""
    parts = [_setting(results), f"![{PLOT_TEXT}](benchmarks.svg)"]
    parts += ["### The bars", _bars(results)] if verdicts(results) else []
    for workload in SECTIONS:
        if not results.ranked(workload.name):
            continue
        parts.append(f"### {workload.title}")
        if workload is NOTHING:
            parts.append(_table(results, workload.name, results.ranked(workload.name)))
        else:
            for compiles, text in ((True, WITH), (False, WITHOUT)):
                if ranked := results.ranked(workload.name, compiles=compiles):
                    parts += [text, _table(results, workload.name, ranked)]
    for title, table_of in ((TEN_TITLE, _ten), (ROLLBACK_TITLE, _rollback)):
        if rows := table_of(results):
            parts += [f"### {title}", rows]
    parts += ["### Who they are", _contenders(results), "### The machine", _facts(results)]
    return "\n\n".join(parts)


def gist(results: Results) -> str:
    """The README's part: the plot, and the medians in one table."""
    found = {
        one.name: [results.wall(workload.name, one.name) for workload in SECTIONS]
        for one in sorted(results.contenders, key=lambda one: (not one.ours, one.name.startswith("shell")))
    }
    played = {one.name: one for one in results.contenders}
    rows = [
        [
            _title(played[name]),
            *(seconds(figure.median) for figure in figures if figure),
            _leaves(played[name]),
        ]
        for name, figures in found.items()
        if all(figures)
    ]
    head = ["seconds", *(workload.title.partition(":")[0].lower() for workload in SECTIONS), "bytecode"]
    judged = verdicts(results)
    met = sum(verdict.met for verdict in judged)
    kept = f"; {met} of {len(judged)} [bars](docs/benchmarks.md#the-bars) met" if judged else ""
    return "\n\n".join(
        [
            "## Speed",
            f"{results.hosts} virtualenvs on as many hosts, {results.packages} packages each, beside what else does it "
            f"(medians of {results.rounds} rounds{kept}):",
            f"![{PLOT_TEXT}](docs/benchmarks.svg)",
            table(head, rows),
            "How that was measured, what it costs beside time, and how to run it: [benchmarks](docs/benchmarks.md).",
        ]
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; all columns but the first are of numbers or of few words."""
    lines = [list(head), ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _setting(results: Results) -> str:
    return (
        f"Measured on {results.date}: {results.hosts} hosts, {results.packages} packages a virtualenv, "
        f"{results.rounds} rounds ([every run](../benchmarks/results/fleet.json)). Times are medians, with least and "
        "most in parentheses."
    )


def _bars(results: Results) -> str:
    judged = verdicts(results)
    rows = [
        [verdict.bar.workload, verdict.bar.text, f"{verdict.measured:.2f} {verdict.bar.unit}", _judgement(verdict)]
        for verdict in judged
    ]
    return table(["workload", "bar", "measured", "verdict"], rows)


def _judgement(verdict: Verdict) -> str:
    return f"met, with {verdict.by:.1%} to spare" if verdict.met else f"**missed by {verdict.by:.1%}**"


def _table(results: Results, workload: str, ranked: Sequence[tuple[Played, Figure]]) -> str:
    head = ["", "seconds", "controller's CPU, s", "managed side's CPU, s a host", "controller's memory, MiB"]
    fewer = any(_rounds(results, workload, one) < results.rounds for one, _figure in ranked)
    rows = []
    for one, wall in ranked:
        controller, managed = results.controller(workload, one.name), results.managed(workload, one.name)
        memory = results.memory(workload, one.name)
        rows.append(
            [
                _title(one), spread(wall), spread(controller), spread(managed),
                f"{memory / 2**20:.0f}" if memory else "-",
                *([str(_rounds(results, workload, one))] if fewer else []),
            ]
        )  # fmt: skip
    return table([*head, *(["rounds"] if fewer else [])], rows)


def spread(figure: Figure | None) -> str:
    """A median with least and most, where these are others."""
    if figure is None:
        return "-"
    text = seconds(figure.median)
    if figure.least == figure.most:
        return text
    return f"{text} ({seconds(figure.least)} - {seconds(figure.most)})"


def _ten(results: Results) -> str:
    rows = [
        [_title(one), spread(first), spread(rest)]
        for one in results.contenders
        if (first := results.wall(TEN_FIRST, one.name)) and (rest := results.wall(TEN_REST, one.name))
    ]
    return table(["", "the first, seconds", "the later nine together, seconds"], rows) if rows else ""


def _rollback(results: Results) -> str:
    rows = [
        [_title(one), spread(plan), spread(rollback), spread(results.managed(ROLLBACK, one.name))]
        for one in results.contenders
        if (plan := results.wall(PLAN, one.name)) and (rollback := results.wall(ROLLBACK, one.name))
    ]
    head = ["", "`fab plan`, seconds", "`fab rollback --yes`, seconds", "managed side's CPU, s a host"]
    return table(head, rows) if rows else ""


def _contenders(results: Results) -> str:
    return "\n".join(f"- {_title(one)}: {one.about}" for one in results.contenders)


def _facts(results: Results) -> str:
    return table(["", ""], [[name, value] for name, value in results.facts.items()]).replace("---:", "---")


def _rounds(results: Results, workload: str, one: Played) -> int:
    return len(results.timed(workload, one.name))


def _title(one: Played) -> str:
    return f"**{one.title}**" if one.ours else one.title


def _leaves(one: Played) -> str:
    return "yes" if one.compiles else "no"
