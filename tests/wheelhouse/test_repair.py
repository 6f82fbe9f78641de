"""What is wrong with a wheelhouse is mended where nothing can be lost by that, and left alone elsewhere."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from envfab.errors import SupplyError
from envfab.models.wheel import Wheel
from envfab.wheelhouse.listed_wheels import Fault
from envfab.wheelhouse.repair import RepairResult, repair
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.wheels import make_wheel, release_line, sha256

SHOP = "shop-1.0-py3-none-any.whl"
NO_COPY = "no copy was found: name a folder or an index that has it with --from"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Wheels beside the wheelhouse, found by name and hash; or a place that cannot be looked into."""

    folder: Path
    name: str = "the shelf"
    broken: bool = False

    def find(self, wheel: Wheel) -> Path | None:
        """As `Originals` says."""
        if self.broken:
            raise SupplyError("cannot be reached", where=self.name, hint="try again")
        path = self.folder / wheel.filename
        return path if path.exists() and sha256(path) == wheel.sha256 else None


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Wheelhouse:
    """A wheelhouse with shop 1.0, of which the shelf has a copy."""
    made = Wheelhouse(
        tmp_path / "wheelhouse" / "wheels", tmp_path / "wheelhouse" / "release_log", cache=tmp_path / "cache"
    )
    made.add(make_wheel(tmp_path / "shelf", "shop", "1.0"))
    return made


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Where the copy is."""
    return Shelf(tmp_path / "shelf")


def files(wheelhouse: Wheelhouse) -> dict[str, bytes]:
    """All that lies in the wheels folder."""
    return {path.name: path.read_bytes() for path in wheelhouse.wheels.iterdir()}


def test_a_sound_wheelhouse_has_nothing_to_repair(wheelhouse: Wheelhouse, shelf: Shelf) -> None:
    """And nothing is touched."""
    before, log = files(wheelhouse), wheelhouse.log.read_bytes()
    assert list(repair(wheelhouse, [shelf])) == []
    assert (files(wheelhouse), wheelhouse.log.read_bytes()) == (before, log)


def test_a_missing_wheel_comes_back_by_its_hash(wheelhouse: Wheelhouse, shelf: Shelf) -> None:
    """The first place that has the very file gives it; the log gets no line for it."""
    log, there = wheelhouse.log.read_bytes(), files(wheelhouse)
    (wheelhouse.wheels / SHOP).unlink()
    wheelhouse.refresh()
    empty = Shelf(shelf.folder / "nothing", "an empty one")
    assert list(repair(wheelhouse, [empty, shelf])) == [RepairResult(SHOP, done="restored from the shelf")]
    assert (files(wheelhouse), wheelhouse.log.read_bytes()) == (there, log)
    assert list(wheelhouse.examine()) == []


def test_a_changed_wheel_is_set_aside_when_the_right_one_is_at_hand(wheelhouse: Wheelhouse, shelf: Shelf) -> None:
    """Its new name is told, is no wheel's, and says what it holds; setting aside a second one does not lose the first."""
    right = files(wheelhouse)[SHOP]
    for number in range(2):
        place = wheelhouse.wheels / SHOP
        place.unlink()
        place.write_bytes(b"changed")
        wheelhouse.refresh()
        digest = sha256(place)[:12]
        aside = f"{SHOP}.changed-{digest}" + ("-2" if number else "")
        done = f"restored from the shelf; the changed file is now {aside}"
        assert list(repair(wheelhouse, [shelf])) == [RepairResult(SHOP, done=done)]
        assert files(wheelhouse)[aside] == b"changed"
        assert files(wheelhouse)[SHOP] == right
        assert list(wheelhouse.examine()) == []
    assert len(files(wheelhouse)) == 3


def test_a_changed_wheel_stays_where_the_right_one_is_nowhere(wheelhouse: Wheelhouse, shelf: Shelf) -> None:
    """Nothing is set aside then, and all that was tried is told."""
    (wheelhouse.wheels / SHOP).write_bytes(b"changed")
    make_wheel(shelf.folder, "shop", "1.0", files={"shop.py": "another = 1\n"})
    wheelhouse.refresh()
    assert list(repair(wheelhouse, [])) == [RepairResult(SHOP, left=NO_COPY)]
    tried = "the shelf does not have the file that was logged; far away: cannot be reached; try again"
    assert list(repair(wheelhouse, [shelf, Shelf(shelf.folder, "far away", broken=True)])) == [
        RepairResult(SHOP, left=tried)
    ]
    assert files(wheelhouse) == {SHOP: b"changed"}
    assert [finding.fault for finding in wheelhouse.examine()] == [Fault.CHANGED]


def test_a_copy_that_the_wheelhouse_refuses_changes_nothing(wheelhouse: Wheelhouse, shelf: Shelf) -> None:
    """Whatever an older tool has logged: what comes in must be a sound wheel, and the changed file keeps its name alone."""
    unsound = shelf.folder / "basket-1.0-py3-none-any.whl"
    unsound.write_bytes(b"never was a wheel")
    with wheelhouse.log.open("a") as log:
        log.write(release_line(unsound, "basket", "1.0") + "\n")
    (wheelhouse.wheels / unsound.name).write_bytes(b"changed")
    wheelhouse.refresh()
    (told,) = repair(wheelhouse, [shelf])
    assert told.filename == unsound.name
    assert told.left.startswith(f"{unsound}: ")
    assert files(wheelhouse).keys() == {SHOP, unsound.name}


def test_an_unlogged_wheel_is_not_taken_in_by_itself(wheelhouse: Wheelhouse, shelf: Shelf) -> None:
    """Not even where its wheel is sound: the one who adds it is the one who vouches for it."""
    stray = make_wheel(wheelhouse.wheels, "stray", "1.0")
    wheelhouse.refresh()
    log = wheelhouse.log.read_bytes()
    left = f"it is not logged: add it with fab add_wheel {stray}, or move it away"
    assert list(repair(wheelhouse, [shelf])) == [RepairResult(stray.name, left=left)]
    assert wheelhouse.log.read_bytes() == log


def test_what_was_logged_without_a_hash_cannot_be_told_from_another(wheelhouse: Wheelhouse, shelf: Shelf) -> None:
    """Lines of older tools have none, so that any file of that name might be it."""
    wheelhouse.log.write_text(f"release: shop==1.0 {SHOP} at 2020-01-01T00:00:00\n")
    (wheelhouse.wheels / SHOP).unlink()
    wheelhouse.refresh()
    left = "without a logged SHA-256, copies cannot be told apart: compare the file with its source, "
    assert list(repair(wheelhouse, [shelf])) == [RepairResult(SHOP, left=f"{left}then fab add_wheel --trust FILE")]
    assert files(wheelhouse) == {}
    path = make_wheel(wheelhouse.wheels, "shop", "1.0")
    wheelhouse.refresh()
    assert list(repair(wheelhouse, [shelf])) == [RepairResult(SHOP, left=f"{left}then fab add_wheel --trust {path}")]


def test_what_nobody_can_read_is_left_alone(wheelhouse: Wheelhouse, shelf: Shelf) -> None:
    """A name that is no wheel's, and a file that is none."""
    (wheelhouse.wheels / "README.whl").write_text("x")
    (wheelhouse.wheels / "junk-1.0-py3-none-any.whl").write_text("x")
    wheelhouse.refresh()
    left = "only you can tell what it is: make it readable, or move it away"
    before = files(wheelhouse)
    assert sorted(repair(wheelhouse, [shelf]), key=lambda one: one.filename) == [
        RepairResult("README.whl", left=left),
        RepairResult("junk-1.0-py3-none-any.whl", left=left),
    ]
    assert files(wheelhouse) == before


def test_copies_of_an_add_that_was_cut_off_are_removed_a_day_later(wheelhouse: Wheelhouse) -> None:
    """Younger ones may be somebody's who adds a wheel right now."""
    old, young = wheelhouse.wheels / ".0123.adding", wheelhouse.wheels / ".4567.adding"
    old.touch()
    young.touch()
    os.utime(old, (1, 1))
    (told,) = repair(wheelhouse, [])
    assert told == RepairResult(
        old.name, done="removed: a temporary file that an interrupted add_wheel left more than a day ago"
    )
    assert files(wheelhouse).keys() == {SHOP, young.name}


def test_a_last_line_that_lacks_only_its_end_gets_it(wheelhouse: Wheelhouse) -> None:
    """What it says counts from then on; an editor that ends no last line leaves such ones."""
    whole = wheelhouse.log.read_bytes()
    wheelhouse.log.write_bytes(whole.removesuffix(b"\n"))
    wheelhouse.refresh()
    assert [finding.fault for finding in wheelhouse.examine()] == [Fault.UNLOGGED]
    (told,) = repair(wheelhouse, [])
    assert told.filename == "release_log"
    assert told.done.startswith("added the missing end of its last line: release: shop==1.0 ")
    assert wheelhouse.log.read_bytes() == whole
    assert list(wheelhouse.examine()) == []


@pytest.mark.parametrize("lost", [2, 30, 64 + len(" sha256="), 100])
def test_a_last_line_that_may_have_lost_more_is_left_alone(wheelhouse: Wheelhouse, lost: int) -> None:
    """A release without its hash would read as an older tool's, for which any file would do."""
    torn = wheelhouse.log.read_bytes()[: -1 - lost]
    wheelhouse.log.write_bytes(torn)
    wheelhouse.refresh()
    log, wheel = repair(wheelhouse, [])
    assert log == RepairResult(
        "release_log",
        left="1 unreadable line stays, since the log is append-only: add the wheels concerned again",
    )
    assert (wheel.filename, wheel.done) == (SHOP, "")
    assert wheelhouse.log.read_bytes() == torn


def test_a_wheelhouse_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Repairing an empty wheelhouse leaves no trace."""
    wheelhouse = Wheelhouse(tmp_path / "wheels", tmp_path / "release_log", cache=tmp_path / "cache")
    assert list(repair(wheelhouse, [])) == []
    assert list(tmp_path.iterdir()) == []


def test_where_there_are_no_links_a_copy_is_set_aside(
    wheelhouse: Wheelhouse, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems have none."""

    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    (wheelhouse.wheels / SHOP).write_bytes(b"changed")
    wheelhouse.refresh()
    monkeypatch.setattr(os, "link", link)
    (told,) = repair(wheelhouse, [shelf])
    aside = told.done.rpartition("the changed file is now ")[2]
    assert files(wheelhouse)[aside] == b"changed"
    assert files(wheelhouse)[SHOP] == (shelf.folder / SHOP).read_bytes()


def test_what_is_repaired_while_others_work_is_fine(wheelhouse: Wheelhouse, shelf: Shelf) -> None:
    """Somebody else brings it back first."""
    (wheelhouse.wheels / SHOP).unlink()
    wheelhouse.refresh()

    @dataclass(frozen=True, slots=True)
    class Faster(Shelf):
        def find(self, wheel: Wheel) -> Path | None:
            shutil.copy(self.folder / wheel.filename, wheelhouse.wheels)
            return Shelf(self.folder).find(wheel)

    assert list(repair(wheelhouse, [Faster(shelf.folder)])) == [RepairResult(SHOP, done="restored from the shelf")]
    assert list(wheelhouse.examine()) == []
