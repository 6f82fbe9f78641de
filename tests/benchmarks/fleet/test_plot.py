"""Tests for the picture."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.fleet.plot import plot
from tests.benchmarks.fleet.recorded import EVERYTHING

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawn() -> ElementTree.Element:
    """The picture, as a reader of XML sees it."""
    return ElementTree.fromstring(plot(EVERYTHING))


def test_every_time_is_a_bar_with_its_number(drawn: ElementTree.Element) -> None:
    """There are as many bars as there are medians, each with its number beside it."""
    texts = [element.text for element in drawn.iter(f"{SVG}text")]
    assert len(list(drawn.iter(f"{SVG}rect"))) == 8
    assert {"1.10", "25.0", "41.0", "33.0"} <= set(texts)
    assert "shell, uv & ssh" in texts


def test_bars_are_as_long_as_times(drawn: ElementTree.Element) -> None:
    """Within a workload, twice the time is a bar of twice the length, also where bytecode divides the rows."""
    widths = [float(rect.attrib["width"]) for rect in drawn.iter(f"{SVG}rect")]
    assert widths[2] / widths[0] == pytest.approx(6.6 / 1.1, rel=0.01)
    assert widths[5] / widths[3] == pytest.approx(8.5 / 25.0, rel=0.01)


def test_nothing_leaves_the_picture(drawn: ElementTree.Element) -> None:
    """Bars end before the right edge, and the lowest row is inside."""
    _x, _y, width, height = (float(number) for number in drawn.attrib["viewBox"].split())
    for rect in drawn.iter(f"{SVG}rect"):
        assert float(rect.attrib["x"]) + float(rect.attrib["width"]) < width - 40
        assert float(rect.attrib["y"]) + float(rect.attrib["height"]) < height
