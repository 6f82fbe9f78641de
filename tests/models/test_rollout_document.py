"""The document that a collector is told of a rollout by: written, read, and refused where it is not sound."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from envfab.models.rollout_document import (
    DriftFound,
    PackageChange,
    RolloutDocument,
    RolloutVirtualenv,
    rollout_from_json,
)

CHANGES = (PackageChange("upgrade", "Django", "5.1", "5.2"), PackageChange("remove", "lib", "1.0", None))
DOCUMENT = RolloutDocument(
    rollout="20261120-214900-9f3a",
    number=3,
    state="failed",
    task="deploy",
    who="anna",
    origin="laptop",
    command="fab deploy --yes",
    version="1.0",
    began="2026-11-20T21:49:00+00:00",
    ended="2026-11-20T21:50:00+00:00",
    slice="1/2",
    log="/home/anna/logs",
    approved_by=("bert",),
    out_of_service=("web2",),
    virtualenvs=(
        RolloutVirtualenv(
            owner="shop",
            host="web1",
            path="/srv/venv",
            status="deployed",
            deployment="20261120-214900-9f3a.1",
            changes=CHANGES,
            packages=(("Django", "5.2"),),
            interpreter="CPython 3.11.7",
            digest="0" * 64,
            drift=DriftFound(1, 2, "2026-11-19T10:00:00+00:00"),
            migrated=("shop.0002",),
            seconds=1.5,
        ),
        RolloutVirtualenv("shop", "web2", "/srv/venv", "failed", changes=CHANGES, message="no answer"),
    ),
)


def document() -> dict[str, Any]:
    return DOCUMENT.to_json()


def test_a_document_is_read_as_it_was_written() -> None:
    assert rollout_from_json(json.loads(json.dumps(document()))) == DOCUMENT


def test_changes_and_packages_of_many_virtualenvs_are_written_once() -> None:
    written = document()
    assert [one["changes"] for one in written["virtualenvs"]] == [0, 0]
    assert len(written["change_sets"]) == 1


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda one: one.update(format=2), "'format' is 2"),
        (lambda one: one.update(rollout="../x"), "'rollout' must be such as"),
        (lambda one: one.update(rollout="20261120-214900-9f3a\n"), "'rollout' must be such as"),
        (lambda one: one.update(number=-1), "'number' must be a whole number"),
        (lambda one: one.update(number=2**53), "'number' must be at most"),
        (lambda one: one["virtualenvs"][0]["drift"].update(files=10**30), "'files' must be at most"),
        (lambda one: one.update(state="done"), "'state' must be one of ended, failed"),
        (lambda one: one.pop("who"), "'who' is missing"),
        (lambda one: one.update(began="yesterday"), "'began' must be a time"),
        (lambda one: one.update(began="2026-11-20T21:49:00"), "'began' must be a time with its offset"),
        (lambda one: one.update(virtualenvs=[{}] * 20_001), "has 20001 entries"),
        (lambda one: one["virtualenvs"][0].update(changes=1), "'changes' is 1, and there are 1 sets"),
        (lambda one: one["virtualenvs"][0].update(status="fine"), "'status' must be one of"),
        (lambda one: one["virtualenvs"][0].update(digest="0" * 63), "'digest' must be a SHA-256"),
        (lambda one: one["virtualenvs"][0].update(seconds=float("nan")), "'seconds' must be a number"),
        (lambda one: one["virtualenvs"][0].update(seconds=True), "'seconds' must be a number"),
        (lambda one: one["change_sets"][0][0].update(action="break"), "'action' must be one of"),
        (lambda one: one["package_sets"].append([]), "an entry of 'package_sets' must be an object"),
        (lambda one: one["package_sets"].append({"lib": 1}), "an entry of 'versions' must be a text"),
    ],
)
def test_what_is_wrong_with_a_document_is_named(spoil: Callable[[dict[str, Any]], Any], problem: str) -> None:
    spoiled = document()
    spoil(spoiled)
    with pytest.raises(ValueError, match=problem):
        rollout_from_json(spoiled)


def test_text_for_people_is_one_line_that_no_terminal_obeys() -> None:
    spoiled = document()
    spoiled["who"] = "anna\x1b[31m\nroot"
    assert rollout_from_json(spoiled).who.isprintable()
