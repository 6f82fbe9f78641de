"""Times in words, links that are links, bytes that can be seen."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.collector.days import DAY
from envfab.collector.template_filters import ago, breakable, is_link, shown_bytes


@pytest.mark.parametrize("url", ["http://web1", "https://example.org/x?y#z", "HTTP://web1"])
def test_links(url: str) -> None:
    """http and https are links."""
    assert is_link(url)


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "data:text/html,x", "//example.org", "http:",
     "vbscript:x", "ftp://example.org", "http://[", "", "web1", "java\tscript:alert(1)", "file:///etc/passwd"],
)  # fmt: skip
def test_no_links(url: str) -> None:
    """Anything else is text."""
    assert not is_link(url)


def test_how_long_ago() -> None:
    """A time in the past, roughly; clocks that differ a little make no future."""
    now = 10**13
    assert ago(now, now) == ago(now + 5000, now) == "just now"
    assert ago(now - 60_000, now) == "1 minute ago"
    assert ago(now - 5 * DAY, now) == "5 days ago"
    assert ago(now - 800 * DAY, now) == "2 years ago"


@given(st.binary())
def test_shown_bytes_can_be_seen(data: bytes) -> None:
    """No byte moves a terminal's cursor, turns text around, or is lost."""
    shown = shown_bytes(data)
    assert all(character in "\n\t" or character.isprintable() for character in shown)
    assert len(shown) >= len(data.decode("utf-8", "replace"))


def test_long_words_may_be_broken() -> None:
    """After separators; without them anywhere, and short words nowhere. Markup stays text."""
    assert breakable("python-dateutil is short") == "python-dateutil is short"
    assert breakable("https://web1.example.org/") == "https://<wbr>web1.<wbr>example.<wbr>org/"
    assert breakable("web1.example.org") == "web1.example.org"
    assert breakable("web1.example.org", 10) == "web1.<wbr>example.<wbr>org"
    assert breakable("x" * 30) == f'<span class="long">{"x" * 30}</span>'
    assert breakable("<b>" + "y" * 20) == f"&lt;<wbr>b&gt;<wbr>{'y' * 20}"
    assert re.sub("<[^>]+>", "", breakable("a-b " * 9 + "z" * 99)) == "a-b " * 9 + "z" * 99
