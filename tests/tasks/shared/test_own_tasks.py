"""A fabfile's own tasks beside envfab's: none stands silently for another, and none vanishes without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fab import run_fab

OWN = """
from envfab import *
from invoke import Collection, task

@task
def restart_all(c):
    print("restarted")

@task
def {name}(c):
    print("mine")

fleet = Fleet(hosts=[])
"""


def fabfile(folder: Path, end: str, name: str = "other") -> Path:
    """A folder with a fabfile that has two tasks of its own, and `end`."""
    (folder / "fabfile.py").write_text(OWN.format(name=name) + end)
    return folder


def test_a_task_of_the_same_name_is_an_error(tmp_path: Path) -> None:
    """Beside the namespace: envfab's would run in the place of the fabfile's own."""
    folder = fabfile(tmp_path, "ns = collection(fleet)\n", name="deploy")
    done = run_fab(folder, "deploy", "--yes")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"envfab: {folder}/fabfile.py: two tasks are called 'deploy': the fabfile's own, and the one in its namespace `ns`",
        "  rename yours, or put envfab's in a collection: ns.add_collection(collection(fleet), name='env')",
    ]


@pytest.mark.parametrize(
    "call",
    [
        "ns.add_task(deploy)",
        "ns.add_task(restart_all, name='add_wheel')",
        "ns.add_task(restart_all, aliases=['plan'])",
        "ns.add_task(task(aliases=['add_wheel'])(lambda c: None), name='mine')",
        "ns.add_collection(Collection('plan', restart_all))",
    ],
)
def test_a_task_of_the_same_name_cannot_be_added(tmp_path: Path, call: str) -> None:
    """In the namespace: it would run in the place of envfab's."""
    done = run_fab(fabfile(tmp_path, f"ns = collection(fleet)\n{call}\n", name="deploy"), "targets")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "envfab has a task" in done.stderr


@pytest.mark.parametrize("typed", ["restart_all", "restart-all"])
def test_a_task_that_the_namespace_leaves_out_is_told_of(tmp_path: Path, typed: str) -> None:
    """Fabric has no idea of it; the message says how it gets in. That way it works, beside envfab's."""
    done = run_fab(fabfile(tmp_path, "ns = collection(fleet)\n"), typed)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"envfab: '{typed}' is a task of the fabfile that its namespace `ns` does not have",
        "  put it in: ns.add_task(restart_all)",
    ]
    fabfile(tmp_path, "ns = collection(fleet)\nns.add_task(restart_all)\n")
    assert run_fab(tmp_path, "restart_all", "targets").returncode == 1
    assert run_fab(tmp_path, "restart-all").stdout == "restarted\n"


def test_an_alias_of_a_task_that_is_left_out_is_told_of(tmp_path: Path) -> None:
    """Fabric has no idea of that either; what the message says to add is the variable, which has another name."""
    folder = fabfile(tmp_path, "@task(name='anew', aliases=['again'])\ndef mine(c): pass\nns = collection(fleet)\n")
    for name in ("again", "anew"):
        said = run_fab(folder, name).stderr
        assert f"'{name}' is a task of the fabfile that its namespace `ns` does not have" in said
        assert said.endswith("ns.add_task(mine)\n")


def test_a_function_without_task_is_told_of(tmp_path: Path) -> None:
    """Invoke ends with a traceback."""
    end = "def mine(): pass\nns = collection(fleet)\nns.add_task(mine)\n"
    done = run_fab(fabfile(tmp_path, end), "targets")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "mine is not a task\n  decorate it with @task of invoke" in done.stderr


def test_names_apart_are_both_there(tmp_path: Path) -> None:
    """A namespace of the fabfile's own, with envfab's tasks under a name."""
    end = "ns = Collection(deploy, restart_all)\nns.add_collection(collection(fleet), name='env')\n"
    folder = fabfile(tmp_path, end, name="deploy")
    assert run_fab(folder, "deploy").stdout == "mine\n"
    assert "no virtualenv is configured" in run_fab(folder, "env.targets").stdout
    missed = run_fab(folder, "add_wheel:dist/a.whl")
    assert missed.returncode == 1
    assert missed.stderr == (
        "envfab: 'add_wheel:dist/a.whl' is in a namespace of the fabfile\n  fab env.add_wheel:dist/a.whl\n"
    )
