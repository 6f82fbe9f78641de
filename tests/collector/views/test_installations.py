"""Installations that are counted without an id."""

from __future__ import annotations

import re

from tests.collector.conftest import MakeApp
from tests.collector.sending import report


def test_they_are_counted_a_week_and_class(make_app: MakeApp, database: str) -> None:
    """The page of a program shows each week by itself, the newest first, and leaves out what no client says."""
    client = make_app(database=database).test_client()
    for program, said in (
        ("prog", "2026-11-16 first week"), ("prog", "2026-11-16 first week"), ("prog", "2026-11-16 older"),
        ("prog", "2026-11-23 first month"), ("prog", "2026-11-23 <b>"), ("other", "2026-11-23 older"),
    ):  # fmt: skip
        client.post(f"/reports/{program}/", data=report(("version", "1"), ("installation", said)))
    text = client.get("/usage?program=prog").text
    (section,) = re.findall(r'<section aria-labelledby="installations">(.*?)</section>', text, re.DOTALL)
    rows = [re.findall(r">([^<]+)<", row) for row in re.findall(r"<tr>(.*?)</tr>", section)]
    assert rows == [
        ["Week from", "First week", "First month", "Half a year", "Older", "All"],
        ["2026-11-23", "0", "1", "0", "0", "1"],
        ["2026-11-16", "2", "0", "0", "1", "3"],
    ]
