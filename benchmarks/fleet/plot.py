"""Results → one SVG: a bar for each contender, by workload, on a linear scale that begins with nought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from benchmarks.fleet.results import Figure, Played, Results, seconds
from benchmarks.fleet.workloads import COLD, NOTHING, UPGRADE

WIDTH, LEFT, RIGHT, STEP, THICK = 760, 230, 690, 24, 14
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 } .small { font-size: 12px; fill: #57606a }
.ours { font-weight: 600 } rect { fill: #a9b4c0 } rect.ours { fill: #2f6fb5 }
.axis { stroke: #d0d7de } .spread { stroke: #24292f; stroke-width: 1.2; fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9da7b1 } rect { fill: #5b6672 } rect.ours { fill: #58a0e8 }
  .axis { stroke: #3d444d } .spread { stroke: #e6edf3 }
}
"""


@dataclass(slots=True)
class Drawing:
    """What has been drawn, and how far down."""

    y: float = 0
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, text: str, *, kind: str = "", anchor: str = "start") -> None:
        """Words whose foot is at the present height."""
        self.parts.append(f'<text x="{x}" y="{self.y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>')

    def down(self, by: float) -> None:
        """Go on further below."""
        self.y += by


def plot(results: Results) -> str:
    """The whole picture."""
    drawing = Drawing()
    drawing.down(22)
    drawing.text(12, f"{results.hosts} virtualenvs brought in step, {results.packages} packages each", kind="title")
    drawing.down(20)
    drawing.text(
        12, f"seconds, less is better; medians of {results.rounds} rounds, whiskers from least to most", kind="small"
    )
    for workload in (NOTHING, UPGRADE, COLD):
        everybody = results.ranked(workload.name)
        if not everybody:
            continue
        most = max(figure.most for _one, figure in everybody)
        drawing.down(38)
        drawing.text(12, workload.title, kind="title")
        if workload is NOTHING:
            _group(drawing, everybody, most)
            continue
        for compiles, text in ((True, "leaves bytecode"), (False, "leaves none")):
            if group := results.ranked(workload.name, compiles=compiles):
                drawing.down(22)
                drawing.text(LEFT - 10, text, kind="small", anchor="end")
                _group(drawing, group, most)
    height = drawing.y + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="Seconds that each contender takes, by workload"><style>{STYLE}</style>\n'
        + "\n".join(drawing.parts)
        + "\n</svg>\n"
    )


def _group(drawing: Drawing, ranked: Sequence[tuple[Played, Figure]], most: float) -> None:
    """Bars one below the other, with a line to the left of all."""
    top = drawing.y + 8
    for one, figure in ranked:
        drawing.down(STEP)
        _bar(drawing, one, figure, (RIGHT - LEFT) / most)
    bottom = drawing.y + 8
    drawing.parts.append(f'<line class="axis" x1="{LEFT}" x2="{LEFT}" y1="{top}" y2="{bottom}"/>')


def _bar(drawing: Drawing, one: Played, figure: Figure, scale: float) -> None:
    kind = "ours" if one.ours else ""
    drawing.text(LEFT - 10, one.title, kind=kind, anchor="end")
    top = drawing.y - 11.5
    drawing.parts.append(
        f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{figure.median * scale:.1f}" height="{THICK}"/>'
    )
    least, highest = (LEFT + number * scale for number in (figure.least, figure.most))
    if highest - least > 1:
        middle = top + THICK / 2
        drawing.parts.append(
            f'<path class="spread" d="M{least:.1f} {middle - 4}v8M{least:.1f} {middle}H{highest:.1f}m0 -4v8"/>'
        )
    drawing.text(round(highest + 8, 1), seconds(figure.median), kind=kind)
