"""`fab yank_wheel`, by the real program."""

from __future__ import annotations

import pytest

from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace


def test_yanked_releases_are_pinned_or_passed_over(workplace: Workplace, make_virtualenv: VirtualenvMaker) -> None:
    """`wheels` shows the reason; plans take an older release, and the yanked one only where == names it, with a warning."""
    loose = make_virtualenv("3.11", workplace.folder / "loose")
    pinned = make_virtualenv("3.11", workplace.folder / "pinned")
    workplace.fabfile(
        f"Host('localhost', virtualenvs=[Virtualenv({str(loose)!r}, packages=['shop']),"
        f" Virtualenv({str(pinned)!r}, packages=['shop==1.1'])])"
    )
    for version in ("1.0", "1.1"):
        workplace.add_made("shop", version)
    done = workplace.fab("yank_wheel", "shop==1.1", "--reason", "loses data")
    assert (done.returncode, done.stdout) == (0, "yanked   shop 1.1   shop-1.1-py3-none-any.whl\n"), done.stderr
    assert workplace.fab("wheels").stdout.splitlines()[-1].endswith("yanked: loses data")
    plans = {one["path"]: one for one in workplace.json("plan")["virtualenvs"]}
    assert [one["version"] for one in plans[str(loose)]["actions"]] == ["1.0"]
    assert [one["version"] for one in plans[str(pinned)]["actions"]] == ["1.1"]
    assert plans[str(pinned)]["warnings"] == ["shop 1.1 is pinned and was yanked: loses data"]
    assert workplace.fab("yank_wheel:shop==1.1,reason=again").stdout == "shop==1.1 was yanked already: loses data\n"
    again = workplace.fab("yank_wheel:shop-1.1-py3-none-any.whl,reason=again")
    assert again.stdout == "shop-1.1-py3-none-any.whl was yanked already: loses data\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "yank_wheel needs a release"),
        (["shop==1.0"], "yank_wheel needs a reason"),
        (
            ["shop", "--reason", "x"],
            "a release must be named NAME==VERSION, not 'shop'\n  the release log has shop==1.0",
        ),
        (["shop==9", "--reason", "x"], "the release log has no shop==9\n  it has shop==1.0"),
    ],
)
def test_what_cannot_be_yanked_says_why(workplace: Workplace, arguments: list[str], message: str) -> None:
    """Nothing named, no reason, a release that there is none of: exit 1, and nothing is logged."""
    workplace.add_made("shop", "1.0")
    done = workplace.fab("yank_wheel", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "yank:" not in workplace.log
