from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.config.host import Host
from envfab.config.selectors import select
from envfab.config.target import Member, Target
from envfab.config.virtualenv import Virtualenv
from envfab.errors import SelectorError


def member(owner: str, host: str, path: str, *groups: str) -> Member:
    virtualenv = Virtualenv(path, user=owner)
    return Member(Target(owner, host, path), Host(host, groups=groups, virtualenvs=[virtualenv]), virtualenv, "admin")


SHOP1 = member("shop", "web1", "/srv/shop/venv", "prod", "web")
BLOG1 = member("blog", "web1", "/srv/blog/venv", "prod", "web")
SHOP2 = member("shop", "web2", "/srv/shop/venv", "prod", "web")
STAGE = member("shop", "staging", "/srv/shop/venv", "test")
TOOLS = member("me", "localhost", "/home/me/venvs/my tools")
FLEET = (SHOP1, BLOG1, SHOP2, STAGE, TOOLS)


class TestForms:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("web1", (SHOP1, BLOG1)),
            ("shop@web1", (SHOP1,)),
            ("shop@web1:/srv/shop/venv", (SHOP1,)),
            ("web1:/srv/blog/venv", (BLOG1,)),
            (":/srv/shop/venv", (SHOP1, SHOP2, STAGE)),
            ("shop@", (SHOP1, SHOP2, STAGE)),
            ("%prod", (SHOP1, BLOG1, SHOP2)),
            ("shop@:/srv/shop/venv", (SHOP1, SHOP2, STAGE)),
            ("shop@%prod", (SHOP1, SHOP2)),
            ("%web:/srv/blog/venv", (BLOG1,)),
            ("localhost:/home/me/venvs/my tools", (TOOLS,)),
        ],
    )
    def test_every_form_selects_what_it_names(self, name: str, expected: tuple[Member, ...]) -> None:
        """Each documented form of a name selects the virtualenvs that it describes."""
        assert select([name], FLEET) == expected

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("web*", (SHOP1, BLOG1, SHOP2)),
            ("web?", (SHOP1, BLOG1, SHOP2)),
            ("web[2-9]", (SHOP2,)),
            ("b*@", (BLOG1,)),
            ("s*@w*:/srv/*", (SHOP1, SHOP2)),
            (":/srv/*/venv", (SHOP1, BLOG1, SHOP2, STAGE)),
            ("%t*", (STAGE,)),
            ("*", FLEET),
        ],
    )
    def test_globs_work_in_every_part(self, name: str, expected: tuple[Member, ...]) -> None:
        """User, host, path and group may each be a shell glob."""
        assert select([name], FLEET) == expected

    def test_no_names_select_everything(self) -> None:
        """Without a name the whole fleet is meant."""
        assert select([], FLEET) == FLEET

    @pytest.mark.parametrize("name", ["web1:/srv/shop/venv/", "web1://srv//shop/venv", "web1:/srv/./shop/venv"])
    def test_paths_are_compared_in_their_normal_form(self, name: str) -> None:
        """A trailing or doubled slash changes nothing."""
        assert select([name], FLEET) == (SHOP1,)

    def test_users_are_owners_not_those_who_log_in(self) -> None:
        """The user of a name is the owner of the virtualenv."""
        with pytest.raises(SelectorError):
            select(["admin@web1"], FLEET)

    def test_an_owner_may_contain_an_at_sign(self) -> None:
        """Directory accounts such as `me@corp` are split from the host at the last at sign."""
        one = member("me@corp", "web1", "/srv/venv")
        assert select(["me@corp@web1"], [one]) == (one,)

    def test_what_is_spelled_exactly_goes_before_a_glob(self) -> None:
        """A path that contains `[a]` is selected by its own name, not taken for a pattern that means another."""
        literal, other = member("a", "web1", "/srv/[a]"), member("a", "web1", "/srv/a")
        assert select(["web1:/srv/[a]"], [literal, other]) == (literal,)
        assert select(["web1:/srv/[a]"], [other]) == (other,)

    def test_selected_members_come_in_the_order_of_the_fleet_and_once(self) -> None:
        """Neither the order of names nor their overlap shows in the result."""
        assert select(["%test", "web2", "shop@web2", "web1"], FLEET) == (SHOP1, BLOG1, SHOP2, STAGE)


class TestErrors:
    @pytest.mark.parametrize("name", ["", "  ", "web1:", "@web1", "@", ":", "%", "%:/srv", "shop@web1:", "@:/srv"])
    def test_an_empty_part_is_an_error(self, name: str) -> None:
        """What an unset variable leaves behind never selects more than was meant."""
        with pytest.raises(SelectorError, match=r"is a variable of your shell unset\?"):
            select(["web1", name], FLEET)

    def test_a_name_that_matches_nothing_lists_the_targets(self) -> None:
        """The message has the name, what was probably meant, and every target there is."""
        with pytest.raises(SelectorError) as caught:
            select(["wbe2"], FLEET)
        assert str(caught.value) == (
            "'wbe2' matches no virtualenv\n"
            "  did you mean web2?\n"
            "  known targets:\n"
            "    shop@web1:/srv/shop/venv\n"
            "    blog@web1:/srv/blog/venv\n"
            "    shop@web2:/srv/shop/venv\n"
            "    shop@staging:/srv/shop/venv\n"
            "    me@localhost:/home/me/venvs/my tools"
        )

    def test_one_unknown_name_among_known_ones_is_an_error(self) -> None:
        """All names that match nothing are told at once."""
        with pytest.raises(SelectorError, match=r"^'x', 'y' match no virtualenv"):
            select(["web1", "x", "y"], FLEET)

    def test_a_name_like_nothing_gets_the_forms(self) -> None:
        """Where nothing is close, the hint says how names look."""
        with pytest.raises(SelectorError, match=r"names are host, user@host"):
            select(["zzzzzzzz"], FLEET)

    def test_commas_are_explained(self) -> None:
        """`--name a,b` is one name; the hint says how to give two."""
        with pytest.raises(SelectorError, match="--name NAME --name NAME"):
            select(["zzzz,yyyy"], FLEET)

    def test_the_list_is_bounded_for_big_fleets(self) -> None:
        """Twenty targets are shown, the others counted."""
        fleet = [member("shop", f"web{n}", "/srv/venv") for n in range(300)]
        with pytest.raises(SelectorError) as caught:
            select(["nowhere"], fleet)
        lines = str(caught.value).splitlines()
        assert len(lines) == 24
        assert lines[-1].strip() == "… and 280 more; fab targets lists them all"
        assert len(caught.value.known) == 300

    def test_a_fleet_without_virtualenvs_says_so(self) -> None:
        """A name cannot match where nothing is configured, and that is what the message says."""
        with pytest.raises(SelectorError, match="the fabfile configures no virtualenvs"):
            select(["web1"], [])


class TestHostLimit:
    def test_it_limits_everything(self) -> None:
        """`-H` alone selects what is on those hosts."""
        assert select([], FLEET, ["web2", "staging"]) == (SHOP2, STAGE)

    def test_it_limits_names(self) -> None:
        """With names, what is chosen must be on those hosts too."""
        assert select(["shop@"], FLEET, ["web*"]) == (SHOP1, SHOP2)

    def test_a_name_elsewhere_matches_nothing(self) -> None:
        """A name outside the limit is an error that mentions the limit."""
        with pytest.raises(SelectorError, match=r"^'web1' matches no virtualenv on the hosts of -H web2,staging"):
            select(["web1"], FLEET, ["web2", "staging"])

    @pytest.mark.parametrize("host", ["web9", "root@web1", "web1:22"])
    def test_an_unknown_host_is_an_error(self, host: str) -> None:
        """A host that the fleet does not have is named."""
        with pytest.raises(SelectorError, match=f"^-H {host} matches no host that has a virtualenv"):
            select([], FLEET, ["web1", host])

    def test_an_empty_host_is_an_error(self) -> None:
        """`-H "$HOST"` with HOST unset does not mean every host."""
        with pytest.raises(SelectorError, match="-H has an empty host name"):
            select([], FLEET, [""])


NAMES = st.text("abc-0", min_size=1, max_size=3).filter(lambda text: not text.startswith("-"))
MEMBERS = st.lists(
    st.builds(
        lambda owner, host, path, group: member(owner, host, "/" + path, group),
        NAMES,
        NAMES,
        st.text("ab*[]?:@ ,=", min_size=1, max_size=4).map(str.strip).filter(bool),
        NAMES,
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda one: (one.target.host, one.target.path),
)


class TestProperties:
    @given(MEMBERS, st.data())
    def test_the_full_name_of_a_member_selects_exactly_that(self, fleet: list[Member], data: st.DataObject) -> None:
        """What `fab targets` prints can always be given back, whatever characters a path has."""
        one = data.draw(st.sampled_from(fleet))
        assert select([str(one.target)], fleet) == (one,)

    @given(MEMBERS, st.data())
    def test_a_selection_is_an_ordered_part_of_the_fleet(self, fleet: list[Member], data: st.DataObject) -> None:
        """Any mixture of names gives members once each, in the order of the fleet, and all that each name gives."""
        names = data.draw(
            st.lists(
                st.sampled_from(fleet).flatmap(
                    lambda one: st.sampled_from(
                        [one.target.host, f"{one.target.owner}@", f":{one.target.path}", str(one.target)]
                    )
                ),
                min_size=1,
            )
        )
        chosen = select(names, fleet)
        assert [one for one in fleet if one in chosen] == list(chosen)
        assert {one.target for one in chosen} == {one.target for name in names for one in select([name], fleet)}

    @given(MEMBERS, st.text("ab*[]?:@%/ ", max_size=8))
    def test_any_text_selects_or_is_refused(self, fleet: list[Member], name: str) -> None:
        """No text ends in anything but a selection that is not empty or a SelectorError."""
        try:
            chosen: tuple[Member, ...] | None = select([name], fleet)
        except SelectorError:
            chosen = None
        assert chosen != ()
