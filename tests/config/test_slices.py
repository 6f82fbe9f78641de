"""Slices: the division of a fleet, whatever the fleet."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.project import Project
from envfab.config.slices import Slice, databases, divide, fingerprint, unlabelled
from envfab.config.virtualenv import Virtualenv
from envfab.errors import UsageError

ROOT = Path(__file__).parents[2]


def host(name: str, virtualenvs: int = 1, *labels: str, reload_once: bool = False, user: str | None = "shop") -> Host:
    """A host with so many virtualenvs, the first of which has a project for each database label."""
    projects = [Project(f"site{number}.settings", database=label) for number, label in enumerate(labels)]
    made = [
        Virtualenv(f"/srv/v{number}", user=user, projects=projects if number == 0 else ())
        for number in range(virtualenvs)
    ]
    return Host(name, virtualenvs=made, reload_once=reload_once)


@st.composite
def fleets(draw: st.DrawFn) -> list[Host]:
    """Fleets of up to 30 hosts, of which some share databases, some reload once, and some have no virtualenv."""
    labels = st.lists(st.sampled_from([f"db{number}" for number in range(12)]), max_size=2)
    return [
        host(f"web{number}", draw(st.integers(0, 6)), *draw(labels), reload_once=draw(st.booleans()))
        for number in range(draw(st.integers(0, 30)))
    ]


counts = st.integers(1, 40)


class TestDivision:
    @given(fleets(), counts)
    def test_all_slices_together_are_the_fleet(self, fleet: list[Host], number: int) -> None:
        """Each host that has virtualenvs is in exactly one slice."""
        found = [name for part in divide(fleet, number) for name in part]
        assert sorted(found) == sorted(one.name for one in fleet if one.virtualenvs)

    @given(fleets(), counts)
    def test_hosts_that_share_a_database_stay_together(self, fleet: list[Host], number: int) -> None:
        """A database is used in one slice only."""
        slices = divide(fleet, number)
        for label in {label for one in fleet for label in databases(one)}:
            users = {one.name for one in fleet if label in databases(one)}
            assert sum(bool(users & part) for part in slices) == 1

    @given(fleets(), counts, st.randoms(use_true_random=False))
    def test_the_order_of_the_fabfile_does_not_matter(
        self, fleet: list[Host], number: int, shuffling: random.Random
    ) -> None:
        """A fabfile that lists the same hosts in another order divides alike."""
        shuffled = list(fleet)
        shuffling.shuffle(shuffled)
        assert divide(shuffled, number) == divide(fleet, number)

    @given(fleets(), counts)
    def test_no_slice_is_empty_unless_groups_are_too_few(self, fleet: list[Host], number: int) -> None:
        """There are as many slices as asked for, or as many as there are groups of hosts."""
        slices = divide(fleet, number)
        groups = len(divide(fleet, 1_000_000))
        assert all(slices)
        assert len(slices) == min(number, groups)

    @given(fleets(), counts)
    def test_slices_are_balanced(self, fleet: list[Host], number: int) -> None:
        """Two slices differ by no more virtualenvs than the larger one's smallest group has."""
        weights = {one.name: len(one.virtualenvs) for one in fleet}
        groups = [sum(weights[name] for name in part) for part in divide(fleet, 1_000_000)]
        slices = [sum(weights[name] for name in part) for part in divide(fleet, number)]
        assert max(slices, default=0) - min(slices, default=0) <= max(groups, default=0)

    def test_databases_join_hosts_over_others(self) -> None:
        """Two hosts that share no database stay together if a third one shares one with each."""
        fleet = [host("a", 1, "x"), host("b", 1, "x", "y"), host("c", 1, "y"), host("d")]
        assert sorted(map(sorted, divide(fleet, 4))) == [["a", "b", "c"], ["d"]]

    def test_the_largest_come_first(self) -> None:
        """A host of many virtualenvs has a slice to itself, where the others are balanced without it."""
        fleet = [host("a", 1), host("b", 1), host("c", 1), host("d", 3)]
        assert divide(fleet, 2) == (frozenset({"d"}), frozenset({"a", "b", "c"}))

    def test_ten_thousand_hosts_are_divided_evenly(self) -> None:
        """Of equal hosts no slice has more than one more than another."""
        sizes = [len(part) for part in divide([host(f"web{number}") for number in range(10_000)], 7)]
        assert sorted(sizes) == [1428] * 3 + [1429] * 4

    def test_a_long_chain_of_databases_is_one_group(self) -> None:
        """Thousands of hosts, each sharing a database with the next, are never divided."""
        chain = [host(f"web{number:04}", 1, f"db{number}", f"db{number + 1}") for number in range(3000)]
        assert len(divide(chain, 8)) == 1

    def test_another_process_divides_alike(self) -> None:
        """Neither the hash seed nor the process matters."""
        script = (
            "from tests.config.test_slices import host; from envfab.config.slices import divide;"
            "fleet = [host(name, len(name) % 4, 'db' + name[3:4]) for name in {f'web{n * n}' for n in range(60)}];"
            "print([sorted(part) for part in divide(fleet, 5)])"
        )
        said = {
            subprocess.run(
                [sys.executable, "-c", script],
                cwd=ROOT,
                env={"PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2", "3")
        }
        assert len(said) == 1


class TestParsing:
    @given(st.integers(1, 10**9 - 1).flatmap(lambda of: st.tuples(st.integers(1, of), st.just(of))))
    def test_what_is_formatted_is_parsed(self, numbers: tuple[int, int]) -> None:
        """A slice's text is that slice."""
        assert Slice.parse(str(Slice(*numbers))) == Slice(*numbers)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "/",
            "3",
            "3/",
            "/8",
            "a/b",
            "-1/8",
            "+1/8",
            "1/-8",
            " 1/8",
            "1 /8",
            "1/8 ",
            "1/8\n",
            "1/8/2",
            "1.0/8",
            "1/8%",
            "3 of 8",
            "\uff11/\uff18",
            "1/0x8",
            f"{10**9}/8",
            f"1/{10**4000}",
            "\x1b[31m/8",
        ],
    )
    def test_what_is_not_two_numbers_is_refused(self, text: str) -> None:
        """The message is short, says what it must be, and steers no terminal."""
        with pytest.raises(UsageError, match=r"^--slice: must be K/N, such as 3/8, not '") as caught:
            Slice.parse(text)
        assert len(str(caught.value)) < 240
        assert "\x1b" not in str(caught.value)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("9/8", "--slice: there is no slice 9/8\n  8 slices are numbered from 1 to 8"),
            ("0/8", "--slice: there is no slice 0/8\n  8 slices are numbered from 1 to 8"),
            ("2/1", "--slice: there is no slice 2/1\n  a single slice is 1/1"),
            ("0/0", "--slice: 0/0: a fleet cannot be divided into 0 slices"),
            ("1/0", "--slice: 1/0: a fleet cannot be divided into 0 slices"),
        ],
    )
    def test_a_slice_that_does_not_exist_is_refused(self, text: str, says: str) -> None:
        """The message has the slices that exist."""
        with pytest.raises(UsageError) as caught:
            Slice.parse(text)
        assert str(caught.value) == says


class TestHosts:
    def test_a_slice_of_an_empty_fleet_is_refused(self) -> None:
        """Hosts without virtualenvs are nothing to divide."""
        for fleet in ([], [Host("web1")]):
            with pytest.raises(UsageError) as caught:
                Slice(1, 2).hosts_of(fleet)
            assert str(caught.value) == "--slice: the fleet has no virtualenvs that could be divided into slices"

    def test_an_empty_slice_says_how_many_there_can_be(self) -> None:
        """Slices with fewer numbers are not empty, and not refused."""
        fleet = [host("a", 1, "x"), host("b", 1, "x"), host("c")]
        assert Slice(1, 999_999_999).hosts_of(fleet) == {"a", "b"}
        assert Slice(2, 8).hosts_of(fleet) == {"c"}
        with pytest.raises(UsageError) as caught:
            Slice(3, 8).hosts_of(fleet)
        assert str(caught.value) == (
            "--slice: slice 3/8 is empty: the fleet can be divided into 2 slices at most\n"
            "  hosts stay whole, and together where they share a database: use --slice K/2"
        )


def test_unlabelled_databases_that_two_slices_may_share_are_found() -> None:
    """Only settings modules that are migrated, have no label, and are in another slice as well."""

    def one(name: str, *projects: Project) -> Host:
        return Host(name, virtualenvs=[Virtualenv("/srv/v", projects=projects)])

    fleet = [
        one("a", Project("shop.settings"), Project("here.settings"), Project("still.settings")),
        one("b", Project("shop.settings", database="b"), Project("named.settings", database="n")),
        one("c", Project("shop.settings"), Project("still.settings", migrate=False)),
    ]
    assert unlabelled(fleet, frozenset({"a"})) == ["shop.settings"]
    assert unlabelled(fleet, frozenset({"a", "c"})) == []
    assert unlabelled(fleet, frozenset({"b"})) == []


def digest(hosts: Sequence[Host], login: str = "me") -> str:
    """The fingerprint of a fleet."""
    return fingerprint(Fleet(hosts=hosts).members(lambda _host: login))


class TestFingerprint:
    @pytest.mark.parametrize(
        "other",
        [
            [host("a", 2, "x")],
            [host("a", 2, "x"), host("b"), host("c")],
            [host("a", 2, "x"), host("c")],
            [host("a", 3, "x"), host("b")],
            [host("a", 2, "y"), host("b")],
            [host("a", 2, "x"), host("b", 1, "x")],
            [host("a", 2, "x"), host("b", reload_once=True)],
            [host("a", 2, "x"), host("b", user="blog")],
        ],
    )
    def test_another_fleet_has_another(self, other: Sequence[Host]) -> None:
        """Hosts, virtualenvs, owners, databases and `reload_once` all count."""
        assert digest(other) != digest([host("a", 2, "x"), host("b")])

    def test_what_divides_alike_has_the_same(self) -> None:
        """Neither the order nor who logs in to a host of others' virtualenvs counts."""
        assert digest([host("b"), host("a", 2, "x")], "ci") == digest([host("a", 2, "x"), host("b")])

    def test_a_login_that_is_the_owner_counts(self) -> None:
        """Where the fabfile names no owner, another login means other virtualenvs."""
        assert digest([host("a", user=None)], "ci") != digest([host("a", user=None)], "me")
