"""`fab lock`, by the real program."""

from __future__ import annotations

import pytest

from tests.support.workplace import Workplace


def test_locks_and_deploys_the_lock(installed: Workplace) -> None:
    """requirements.in becomes pinned, hashed requirements.txt for the target's interpreter; deploy installs from both kinds."""
    installed.add_made("shop", "1.2", requires=["basket"])
    installed.add_made("basket", "3.0")
    installed.file("shop.in", "shop<2\n")
    document = installed.json("lock:shop.in")
    assert document["files"][0]["pins"] == {"basket": "3.0", "shop": "1.2"}
    text = (installed.folder / "shop.txt").read_text()
    assert "#    fab lock shop.in\n" in text
    assert "    # via shop" in text
    done = installed.fab("lock", "shop.in", "--pylock")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pylock.toml   2 releases for CPython 3.11.")
    by_text = installed.json("plan")["virtualenvs"]
    fabfile = installed.folder / "fabfile.py"
    fabfile.write_text(fabfile.read_text().replace("shop.txt", "pylock.toml"))
    by_lock = installed.json("plan")["virtualenvs"]
    assert {one["name"]: one["version"] for one in by_lock[0]["actions"]} == {"basket": "3.0", "shop": "1.2"}
    assert [one["sha256"] for one in by_lock[0]["actions"]] == [one["sha256"] for one in by_text[0]["actions"]]
    assert installed.fab("deploy", "--yes").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lock"], "lock needs a file"),
        (["lock:none.in"], "none.in: there is no such requirements file"),
        (["lock:shop.txt"], "shop.txt would be overwritten"),
        (
            ["lock:shop.txt", "--pylock", "--output", "lock.toml"],
            "--output: must be named pylock.toml or pylock.NAME.toml, not lock.toml",
        ),
        (["lock:shop.txt", "--output", "x.txt"], "shop (shop.txt:1): the wheelhouse has no wheel of it"),
    ],
)
def test_what_cannot_be_locked_says_why(workplace: Workplace, arguments: list[str], message: str) -> None:
    """No file, no such file, no name for the result, nothing in the wheelhouse: exit 1, and no file is written."""
    workplace.file("shop.txt", "shop\n")
    done = workplace.fab(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert sorted(path.name for path in workplace.folder.glob("*.t*")) == ["shop.txt"]
