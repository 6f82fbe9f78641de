"""Hosts that a function of the fabfile returns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from envfab import Fleet, Host, Virtualenv
from envfab.errors import ConfigurationError
from tests.support.fab import run_fab

FABFILE = """
from pathlib import Path
from envfab import Fleet, Host, Virtualenv, collection

def hosts():
    with open(Path(__file__).with_name("asked"), "a") as file:
        file.write("asked\\n")
    {body}

ns = collection(Fleet(hosts=hosts))
"""


def test_the_function_is_called_once_and_when_it_is_needed() -> None:
    """A generator serves as well as a list, and the order is its own."""
    asked: list[None] = []

    def hosts() -> Iterator[Host]:
        asked.append(None)
        yield Host("web2")
        yield Host("web1")

    fleet = Fleet(hosts=hosts)
    repr(fleet)
    assert not asked
    assert [host.name for host in fleet.all_hosts()] == ["web2", "web1"]
    assert fleet.all_hosts()[0].name == "web2"
    assert len(fleet.all_hosts()) == 2
    assert len(asked) == 1


def failing() -> Any:
    """Fail as a missing file does."""
    raise FileNotFoundError(2, "No such file or directory", "inventory.json")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (failing, "Fleet.hosts: cannot get the hosts: failing() raised FileNotFoundError: "
         "[Errno 2] No such file or directory: 'inventory.json'"),
        (lambda: "web1", "Fleet.hosts: what <lambda>() returns: must be a list of Host(…), not 'web1'"),
        (lambda: None, "Fleet.hosts: what <lambda>() returns: must be a list of Host(…), not None"),
        (lambda: ["web1"], "Fleet.hosts: what <lambda>() returns: must hold only Host(…), not 'web1'"),
        (lambda: [Host("a"), Host("a")], "Fleet.hosts: what <lambda>() returns: two hosts are named 'a'"),
    ],
)  # fmt: skip
def test_what_is_not_a_list_of_hosts_is_an_error(function: Callable[[], Any], message: str) -> None:
    """As with a list, but told when the hosts are needed; and the function is asked again the next time."""
    fleet = Fleet(hosts=function)
    for _ in range(2):
        with pytest.raises(ConfigurationError) as caught:
            fleet.members(lambda _host: "me")
        assert message in str(caught.value)


def test_what_a_function_returns_is_refused_without_a_line_of_other_programs(tmp_path: Path) -> None:
    """Its hosts are checked while a task runs: the calling line is Invoke's then, and not the fabfile's."""
    (tmp_path / "fabfile.py").write_text(FABFILE.format(body="return None"))
    done = run_fab(tmp_path, "targets")
    assert done.returncode == 1
    assert done.stderr == "envfab: Fleet.hosts: what hosts() returns: must be a list of Host(…), not None\n"


def test_a_function_that_fails_ends_the_task_with_its_reason(tmp_path: Path) -> None:
    """Exit 1 and one message; `fab --list` does not ask, and a task asks once."""
    (tmp_path / "fabfile.py").write_text(FABFILE.format(body="raise ValueError('no inventory')"))
    assert run_fab(tmp_path, "--list").returncode == 0
    assert not (tmp_path / "asked").exists()
    done = run_fab(tmp_path, "targets")
    assert done.returncode == 1
    assert done.stderr == "envfab: Fleet.hosts: cannot get the hosts: hosts() raised ValueError: no inventory\n"


def test_a_task_asks_once(tmp_path: Path) -> None:
    """However often it needs the hosts."""
    (tmp_path / "fabfile.py").write_text(
        FABFILE.format(body="return [Host('localhost', virtualenvs=[Virtualenv('/srv/v')])]")
    )
    assert "localhost:/srv/v" in run_fab(tmp_path, "targets").stdout
    assert run_fab(tmp_path, "plan:%nothing").returncode == 1
    assert (tmp_path / "asked").read_text() == "asked\nasked\n"


def test_five_thousand_hosts_cost_little() -> None:
    """Less than 0.3 CPU seconds, from the function to the members; the best of three, since others work beside."""

    def hosts() -> Iterator[Host]:
        for number in range(5000):
            yield Host(f"web{number}", groups="web", virtualenvs=[Virtualenv("/srv/shop", requirements="shop.txt")])

    def seconds() -> float:
        began = time.process_time()
        assert len(Fleet(hosts=hosts).members(lambda _host: "me")) == 5000
        return time.process_time() - began

    assert min(seconds() for _ in range(3)) < 0.3
