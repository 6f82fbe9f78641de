"""`fab fetch_wheels`, by the real program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.serving import serving
from tests.support.workplace import Workplace


def test_fetches_for_targets_that_cannot_reach_an_index(installed: Workplace, tmp_path: Path) -> None:
    """Interpreters out as a file, a bundle back: what was resolved elsewhere is deployed here."""
    elsewhere = Workplace(tmp_path / "elsewhere")
    elsewhere.fabfile("")
    elsewhere.add_made("shop", "1.5", requires=["basket"])
    elsewhere.add_made("basket", "1.0")
    assert elsewhere.fab("publish_index:simple").returncode == 0
    assert installed.fab("targets", "--export", "out/interpreters.json").returncode == 0
    other = Workplace(tmp_path / "other")
    other.fabfile("")
    exported = installed.folder / "out" / "interpreters.json"
    with serving(elsewhere.folder / "simple") as url:
        options = ["--index", url, "--interpreters", str(exported), "--bundle", "carry.bundle"]
        done = other.fab("fetch_wheels", "shop<2", *options)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            "fetched  basket 1.0   basket-1.0-py3-none-any.whl",
            "fetched  shop 1.5   shop-1.5-py3-none-any.whl",
            "carry.bundle holds 2 wheels",
        ]
        other.fabfile("Host('localhost', virtualenvs=[Virtualenv('/srv/none')])")
        done = other.fab("fetch_wheels", "shop<2", *options, "--name", "localhost")
        assert "the exported interpreters are not those of the chosen targets" in done.stderr
    assert not (other.folder / "wheels").exists()
    added = installed.json("add_wheel", str(other.folder / "carry.bundle"))["added"]
    assert [one["outcome"] for one in added] == ["added", "added"]
    assert installed.fab("deploy", "--yes").returncode == 0
    assert installed.fab("plan", "--check").returncode == 0


def test_fetches_what_the_targets_require(installed: Workplace, tmp_path: Path) -> None:
    """Without words, the fabfile's own requirements for the targets' own interpreters; then the wheelhouse has all of it."""
    elsewhere = Workplace(tmp_path / "elsewhere")
    elsewhere.fabfile("")
    elsewhere.add_made("shop", "1.5")
    elsewhere.add_made("shop", "2.0")
    assert elsewhere.fab("publish_index:simple").returncode == 0
    with serving(elsewhere.folder / "simple") as url:
        fetched = installed.json("fetch_wheels", "--index", url)["fetched"]
        assert [one["wheel"] for one in fetched] == ["shop-1.5-py3-none-any.whl"]
        assert installed.fab("fetch_wheels", "--index", url).stdout == "the wheelhouse already has all of it\n"
    assert "shop-1.5-py3-none-any.whl" in installed.log


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch_wheels"], "there are no requirements to fetch wheels for"),
        (["fetch_wheels", "shop", "--interpreters", "none.json"], "none.json: cannot be read"),
        (["fetch_wheels", "shop", "--index", "http://127.0.0.1:1/"], "http://127.0.0.1:1/shop/: cannot be reached"),
        (["fetch_wheels", "none.txt", "--index", "http://127.0.0.1:1/"], "there is no such requirements file"),
    ],
)
def test_what_cannot_be_fetched_says_why(workplace: Workplace, arguments: list[str], message: str) -> None:
    """Nothing to fetch, no interpreters, no index, no file: exit 1, and no wheelhouse is made."""
    done = workplace.fab(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (workplace.folder / "wheels").exists()
