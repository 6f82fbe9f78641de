"""What is said where there is no plan."""

from __future__ import annotations

import pytest

from envfab.planning.plan import Missing, Options, Status
from envfab.planning.planner import plan
from tests.planning.catalogue import DictCatalogue, distribution, interpreter, probe, requirements, wheelhouse

HASH = "11" * 32


def missing(
    catalogue: DictCatalogue, *lines: str, python: str = "3.8.10", constraints: tuple[str, ...] = ()
) -> Missing:
    """The one thing that the wheelhouse lacks."""
    made = plan(probe(python=interpreter(python)), requirements(*lines, constraints=constraints), catalogue)
    assert made.status is Status.BLOCKED
    assert (made.actions, made.conflicts) == ((), ())
    (one,) = made.missing
    return one


class TestMissing:
    def test_none_at_all(self) -> None:
        """The requirement and where it stands."""
        assert missing(wheelhouse(["Django==5.2"]), "pillow>=13 ; python_version > '3'") == Missing(
            "pillow>=13", "requirements.txt:1", "the wheelhouse has no wheel of it"
        )

    def test_a_name_that_is_nearly_right(self) -> None:
        """Most often it is a misspelling."""
        assert (
            missing(wheelhouse(["Django==5.2"]), "djnago").why
            == "the wheelhouse has no wheel of it; did you mean Django?"
        )

    def test_versions_there_are(self) -> None:
        """The newest of many."""
        assert missing(wheelhouse(["a==1.0", "a==1.10", "a==1.9"]), "a>=2").why == "the wheelhouse has 1.0, 1.9, 1.10"
        many = wheelhouse([f"a==1.{minor}" for minor in range(9)])
        assert missing(many, "a>=2").why == "the wheelhouse has 1.4, 1.5, 1.6, 1.7, 1.8 and 4 older"

    def test_versions_that_a_constraint_rules_out(self) -> None:
        """The line in the other file is easily overlooked."""
        one = missing(wheelhouse(["a==1.0"]), "a", constraints=("a>=2",))
        assert one.why == "the wheelhouse has 1.0, which a constraint rules out"

    @pytest.mark.parametrize(
        ("tag", "why"),
        [
            ("cp311-cp311-manylinux2014_x86_64", "the wheelhouse has it for cp311 only; this interpreter is cp38"),
            ("py2-none-any", "the wheelhouse has it for py2 only; this interpreter is cp38"),
            ("cp38-cp38d-linux_x86_64", "the wheelhouse has it for cp38-cp38d only; this interpreter is cp38-cp38"),
            ("cp38-cp38-win_amd64", "the wheelhouse has it for win_amd64 only; this machine is manylinux2014_x86_64"),
        ],
    )
    def test_tags_there_are(self, tag: str, why: str) -> None:
        """Python, ABI or platform: the first that does not fit."""
        catalogue = DictCatalogue()
        catalogue.add("pillow==13.0", tag=tag)
        assert missing(catalogue, "pillow>=13").why == why

    def test_requires_python(self) -> None:
        """What the wheel wants, and what there is."""
        catalogue = DictCatalogue()
        catalogue.add("Django==5.2", requires_python=">=3.10")
        assert missing(catalogue, "Django").why == "5.2 requires Python >=3.10; this interpreter is 3.8.10"

    def test_yanked(self) -> None:
        """And why."""
        catalogue = DictCatalogue()
        catalogue.add("Django==5.2", yanked="eats data")
        assert missing(catalogue, "Django>=5").why == "5.2 was yanked: eats data"

    def test_hashes(self) -> None:
        """A wheel with another hash is not what was pinned; one without any must be logged again."""
        catalogue = DictCatalogue()
        catalogue.add("a==1.0")
        pinned = f"a==1.0 --hash=sha256:{HASH}"
        assert missing(catalogue, pinned).why == "the wheelhouse has 1.0, but no wheel with a pinned hash"
        catalogue = DictCatalogue()
        catalogue.add("a==1.0", sha256=None)
        assert missing(catalogue, pinned).why == "the release log has no hash for 1.0: log it again with add_wheel"

    def test_unreadable(self) -> None:
        """The wheelhouse's only wheel is damaged."""
        catalogue = DictCatalogue()
        wheel = catalogue.add("a==1.0", unreadable="no METADATA in it")
        assert missing(catalogue, "a").why == f"cannot read {wheel.filename}: no METADATA in it"
        made = plan(probe(), requirements("a"), catalogue)
        assert made.warnings == (f"{wheel.filename} is left out: no METADATA in it",)

    def test_a_dependency_names_who_wants_it(self) -> None:
        """It stands in no file of the user's."""
        catalogue = wheelhouse({"Django==5.2": ["asgiref>=3.8"], "asgiref==3.7": []})
        assert missing(catalogue, "Django") == Missing(
            "asgiref>=3.8", "Django 5.2 (requirements.txt:1)", "the wheelhouse has 3.7"
        )

    def test_all_that_is_missing_is_told_at_once(self) -> None:
        """One run, one list to fetch."""
        made = plan(probe(), requirements("a", "b>=2", "c"), wheelhouse(["b==1", "c==1"]))
        assert [(one.requirement, one.required_by) for one in made.missing] == [
            ("a", "requirements.txt:1"),
            ("b>=2", "requirements.txt:2"),
        ]


class TestConflicts:
    def test_who_wants_what(self) -> None:
        """Each side with the line that brought it in, and what there is to choose from."""
        catalogue = wheelhouse(
            {"Django==5.2": ["asgiref>=3.8"], "old==1.0": ["asgiref<3.5"], "asgiref==3.8": [], "asgiref==3.4": []}
        )
        made = plan(probe("asgiref==3.4"), requirements("Django", "old"), catalogue)
        assert made.status is Status.BLOCKED
        assert made.conflicts == (
            "no version of asgiref meets all requirements\n"
            "  asgiref<3.5 required by old 1.0 (requirements.txt:2)\n"
            "  asgiref>=3.8 required by Django 5.2 (requirements.txt:1)\n"
            "  the wheelhouse has 3.4, 3.8\n"
            "  3.4 is installed",
        )

    def test_a_dependency_of_a_dependency_is_traced_back(self) -> None:
        """What stands in no file of the user's is told with whoever wants it."""
        catalogue = wheelhouse(
            {"app==1": ["mid"], "mid==1": ["deep>=2"], "lib==1": ["deep<2"], "deep==1": [], "deep==2": []}
        )
        (conflict,) = plan(probe(), requirements("app", "lib"), catalogue).conflicts
        assert conflict == (
            "no version of deep meets all requirements\n"
            "  deep<2 required by lib 1 (requirements.txt:2)\n"
            "  deep>=2 required by mid 1 (required by app)\n"
            "  the wheelhouse has 1, 2"
        )

    def test_two_lines_that_exclude_each_other(self) -> None:
        """No wheel need be looked at."""
        made = plan(probe(), requirements("a>=2", "a<2"), wheelhouse(["a==1", "a==2"]))
        assert made.conflicts == (
            "no version of a meets all requirements\n"
            "  a<2 required by requirements.txt:2\n"
            "  a>=2 required by requirements.txt:1\n"
            "  the wheelhouse has 1, 2",
        )

    def test_a_constraint_has_its_line(self) -> None:
        """It takes part in the conflict without requiring anything."""
        catalogue = wheelhouse({"a==1": ["b>=2"], "c==1": ["b"], "b==1": [], "b==2": []})
        made = plan(probe(), requirements("a", "c", constraints=["b<2"]), catalogue)
        assert [(one.requirement, one.required_by, one.why) for one in made.missing] == [
            ("b>=2", "a 1 (requirements.txt:1)", "the wheelhouse has 1, 2, which a constraint rules out")
        ]

    def test_an_extra_that_wants_another_version_of_its_own_project(self) -> None:
        """The extra's needs are shown beside the others."""
        catalogue = wheelhouse(["b==1", "b==2"])
        catalogue.add("a==1", ["b<2", 'b>=2 ; extra == "fast"'], extras=["fast"])
        (conflict,) = plan(probe(), requirements("a[fast]"), catalogue).conflicts
        assert "b<2 required by a" in conflict
        assert "b>=2 required by a[fast] 1 (requirements.txt:1)" in conflict

    def test_an_installed_one_that_stays_is_shown_as_such(self) -> None:
        """With `--only`, what stays takes part."""
        there = probe("a==1", distribution("c==1", ["a<2"]))
        catalogue = wheelhouse(["a==1", "a==2"])
        made = plan(there, requirements("a==2"), catalogue, Options(only=frozenset({distribution("a==1").name})))
        assert made.conflicts == (
            "no version of a meets all requirements\n"
            "  a<2 required by c 1, which stays\n"
            "  a==2 required by requirements.txt:1\n"
            "  the wheelhouse has 1, 2\n"
            "  1 is installed",
        )

    def test_many_sides_are_cut_short(self) -> None:
        """A screen is enough: eight of them, and how many more there are."""
        lines = [f"a!={number}" for number in range(1, 13)]
        (conflict,) = plan(probe(), requirements(*lines), wheelhouse(["a==1", "a==12"])).conflicts
        assert conflict.count(" required by ") == 8
        assert "\n  and 4 more\n" in conflict


class TestAllThatIsMissing:
    def test_all_of_a_requirement_are_told_at_once(self) -> None:
        """Those of dependencies too, at any remove, as far as there is METADATA; nobody adds wheels one by one."""
        catalogue = wheelhouse({"shop==1.0": ["django", "pillow>=9"], "django==5.2": ["asgiref", "sqlparse"]})
        made = plan(probe(python=interpreter("3.8.10")), requirements("shop", "gunicorn"), catalogue)
        assert {(one.requirement, one.required_by) for one in made.missing} == {
            ("gunicorn", "requirements.txt:2"),
            ("pillow>=9", "shop 1.0 (requirements.txt:1)"),
            ("asgiref", "django 5.2 (required by shop)"),
            ("sqlparse", "django 5.2 (required by shop)"),
        }

    def test_what_another_version_does_without_is_not_missing(self) -> None:
        """Only what no choice of versions goes without is told."""
        catalogue = wheelhouse({"django==5.2": ["asgiref>=3.8"], "django==4.2": ["asgiref"], "asgiref==3.7": []})
        made = plan(probe(), requirements("django", "gunicorn"), catalogue)
        assert [one.requirement for one in made.missing] == ["gunicorn"]

    def test_a_hundred_missing_ones_are_told(self) -> None:
        """Direct ones cost one search together."""
        made = plan(probe(), requirements(*(f"p{number}" for number in range(100))), wheelhouse(["shop==1.0"]))
        assert len(made.missing) == 100


class TestNotLogged:
    def test_a_wheel_without_a_line_is_told_with_the_command(self) -> None:
        """It lies there, and "no wheel of it" would send people looking for it."""
        catalogue = wheelhouse(["other==1.0"])
        catalogue.add("shop==1.0", logged=False)
        assert missing(catalogue, "shop").why == (
            "shop-1.0-py2.py3-none-any.whl is in the wheelhouse but not logged: "
            "fab add_wheel wheels/shop-1.0-py2.py3-none-any.whl"
        )

    def test_beside_versions_that_do_not_suit(self) -> None:
        """Only one that would do: of its version, and for this interpreter."""
        catalogue = wheelhouse(["shop==1.0"])
        catalogue.add("shop==3.0", logged=False, tag="cp313-cp313-linux_x86_64")
        assert missing(catalogue, "shop>=2").why == "the wheelhouse has 1.0"
        catalogue.add("shop==2.0", logged=False)
        assert missing(catalogue, "shop>=2").why.startswith(
            "the wheelhouse has 1.0\nshop-2.0-py2.py3-none-any.whl is in the wheelhouse "
        )

    def test_what_it_requires_is_looked_for_too(self) -> None:
        """So that one run names all that is to be added."""
        catalogue = wheelhouse(["other==1.0"])
        catalogue.add("shop==1.0", ["django"], logged=False)
        made = plan(probe(), requirements("shop"), catalogue)
        assert [(one.requirement, one.required_by) for one in made.missing] == [
            ("shop", "requirements.txt:1"),
            ("django", "shop 1.0"),
        ]


class TestHashesRequired:
    def test_a_dependency_without_a_hash_blocks(self) -> None:
        """As pip: with `--require-hashes` everything that is installed has one."""
        catalogue = wheelhouse({"shop==1.0": ["django"], "django==5.2": []})
        digest = catalogue.by_name[next(iter(catalogue.by_name))][0].wheel.sha256
        lines = ("--require-hashes", f"shop==1.0 --hash=sha256:{digest}")
        made = plan(probe(), requirements(*lines), catalogue)
        assert (made.status, made.conflicts) == (
            Status.BLOCKED,
            (
                "django 5.2 (required by shop) has no hash, which --require-hashes in requirements.txt:1 demands\n"
                "  add it with its hashes, or lock the requirements again: fab lock",
            ),
        )
        assert plan(probe("django==5.2"), requirements(*lines), catalogue).status is Status.CHANGES
