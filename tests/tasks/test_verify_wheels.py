"""`fab verify_wheels`, by the real program."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.serving import serving
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace


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


def test_verify_wheels_finds_what_cannot_be_checked(workplace: Workplace, unhashed: Path) -> None:
    """Without a logged hash nothing tells whether a file changed: that is a finding, and `add_wheel` asks for `--trust`."""
    done = workplace.fab("verify_wheels")
    assert done.returncode == 2
    assert f"unhashed   {unhashed.name}   logged without a SHA-256, so changes cannot be detected" in done.stdout
    make_wheel(unhashed.parent, "shop", "1.0", files={"shop.py": "import evil\n"})
    refused = workplace.fab("add_wheel", "wheels/shop-1.0-py3-none-any.whl")
    assert refused.returncode == 1
    assert "without a SHA-256, so this file cannot be compared with it" in refused.stdout
    assert "add_wheel --trust FILE" in refused.stdout
    assert "sha256" not in workplace.log
    taken = workplace.fab("add_wheel", "--trust", "wheels/shop-1.0-py3-none-any.whl")
    assert taken.stdout == f"logged   shop 1.0   {unhashed.name}   its SHA-256 was not logged before\n"
    assert workplace.fab("verify_wheels").returncode == 0


def test_verify_wheels_repairs_what_it_can(workplace: Workplace) -> None:
    """What came back and what was left is told; exit 2 while a finding remains, 0 when there is none."""
    made, gone = workplace.add_made("shop", "1.0"), workplace.add_made("basket", "1.0")
    wheels = workplace.folder / "wheels"
    (wheels / made.name).write_bytes(b"changed")
    (wheels / gone.name).unlink()
    done = workplace.fab("verify_wheels", "--repair")
    assert done.returncode == 2
    assert done.stdout.count("left as it is: no copy was found: name a folder or an index") == 2
    assert done.stdout.splitlines()[-1] == "2 findings"
    made.rename(workplace.folder / made.name)
    done = workplace.fab("verify_wheels", "--repair", "--from", "made", "--json")
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert document["repaired"] == [{"file": gone.name, "done": "restored from made"}]
    (left,) = document["findings"]
    assert (left["wheel"], left["fault"]) == (made.name, "changed")
    assert left["left"] == "made does not have the file that was logged"
    done = workplace.fab("verify_wheels:repair=true,from=.")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "repaired   shop-1.0-py3-none-any.whl   restored from .; the changed file is now shop-1.0" in done.stdout
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
    assert f"repaired   {made.name}   restored from {url}simple/\n" in done.stdout


def test_verify_wheels_takes_wheels_from_elsewhere_only_to_repair(workplace: Workplace) -> None:
    """--from without --repair does nothing, and says what was meant."""
    done = workplace.fab("verify_wheels", "--from", "made")
    assert done.returncode == 1
    assert done.stderr == "envfab: --from needs --repair\n  fab verify_wheels --repair --from …\n"
