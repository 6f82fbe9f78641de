"""A plan leaves nothing for the next one to do."""

from __future__ import annotations

from envfab.planning.plan import Status
from envfab.planning.planner import plan
from tests.planning.catalogue import probe, requirements, wheelhouse
from tests.planning.soundness import applied, unmet


def test_what_was_pinned_for_a_choice_that_was_given_up_is_looked_at_again() -> None:
    """The search pins `shop 1` while `base 1` limits it, and `base 2` frees it later."""
    catalogue = wheelhouse(
        {
            "base==1": ["shop<2"],
            "base==2rc1": [],
            "shop==1": ["extra[fast]<3"],
            "shop==2": [],
            "extra==1": ["base>=2rc1"],
        }
    )
    required = requirements("base<3", "shop>=1,<3")
    made = plan(probe(), required, catalogue)
    assert [f"{action.name} {action.version}" for action in made.actions] == ["base 2rc1", "shop 2"]
    after = applied(made, probe(), catalogue)
    assert unmet(after, required) == []
    assert plan(after, required, catalogue).status is Status.CURRENT
