"""Records of deployments: written and read back, older ones, newer ones, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.deployment.journal import Change, Installed, Record, from_json, retained, to_json
from envfab.errors import FormatError
from envfab.models.probe import LingeringProcess

TEXT = st.text(max_size=20)
MAYBE = st.none() | TEXT
RECORDS = st.builds(
    Record,
    rollout=TEXT,
    deployment=TEXT,
    who=TEXT,
    origin=TEXT,
    began=TEXT,
    step=TEXT,
    snapshot=st.lists(st.builds(Installed, TEXT, TEXT, TEXT), max_size=3).map(tuple),
    changes=st.lists(st.builds(Change, TEXT, TEXT, MAYBE, MAYBE, MAYBE, MAYBE), max_size=3).map(tuple),
    migrated=st.lists(TEXT, max_size=3).map(tuple),
    planned=st.lists(TEXT, max_size=3).map(tuple),
    ended=MAYBE,
    status=MAYBE,
    error=MAYBE,
    undoes=MAYBE,
    slice=MAYBE,
    plan=MAYBE,
    generation=st.none() | st.integers(0, 1 << 40),
    previous=st.none() | st.integers(0, 1 << 40),
    lingering=st.lists(
        st.builds(
            LingeringProcess,
            st.integers(1, 1 << 22),
            st.integers(0, 1 << 40),
            st.sampled_from(["gunicorn", "celery: w"]),
        ),
        max_size=2,
    ).map(tuple),
)
PLAIN = Record("r", "r.1", "anna", "laptop", "2026-11-20T21:49:00+00:00", "begin", (), ())


@given(RECORDS)
def test_what_is_written_is_read_back(record: Record) -> None:
    """Through JSON and back a record is the same."""
    assert from_json(json.loads(json.dumps(to_json(record))), "here") == record


def test_a_record_from_before_there_were_planned_migrations_is_read() -> None:
    """What later versions added is empty there."""
    document = to_json(PLAIN)
    for later in ("planned", "slice", "plan"):
        del document[later]
    assert from_json(document, "here") == PLAIN


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (
            {**to_json(PLAIN), "format": 2},
            "here: history.jsonl has format 2; this envfab reads formats up to 1\n"
            "  use the version of envfab that deployed there last, or a newer one",
        ),
        (5, "here: history.jsonl was not written by envfab\n  move it away: .envfab/history.jsonl"),
        ({"format": "1"}, "here: history.jsonl was not written by envfab\n  move it away: .envfab/history.jsonl"),
        (
            {"format": 1, "snapshot": [], "changes": 7},
            "here: invalid history.jsonl: 'changes' must be a list, not a number\n  move it away: .envfab/history.jsonl",
        ),
    ],
)
def test_what_is_no_record_is_one_clear_error(document: Any, says: str) -> None:
    """A newer format, or anything else: what, where, what to do."""
    with pytest.raises(FormatError) as caught:
        from_json(document, "here", "history")
    assert str(caught.value) == says


def test_wheels_of_the_last_deployments_are_kept() -> None:
    """Those of what was installed before each of the last `keep`, however the name was written."""
    records = [
        Record("r", f"r.{number}", "", "", "", "", (), (), generation=number + 1, previous=number)
        for number in range(4)
    ]
    assert retained(records, 2) == {2, 3}
    assert retained(records, 0) == frozenset()
