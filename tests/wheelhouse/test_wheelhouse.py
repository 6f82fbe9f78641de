"""The wheelhouse as a catalogue, its listing, and what is done with its wheels."""

from __future__ import annotations

import os
import shutil
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from envfab.config.target import Target
from envfab.errors import WheelError, WheelhouseError
from envfab.models.wheel import Wheel
from envfab.planning.catalogue import Catalogue
from envfab.wheelhouse import digest_cache
from envfab.wheelhouse.listed_wheels import Fault
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.wheels import FIRST_RELEASE, make_wheel, make_wheelhouse, release_line, sha256

SHOP = canonicalize_name("shop")
TARGET = Target("shop", "web1", "/srv/shop/venv")


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Wheelhouse:
    """A wheelhouse that does not exist yet, with a cache of its own."""
    return Wheelhouse(tmp_path / "wheels", tmp_path / "release_log", cache=tmp_path / "cache")


def shop(tmp_path: Path, version: str = "1.0", **more: str) -> Path:
    """A wheel of the project `Shop`, outside the wheelhouse."""
    return make_wheel(tmp_path / "dist", "Shop", version, build=more.get("build", ""))


def age(path: Path) -> None:
    """Wait until the file's times count as settled."""
    time.sleep(max(0.0, path.stat().st_ctime + 2.1 - time.time()))


def test_a_lost_wheel_is_told_where_nothing_as_new_is_there(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    """Not where a newer one stands, where another machine's wheel of the version does, or what was withdrawn is gone."""
    for version in ("1.0", "1.1", "2.0"):
        wheelhouse.add(make_wheel(tmp_path / "dist", "shop", version))
    basket = wheelhouse.add(make_wheel(tmp_path / "dist", "basket", "1.0")).wheel
    assert wheelhouse.lost() == ()
    for filename in ("shop-1.1-py3-none-any.whl", basket.filename):
        (wheelhouse.wheels / filename).unlink()
    wheelhouse.refresh()
    assert [one.filename for one in wheelhouse.lost()] == [basket.filename]
    (wheelhouse.wheels / "shop-2.0-py3-none-any.whl").unlink()
    wheelhouse.yank("basket==1.0", "broken")
    assert [one.filename for one in wheelhouse.lost()] == ["shop-1.1-py3-none-any.whl", "shop-2.0-py3-none-any.whl"]
    wheelhouse.add(make_wheel(tmp_path / "dist", "shop", "2.0", tags=["cp311-cp311-linux_x86_64"]))
    assert wheelhouse.lost() == ()


def test_a_release_is_withdrawn_with_others_or_not_at_all(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    """One name that the log does not have: nothing is written, and all others still stand."""
    wheelhouse.add(make_wheel(tmp_path / "dist", "shop", "1.0"))
    with pytest.raises(WheelhouseError, match=r"the release log has no nope==2"):
        wheelhouse.yank_all(["shop==1.0", "nope==2"], "broken")
    assert "yank:" not in wheelhouse.log.read_text()
    assert [
        len(found) for found in wheelhouse.yank_all(["shop==1.0", "shop-1.0-py3-none-any.whl"], "broken").values()
    ] == [
        1,
        1,
    ]
    assert wheelhouse.log.read_text().count("yank:") == 1


def test_every_file_is_read_where_all_are_examined(
    wheelhouse: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that loses a bit changes neither size nor time nor inode, by which digests are remembered."""
    wheel = wheelhouse.add(make_wheel(tmp_path / "dist", "shop", "1.0")).wheel
    monkeypatch.setattr(digest_cache, "SETTLED", -1)
    wheelhouse.verify_unchanged([wheel])
    monkeypatch.setattr(digest_cache, "sha256_of", lambda _path: "0" * 64)
    wheelhouse.verify_unchanged([wheel])
    assert [finding.fault for finding in wheelhouse.examine()] == [Fault.CHANGED]


def test_a_wheelhouse_that_does_not_exist_is_empty(wheelhouse: Wheelhouse) -> None:
    """No folder and no log are an empty catalogue, and asking makes neither."""
    catalogue: Catalogue = wheelhouse
    assert list(catalogue.projects()) == []
    assert list(catalogue.releases(SHOP)) == []
    assert wheelhouse.list() == ()
    assert wheelhouse.problems() == ()
    assert list(wheelhouse.examine()) == []
    assert not wheelhouse.wheels.exists()
    assert not wheelhouse.log.exists()


def test_candidates_are_wheels_that_are_logged_and_there(tmp_path: Path) -> None:
    """A wheel without a line, and a line without a wheel, are no candidates and make no project."""
    wheels, log = make_wheelhouse(tmp_path, projects=4, versions=2)
    (wheels / "project_0-1.0-py3-none-any.whl").unlink()
    (wheels / "project_1-1.0-py3-none-any.whl").unlink()
    (wheels / "project_1-1.1-py3-none-any.whl").unlink()
    make_wheel(wheels, "project-1", "3.0")
    make_wheel(wheels, "unlogged", "1.0")
    (wheels / ".project_2-9.0-py3-none-any.whl").touch()
    wheelhouse = Wheelhouse(wheels, log)
    assert sorted(wheelhouse.projects()) == ["project-0", "project-2", "project-3"]
    assert [release.wheel.filename for release in wheelhouse.releases(canonicalize_name("project-0"))] == [
        "project_0-1.1-py3-none-any.whl"
    ]
    assert list(wheelhouse.releases(canonicalize_name("project-1"))) == []
    assert list(wheelhouse.releases(canonicalize_name("unlogged"))) == []
    assert len(wheelhouse.releases(canonicalize_name("project-2"))) == 2


def test_a_release_tells_what_the_log_says(tmp_path: Path) -> None:
    """Name as published, hash and date come from the log; names are asked for canonically."""
    wheel = make_wheel(tmp_path / "wheels", "Zope.Interface", "5.0")
    log = tmp_path / "release_log"
    log.write_text(f"{release_line(wheel, 'Zope.Interface', '5.0')}\n", encoding="utf-8")
    (release,) = Wheelhouse(tmp_path / "wheels", log).releases(canonicalize_name("zope_interface"))
    assert release.wheel.shown_as == "Zope.Interface"
    assert release.wheel.sha256 == sha256(wheel)
    assert release.added == FIRST_RELEASE
    assert not release.yanked


def test_old_lines_are_candidates_without_a_hash(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    """A line of an older tool, without zone and hash, makes a candidate; planning warns about the hash."""
    shutil.copytree(shop(tmp_path).parent, wheelhouse.wheels)
    wheelhouse.log.write_text("release: Shop==1.0 shop-1.0-py3-none-any.whl at 2014-03-01T12:30:00\n", encoding="utf-8")
    (release,) = wheelhouse.releases(SHOP)
    assert release.wheel.sha256 is None
    assert release.added == datetime(2014, 3, 1, 12, 30, tzinfo=timezone.utc)
    wheelhouse.verify_unchanged([release.wheel])
    assert wheelhouse.sha256(release.wheel) == sha256(wheelhouse.path_of(release.wheel))
    wheelhouse.path_of(release.wheel).unlink()
    with pytest.raises(WheelhouseError, match="cannot be read: No such file"):
        wheelhouse.sha256(release.wheel)


def test_the_hash_that_counts_is_the_logged_one(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    """A wheel's digest is what the log says, whatever became of the file."""
    path = shop(tmp_path)
    wheel = wheelhouse.add(path).wheel
    wheelhouse.path_of(wheel).write_bytes(b"evil")
    assert wheelhouse.sha256(wheel) == sha256(path)


def test_a_wheelhouse_is_counted_by_its_file_names(tmp_path: Path) -> None:
    """The number of wheels and of projects comes from the names alone; a line for another's wheel adds none."""
    wheels, log = make_wheelhouse(tmp_path, projects=3, versions=2)
    with log.open("a", encoding="utf-8") as file:
        file.write("release: other==1.0 project_0-1.0-py3-none-any.whl at 2026-01-01T00:00:00\n")
    wheelhouse = Wheelhouse(wheels, log)
    assert wheelhouse.size() == (6, 3)
    assert list(wheelhouse.releases(canonicalize_name("other"))) == []
    assert len(wheelhouse.list()) == 6


def test_metadata_is_read_once(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    """METADATA is remembered: a second look needs no file; a wheel that is not there is a WheelError."""
    wheel = wheelhouse.add(make_wheel(tmp_path / "dist", "Shop", "1.0", requires=["django>=4"])).wheel
    first = wheelhouse.metadata(wheel)
    assert [str(requirement) for requirement in first.requires] == ["django>=4"]
    wheelhouse.path_of(wheel).unlink()
    assert wheelhouse.metadata(wheel) is first
    with pytest.raises(WheelError, match="cannot be read"):
        wheelhouse.metadata(Wheel.from_filename("gone-1.0-py3-none-any.whl"))


def test_the_list_has_every_wheel(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    """Logged, unlogged and missing wheels are listed in order, with dates, sizes and why they were withdrawn."""
    for version in ("1.0", "1.10", "1.9"):
        wheelhouse.add(shop(tmp_path, version))
    wheelhouse.yank("shop==1.9", "loses orders")
    make_wheel(wheelhouse.wheels, "aside", "1.0")
    (wheelhouse.wheels / "shop-1.10-py3-none-any.whl").unlink()
    (wheelhouse.wheels / "._shop-1.0-py3-none-any.whl").touch()
    (wheelhouse.wheels / "notes.txt").touch()
    wheelhouse.refresh()
    found = [(one.wheel.shown_as, str(one.wheel.version), one.logged, one.yanked_reason) for one in wheelhouse.list()]
    assert found == [
        ("aside", "1.0", False, None),
        ("Shop", "1.0", True, None),
        ("Shop", "1.9", True, "loses orders"),
        ("Shop", "1.10", True, None),
    ]
    aside, first, _, missing = wheelhouse.list()
    assert aside.added is None
    assert first.added is not None
    assert first.size == wheelhouse.path_of(first.wheel).stat().st_size
    assert missing.size is None


def test_a_wheel_that_changed_on_disk_is_refused(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    """A wheel is compared with its logged hash, and the error names all that differ."""
    wheels = [wheelhouse.add(shop(tmp_path, version)).wheel for version in ("1.0", "1.1", "1.2")]
    wheelhouse.verify_unchanged(wheels)
    for wheel in wheels[:2]:
        wheelhouse.path_of(wheel).write_bytes(b"evil")
    with pytest.raises(WheelhouseError) as caught:
        wheelhouse.verify_unchanged(wheels)
    assert str(caught.value) == (
        f"{wheelhouse.wheels}: changed on disk after it was logged: shop-1.0-py3-none-any.whl, shop-1.1-py3-none-any.whl\n"
        "  add the original file again, or build a new version: a released wheel never changes"
    )
    wheelhouse.verify_unchanged(wheels[2:])
    wheelhouse.path_of(wheels[2]).unlink()
    with pytest.raises(WheelhouseError, match=r"shop-1\.2-py3-none-any\.whl: cannot be read: No such file"):
        wheelhouse.verify_unchanged(wheels[2:])


def test_a_change_that_hides_behind_its_old_times_is_found(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    """A file rewritten in place, same size and with its modification time set back, is read again all the same."""
    wheel = wheelhouse.add(shop(tmp_path)).wheel
    path = wheelhouse.path_of(wheel)
    age(path)
    wheelhouse.verify_unchanged([wheel])
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(60)
        file.write(b"evil")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(WheelhouseError, match="changed on disk"):
        Wheelhouse(wheelhouse.wheels, wheelhouse.log, cache=tmp_path / "cache").verify_unchanged([wheel])


def test_examining_tells_every_fault_apart(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    """Changed, missing, unlogged and unreadable files are findings; sound ones are not."""
    changed, missing, _ = [wheelhouse.add(shop(tmp_path, version)).wheel for version in ("1.0", "1.1", "1.2")]
    with wheelhouse.path_of(changed).open("ab") as file:
        file.write(b"evil")
    wheelhouse.path_of(missing).unlink()
    make_wheel(wheelhouse.wheels, "aside", "1.0")
    (wheelhouse.wheels / "broken-1.0-py3-none-any.whl").write_bytes(b"PK\x03\x04")
    (wheelhouse.wheels / "noname.whl").touch()
    wheelhouse.refresh()
    assert {finding.filename.partition("-py3")[0]: finding.fault for finding in wheelhouse.examine()} == {
        "shop-1.0": Fault.CHANGED,
        "shop-1.1": Fault.MISSING,
        "aside-1.0": Fault.UNLOGGED,
        "broken-1.0": Fault.UNREADABLE,
        "noname.whl": Fault.UNREADABLE,
    }


def test_yanking_withdraws_a_release_or_one_wheel(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    """`name==version` withdraws all its wheels, a file name one; doing it again does nothing."""
    for build in ("", "1", "2"):
        wheelhouse.add(shop(tmp_path, build=build))
    wheelhouse.add(shop(tmp_path, "2.0"))
    one = wheelhouse.yank("shop-1.0-1-py3-none-any.whl", "bad\nbuild")
    assert [wheel.filename for wheel in one] == ["shop-1.0-1-py3-none-any.whl"]
    rest = wheelhouse.yank("SHOP==1.0.0", "")
    assert sorted(wheel.filename for wheel in rest) == ["shop-1.0-2-py3-none-any.whl", "shop-1.0-py3-none-any.whl"]
    before = wheelhouse.log.read_text(encoding="utf-8")
    assert wheelhouse.yank("shop==1.0", "again") == ()
    assert wheelhouse.log.read_text(encoding="utf-8") == before
    reasons = {release.wheel.filename: release.yanked_reason for release in wheelhouse.releases(SHOP)}
    assert reasons == {
        "shop-1.0-py3-none-any.whl": "",
        "shop-1.0-1-py3-none-any.whl": "bad build",
        "shop-1.0-2-py3-none-any.whl": "",
        "shop-2.0-py3-none-any.whl": None,
    }


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        ("shop==9", "it has Shop==1.0"),
        ("shop==", "it has Shop==1.0"),
        ("shop-9-py3-none-any.whl", "it has Shop==1.0"),
        ("store==1.0", "name it NAME==VERSION"),
    ],
)
def test_yanking_what_is_not_there_says_what_is(wheelhouse: Wheelhouse, tmp_path: Path, what: str, hint: str) -> None:
    """An unknown release is an error with the releases there are."""
    wheelhouse.add(shop(tmp_path))
    with pytest.raises(WheelhouseError) as caught:
        wheelhouse.yank(what, "")
    assert f"the release log has no {what}" in str(caught.value)
    assert hint in str(caught.value)


def test_deployments_leave_lines(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    """Installs, errors and giving up are logged as the format has them, each on one line."""
    wheel = wheelhouse.add(shop(tmp_path)).wheel
    wheelhouse.log_install(TARGET, [wheel], "20261120-1")
    wheelhouse.log_install(TARGET, [], "20261120-2")
    wheelhouse.log_error(TARGET, "pip failed:\n  no space")
    wheelhouse.log_aborting(TARGET, "too many failures")
    _, install, *rest = wheelhouse.log.read_text(encoding="utf-8").splitlines()
    assert install.startswith(f"install: shop@web1:/srv/shop/venv: {wheel.filename} at 20")
    assert install.endswith("+00:00 deployment=20261120-1")
    assert rest == [
        "error: shop@web1:/srv/shop/venv: pip failed: no space",
        "aborting: shop@web1:/srv/shop/venv: too many failures",
    ]
    assert wheelhouse.problems() == ()


def test_a_wheels_folder_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    """A file in the folder's place is named."""
    (tmp_path / "wheels").touch()
    with pytest.raises(WheelhouseError, match="wheels: cannot read the wheels folder: Not a directory"):
        Wheelhouse(tmp_path / "wheels", tmp_path / "release_log").projects()


def test_ten_thousand_wheels_cost_little(tmp_path: Path) -> None:
    """Opening a wheelhouse of 10,000 wheels and asking for 5 projects costs a few tens of milliseconds."""
    wheels, log = make_wheelhouse(tmp_path, projects=10_000, real=False)
    spent = []
    for _ in range(3):
        wheelhouse = Wheelhouse(wheels, log)
        begun = time.process_time()
        for number in range(5):
            assert wheelhouse.releases(canonicalize_name(f"project-{number}"))
        spent.append(time.process_time() - begun)
    assert min(spent) < 0.2
