"""`fab outdated`, by the real program."""

from __future__ import annotations

from pathlib import Path

from tests.support.serving import serving
from tests.support.workplace import Workplace


def test_outdated_tells_of_the_wheelhouse_and_an_index(installed: Workplace, tmp_path: Path) -> None:
    """Each target with what is newer; --check exits with 2; an index that is not there withholds nothing but itself."""
    assert "nothing newer" in installed.fab("outdated", "--check").stdout
    installed.add_made("shop", "1.1")
    other = Workplace(tmp_path / "other")
    other.fabfile("")
    other.add_made("shop", "2.0")
    assert other.fab("publish_index:simple").returncode == 0
    with serving(other.folder / "simple") as url:
        done = installed.fab("outdated", "--index", url, "--check")
        assert done.returncode == 2, done.stderr
        assert done.stdout.splitlines()[1:] == [
            "    Shop   1.0 → 1.1 in the wheelhouse, 2.0 in the index   1.1 within the requirements"
        ]
        (told,) = installed.json("outdated", "--index", url)["virtualenvs"]
    assert told["outdated"] == [{"name": "Shop", "installed": "1.0", "house": "1.1", "index": "2.0", "allowed": "1.1"}]
    done = installed.fab("outdated", "--index", url)
    assert done.returncode == 1
    assert f"{url}" in done.stderr
    assert "cannot be reached" in done.stderr
    assert "    Shop   1.0 → 1.1 in the wheelhouse\n" in done.stdout
    document = installed.json("outdated", "--index", url, status=1)
    assert [one["house"] for one in document["virtualenvs"][0]["outdated"]] == ["1.1"]
    (problem,) = document["index_errors"]
    # the first that was asked for: then it is known that nobody answers
    assert problem.startswith(url)
    assert "cannot be reached" in problem


def test_outdated_tells_of_what_only_a_pin_allows(installed: Workplace) -> None:
    """A release that was withdrawn is newer for whoever names it, and for nobody else."""
    installed.add_made("shop", "1.1")
    assert installed.fab("yank_wheel", "shop==1.1", "--reason", "broken").returncode == 0
    assert "nothing newer" in installed.fab("outdated").stdout
    installed.file("shop.txt", "shop==1.1\n")
    assert "    Shop   1.0 → 1.1 within the requirements\n" in installed.fab("outdated").stdout
