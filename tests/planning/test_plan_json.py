"""A plan's JSON, and the key under which virtualenvs with the same plan are shown once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from envfab.config.target import Target
from envfab.errors import FormatError
from envfab.models.wheel import Wheel
from envfab.planning.plan import Action, ActionKind, Ahead, Missing, Newer, Overlap, Plan, Status
from envfab.planning.plan_json import from_json, plan_key, to_json
from envfab.planning.planner import plan
from tests.planning.catalogue import probe, requirements, wheelhouse

texts = st.text(max_size=12)
names = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,6}[A-Za-z0-9]", fullmatch=True)
versions = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}(rc[0-9]|\+corp[0-9])?", fullmatch=True)
targets = st.builds(Target, texts, texts, texts)


@st.composite
def actions(draw: st.DrawFn) -> Action:
    """An action as the planner makes them: its wheel is shown by the same name."""
    name = draw(names)
    kind = draw(st.sampled_from(ActionKind))
    wheel = None
    if kind is not ActionKind.REMOVE:
        escaped = canonicalize_name(name).replace("-", "_")
        digest = draw(st.none() | st.text("0123456789abcdef", min_size=64, max_size=64))
        wheel = Wheel.from_filename(f"{escaped}-{draw(versions)}-py3-none-any.whl", digest, name)
    required_by = tuple(draw(st.lists(names, max_size=2)))
    return Action(kind, canonicalize_name(name), name, draw(st.none() | versions), wheel, draw(texts), required_by)


plans = st.builds(
    Plan,
    target=targets,
    status=st.sampled_from(Status),
    python=st.none() | versions,
    actions=st.lists(actions(), max_size=3).map(tuple),
    ahead=st.lists(st.builds(Ahead, names, versions, st.none() | versions), max_size=2).map(tuple),
    overlaps=st.lists(st.builds(Overlap, names, names, st.lists(texts, max_size=2).map(tuple)), max_size=2).map(tuple),
    missing=st.lists(st.builds(Missing, texts, texts, texts), max_size=2).map(tuple),
    conflicts=st.lists(texts, max_size=2).map(tuple),
    warnings=st.lists(texts, max_size=2).map(tuple),
    fingerprint=st.none() | texts,
    error=st.none() | texts,
)


@given(plans)
def test_what_is_written_is_what_is_read(made: Plan) -> None:
    """A plan survives JSON, through text and back."""
    assert from_json(json.loads(json.dumps(to_json(made)))) == made


@given(plans, targets, texts)
def test_the_key_does_not_depend_on_whose_plan_it_is(made: Plan, target: Target, fingerprint: str) -> None:
    """The same plan for another virtualenv is shown once."""
    # where the plan has an error, it names the virtualenv
    first, second = Target("ada", f"h{made.target.host}", "/srv/v"), Target(target.owner, f"h{target.host}", "/srv/w")
    error = made.error is not None
    one, other = (
        replace(made, target=whose, fingerprint=mark, error=f"{whose.host}: no {whose.path}" if error else None)
        for whose, mark in ((first, made.fingerprint), (second, fingerprint))
    )
    assert plan_key(one) == plan_key(other)


@pytest.mark.parametrize(
    "change",
    [
        {"actions": ()},
        {"ahead": (Ahead("a", "2", "1"),)},
        {"overlaps": (Overlap("a", "b", ("x.py",)),)},
        {"missing": (Missing("a", "b", "c"),)},
        {"conflicts": ("no",)},
        {"warnings": ("look",)},
        {"status": Status.BLOCKED},
        {"python": "3.8.10"},
        {"error": "gone"},
        {"newer": (Newer("a", "1", "2"),)},
        {"upgrade": ("a",)},
    ],
)
def test_whatever_is_shown_makes_another_key(change: dict[str, Any]) -> None:
    """Nobody agrees to a plan that differs in anything they could see."""
    made = plan(probe(), requirements("a"), wheelhouse(["a==1"]))
    assert plan_key(replace(made, **change)) != plan_key(made)


def test_the_shape_that_is_documented() -> None:
    """Programs read `fab plan --json` by these names; others may be added."""
    made = plan(probe("Django==5.1"), requirements("Django"), wheelhouse({"Django==5.2": []}))
    document = to_json(made)
    sha256 = document["actions"][0].pop("sha256")
    assert len(sha256) == 64
    expected = {
        "target": "shop@web1:/srv/shop/venv",
        "host": "web1",
        "user": "shop",
        "path": "/srv/shop/venv",
        "python": "3.11.7",
        "status": "changes",
        "actions": [
            {
                "action": "upgrade",
                "name": "Django",
                "installed": "5.1",
                "version": "5.2",
                "wheel": "django-5.2-py2.py3-none-any.whl",
                "reason": "requirements.txt:1",
                "required_by": [],
            }
        ],
        "ahead": [],
        "missing": [],
        "conflicts": [],
        "warnings": [],
        "fingerprint": "fingerprint",
        "error": None,
    }
    assert {key: document[key] for key in expected} == expected


def test_keys_of_a_later_version_are_passed_over() -> None:
    """Other keys may be added without a new format."""
    document = to_json(plan(probe(), requirements("a"), wheelhouse(["a==1"])))
    document["actions"][0]["size"] = 12
    assert from_json({**document, "estimate": "soon"}) == from_json(document)


def test_a_plan_of_an_earlier_version_is_read() -> None:
    """It lacks what was added since, and what is null or empty may be left out."""
    made = plan(probe(), requirements("a"), wheelhouse(["a==1"]))
    document = {key: value for key, value in to_json(made).items() if value not in (None, [], False)}
    document["actions"] = [{key: value for key, value in document["actions"][0].items() if value not in (None, [])}]
    assert len(document) < len(to_json(made))
    assert from_json(document) == made


def install(**change: Any) -> dict[str, Any]:
    """A plan's actions with one that differs."""
    action = {"action": "install", "name": "a", "installed": None, "version": "1", "reason": "", "sha256": None}
    return {"actions": [{**action, "wheel": "a-1-py3-none-any.whl", **change}]}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": "perhaps"}, "'perhaps' is not a valid Status"),
        ({"actions": [{}]}, "'name' is missing"),
        ({"actions": None}, "'actions' must be a list, not null"),
        ({"actions": [5]}, "an entry of 'actions' must be an object, not a number"),
        ({"target": 5, "user": 5}, "'user' must be a text, not a number"),
        ({"conflicts": [["no"]]}, "an entry of 'conflicts' must be a text, not a list"),
        ({"newer": [{"name": "a", "installed": "1"}]}, "'available' is missing"),
        (install(name="--help"), "'name' must be a project name, not '--help'"),
        (install(name="-r/etc/passwd"), "'name' must be a project name, not '-r/etc/passwd'"),
        (install(action="remove"), "a: every action but remove must have a wheel, and this one is remove"),
        (install(wheel=None), "a: every action but remove must have a wheel, and this one is install"),
        (install(wheel="b-1-py3-none-any.whl"), "a: b-1-py3-none-any.whl is the wheel of another release"),
        (install(version="2"), "a: a-1-py3-none-any.whl is the wheel of another release"),
        (install(sha256="11"), "a: 'sha256' must be 64 hex digits, not '11'"),
        (install(installed=["1"]), "'installed' must be a text, not a list"),
        (install(wheel=f"a-{'1' * 5000}-py3-none-any.whl"), "'wheel' has 5019 characters, and may have 4000"),
        (
            {"actions": [{"action": "install", "name": "a", "installed": None, "wheel": "a.zip", "sha256": "", "reason": ""}]},
            "a.zip: ",
        ),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused(change: dict[str, Any], problem: str) -> None:
    """A damaged file is one line, with what to do."""
    document = to_json(plan(probe(), requirements("a"), wheelhouse(["a==1"])))
    with pytest.raises(FormatError) as caught:
        from_json({**document, **change})
    assert str(caught.value).startswith(f"not a valid plan: {problem}")
    assert str(caught.value).endswith("\n  make a new one with fab plan --json")
    assert len(str(caught.value)) < 350
