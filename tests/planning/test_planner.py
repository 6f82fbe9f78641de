"""The rules of planning, one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.utils import canonicalize_name

from envfab.errors import UsageError
from envfab.models.distribution import Origin
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements
from envfab.planning.candidates import TagsUnknown
from envfab.planning.plan import ActionKind, Ahead, Options, Plan, Status
from envfab.planning.planner import plan, plan_without_tags
from tests.planning.catalogue import DictCatalogue, distribution, interpreter, probe, requirements, wheelhouse


def only(*names: str) -> Options:
    """`--only` with these."""
    return Options(only=frozenset(canonicalize_name(name) for name in names))


def steps(made: Plan) -> list[str]:
    """The actions in short: `upgrade Django 5.1 → 5.2`."""
    return [
        f"{action.kind.value} {action.shown_as} "
        + " → ".join(dict.fromkeys(str(version) for version in (action.installed, action.version) if version))
        for action in made.actions
    ]


def planned(
    there: Probe, required: Requirements, catalogue: DictCatalogue, options: Options | None = None
) -> list[str]:
    """The actions of a plan that is not blocked."""
    made = plan(there, required, catalogue, options or Options())
    assert made.status is (Status.CHANGES if made.actions else Status.CURRENT), made
    return steps(made)


DJANGO = {"Django==5.2": ["asgiref>=3.8"], "Django==5.1": ["asgiref>=3.7"], "asgiref==3.8": [], "asgiref==3.9": []}


class TestVersions:
    def test_unpinned_takes_the_newest(self) -> None:
        """With what it depends on, and the reason for each."""
        made = plan(probe("Django==5.1", "asgiref==3.7"), requirements("Django"), wheelhouse(DJANGO))
        assert steps(made) == ["upgrade asgiref 3.7 → 3.9", "upgrade Django 5.1 → 5.2"]
        assert [(action.reason, action.required_by) for action in made.actions] == [
            ("required by Django", ("Django",)),
            ("requirements.txt:1", ()),
        ]
        assert (made.python, made.fingerprint) == ("3.11.7", "fingerprint")

    def test_a_pin_is_followed_downwards(self) -> None:
        """`==` is that version, also when it is a downgrade."""
        assert planned(probe("Django==5.2", "asgiref==3.8"), requirements("Django==5.1"), wheelhouse(DJANGO)) == [
            "downgrade Django 5.2 → 5.1"
        ]

    def test_a_local_version_meets_a_pin_and_outranks_it(self) -> None:
        """A company's own build `5.1.3+corp1` is a `5.1.3`."""
        catalogue = wheelhouse(["Django==5.1.3", "Django==5.1.3+corp1"])
        assert planned(probe("Django==5.1.3"), requirements("Django==5.1.3"), catalogue) == [
            "upgrade Django 5.1.3 → 5.1.3+corp1"
        ]

    def test_a_range_takes_the_newest_inside(self) -> None:
        """The wheelhouse's newest is not always wanted."""
        assert planned(probe(), requirements("asgiref<3.9"), wheelhouse(DJANGO)) == ["install asgiref 3.8"]

    def test_a_dependency_nobody_names_stays(self) -> None:
        """The installed version does while it satisfies everybody, though there is a newer one."""
        assert planned(probe("asgiref==3.8"), requirements("Django"), wheelhouse(DJANGO)) == ["install Django 5.2"]

    def test_a_constraint_requires_nothing_but_limits(self) -> None:
        """`-c` holds for whatever is installed in the end."""
        required = requirements("Django", constraints=["asgiref<3.9", "gunicorn==1"])
        assert planned(probe(), required, wheelhouse(DJANGO)) == ["install asgiref 3.8", "install Django 5.2"]

    def test_names_are_compared_canonically_and_shown_as_published(self) -> None:
        """`typing_extensions` and `Typing.Extensions` are one project."""
        catalogue = wheelhouse(["Typing_Extensions==4.0"])
        assert planned(probe("typing-extensions==4.0"), requirements("TYPING.extensions"), catalogue) == []
        assert planned(probe(), requirements("TYPING.extensions"), catalogue) == ["install Typing_Extensions 4.0"]

    def test_newer_than_the_wheelhouse_is_left_alone(self) -> None:
        """It is `ahead`, and the plan says of what."""
        made = plan(probe("Django==6.0", "asgiref==3.9"), requirements("Django"), wheelhouse(DJANGO))
        assert (made.status, made.actions) == (Status.CURRENT, ())
        assert made.ahead == (Ahead("Django", "6.0", "5.2"),)

    def test_required_installed_and_not_in_the_wheelhouse_is_ahead_of_nothing(self) -> None:
        """The wheelhouse could not install it again."""
        made = plan(probe("gunicorn==23"), requirements("gunicorn"), wheelhouse(DJANGO))
        assert made.ahead == (Ahead("gunicorn", "23", None),)

    def test_a_version_that_is_none_is_replaced(self) -> None:
        """Old installers left versions that PEP 440 cannot order."""
        made = plan(probe("asgiref==3.8-custom_build"), requirements("asgiref"), wheelhouse(DJANGO))
        assert steps(made) == ["upgrade asgiref 3.8-custom_build → 3.9"]
        assert made.warnings == ("asgiref 3.8-custom_build is installed, and that is not a version by PEP 440",)

    def test_actions_come_in_order_of_name(self) -> None:
        """Two plans that do the same look the same."""
        catalogue = wheelhouse(["b==1", "A==1", "c==1"])
        assert planned(probe(), requirements("c", "b", "A"), catalogue) == ["install A 1", "install b 1", "install c 1"]


class TestPreReleases:
    def test_they_wait_for_a_final_release(self) -> None:
        """A release candidate in the wheelhouse upgrades nobody."""
        assert planned(probe("a==1.0"), requirements("a"), wheelhouse(["a==1.0", "a==2.0rc1"])) == []

    def test_one_that_is_named_is_taken(self) -> None:
        """A specifier with a pre-release in it allows them."""
        assert planned(probe(), requirements("a>=2.0rc1"), wheelhouse(["a==1.0", "a==2.0rc1"])) == ["install a 2.0rc1"]

    def test_where_there_is_nothing_else_it_is_taken(self) -> None:
        """packaging's rule: only pre-releases match, so they do."""
        assert planned(probe(), requirements("a"), wheelhouse(["a==2.0rc1"])) == ["install a 2.0rc1"]

    def test_a_final_release_that_does_not_fit_keeps_none_out(self) -> None:
        """What cannot be installed is no candidate."""
        catalogue = wheelhouse(["a==2.0rc1"])
        catalogue.add("a==1.0", requires_python="<3.9")
        assert planned(probe(), requirements("a"), catalogue) == ["install a 2.0rc1"]

    def test_an_installed_final_release_keeps_them_out(self) -> None:
        """The installed version is a candidate too."""
        assert planned(probe("a==1.0"), requirements("a"), wheelhouse(["a==2.0rc1"])) == []

    def test_an_installed_one_gives_way_to_a_newer_one_of_its_kind(self) -> None:
        """Somebody who runs release candidates gets the next one where the wheelhouse has no final release."""
        assert planned(probe("a==2.0rc1"), requirements("a"), wheelhouse(["a==2.0rc2"])) == [
            "upgrade a 2.0rc1 → 2.0rc2"
        ]
        assert planned(probe("a==2.0rc1"), requirements("a"), wheelhouse(["a==2.0rc2", "a==1.0"])) == []


class TestWheels:
    def test_the_preferred_tag_then_the_build_then_the_last_name_decides(self) -> None:
        """One wheel a version: what pip would take."""
        catalogue = DictCatalogue()
        for tag, build in (
            ("py3-none-any", ""),
            ("py3-none-any", "2"),
            ("py3-none-any", "10"),
            ("cp311-cp311-linux_x86_64", ""),
            ("cp311-cp311-win_amd64", "99"),
        ):
            catalogue.add("a==1.0", tag=tag, build=build)
        (action,) = plan(probe(), requirements("a"), catalogue).actions
        assert action.wheel is not None
        assert action.wheel.filename == "a-1.0-cp311-cp311-linux_x86_64.whl"
        del catalogue.by_name[action.name][3]
        (action,) = plan(probe(), requirements("a"), catalogue).actions
        assert action.wheel is not None
        assert action.wheel.filename == "a-1.0-10-py3-none-any.whl"

    def test_a_yanked_one_serves_only_a_pin(self) -> None:
        """With a warning that says why it was withdrawn."""
        catalogue = wheelhouse(["a==1.0"])
        catalogue.add("a==1.1", yanked="eats data")
        assert planned(probe(), requirements("a"), catalogue) == ["install a 1.0"]
        made = plan(probe(), requirements("a==1.1"), catalogue)
        assert steps(made) == ["install a 1.1"]
        assert made.warnings == ("a 1.1 is pinned and was yanked: eats data",)

    def test_an_installed_yanked_one_stays_with_a_warning(self) -> None:
        """Withdrawing a release downgrades nobody."""
        catalogue = wheelhouse(["a==1.0"])
        catalogue.add("a==1.1", yanked="eats data")
        made = plan(probe("a==1.1"), requirements("a"), catalogue)
        assert made.actions == ()
        assert made.warnings == ("a 1.1 is installed and was yanked: eats data",)

    def test_one_without_a_recorded_hash_is_taken_with_a_warning(self) -> None:
        """Logs of older tools have none."""
        catalogue = DictCatalogue()
        wheel = catalogue.add("a==1.0", sha256=None)
        made = plan(probe(), requirements("a"), catalogue)
        assert steps(made) == ["install a 1.0"]
        assert made.warnings == (f"{wheel.filename} has no hash in the release log; add_wheel logs one",)

    def test_pinned_hashes_choose_among_wheels(self) -> None:
        """All lines on a project must agree, and a wheel without a hash meets none."""
        catalogue = DictCatalogue()
        catalogue.add("a==1.1", sha256=None)
        catalogue.add("a==1.0", sha256="11" * 32)
        catalogue.add("a==0.9", sha256="22" * 32)
        pinned = f"a --hash=sha256:{'11' * 32} --hash=sha256:{'22' * 32}"
        assert planned(probe(), requirements(pinned), catalogue) == ["install a 1.0"]
        both = requirements(pinned, constraints=[f"a --hash=sha256:{'22' * 32}"])
        assert planned(probe(), both, catalogue) == ["install a 0.9"]
        narrow_first = requirements(f"a --hash=sha256:{'22' * 32}", pinned)
        assert planned(probe(), narrow_first, catalogue) == ["install a 0.9"]

    def test_one_that_cannot_be_read_is_left_out_with_a_warning(self) -> None:
        """A damaged wheel stops nobody who can do without it."""
        catalogue = wheelhouse(["a==1.0"])
        wheel = catalogue.add("a==1.1", unreadable="no METADATA in it")
        made = plan(probe(), requirements("a"), catalogue)
        assert steps(made) == ["install a 1.0"]
        assert made.warnings == (f"{wheel.filename} is left out: no METADATA in it",)

    def test_metadata_is_read_of_wheels_that_matter_alone(self) -> None:
        """A wheelhouse of thousands of wheels costs their names."""
        catalogue = wheelhouse(
            [*(f"Django=={major}.{minor}" for major in range(1, 5) for minor in range(9)), "other==1"]
        )
        plan(probe(), requirements("Django"), catalogue)
        assert catalogue.read == ["django-4.8-py2.py3-none-any.whl"]


class TestExtras:
    def test_an_extra_brings_its_dependencies(self) -> None:
        """Also when the project itself is installed already."""
        catalogue = wheelhouse(["argon2==1"])
        catalogue.add("Django==5.2", ['argon2 ; extra == "fast"'], extras=["fast"])
        there = distribution("Django==5.2", ['argon2 ; extra == "fast"'], ["fast"])
        assert planned(probe(there), requirements("Django"), catalogue) == []
        assert planned(probe(there), requirements("Django[FAST]>=5"), catalogue) == ["install argon2 1"]

    def test_an_unknown_extra_is_told(self) -> None:
        """pip warns too; it may be a spelling mistake."""
        made = plan(probe(), requirements("asgiref[fats]"), wheelhouse(DJANGO))
        assert steps(made) == ["install asgiref 3.9"]
        assert made.warnings == ("asgiref 3.9 has no extra 'fats'",)


class TestTags:
    def test_a_current_virtualenv_never_needs_them(self) -> None:
        """Asking for tags costs half a probe."""
        there = probe("Django==5.2", "asgiref==3.9", python=interpreter(known_tags=False))
        made = plan_without_tags(there, requirements("Django", "asgiref<4"), wheelhouse(DJANGO))
        assert made is not None
        assert made.status is Status.CURRENT

    def test_one_that_is_ahead_does_not_need_them_either(self) -> None:
        """Nothing in the wheelhouse is newer."""
        there = probe("Django==6.0", "asgiref==3.9", python=interpreter(known_tags=False))
        made = plan_without_tags(there, requirements("Django"), wheelhouse(DJANGO))
        assert made is not None
        assert made.ahead == (Ahead("Django", "6.0", "5.2"),)

    def test_a_newer_wheel_calls_for_them(self) -> None:
        """Whether it fits decides the plan."""
        there = probe("Django==5.1", "asgiref==3.9", python=interpreter(known_tags=False))
        assert plan_without_tags(there, requirements("Django"), wheelhouse(DJANGO)) is None
        made = plan_without_tags(there, requirements("Django==5.1"), wheelhouse(DJANGO))
        assert made is not None
        assert made.status is Status.CURRENT

    def test_a_plan_that_depends_on_them_is_not_made_up(self) -> None:
        """`plan` expects the tags, and says which interpreter has none."""
        there = probe("Django==5.1", "asgiref==3.9", python=interpreter(known_tags=False))
        with pytest.raises(TagsUnknown, match=r"CPython .*the interpreter's tags, which are not known"):
            plan(there, requirements("Django"), wheelhouse(DJANGO))


class TestOnly:
    CATALOGUE = wheelhouse({"a==1": [], "a==2": ["b>=2"], "a==1.5": [], "b==1": [], "b==2": [], "c==1": [], "c==2": []})

    def test_all_others_stay(self) -> None:
        """Neither upgraded nor installed, although they are required."""
        there = probe("a==1", "b==1")
        assert planned(there, requirements("a", "b", "c"), self.CATALOGUE, only("B")) == ["upgrade b 1 → 2"]

    def test_the_best_that_goes_with_the_others_is_taken(self) -> None:
        """And what is held back for their sake is told."""
        made = plan(probe("a==1", "b==1"), requirements("a", "b"), self.CATALOGUE, only("a"))
        assert steps(made) == ["upgrade a 1 → 1.5"]
        assert made.warnings == ("a 2 conflicts with packages that --only does not name",)

    def test_where_others_would_have_to_change_it_is_blocked(self) -> None:
        """The reason names what stays, and that it could be named too."""
        made = plan(probe("a==1", "b==1"), requirements("a==2"), self.CATALOGUE, only("a"))
        assert made.status is Status.BLOCKED
        assert [(one.requirement, one.required_by, one.why) for one in made.missing] == [
            ("b>=2", "a 2 (requirements.txt:1)", "1 is installed, and --only does not name it; name it as well")
        ]

    def test_a_dependency_that_is_not_there_blocks_too(self) -> None:
        """Installing it would be a change to another."""
        made = plan(probe(), requirements("a==2"), self.CATALOGUE, only("a"))
        assert [one.why for one in made.missing] == [
            "it is not installed, and --only does not name it; name it as well"
        ]
        assert planned(probe(), requirements("a==2"), self.CATALOGUE, only("a", "b")) == ["install a 2", "install b 2"]

    def test_others_are_not_repaired_either(self) -> None:
        """Left alone means left alone; the damage is told."""
        catalogue = wheelhouse(["a==1", "bb==1", "bb==2"])
        there = probe("a==1", "bb==1", leftovers=["~b"], duplicates=["bb"])
        made = plan(there, requirements("a", "bb"), catalogue, only("a"))
        assert (made.actions, made.warnings) == ((), ("~b is a leftover of an interrupted pip",))
        assert planned(there, requirements("a", "bb<2"), catalogue, only("bb")) == ["reinstall bb 1"]

    def test_what_others_want_of_it_still_counts(self) -> None:
        """An installed `c` that needs `a<2` limits `a`."""
        there = probe("a==1", "b==2", distribution("c==1", ["a<1.2"]))
        assert planned(there, requirements("a"), self.CATALOGUE, only("a")) == []
        forced = replace(only("a"), force=True)
        made = plan(there, requirements("a"), self.CATALOGUE, forced)
        assert steps(made) == ["upgrade a 1 → 2"]
        assert made.warnings[0].startswith("c 1 is installed and needs a<1.2, but a 1 would become 2")

    def test_what_others_lack_already_does_not_count(self) -> None:
        """A `c` that is broken before and after limits nothing."""
        there = probe("a==1.5", "b==2", distribution("c==1", ["a<1.2"]))
        assert planned(there, requirements("a"), self.CATALOGUE, only("a")) == ["upgrade a 1.5 → 2"]

    def test_a_name_that_nobody_knows_is_a_mistake(self) -> None:
        """Most often a misspelling."""
        with pytest.raises(UsageError, match="--only djagno: it is neither required nor installed"):
            plan(probe("a==1"), requirements("b"), self.CATALOGUE, only("djagno"))
        with pytest.raises(UsageError, match="--only c: it is neither required nor installed"):
            plan(probe("a==1"), requirements("a"), self.CATALOGUE, only("a", "c"))

    def test_a_requirement_that_does_not_apply_to_the_target_is_known_to_nobody(self) -> None:
        """Its marker says that this Python does without."""
        with pytest.raises(UsageError, match="--only b: it is neither required nor installed"):
            plan(probe("a==1"), requirements("a", 'b ; python_version < "3"'), self.CATALOGUE, only("b"))


class TestOthers:
    def test_what_the_plan_would_break_blocks_it(self) -> None:
        """Outside the requirements too, an installed distribution keeps what it needs."""
        there = probe("asgiref==3.7", distribution("channels==3.0", ["asgiref<3.8", "gone>=1"]))
        made = plan(there, requirements("Django"), wheelhouse(DJANGO))
        assert made.status is Status.BLOCKED
        assert made.conflicts == (
            "channels 3.0 is installed and needs asgiref<3.8, but asgiref 3.7 would become 3.9\n"
            "  require a version of channels that works with it, remove it, or use --force",
        )

    def test_force_goes_ahead_with_a_warning(self) -> None:
        """The user has been told."""
        there = probe("asgiref==3.7", distribution("channels==3.0", ["asgiref<3.8"]))
        made = plan(there, requirements("Django"), wheelhouse(DJANGO), Options(force=True))
        assert (made.status, made.conflicts) == (Status.CHANGES, ())
        assert made.warnings[0].startswith("channels 3.0 is installed and needs asgiref<3.8")

    def test_what_distutils_installed_is_not_replaced(self) -> None:
        """Nothing lists its files: the plan is blocked, and says what to do; left alone it is in nobody's way."""
        there = probe(distribution("asgiref==3.7", origin=Origin.DISTUTILS))
        made = plan(there, requirements("Django"), wheelhouse(DJANGO))
        assert made.status is Status.BLOCKED
        assert made.conflicts == (
            "asgiref 3.7 cannot be replaced: distutils lists no files of it\n"
            "  remove its files by hand, the .egg-info last",
        )
        other = probe("asgiref==3.9", distribution("old==1.0", origin=Origin.DISTUTILS))
        assert plan(other, requirements("Django"), wheelhouse(DJANGO)).status is Status.CHANGES

    def test_what_is_broken_already_is_no_reason(self) -> None:
        """A virtualenv is not held to a state that it was never in."""
        there = probe("asgiref==3.7", distribution("channels==3.0", ["asgiref<3.5", "gone"]))
        assert planned(there, requirements("Django"), wheelhouse(DJANGO)) == [
            "upgrade asgiref 3.7 → 3.9",
            "install Django 5.2",
        ]

    def test_markers_of_others_count_for_the_target(self) -> None:
        """What another Python would need breaks nothing."""
        there = probe("asgiref==3.7", distribution("channels==3.0", ['asgiref<3.8 ; python_version < "3"']))
        assert plan(there, requirements("Django"), wheelhouse(DJANGO)).status is Status.CHANGES


class TestOrigins:
    @pytest.mark.parametrize("origin", [Origin.EDITABLE, Origin.DIRECT_URL, Origin.EGG_INFO])
    def test_what_satisfies_is_left_alone_however_it_came(self, origin: Origin) -> None:
        """Editables and direct URLs are versions like any other."""
        there = probe(distribution("Django==5.2", ["asgiref"], origin=origin), "asgiref==3.9")
        assert planned(there, requirements("Django"), wheelhouse(DJANGO)) == []
        assert planned(there, requirements("Django==5.1"), wheelhouse(DJANGO)) == ["downgrade Django 5.2 → 5.1"]

    def test_system_packages_count_and_are_never_changed(self) -> None:
        """A needed newer version is installed into the virtualenv, beside them."""
        outside = [distribution("asgiref==3.8", origin=Origin.OUTSIDE)]
        assert planned(probe(outside=outside), requirements("Django"), wheelhouse(DJANGO)) == ["install Django 5.2"]
        made = plan(probe(outside=outside), requirements("asgiref"), wheelhouse(DJANGO))
        assert steps(made) == ["install asgiref 3.9"]
        assert made.actions[0].installed is None


class TestPrune:
    def test_what_nothing_requires_is_removed(self) -> None:
        """Dependencies of dependencies stay, and so does what installs."""
        there = probe(
            distribution("Django==5.2", ["asgiref>=3.8"]),
            "asgiref==3.9",
            "old==1",
            "pip==26.3",
            "setuptools==80",
            distribution("wheel==0.46", ["packaging>=24"]),
            "packaging==26",
            outside=[distribution("system==1", origin=Origin.OUTSIDE)],
        )
        made = plan(there, requirements("Django"), wheelhouse(DJANGO), Options(prune=True))
        assert steps(made) == ["remove old 1"]
        assert (made.actions[0].kind, made.actions[0].reason) == (ActionKind.REMOVE, "nothing requires it")
        assert planned(there, requirements("Django"), wheelhouse(DJANGO)) == []

    def test_what_a_removed_one_needed_goes_along(self) -> None:
        """Both at once, so that neither breaks the other."""
        there = probe("asgiref==3.9", distribution("old==1", ["older"]), "older==1")
        made = plan(there, requirements("asgiref"), wheelhouse(DJANGO), Options(prune=True))
        assert steps(made) == ["remove old 1", "remove older 1"]

    def test_a_dropped_dependency_is_pruned_in_the_same_go(self) -> None:
        """What counts is who requires it afterwards."""
        there = probe(distribution("Django==5.1", ["asgiref", "pytz"]), "pytz==1", "asgiref==3.9")
        made = plan(there, requirements("Django"), wheelhouse(DJANGO), Options(prune=True))
        assert steps(made) == ["upgrade Django 5.1 → 5.2", "remove pytz 1"]

    def test_it_does_not_go_with_only(self) -> None:
        """One leaves all others alone, the other removes them."""
        with pytest.raises(UsageError, match="exclude each other"):
            Options(only=frozenset({canonicalize_name("Django")}), prune=True)


class TestReinstall:
    def test_what_is_asked_for_is_installed_again(self) -> None:
        """At its own version, required or not."""
        options = Options(reinstall=frozenset({canonicalize_name("asgiref")}))
        made = plan(probe("asgiref==3.8"), requirements("Django"), wheelhouse(DJANGO), options)
        assert steps(made) == ["reinstall asgiref 3.8", "install Django 5.2"]
        assert made.actions[0].reason == "asked for with --reinstall"

    def test_without_its_wheel_it_is_blocked(self) -> None:
        """Nothing could be put in its place."""
        options = Options(reinstall=frozenset({canonicalize_name("asgiref")}))
        made = plan(probe("asgiref==3.7"), requirements("asgiref<3.8"), wheelhouse(DJANGO), options)
        assert made.status is Status.BLOCKED
        assert [(one.requirement, one.required_by) for one in made.missing] == [("asgiref==3.7", "--reinstall")]

    def test_a_name_that_nobody_knows_is_a_mistake(self) -> None:
        """As with `--only`."""
        with pytest.raises(UsageError, match="--reinstall nope: it is neither required nor installed"):
            plan(
                probe(),
                requirements("Django"),
                wheelhouse(DJANGO),
                Options(reinstall=frozenset({canonicalize_name("nope")})),
            )

    @pytest.mark.parametrize("leftover", ["~sgiref", "~sgiref-3.9.dist-info", "~-giref"])
    def test_leftovers_are_repaired_where_it_can_be_told_whose_they_are(self, leftover: str) -> None:
        """pip puts a tilde in the place of the first letter while it replaces a folder."""
        made = plan(probe("asgiref==3.9", leftovers=[leftover]), requirements("asgiref"), wheelhouse(DJANGO))
        assert steps(made) == ["reinstall asgiref 3.9"]
        assert made.warnings == (f"{leftover} is a leftover of an interrupted pip",)

    def test_other_leftovers_are_only_told(self) -> None:
        """Nobody knows what they belong to."""
        made = plan(probe("asgiref==3.9", leftovers=["~omething"]), requirements("asgiref"), wheelhouse(DJANGO))
        assert (made.status, made.warnings) == (Status.CURRENT, ("~omething is a leftover of an interrupted pip",))

    def test_what_is_there_twice_is_installed_again(self) -> None:
        """Two dist-info folders of one project are an interrupted upgrade."""
        made = plan(probe("asgiref==3.9", duplicates=["asgiref"]), requirements("asgiref"), wheelhouse(DJANGO))
        assert [(action.kind, action.reason) for action in made.actions] == [
            (ActionKind.REINSTALL, "asgiref is installed twice")
        ]

    def test_damage_that_the_wheelhouse_cannot_repair_is_told(self) -> None:
        """It does not stop the rest."""
        made = plan(probe("asgiref==3.7", duplicates=["asgiref"]), requirements("asgiref<3.8"), wheelhouse(DJANGO))
        assert made.status is Status.CURRENT
        assert made.warnings == ("asgiref is installed twice, but the wheelhouse has no wheel to repair it with",)

    def test_what_is_changed_anyway_is_not_reinstalled(self) -> None:
        """An upgrade repairs as well."""
        made = plan(probe("asgiref==3.8", duplicates=["asgiref"]), requirements("asgiref"), wheelhouse(DJANGO))
        assert steps(made) == ["upgrade asgiref 3.8 → 3.9"]

    def test_what_lies_outside_is_not_reinstalled(self) -> None:
        """The virtualenv's owner has no say there."""
        outside = [distribution("asgiref==3.9", origin=Origin.OUTSIDE)]
        options = Options(reinstall=frozenset({canonicalize_name("asgiref")}))
        made = plan(probe(outside=outside), requirements("asgiref"), wheelhouse(DJANGO), options)
        assert made.actions == ()
        assert made.warnings == ("asgiref is outside the virtualenv and is not reinstalled",)


class TestNames:
    """Packages are called as they are published, however they were asked for."""

    def test_what_cannot_be_reinstalled_has_its_own_name(self) -> None:
        """`--reinstall my-shop` of what is published as My_Shop."""
        options = Options(reinstall=frozenset({canonicalize_name("my-shop")}))
        made = plan(probe("My_Shop==1.0"), requirements("my.shop<2"), wheelhouse(["My_Shop==2.0"]), options)
        assert [one.requirement for one in made.missing] == ["My_Shop==1.0"]

    def test_what_only_leaves_alone_has_its_own_name(self) -> None:
        """Two options that exclude each other name it as it is installed."""
        names = frozenset({canonicalize_name("Django")})
        options = Options(only=names, upgrade=frozenset({canonicalize_name("my-shop")}))
        with pytest.raises(UsageError, match="--upgrade My_Shop: --only does not name it"):
            plan(probe("My_Shop==1.0", "Django==5.1"), requirements("Django"), wheelhouse(["Django==5.2"]), options)
