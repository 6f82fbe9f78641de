"""What is wrong with a house is mended where nothing can be lost by that, and left alone elsewhere."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from envfab.errors import SupplyError
from envfab.models.wheel import Wheel
from envfab.wheelhouse.repair import Repair, repair
from envfab.wheelhouse.wheelhouse import Fault, House
from tests.support.wheels import make_wheel, release_line, sha256

SHOP = "shop-1.0-py3-none-any.whl"
NO_COPY = "no other copy is at hand: name a folder or an index that has it with --from"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Wheels beside the house, found by name and hash; or a place that cannot be looked into."""

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
def house(tmp_path: Path) -> House:
    """A house with shop 1.0, of which the shelf has a copy."""
    made = House(tmp_path / "house" / "wheels", tmp_path / "house" / "release_log", cache=tmp_path / "cache")
    made.add(make_wheel(tmp_path / "shelf", "shop", "1.0"))
    return made


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Where the copy is."""
    return Shelf(tmp_path / "shelf")


def files(house: House) -> dict[str, bytes]:
    """All that lies in the wheels folder."""
    return {path.name: path.read_bytes() for path in house.wheels.iterdir()}


def test_a_sound_house_has_nothing_to_repair(house: House, shelf: Shelf) -> None:
    """And nothing is touched."""
    before, log = files(house), house.log.read_bytes()
    assert list(repair(house, [shelf])) == []
    assert (files(house), house.log.read_bytes()) == (before, log)


def test_a_missing_wheel_comes_back_by_its_hash(house: House, shelf: Shelf) -> None:
    """The first place that has the very file gives it; the log gets no line for it."""
    log, there = house.log.read_bytes(), files(house)
    (house.wheels / SHOP).unlink()
    house.refresh()
    empty = Shelf(shelf.folder / "nothing", "an empty one")
    assert list(repair(house, [empty, shelf])) == [Repair(SHOP, done="brought back from the shelf")]
    assert (files(house), house.log.read_bytes()) == (there, log)
    assert list(house.examine()) == []


def test_a_changed_wheel_is_set_aside_when_the_right_one_is_at_hand(house: House, shelf: Shelf) -> None:
    """Its new name is told, is no wheel's, and says what it holds; setting aside a second one does not lose the first."""
    right = files(house)[SHOP]
    for number in range(2):
        place = house.wheels / SHOP
        place.unlink()
        place.write_bytes(b"changed")
        house.refresh()
        digest = sha256(place)[:12]
        aside = f"{SHOP}.changed-{digest}" + ("-2" if number else "")
        done = f"brought back from the shelf; the changed file is {aside} now"
        assert list(repair(house, [shelf])) == [Repair(SHOP, done=done)]
        assert files(house)[aside] == b"changed"
        assert files(house)[SHOP] == right
        assert list(house.examine()) == []
    assert len(files(house)) == 3


def test_a_changed_wheel_stays_where_the_right_one_is_nowhere(house: House, shelf: Shelf) -> None:
    """Nothing is set aside then, and all that was tried is told."""
    (house.wheels / SHOP).write_bytes(b"changed")
    make_wheel(shelf.folder, "shop", "1.0", files={"shop.py": "another = 1\n"})
    house.refresh()
    assert list(repair(house, [])) == [Repair(SHOP, left=NO_COPY)]
    tried = "the shelf does not have the file that was logged; far away: cannot be reached; try again"
    assert list(repair(house, [shelf, Shelf(shelf.folder, "far away", broken=True)])) == [Repair(SHOP, left=tried)]
    assert files(house) == {SHOP: b"changed"}
    assert [finding.fault for finding in house.examine()] == [Fault.CHANGED]


def test_a_copy_that_the_house_refuses_changes_nothing(house: House, shelf: Shelf) -> None:
    """Whatever an older tool has logged: what comes in must be a sound wheel, and the changed file keeps its name alone."""
    unsound = shelf.folder / "basket-1.0-py3-none-any.whl"
    unsound.write_bytes(b"never was a wheel")
    with house.log.open("a") as log:
        log.write(release_line(unsound, "basket", "1.0") + "\n")
    (house.wheels / unsound.name).write_bytes(b"changed")
    house.refresh()
    (told,) = repair(house, [shelf])
    assert told.filename == unsound.name
    assert told.left.startswith(f"{unsound}: ")
    assert files(house).keys() == {SHOP, unsound.name}


def test_an_unlogged_wheel_is_not_taken_in_by_itself(house: House, shelf: Shelf) -> None:
    """Not even where its wheel is sound: the one who adds it is the one who vouches for it."""
    stray = make_wheel(house.wheels, "stray", "1.0")
    house.refresh()
    log = house.log.read_bytes()
    left = f"it is not logged: fab add_wheel {stray} takes it in, or move it away"
    assert list(repair(house, [shelf])) == [Repair(stray.name, left=left)]
    assert house.log.read_bytes() == log


def test_what_was_logged_without_a_hash_cannot_be_told_from_another(house: House, shelf: Shelf) -> None:
    """Lines of older tools have none, so that any file of that name might be it."""
    house.log.write_text(f"release: shop==1.0 {SHOP} at 2020-01-01T00:00:00\n")
    (house.wheels / SHOP).unlink()
    house.refresh()
    left = "without a logged SHA-256 no copy can be told from another: compare the file with where it came from, "
    left += f"then fab add_wheel --trust {house.wheels / SHOP}"
    assert list(repair(house, [shelf])) == [Repair(SHOP, left=left)]
    assert files(house) == {}


def test_what_nobody_can_read_is_left_alone(house: House, shelf: Shelf) -> None:
    """A name that is no wheel's, and a file that is none."""
    (house.wheels / "README.whl").write_text("x")
    (house.wheels / "junk-1.0-py3-none-any.whl").write_text("x")
    house.refresh()
    left = "nobody but you can tell what it is: look at it, and make it readable or take it away"
    before = files(house)
    assert sorted(repair(house, [shelf]), key=lambda one: one.filename) == [
        Repair("README.whl", left=left),
        Repair("junk-1.0-py3-none-any.whl", left=left),
    ]
    assert files(house) == before


def test_copies_of_an_add_that_was_cut_off_are_removed_a_day_later(house: House) -> None:
    """Younger ones may be somebody's who adds a wheel right now."""
    old, young = house.wheels / ".0123.adding", house.wheels / ".4567.adding"
    old.touch()
    young.touch()
    os.utime(old, (1, 1))
    (told,) = repair(house, [])
    assert told == Repair(old.name, done="removed: the copy of an add_wheel that was cut off more than a day ago")
    assert files(house).keys() == {SHOP, young.name}


def test_a_last_line_that_lacks_only_its_end_gets_it(house: House) -> None:
    """What it says counts from then on; an editor that ends no last line leaves such ones."""
    whole = house.log.read_bytes()
    house.log.write_bytes(whole.removesuffix(b"\n"))
    house.refresh()
    assert [finding.fault for finding in house.examine()] == [Fault.UNLOGGED]
    (told,) = repair(house, [])
    assert told.filename == "release_log"
    assert told.done.startswith("its last line was whole but for the line end, which it has now: release: shop==1.0 ")
    assert house.log.read_bytes() == whole
    assert list(house.examine()) == []


@pytest.mark.parametrize("lost", [2, 30, 64 + len(" sha256="), 100])
def test_a_last_line_that_may_have_lost_more_is_left_alone(house: House, lost: int) -> None:
    """A release without its hash would read as an older tool's, for which any file would do."""
    torn = house.log.read_bytes()[: -1 - lost]
    house.log.write_bytes(torn)
    house.refresh()
    log, wheel = repair(house, [])
    assert log == Repair(
        "release_log",
        left="1 line that nobody can read stays, for the log is only ever added to: log again what they were for",
    )
    assert (wheel.filename, wheel.done) == (SHOP, "")
    assert house.log.read_bytes() == torn


def test_a_house_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Repairing an empty house leaves no trace."""
    house = House(tmp_path / "wheels", tmp_path / "release_log", cache=tmp_path / "cache")
    assert list(repair(house, [])) == []
    assert list(tmp_path.iterdir()) == []


def test_where_there_are_no_links_a_copy_is_set_aside(
    house: House, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems have none."""

    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    (house.wheels / SHOP).write_bytes(b"changed")
    house.refresh()
    monkeypatch.setattr(os, "link", link)
    (told,) = repair(house, [shelf])
    aside = told.done.rpartition("the changed file is ")[2].removesuffix(" now")
    assert files(house)[aside] == b"changed"
    assert files(house)[SHOP] == (shelf.folder / SHOP).read_bytes()


def test_what_is_repaired_while_others_work_is_fine(house: House, shelf: Shelf) -> None:
    """Somebody else brings it back first."""
    (house.wheels / SHOP).unlink()
    house.refresh()

    @dataclass(frozen=True, slots=True)
    class Faster(Shelf):
        def find(self, wheel: Wheel) -> Path | None:
            shutil.copy(self.folder / wheel.filename, house.wheels)
            return Shelf(self.folder).find(wheel)

    assert list(repair(house, [Faster(shelf.folder)])) == [Repair(SHOP, done="brought back from the shelf")]
    assert list(house.examine()) == []
