"""Unpacked wheels in a virtualenv's folders: links that nobody writes through, scripts that start, a RECORD that is true."""

from __future__ import annotations

import base64
import csv
import errno
import hashlib
import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import place as source
from envfab.agent.protocol import Problem
from tests.agent.conftest import AWKWARD
from tests.agent.test_unpack import ABOUT, INFO, files, member, pack, unpacked
from tests.agent.unpacking import work
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import record_text

agent: Any = source
SITE = "lib/python3.11/site-packages"
SCHEME = {
    "purelib": SITE,
    "platlib": SITE,
    "scripts": "bin",
    "headers": "include/site/python3.11",
    "data": "",
}
NEW_TEXT = (
    "import sys\nfrom shop.cli import app\nif __name__ == '__main__':\n"
    "    sys.argv[0] = sys.argv[0].removesuffix('.exe')\n    sys.exit(app.main())\n"
)


def placed(
    tmp_path: Path,
    content: Mapping[str, str | bytes],
    *more: Any,
    python: str = "/srv/venv/bin/python",
    requested: bool = False,
    link: bool = True,
    umask: int = 0o022,
    compiled: bool = False,
    scheme: Mapping[str, str] = SCHEME,
) -> list[str]:
    """Unpack a wheel with these files into `tree`, and place it in `root`: the paths."""
    unpacked(pack(tmp_path, content, *more), tmp_path / "tree", umask=umask, compiled=compiled)
    (tmp_path / "root").mkdir(exist_ok=True)
    return sorted(agent.place(str(tmp_path / "tree"), str(tmp_path / "root"), scheme, python, requested, link))


def rows(tmp_path: Path) -> dict[str, tuple[str, ...]]:
    """What the RECORD says of each path."""
    with (tmp_path / "root" / SITE / INFO / "RECORD").open(encoding="utf-8", newline="") as stream:
        return {row[0]: tuple(row[1:]) for row in csv.reader(stream)}


def hashed(content: bytes) -> tuple[str, str]:
    """What RECORD says of a file with that content."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"sha256={digest}", str(len(content))


def test_each_file_lies_where_the_scheme_says(tmp_path: Path) -> None:
    """The paths that come back are all that is there; headers have a folder of the distribution's own."""
    content = {
        "shop/x.py": "",
        "shop-1.0.data/data/share/man/x.1": "",
        "shop-1.0.data/data/bin/tool": "",
        "shop-1.0.data/headers/x.h": "",
        "shop-1.0.data/scripts/run": "",
    }
    found = placed(tmp_path, content)
    assert set(found) == files(tmp_path / "root") == {
        *(f"{SITE}/shop/x.py", "share/man/x.1", "bin/tool", "include/site/python3.11/Shop/x.h", "bin/run"),
        *(f"{SITE}/{INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "INSTALLER")),
    }  # fmt: skip


def test_files_are_links_to_the_tree(tmp_path: Path) -> None:
    """But for what each virtualenv has of its own."""
    content = {
        "shop.py": "",
        "shop-1.0.data/scripts/run": "#!python\n",
        f"{INFO}/entry_points.txt": "[console_scripts]\ns=s:s",
    }
    own = {f"{SITE}/{INFO}/RECORD", f"{SITE}/{INFO}/INSTALLER", f"{SITE}/{INFO}/REQUESTED", "bin/run", "bin/s"}
    for name in placed(tmp_path, content, requested=True, compiled=True):
        assert ((tmp_path / "root" / name).stat().st_nlink == 1) == (name in own), name
    assert agent.read_tree(str(tmp_path / "tree")) is not None


def test_a_file_that_is_there_is_replaced_and_not_written_to(tmp_path: Path) -> None:
    """Others may have links to it."""
    names = [f"{SITE}/shop.py", f"{SITE}/{INFO}/RECORD", f"{SITE}/{INFO}/INSTALLER", "bin/s", "bin/run"]
    for name in names:
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text("of others")
        os.link(tmp_path / "root" / name, tmp_path / name.replace("/", "-"))
    content = {
        "shop.py": "",
        "shop-1.0.data/scripts/run": "#!python\n",
        f"{INFO}/entry_points.txt": "[console_scripts]\ns=s:s",
    }
    for _ in range(2):
        agent_paths = placed(tmp_path, content) if not (tmp_path / "tree").exists() else again(tmp_path)
        assert set(names) <= set(agent_paths)
        for name in names:
            assert (tmp_path / name.replace("/", "-")).read_text() == "of others"
            assert (tmp_path / "root" / name).read_text() != "of others"
    assert set(agent_paths) == files(tmp_path / "root")


def again(tmp_path: Path) -> list[str]:
    """Place the tree that is there once more."""
    return sorted(agent.place(str(tmp_path / "tree"), str(tmp_path / "root"), SCHEME, "/p", False, True))


def test_a_link_that_is_there_is_replaced(tmp_path: Path) -> None:
    """What it leads to stays as it is."""
    (tmp_path / "root" / SITE).mkdir(parents=True)
    (tmp_path / "elsewhere.py").write_text("of others")
    (tmp_path / "root" / SITE / "shop.py").symlink_to(tmp_path / "elsewhere.py")
    placed(tmp_path, {"shop.py": "X = 1\n"})
    assert (tmp_path / "root" / SITE / "shop.py").samefile(tmp_path / "tree/purelib/shop.py")
    assert (tmp_path / "elsewhere.py").read_text() == "of others"


@pytest.mark.parametrize("link", ["asked", errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_copies_keep_mode_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str | int) -> None:
    """Where links are not wanted, or the file system says no; so bytecode stays valid, by the time of its source."""

    def fail(*paths: str) -> None:
        raise OSError(link, "no link", *paths[:1])

    if isinstance(link, int):
        monkeypatch.setattr(os, "link", fail)
    more = (member("shop/run", mode=stat.S_IFREG | 0o755), b"#!/bin/sh\n")
    names = placed(tmp_path, {"shop/x.py": "X = 1\n"}, more, compiled=True, link=isinstance(link, int))
    for name in names:
        file, original = tmp_path / "root" / name, tmp_path / "tree/purelib" / Path(name).relative_to(SITE)
        if original.exists() and file.name != "RECORD":
            assert not file.samefile(original)
            one, two = file.stat(), original.stat()
            assert (one.st_mode, one.st_mtime, one.st_size) == (two.st_mode, two.st_mtime, two.st_size)
    assert set(names) == files(tmp_path / "root")


def test_a_file_with_as_many_links_as_can_be_is_copied_and_others_are_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That one says nothing of the file system."""
    real = os.link

    def fail(source: str, target: str) -> None:
        if source.endswith("__init__.py"):
            raise OSError(errno.EMLINK, "too many links")
        real(source, target)

    monkeypatch.setattr(os, "link", fail)
    placed(tmp_path, {"shop/__init__.py": "", "shop/x.py": ""})
    counts = [(tmp_path / "root" / SITE / "shop" / name).stat().st_nlink for name in ("__init__.py", "x.py")]
    assert counts == [1, 2]


def test_another_error_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is not taken for a file system without links."""

    def fail(*paths: str) -> None:
        raise OSError(errno.ENOSPC, "no space left", *paths[1:])

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(OSError, match="no space"):
        placed(tmp_path, {"shop.py": ""})


def test_record_lists_all_that_was_placed(tmp_path: Path) -> None:
    """Paths are relative to the folder of packages; made bytecode and RECORD itself have no hash, as with pip."""
    content = {
        "shop.py": "X = 1\n",
        'odd, "name".py': "def",
        "shop-1.0.data/data/share/x": "x",
        f"{INFO}/INSTALLER": "other\n",
        "shop-1.0.data/scripts/run": "#!python -u\n",
        f"{INFO}/entry_points.txt": "[console_scripts]\nshop=shop.cli:app.main",
    }
    names = placed(tmp_path, content, requested=True, compiled=True)
    found = rows(tmp_path)
    assert {os.path.normpath(os.path.join(SITE, path)) for path in found} == set(names)
    assert found["shop.py"] == hashed(b"X = 1\n")
    assert found["../../../share/x"] == hashed(b"x")
    assert found["../../../bin/run"] == hashed(b"#!/srv/venv/bin/python\n")
    assert found["../../../bin/shop"] == hashed(b"#!/srv/venv/bin/python\n" + NEW_TEXT.encode())
    assert found[f"{INFO}/INSTALLER"] == hashed(b"envfab\n")
    assert found[f"{INFO}/REQUESTED"] == hashed(b"")
    assert found[f"{INFO}/RECORD"] == ("", "")
    assert [values for path, values in found.items() if path.endswith(".pyc")] == [("", "")]
    assert 'odd, "name".py' in found


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_written_files_have_the_modes_that_pip_gives(tmp_path: Path, umask: int) -> None:
    """Scripts of entry points can be run by all; a rewritten one keeps its mode, which need not be executable."""
    content = {"shop-1.0.data/scripts/plain": "#!python\n", f"{INFO}/entry_points.txt": "[console_scripts]\ns=s:s"}
    more = (member("shop-1.0.data/scripts/run", mode=stat.S_IFREG | 0o755), b"#!python\n")
    before = os.umask(0o022)
    placed(tmp_path, content, more, umask=umask)
    assert os.umask(before) == 0o022
    modes = {
        name: stat.S_IMODE((tmp_path / "root" / name).stat().st_mode) for name in ("bin/s", "bin/run", "bin/plain")
    }
    assert modes == {"bin/s": 0o666 & ~umask | 0o555, "bin/run": 0o777 & ~umask | 0o111, "bin/plain": 0o666 & ~umask}
    assert stat.S_IMODE((tmp_path / "root" / SITE / INFO / "RECORD").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "root" / SITE).stat().st_mode) == 0o777 & ~umask


def test_of_two_entry_points_of_one_name_the_last_counts(tmp_path: Path) -> None:
    """As with pip; and one for a desktop after one for a terminal."""
    points = "[gui_scripts]\nb = gui:b\n[console_scripts]\na = one:a\nb = one:b\na = two:a\n"
    names = placed(tmp_path, {f"{INFO}/entry_points.txt": points})
    assert [name for name in names if name.startswith("bin/")] == ["bin/a", "bin/b"]
    assert "from two import a" in (tmp_path / "root/bin/a").read_text()
    assert "from gui import b" in (tmp_path / "root/bin/b").read_text()
    assert len(rows(tmp_path)) == len(names)


def test_a_folder_that_leads_out_of_the_virtualenv_is_refused(tmp_path: Path) -> None:
    """What it leads to is somebody's own; a link to a folder inside is nothing."""
    (tmp_path / "own").mkdir()
    (tmp_path / "root/lib").mkdir(parents=True)
    (tmp_path / "root/lib64").symlink_to("lib")
    scheme = {**SCHEME, "purelib": SITE.replace("lib/", "lib64/", 1)}
    placed(tmp_path, {"shop.py": ""}, scheme=scheme)
    assert (tmp_path / "root" / SITE / "shop.py").exists()
    (tmp_path / "root" / SITE / "till").symlink_to(tmp_path / "own")
    (tmp_path / "tree").rename(tmp_path / "first")
    with pytest.raises(Problem) as raised:
        placed(tmp_path, {"till/x.py": ""})
    message = f"Shop 1.0: {tmp_path}/root/{SITE}/till leads to {tmp_path}/own, out of the virtualenv; make it a folder"
    assert str(raised.value.message) == message
    assert list((tmp_path / "own").iterdir()) == []


def test_what_is_no_tree_is_not_placed(tmp_path: Path) -> None:
    """Something was cut off."""
    with pytest.raises(Problem, match="is incomplete; deploy again"):
        agent.place(str(tmp_path), str(tmp_path), SCHEME, "/p", False, True)


ALL_SORTS = {
    "shop/__init__.py": "NAME = u'shop'\n",
    "shop/übung.txt": "ä",
    "shop/with space.txt": "",
    "shop/main.py": """
import sys
def go():
    named = sys._getframe().f_code.co_filename
    print('go %d %s' % (len(sys.argv), named == __file__.replace('.pyc', '.py')))
""",
    f"{INFO}/entry_points.txt": "[console_scripts]\n# no\n  go=shop.main : go [x]\n\n[gui_scripts]\nshow = shop.main:go\n",
}
SCRIPTS = {
    "run": b"#!python -u\nimport shop\nprint('run ' + shop.NAME)\n",
    "latin": "#!pythonw\n# -*- coding: latin-1 -*-\nprint(len(u'\xe9'))\n".encode("latin-1"),
}


def pack_all_sorts(folder: Path) -> Path:
    """A wheel of many odd things, one of them a name in code page 437, as old tools write it."""
    more = [(member(f"shop-1.0.data/scripts/{name}", mode=0o100755), content) for name, content in SCRIPTS.items()]
    names = {**ALL_SORTS, "shop/xx.old": "", **ABOUT}
    listed = {**{name: text.encode() for name, text in names.items()}, **{entry.filename: text for entry, text in more}}
    record = record_text(listed, f"{INFO}/RECORD").replace("xx.old", "üü.old")
    wheel = pack(folder, names, *more, record=record)
    wheel.write_bytes(wheel.read_bytes().replace(b"xx.old", b"\x81\x81.old"))
    return wheel


EVERYWHERE = """
unpack(native(given["wheel"]), native(given["tree"]), 0o022, True)
whole = is_whole(native(given["tree"]))
root, python = native(given["root"]), native(given["python_path"])
paths = place(native(given["tree"]), root, given["scheme"], python, True, True)
compiled = [row[1] for row in read_tree(native(given["tree"]))["compiled"]]
result = {"whole": whole, "paths": [package.protocol.text(path) for path in sorted(paths)], "compiled": compiled}
"""


@pytest.mark.parametrize("name", [AWKWARD, "plain", "long" * 40], ids=["awkward", "plain", "long"])
def test_scripts_start_in_every_interpreter(
    make_virtualenv: VirtualenvMaker, tmp_path: Path, version: str, name: str
) -> None:
    """Also where the path has spaces, quotes and a `$`, or is too long for a first line; and in the C locale.

    What they import names itself as the file that it is, wherever it was compiled.
    """
    path = make_virtualenv(version, tmp_path / name)
    # by a link, for virtualenv itself fails for 2.7 below a folder with an umlaut
    named = tmp_path / (f"{name} ü" if name == AWKWARD else "link")
    named.symlink_to(path)
    (site,) = (found.relative_to(path) for found in path.glob("lib/python*/site-packages"))
    scheme = {**SCHEME, "purelib": str(site), "platlib": str(site)}
    wheel = pack_all_sorts(tmp_path / "made")
    given = {
        "wheel": str(wheel),
        "tree": str(tmp_path / "tree"),
        "root": str(path),
        "python_path": str((named if name == AWKWARD else path) / "bin/python"),
    }
    told = work(path / "bin/python", EVERYWHERE, locale="C", scheme=scheme, **given)
    assert told["whole"]
    assert len(told["compiled"]) == 2
    assert all((path / name).is_file() for name in told["paths"])
    assert {f"{site}/shop/{name}" for name in ("übung.txt", "with space.txt", "üü.old")} <= set(told["paths"])
    said = [start(path, tmp_path, script) for script in ("go", "show", "run", "latin")]
    assert said == ["go 2 True", "go 2 True", "run shop", "1"]
    assert list(tmp_path.glob("x")) == []


def start(path: Path, cwd: Path, script: str) -> str:
    """What a script prints."""
    done = subprocess.run([path / "bin" / script, "argument"], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_placing_is_quick(tmp_path: Path) -> None:
    """Two thousand files cost less than a quarter of a second of CPU time."""
    content = {f"shop/p{number % 40}/m{number}.py": "" for number in range(2000)}
    unpacked(pack(tmp_path, content), tmp_path / "tree")
    best = 9.0
    for attempt in range(3):
        (tmp_path / f"root{attempt}").mkdir()
        before = os.times()
        agent.place(str(tmp_path / "tree"), str(tmp_path / f"root{attempt}"), SCHEME, "/p", True, True)
        after = os.times()
        best = min(best, after.user + after.system - before.user - before.system)
    assert best < 0.25
