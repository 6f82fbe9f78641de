"""Scripts: which ones an entry_points.txt asks for, and what begins them."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from envfab.agent import entry_points as source

agent: Any = source


@pytest.mark.parametrize(
    ("text", "console"),
    [
        ("[console_scripts]\nshop = shop.cli:main", [["shop", "shop.cli", "main"]]),
        ("\n [console_scripts] \r\n\tshop=shop:app.main\r\n", [["shop", "shop", "app.main"]]),
        ("[console_scripts]\n# a = b:c\n#\n\nshop = shop:main [extra,other]\n", [["shop", "shop", "main"]]),
        ("[console_scripts]\nshop = shop : main[x]\n", [["shop", "shop", "main"]]),
        ("[console_scripts]\nshop = shop:main  ; not a comment\n", [["shop", "shop", "main"]]),
        ("[console_scripts]\nShop.App-2 = a:b\n[other]\nx\ny = z\n[console_scripts]\nz = a:b\n", [["Shop.App-2", "a", "b"], ["z", "a", "b"]]),
        ("[console_scripts]\na = x:y\nb = x:y\na = z:y\n", [["a", "z", "y"], ["b", "x", "y"]]),
        ("[console_scripts]\nsub/shop = a:b\nmy shop = a:b\n", [["sub/shop", "a", "b"], ["my shop", "a", "b"]]),
        ("[ console_scripts ]\nshop = a:b\n", []),
        ("shop = a:b\n", []),
        ("", []),
    ],
)  # fmt: skip
def test_entry_points_are_read_as_importlib_metadata_reads_them(text: str, console: list[list[str]]) -> None:
    """Odd spacing, comments, extras; of one name the last counts, in the place of the first."""
    assert agent.entry_points(text.encode()) == (console, [])


@pytest.mark.parametrize("name", ["..", ".", "../x", "a/../x", "/x", "a//b", "", "a/"])
def test_a_script_lies_in_the_folder_of_scripts(name: str) -> None:
    """Or below it; a name that says otherwise is refused."""
    with pytest.raises(ValueError, match="invalid name of an entry point: "):
        agent.entry_points(f"[gui_scripts]\n{name} = a:b\n".encode())


def test_pips_own_scripts_are_named_after_the_interpreter() -> None:
    """Its wheel names them after that of who built it; so does the one of setuptools."""
    version = "{}.{}".format(*sys.version_info[:2])
    text = (
        "[console_scripts]\npip = p:m\npip3 = p:m\npip3.5 = p:m\nx = y:z\neasy_install = e:m\neasy_install-3.5 = e:m\n"
    )
    names = [entry[0] for entry in agent.entry_points(text.encode())[0]]
    assert sorted(names) == sorted(["pip", "pip3", f"pip{version}", "easy_install", f"easy_install-{version}", "x"])


PIP_SH = "#!/bin/sh\n'''exec' {} \"$0\" \"$@\"\n' '''\n"


@pytest.mark.parametrize(
    ("python", "lines"),
    [
        ("/srv/venv/bin/python", "#!/srv/venv/bin/python\n"),
        (f"/{'x' * 123}", f"#!/{'x' * 123}\n"),
        (f"/{'x' * 124}", PIP_SH.format(f"/{'x' * 124}")),
        ("/my venv/bin/python", PIP_SH.format('"/my venv/bin/python"')),
        ("/a$b'c/bin/python", "#!/a$b'c/bin/python\n"),
        ("/my $(x)/python", PIP_SH.format("'/my $(x)/python'")),
        ("/it's mine/python", PIP_SH.format("""'/it'"'"'s mine/python'""")),
        ("/ü x/python", PIP_SH.format('"/ü x/python"')),
    ],
)
def test_first_lines_are_those_of_pip(python: str, lines: str) -> None:
    """Where the path is too long or has a space, lines for sh; quoted so that sh takes nothing in it for a command."""
    assert agent.first_lines(python).decode() == lines


def test_a_scripts_encoding_stays_where_python_looks_for_it() -> None:
    """In the first two lines."""
    script = b"#!python\n# coding: latin-1\nX\n"
    assert agent.with_interpreter("/p", script) == b"#!/p\n# coding: latin-1\nX\n"
    lines = agent.with_interpreter("/my p", script).split(b"\n")
    assert lines == [b"#!/bin/sh", b"# coding: latin-1", b'\'\'\'exec\' "/my p" "$0" "$@"', b"' '''", b"X", b""]
