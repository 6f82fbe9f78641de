"""`fab add_wheel`, by the real program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.wheels import make_wheel, sha256
from tests.support.workplace import Workplace


def test_adds_many_files_at_once_and_makes_the_wheelhouse(workplace: Workplace) -> None:
    """The first `add_wheel` makes the folder and the log; each file gets a line on the terminal and in the log."""
    wheels = [make_wheel(workplace.folder / "dist", name, "1.0") for name in ("Shop", "basket")]
    done = workplace.fab("add_wheel", *map(str, wheels))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "added    Shop 1.0   shop-1.0-py3-none-any.whl",
        "added    basket 1.0   basket-1.0-py3-none-any.whl",
    ]
    assert workplace.log.startswith("release: Shop==1.0 shop-1.0-py3-none-any.whl at 20")
    assert f"sha256={sha256(wheels[0])}\n" in workplace.log
    assert workplace.fab(f"add_wheel:{wheels[0]}").stdout == "present  Shop 1.0   shop-1.0-py3-none-any.whl\n"


def test_refuses_one_and_takes_the_others(workplace: Workplace) -> None:
    """A file that is no wheel is refused with its reason, the others are added; exit 1."""
    good = make_wheel(workplace.folder / "dist", "shop", "1.0")
    bad = workplace.file("dist/basket-1.0-py3-none-any.whl", "not a zip")
    done = workplace.fab("add_wheel", str(bad), str(good), "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert [one["wheel"] for one in document["added"]] == [good.name]
    (refused,) = document["refused"]
    assert refused["file"] == str(bad)
    assert "basket-1.0-py3-none-any.whl" in refused["error"]
    assert sorted(path.name for path in (workplace.folder / "wheels").iterdir()) == [good.name]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("nosuch.whl", "there is no such file"),
        ("nosuch.bundle", "there is no such file"),
        ("~/nosuch.whl", "there is no such file"),
        (
            "dist/*.whl",
            "there is no such file\n  the shell expands a pattern only where it is unquoted and matches files",
        ),
        ("dist", "is a folder: name the wheels in it\n  fab add_wheel dist/*.whl"),
        ("https://example.org/six-1-py3-none-any.whl", "must be a file, not a URL\n  download it first"),
        ("file-1.0-py3-none-any.whl/x", "there is no such file"),
    ],
)
def test_what_is_no_file_is_said_to_be_none(workplace: Workplace, typed: str, says: str) -> None:
    """The path is shown as typed, and not taken for the name of a wheel that is wrong."""
    workplace.file("dist/README", "wheels")
    workplace.file("file-1.0-py3-none-any.whl", "")
    done = workplace.fab("add_wheel", "--file", typed)
    assert (done.returncode, done.stdout) == (1, f"refused  {typed}: {says}\n")
    assert not (workplace.folder / "wheels").exists()


def test_without_a_file_says_how(workplace: Workplace) -> None:
    """`fab add_wheel` alone is an error that shows the spelling."""
    done = workplace.fab("add_wheel")
    assert done.returncode == 1
    assert done.stderr == "envfab: add_wheel needs a file\n  fab add_wheel:dist/shop-2.1-py3-none-any.whl\n"


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("no", 1), ("ALL", 0)])
def test_at_a_terminal_an_unknown_hash_is_asked_about(
    workplace: Workplace, unhashed: Path, answer: str, status: int
) -> None:
    """The question says what is not known; without a yes nothing is logged."""
    with workplace.at_terminal("add_wheel", f"wheels/{unhashed.name}") as terminal:
        terminal.expect("Log the SHA-256 of this file as its hash?")
        terminal.send(f"{answer}\r")
        assert terminal.finish() == status
    assert ("sha256" in workplace.log) == (answer != "no")
