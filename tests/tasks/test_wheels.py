"""`fab add_wheel` and `fab wheels`, by the real program."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.fab import run_fab
from tests.support.serving import serving
from tests.support.wheels import make_wheel, sha256
from tests.support.workplace import Workplace


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """A user's folder with a fabfile that has no host."""
    made = Workplace(tmp_path / "work")
    made.fabfile("")
    return made


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


def test_what_is_not_there_is_no_intact_wheelhouse(workplace: Workplace) -> None:
    """A plan names the folder or the log that is missing, and a lost wheel without which an older one is planned."""
    workplace.fabfile("")
    assert workplace.fab("plan").stdout.startswith(
        "wheelhouse  wheels · not there · no log, release_log is not there\n"
    )
    workplace.add_made("shop", "1.0")
    workplace.add_made("shop", "1.1").unlink()
    (workplace.folder / "wheels" / "shop-1.1-py3-none-any.whl").unlink()
    done = workplace.fab("plan")
    assert done.stdout.startswith("wheelhouse  wheels · 1 wheel of 1 project · log intact\n")
    said = "shop-1.1-py3-none-any.whl is logged, but gone, and no other of it is as new: see fab verify_wheels"
    assert said in done.stderr
    workplace.file("shop.in", "shop\n")
    done = workplace.fab("lock", "shop.in")
    assert said in done.stderr
    (workplace.folder / "release_log").unlink()
    assert "no log, release_log is not there" in workplace.fab("plan").stdout


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("nosuch.whl", "there is no such file"),
        ("nosuch.bundle", "there is no such file"),
        ("~/nosuch.whl", "there is no such file"),
        (
            "dist/*.whl",
            "there is no such file\n  the shell replaces a pattern that stands without quotes and matches files",
        ),
        ("dist", "is a folder: name the wheels in it\n  fab add_wheel dist/*.whl"),
        ("https://example.org/six-1-py3-none-any.whl", "files are added, not addresses\n  download it first"),
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


def test_times_are_those_of_the_users_clock(workplace: Workplace) -> None:
    """A date of the log, in whatever zone it was written, is shown in that of the user, which is named."""
    workplace.add_made("shop", "1.0")
    log = workplace.folder / "release_log"
    log.write_text(re.sub(r" at \S+", " at 2026-01-20T23:30:00+00:00", log.read_text()))
    for zone, shown in (("Europe/Vienna", "2026-01-21 00:30 CET"), ("UTC", "2026-01-20 23:30 UTC")):
        assert shown in run_fab(workplace.folder, "wheels", env={"TZ": zone}).stdout


def test_without_a_file_says_how(workplace: Workplace) -> None:
    """`fab add_wheel` alone is an error that shows the spelling."""
    done = workplace.fab("add_wheel")
    assert done.returncode == 1
    assert done.stderr == "envfab: add_wheel needs a file\n  fab add_wheel:dist/shop-2.1-py3-none-any.whl\n"


def test_lists_what_is_there_and_what_is_odd(workplace: Workplace) -> None:
    """The list has name, version, tags, date, size; files without a log line and lines without a file say so."""
    workplace.add_made("shop", "1.0", tags=["cp311-cp311-manylinux_2_17_x86_64"])
    gone = workplace.add_made("basket", "2.0")
    (workplace.folder / "wheels" / gone.name).unlink()
    make_wheel(workplace.folder / "wheels", "stray", "0.1")
    lines = workplace.fab("wheels").stdout.splitlines()
    assert lines[0] == "wheelhouse  wheels · 1 wheel of 1 project, 1 not logged · log intact"
    assert lines[1].split()[:2] == ["basket", "2.0"]
    assert lines[1].endswith("the file is missing")
    assert lines[2].split()[:3] == ["shop", "1.0", "cp311-cp311-manylinux_2_17_x86_64"]
    assert lines[3].endswith("not logged: fab add_wheel it")


def test_tells_of_lines_that_nobody_can_read(workplace: Workplace) -> None:
    """Foreign lines of the log are counted and shown, and stop nothing."""
    workplace.add_made("shop", "1.0")
    with (workplace.folder / "release_log").open("a") as log:
        log.write("<<<<<<< HEAD\n")
    done = workplace.fab("wheels")
    assert done.returncode == 0
    assert "1 line of the log skipped" in done.stdout
    assert "warning: release_log: line 2: not a line of a release log: '<<<<<<< HEAD'" in done.stderr


def test_an_empty_wheelhouse_says_how_to_begin(workplace: Workplace) -> None:
    """A wheelhouse that does not exist yet is an empty one."""
    done = workplace.fab("wheels")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "no wheels yet: fab add_wheel:FILE"


def test_verify_wheels_finds_what_is_not_as_it_was_logged(workplace: Workplace) -> None:
    """A sound wheelhouse exits with 0; changed, missing and unlogged wheels get a line each, and exit with 2."""
    changed, gone = workplace.add_made("shop", "1.0"), workplace.add_made("basket", "1.0")
    assert workplace.fab("verify_wheels").stdout.splitlines()[-1] == "every wheel is as it was logged"
    make_wheel(workplace.folder / "wheels", "shop", "1.0", files={"shop.py": "import evil\n"})
    (workplace.folder / "wheels" / gone.name).unlink()
    stray = make_wheel(workplace.folder / "wheels", "stray", "1.0")
    done = workplace.fab("verify_wheels", "--json")
    assert done.returncode == 2
    assert {one["wheel"]: one["fault"] for one in json.loads(done.stdout)["findings"]} == {
        changed.name: "changed",
        gone.name: "missing",
        stray.name: "unlogged",
    }


@pytest.fixture
def unhashed(workplace: Workplace) -> Path:
    """A wheel that an older tool logged, without a hash."""
    wheel = make_wheel(workplace.folder / "wheels", "shop", "1.0")
    workplace.file("release_log", f"release: shop==1.0 {wheel.name} at 2014-03-01T12:30:00\n")
    return wheel


def test_verify_wheels_finds_what_cannot_be_checked(workplace: Workplace, unhashed: Path) -> None:
    """Without a logged hash nothing tells whether a file changed: that is a finding, and `add_wheel` asks for `--trust`."""
    done = workplace.fab("verify_wheels")
    assert done.returncode == 2
    assert f"unhashed   {unhashed.name}   logged without a SHA-256: nothing tells whether it changed" in done.stdout
    make_wheel(unhashed.parent, "shop", "1.0", files={"shop.py": "import evil\n"})
    refused = workplace.fab("add_wheel", "wheels/shop-1.0-py3-none-any.whl")
    assert refused.returncode == 1
    assert "without a SHA-256: nothing tells whether this is the same file" in refused.stdout
    assert "add_wheel --trust FILE" in refused.stdout
    assert "sha256" not in workplace.log
    taken = workplace.fab("add_wheel", "--trust", "wheels/shop-1.0-py3-none-any.whl")
    assert taken.stdout == f"logged   shop 1.0   {unhashed.name}   its SHA-256 was not logged before\n"
    assert workplace.fab("verify_wheels").returncode == 0


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("a", 0)])
def test_at_a_terminal_an_unknown_hash_is_asked_about(
    workplace: Workplace, unhashed: Path, answer: str, status: int
) -> None:
    """The question says what is not known; without a yes nothing is logged."""
    with workplace.at_terminal("add_wheel", f"wheels/{unhashed.name}") as terminal:
        terminal.expect("Log the SHA-256 of this file as its hash?")
        terminal.send(f"{answer}\r")
        assert terminal.finish() == status
    assert ("sha256" in workplace.log) == (answer != "n")


def test_verify_wheels_repairs_what_it_can(workplace: Workplace) -> None:
    """What came back and what was left is told; exit 2 while a finding remains, 0 when there is none."""
    made, gone = workplace.add_made("shop", "1.0"), workplace.add_made("basket", "1.0")
    wheels = workplace.folder / "wheels"
    (wheels / made.name).write_bytes(b"changed")
    (wheels / gone.name).unlink()
    done = workplace.fab("verify_wheels", "--repair")
    assert done.returncode == 2
    assert done.stdout.count("left as it is: no other copy is at hand: name a folder or an index") == 2
    assert done.stdout.splitlines()[-1] == "2 findings"
    made.rename(workplace.folder / made.name)
    done = workplace.fab("verify_wheels", "--repair", "--from", "made", "--json")
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert document["repaired"] == [{"file": gone.name, "done": "brought back from made"}]
    (left,) = document["findings"]
    assert (left["wheel"], left["fault"]) == (made.name, "changed")
    assert left["left"] == "made does not have the file that was logged"
    done = workplace.fab("verify_wheels:repair=true,from=.")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "repaired   shop-1.0-py3-none-any.whl   brought back from .; the changed file is shop-1.0" in done.stdout
    assert done.stdout.splitlines()[-1] == "every wheel is as it was logged"


def test_verify_wheels_brings_wheels_back_from_the_fleet_s_own_index(workplace: Workplace, tmp_path: Path) -> None:
    """`wheel_source` is asked without being named again."""
    made = workplace.add_made("shop", "1.0")
    assert workplace.fab(f"publish_index:{tmp_path / 'simple'}").returncode == 0
    (workplace.folder / "wheels" / made.name).unlink()
    with serving(tmp_path) as url:
        fabfile = workplace.folder / "fabfile.py"
        fabfile.write_text(fabfile.read_text().replace("Fleet(", f"Fleet(wheel_source='{url}simple/', "))
        done = workplace.fab("verify_wheels", "--repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"repaired   {made.name}   brought back from {url}simple/\n" in done.stdout


def test_verify_wheels_takes_wheels_from_elsewhere_only_to_repair(workplace: Workplace) -> None:
    """--from without --repair does nothing, and says what was meant."""
    done = workplace.fab("verify_wheels", "--from", "made")
    assert done.returncode == 1
    assert done.stderr == "envfab: --from is for --repair\n  fab verify_wheels --repair --from …\n"
