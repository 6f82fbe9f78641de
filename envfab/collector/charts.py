"""Numbers → inline SVG, without scripts and styles of its own: the style sheet colours it, also in the dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 26
WIDEST = 60.0  # of a column
_FRAME = Markup(
    '<svg class="plot {size.name}" viewBox="0 0 {size.width} {size.height}" role="img" aria-label="{label}"'
    ' focusable="false">{inside}</svg>'
)
# the style sheet shows one of them
_PLOTS = Markup("<div>{}</div>")
_GRID = Markup(
    '<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
    '<text class="scale" x="{x}" y="{y:.1f}" dy="4" text-anchor="end">{text}</text>'
)
_NAME = Markup('<text class="scale" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{text}</text>')
_COLUMN = Markup(
    '<rect class="column" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"><title>{text}</title></rect>'
)
_AREA = Markup('<path class="area" d="{area}"/><path class="line" d="{line}"/>')
_DASHED = Markup('<path class="dashed" d="{line}"/>')
_DOT = Markup('<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{text}</title></circle>')
_BAR = Markup(
    '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
    '<rect class="track" width="100" height="10"/><rect class="column" width="{w:.1f}" height="10"/></svg>'
)


@dataclass(frozen=True, slots=True)
class Point:
    """A number at a place on the time axis; `name` is what the axis says there."""

    place: int
    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Beside:
    """A second, dashed line, and what it shows."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Size:
    """A picture for wide pages, or for narrow ones: text must not shrink with the picture."""

    name: str
    width: int
    height: int

    @property
    def room(self) -> int:
        """The width that is left for what is drawn."""
        return self.width - LEFT - RIGHT


SIZES = (Size("wide", 1120, 240), Size("narrow", 480, 190))


def columns(points: Sequence[Point], title: str) -> Markup:
    """A column for each point, one beside the other; nothing for no points."""
    if not points:
        return Markup("")
    return _PLOTS.format(Markup("").join(_columns(points, title, size) for size in SIZES))


def line(points: Sequence[Point], title: str, beside: Beside | None = None) -> Markup:
    """A line through the points, as far from each other as their places are; nothing for no points."""
    if not points:
        return Markup("")
    return _PLOTS.format(Markup("").join(_line(points, title, beside, size) for size in SIZES))


def _columns(points: Sequence[Point], title: str, size: Size) -> Markup:
    ticks = scale(max(point.number for point in points))
    step = size.room / len(points)
    width = min(max(step * 0.8, min(step, 1.0)), WIDEST)
    drawn = []
    for number, point in enumerate(points):
        y = _height(point.number, ticks, size)
        x = LEFT + number * step + (step - width) / 2
        text = f"{point.name}: {_written(point.number)}"
        drawn.append(_COLUMN.format(x=x, y=y, w=width, h=size.height - BOTTOM - y, text=text))
    centres = [LEFT + (number + 0.5) * step for number in range(len(points))]
    return _framed([*_grid(ticks, size), *drawn, *_names(points, centres, size)], _label(title, points), size)


def _line(points: Sequence[Point], title: str, beside: Beside | None, size: Size) -> Markup:
    others = beside.points if beside is not None else ()
    ticks = scale(max(point.number for point in (*points, *others)))
    ends = points[0].place, points[-1].place
    xs = _across(points, ends, size)
    ys = [_height(point.number, ticks, size) for point in points]
    path = _path(xs, ys)
    bottom = size.height - BOTTOM
    area = f"{path} L{xs[-1]:.1f} {bottom} L{xs[0]:.1f} {bottom} Z"
    drawn = [*_grid(ticks, size), _AREA.format(area=area, line=path)]
    drawn += [
        _DOT.format(x=x, y=y, text=f"{point.name}: {_written(point.number)}")
        for point, x, y in zip(points, xs, ys, strict=True)
        if len(points) <= 60 or point is points[-1]
    ]
    label = _label(title, points)
    if beside is not None and others:
        heights = [_height(point.number, ticks, size) for point in others]
        drawn.append(_DASHED.format(line=_path(_across(others, ends, size), heights)))
        label += f"; dashed: {beside.name}, {_written(others[-1].number)} at the end"
    return _framed([*drawn, *_names(points, xs, size)], label, size)


def bar(part: float, whole: float) -> Markup:
    """A small bar, for beside a number that says the same."""
    return _BAR.format(w=100 * part / whole if whole else 0)


def scale(largest: int) -> tuple[int, ...]:
    """Round numbers from nought to at least `largest`, four or five of them; whole ones alone."""
    step = 1
    while step * 4 < largest:
        digits = str(step)
        step = int(("2" if digits[0] == "1" else "5" if digits[0] == "2" else "10") + "0" * (len(digits) - 1))
    count = max(1, -(-largest // step))
    return tuple(step * number for number in range(count + 1))


def _across(points: Sequence[Point], ends: tuple[int, int], size: Size) -> list[float]:
    """How far to the right each point is, where the axis goes from one place to another."""
    first, last = ends
    share = ((point.place - first) / (last - first) if last > first else 0.5 for point in points)
    return [LEFT + size.room * one for one in share]


def _path(xs: Sequence[float], ys: Sequence[float]) -> str:
    return " ".join(
        f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(zip(xs, ys, strict=True))
    )


def _height(number: int, ticks: Sequence[int], size: Size) -> float:
    return TOP + (size.height - TOP - BOTTOM) * (1 - number / ticks[-1])


def _grid(ticks: Sequence[int], size: Size) -> list[Markup]:
    return [
        _GRID.format(left=LEFT, right=size.width - RIGHT, x=LEFT - 6, y=_height(tick, ticks, size), text=_written(tick))
        for tick in ticks
    ]


def _names(points: Sequence[Point], xs: Sequence[float], size: Size) -> list[Markup]:
    """The first point's name, the last one's, and one in the middle where there is room."""
    places = sorted({0, len(points) // 2, len(points) - 1}) if len(points) > 4 else sorted({0, len(points) - 1})
    anchors = {0: "start", len(points) - 1: "end"} if len(points) > 1 else {}
    return [
        _NAME.format(x=xs[place], y=size.height - 7, anchor=anchors.get(place, "middle"), text=points[place].name)
        for place in places
    ]


def _label(title: str, points: Sequence[Point]) -> str:
    first, last = points[0], points[-1]
    if len(points) == 1:
        return f"{title}: {_written(last.number)} at {last.name}"
    return f"{title}: from {_written(first.number)} at {first.name} to {_written(last.number)} at {last.name}"


def _framed(parts: Sequence[Markup], label: str, size: Size) -> Markup:
    return _FRAME.format(size=size, label=label, inside=Markup("").join(parts))


def _written(number: int) -> str:
    return f"{number:,}".replace(",", "\u2009")
