"""Locks out of the wheelhouse: by pip-compile for this interpreter, by the resolver for others, in one format."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.pylock import is_valid_pylock_path

from envfab.errors import SupplyError
from envfab.index.publish import publish
from envfab.lockfile.this_interpreter import this_one
from envfab.lockfile.write import Lock, files_of, lock, to_pylock, to_requirements, toml, write
from envfab.models.interpreter import Interpreter
from envfab.models.interpreter_kinds import InterpreterKind
from envfab.models.requirements import Requirements, parse
from envfab.planning.new_virtualenv import Unsolvable
from envfab.util.progress import Silent
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.planning.catalogue import interpreter
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import sha256
from tests.support.workplace import freeze

Add = Callable[..., Path]
HERE = InterpreterKind(this_one())


def wanted(*lines: str) -> Requirements:
    """The file requirements.in with these lines."""
    return parse(["requirements.in"], lambda _name: "\n".join(lines))


def pins(made: Lock) -> dict[str, str]:
    """Versions by name."""
    return {str(pin.chosen.wheel.name): str(pin.chosen.wheel.version) for pin in made.pins}


@pytest.fixture
def shops(wheelhouse: Wheelhouse, add: Add) -> Wheelhouse:
    """A wheelhouse with markers, extras, a cycle, a withdrawn release, and wheels for several machines."""
    add("Shop", "1.0", requires=["basket[gift]>=2", 'six; python_version < "3.9"', "till"])
    add("shop", "2.0")
    wheelhouse.yank("shop==2.0", "broken")
    add("basket", "2.1", extras=["gift"], requires=['paper; extra == "gift"'])
    add("till", "1.0", requires=["shop"], tags=["cp38-cp38-manylinux2014_x86_64"])
    add("till", "1.0")
    add("paper", "1.0+corp1")
    add("six", "1.16")
    return wheelhouse


def test_is_what_pip_compile_writes(shops: Wheelhouse, tmp_path: Path) -> None:
    """Pins, hashes of all wheels, and annotations are those of pip-compile itself, run on the published wheelhouse."""
    made = lock(wanted("shop", "till<2"), HERE, shops)
    assert made.by == "pip-compile"
    publish(shops, tmp_path / "index", Silent())
    (tmp_path / "requirements.in").write_text("shop\ntill<2\n")
    options = ["--quiet", "--no-config", "--allow-unsafe", "--strip-extras", "--generate-hashes", "--no-header"]
    options += ["--no-emit-index-url", "--index-url", (tmp_path / "index").as_uri(), "--pip-args", "--isolated"]
    done = subprocess.run(
        [sys.executable, "-m", "piptools", "compile", *options, "--output-file", "-", "requirements.in"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = "".join(line for line in to_requirements(made, "fab lock").splitlines(True) if not line.startswith("#"))
    assert text == done.stdout


def test_another_interpreter_gets_its_own_markers_and_tags(shops: Wheelhouse) -> None:
    """For CPython 3.8 the resolver answers, with what that interpreter needs."""
    foreign = lock(wanted("shop"), InterpreterKind(interpreter("3.8.18")), shops)
    assert foreign.by == "envfab"
    assert pins(foreign) == {"shop": "1.0", "basket": "2.1", "paper": "1.0+corp1", "six": "1.16", "till": "1.0"}
    assert pins(lock(wanted("shop"), HERE, shops)).keys() == pins(foreign).keys() - {"six"}
    text = to_requirements(foreign, "fab lock requirements.in")
    assert "for CPython 3.8.18 (linux x86_64), with envfab" in text
    (six,) = [entry for entry in parse(["l"], lambda _name: text).entries if entry.name == "six"]
    assert six.hashes == {shops.releases(six.name)[0].wheel.sha256}


def test_both_ways_agree_where_both_can_answer(shops: Wheelhouse) -> None:
    """The same requirements for this interpreter under another name of its version come to the same text."""
    this = this_one()
    other = Interpreter(this.version, this.implementation, {**this.markers, "platform_machine": "other"}, this.tags)
    by_pip, by_us = lock(wanted("shop"), HERE, shops), lock(wanted("shop"), InterpreterKind(other), shops)
    assert (by_pip.by, by_us.by) == ("pip-compile", "envfab")
    assert by_pip.pins == by_us.pins


def test_constraints_pins_and_hashes_of_the_source_count(shops: Wheelhouse, add: Add) -> None:
    """-c narrows, == brings back what was withdrawn."""
    add("six", "1.17")
    texts = {"requirements.in": "-c limits.txt\nshop==2.0\nsix\n", "limits.txt": "six<1.17\n"}
    assert pins(lock(parse(["requirements.in"], texts.__getitem__), HERE, shops)) == {"shop": "2.0", "six": "1.16"}


def test_hashes_of_the_source_choose_among_wheels(shops: Wheelhouse, add: Add) -> None:
    """Only what --hash allows is locked, whichever way it is worked out, though there is a newer release."""
    newer = add("six", "1.17", tags=["py2-none-any", "py3-none-any"])
    add("six", "1.17", build="1")
    add("six", "1.18")
    source = wanted(f"six --hash=sha256:{sha256(newer)}")
    for kind in (HERE, InterpreterKind(interpreter("3.8.18"))):
        (pin,) = lock(source, kind, shops).pins
        assert [wheel.filename for wheel in pin.wheels] == [newer.name]


def test_what_the_wheelhouse_cannot_meet_says_why(shops: Wheelhouse) -> None:
    """The reasons are those of a plan, whichever way found out."""
    for kind in (HERE, InterpreterKind(interpreter("3.8.18"))):
        with pytest.raises(Unsolvable) as caught:
            lock(wanted("shop>=3", "nothing"), kind, shops)
        assert str(caught.value) == (
            f"{kind.interpreter.title}: cannot be met\n  shop>=3 (requirements.in:1): the wheelhouse has 1.0, 2.0\n"
            "  nothing (requirements.in:2): the wheelhouse has no wheel of it"
        )


def test_a_wheel_without_a_logged_hash_cannot_be_locked(wheelhouse: Wheelhouse, add: Add) -> None:
    """Old lines of the log have no hash to pin."""
    add("shop", "1.0")
    log = wheelhouse.log.read_text().partition(" sha256=")[0] + "\n"
    wheelhouse.log.write_text(log)
    wheelhouse.refresh()
    with pytest.raises(SupplyError, match="has no hash in the release log"):
        lock(wanted("shop"), HERE, wheelhouse)


def test_pylock_is_read_back_and_installed_by_uv(
    shops: Wheelhouse, tmp_path: Path, make_virtualenv: VirtualenvMaker
) -> None:
    """The lock's paths are relative to where it lies, its pins and hashes are requirements, and uv installs from it."""
    place = tmp_path / "project" / "pylock.toml"
    place.parent.mkdir()
    made = lock(wanted("shop"), HERE, shops)
    text = to_pylock(made, shops, place)
    place.write_text(text)
    assert 'path = "../wheelhouse/wheels/shop-1.0-py3-none-any.whl"' in text
    read = parse([str(place)], lambda name: Path(name).read_text())
    assert {str(entry.requirement) for entry in read.entries} == {
        f"{name}=={value}" for name, value in pins(made).items()
    }
    assert {entry.name: entry.hashes for entry in read.entries} == {
        pin.chosen.wheel.name: {wheel.sha256 for wheel in pin.wheels} for pin in made.pins
    }
    venv = make_virtualenv(f"{sys.version_info[0]}.{sys.version_info[1]}", tmp_path / "uv")
    uv = Path(sys.executable).with_name("uv")
    command = [
        str(uv),
        "pip",
        "install",
        "--no-config",
        "--no-cache",
        "--python",
        str(venv / "bin" / "python"),
        "--offline",
    ]
    done = subprocess.run([*command, "-r", str(place)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert freeze(venv) == {"Shop": "1.0", "basket": "2.1", "paper": "1.0+corp1", "till": "1.0"}


def test_a_lock_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    """A file in the way is one clear error."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SupplyError, match="cannot be written: "):
        write(tmp_path / "file" / "shop.txt", "shop==1.0")


def test_toml_texts_are_quoted() -> None:
    """Quotes, backslashes and control characters come back as they were."""
    tomllib = pytest.importorskip("tomllib")
    document = {"a": 'x"\\\n\x7f\u00e9', "packages": [{"name": "b", "wheels": [{"size": 1, "ok": True}]}]}
    assert tomllib.loads(toml(document)) == document


def test_one_file_for_each_interpreter(shops: Wheelhouse, tmp_path: Path) -> None:
    """One lock keeps its name; several are named after their interpreters; alike ones with the same pins share one."""
    place = tmp_path / "shop.txt"
    old, new, newer = (
        lock(wanted("shop"), InterpreterKind(interpreter(one)), shops) for one in ("3.8.18", "3.12.1", "3.12.2")
    )
    assert list(files_of([old], place)) == [place]
    assert list(files_of([new, newer], place)) == [place]
    assert [file.name for file in files_of([old, new, newer], place)] == [
        "shop.cp38-linux_x86_64.txt",
        "shop.cp312-linux_x86_64.txt",
    ]
    empty = Lock(newer.kind, (), "envfab")
    names = [file.name for file in files_of([new, empty], tmp_path / "pylock.toml")]
    assert names == ["pylock.3_12_1-manylinux2014_x86_64.toml", "pylock.3_12_2-manylinux2014_x86_64.toml"]
    assert all(is_valid_pylock_path(Path(name)) for name in names)
