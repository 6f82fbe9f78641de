"""Numbers → SVG."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.collector.charts import SIZES, Point, bar, columns, line, scale

POINTS = st.lists(
    st.builds(Point, st.integers(0, 10**5), st.integers(0, 10**9), st.text(max_size=8)), min_size=1, max_size=80
).map(lambda points: sorted(points, key=lambda point: point.place))


@given(POINTS)
def test_every_number_is_inside(points: list[Point]) -> None:
    """Whatever the numbers, all that is drawn lies in the picture, and the picture is well-formed."""
    allowed = [Point(point.place, point.number, _printable(point.name)) for point in points]
    for picture in (columns(allowed, "Title"), line(allowed, "Title")):
        for size, root in zip(SIZES, ElementTree.fromstring(picture), strict=True):
            for shape in root.iter():
                x = float(shape.get("x", shape.get("cx", 0)))
                y = float(shape.get("y", shape.get("cy", 0)))
                assert 0 <= x <= x + float(shape.get("width", 0)) <= size.width + 0.1
                assert 0 <= y <= y + float(shape.get("height", 0)) <= size.height + 0.1


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())


@given(st.integers(0, 10**12))
def test_scales_are_round(largest: int) -> None:
    """A scale begins at nought, reaches the largest number, and has two to six even steps."""
    ticks = scale(largest)
    assert ticks[0] == 0
    assert ticks[-1] >= largest
    assert 2 <= len(ticks) <= 6
    assert {after - before for before, after in pairwise(ticks)} == {ticks[1]}


def test_a_scale() -> None:
    """Steps are 1, 2 or 5 times a power of ten."""
    assert scale(0) == (0, 1)
    assert scale(3) == (0, 1, 2, 3)
    assert scale(7) == (0, 2, 4, 6, 8)
    assert scale(202) == (0, 100, 200, 300)


def test_a_line_is_told_in_words() -> None:
    """Who does not see the line hears where it begins and ends."""
    picture = line([Point(0, 12, "2026-01-05"), Point(14, 3, "2026-01-19")], "Packages behind")
    for picture_of_a_size in ElementTree.fromstring(picture):
        assert picture_of_a_size.get("aria-label") == "Packages behind: from 12 at 2026-01-05 to 3 at 2026-01-19"


def test_places_are_kept() -> None:
    """A gap of weeks without numbers is a gap in the line."""
    picture = line([Point(0, 1, "a"), Point(7, 1, "b"), Point(28, 1, "c")], "Title")
    xs = [float(dot.get("cx", 0)) for dot in ElementTree.fromstring(picture).iter("circle")]
    assert (xs[1] - xs[0]) * 3 == pytest.approx(xs[2] - xs[1])


def test_names_are_text() -> None:
    """Markup in a name stays text."""
    assert "<b>" not in columns([Point(0, 1, "<b>")], "<b>")


def test_nothing_to_plot() -> None:
    """Without points there is no picture, and a bar of nothing is empty."""
    assert columns([], "Title") == line([], "Title") == ""
    assert 'width="0.0"' in bar(0, 0)
