"""`fab verify`, by the real program on this machine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from envfab.deployment.events.drift import drift_in_words
from envfab.errors import AgentError
from envfab.models.drift import Drift, FileChange, FileChangeKind, PackageDrift, Place
from envfab.remote.drift import to_drift
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace, freeze


@pytest.fixture
def local(tmp_path: Path) -> Workplace:
    """A user's folder for this machine alone."""
    return Workplace(tmp_path / "work")


@pytest.fixture
def shop(local: Workplace, make_virtualenv: VirtualenvMaker) -> Path:
    """A virtualenv of this machine with shop, its script and a data file deployed."""
    path = make_virtualenv("3.11", local.folder / "v", pip=True)
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop', 'basket'])])")
    local.add_made(
        "shop",
        "1.0",
        files={"shop/__init__.py": "def main():\n    pass\n", "shop-1.0.data/data/share/shop.txt": "x"},
        entry_points={"shop": "shop:main"},
    )
    local.add_made("basket", "1.0")
    return path


def deploy(local: Workplace) -> None:
    """Bring all virtualenvs up to date."""
    done = local.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr


def only(local: Workplace, *arguments: str, status: int = 0) -> dict[str, Any]:
    """What is told of the one virtualenv."""
    (one,) = local.json("verify", *arguments, status=status)["virtualenvs"]
    found: dict[str, Any] = one
    return found


def test_what_differs_is_told_and_checked(local: Workplace, shop: Path) -> None:
    """Not known before a deployment, as deployed after it, and then each file with its owner."""
    assert only(local, "--check", status=2)["status"] == "not known"
    assert "not known: no deployment of this version of envfab has been here" in local.fab("verify").stdout
    deploy(local)
    whole = only(local, "--check")
    (deployed,) = local.json("history")["virtualenvs"][0]["deployments"]
    assert (whole["status"], whole["deployment"]) == ("as deployed", deployed["deployment"])
    assert whole["digest"] == deployed["digest"]
    assert len(whole["digest"]) == 64
    assert whole["drift"]["files"] == whole["drift"]["packages"] == []
    site = next(shop.glob("lib/python*/site-packages"))
    (site / "basket.py").write_text("x = 2\n")
    (site / "shop" / "new.py").write_text("")
    (shop / "bin" / "shop").chmod(0o700)
    (shop / "share" / "shop.txt").unlink()
    inside = site.relative_to(shop)
    done = local.fab("verify", "--check")
    assert done.returncode == 2
    told = done.stdout.splitlines()
    assert told[0].startswith(f"root@localhost:{shop}   changed since ")
    assert told[0].endswith(f" · {deployed['deployment']} · {deployed['digest'][:12]}")
    assert told[1:5] == [
        "    ~ bin/shop   mode changed   script of shop",
        f"    ~ {inside}/basket.py   content changed   of basket; its other links, in the store and in other"
        " virtualenvs, have this content too",
        f"    + {inside}/shop/new.py   added   of no package",
        "    - share/shop.txt   removed   data file of shop",
    ]
    assert "1 changed; 1 digest" in done.stdout
    found = only(local)["drift"]
    assert [(one["path"], one["change"], one["how"], one["place"], one["owner"]) for one in found["files"]] == [
        ("bin/shop", "changed", ["mode"], "scripts", "shop"),
        (f"{inside}/basket.py", "changed", ["content"], "packages", "basket"),
        (f"{inside}/shop/new.py", "added", [], "packages", None),
        ("share/shop.txt", "removed", [], "data", "shop"),
    ]


def test_packages_that_pip_changed_are_told_in_a_line(local: Workplace, shop: Path) -> None:
    """One for each package, with its versions, and no line for its files."""
    deploy(local)
    pip = [str(shop / "bin" / "python"), "-m", "pip", "-q", "--disable-pip-version-check"]
    wheels = [
        make_wheel(local.folder / "by-hand", "basket", "2.0"),
        make_wheel(local.folder / "by-hand", "extra", "1.0"),
    ]
    subprocess.run([*pip, "uninstall", "-y", "shop"], check=True)
    subprocess.run([*pip, "install", "--no-index", "--no-deps", *map(str, wheels)], check=True)
    told = local.fab("verify").stdout.splitlines()
    assert [line.partition("   ")[2].partition(" by hand")[0] for line in told if " by hand" in line] == [
        " package basket 1.0 → 2.0 upgraded",
        " package extra 1.0 installed",
        " package shop 1.0 removed",
    ]


def test_what_differs_is_told_in_one_event(local: Workplace, make_virtualenv: VirtualenvMaker) -> None:
    """Of all virtualenvs that differ, and of those alone; what is not known is told in none."""
    paths = [make_virtualenv("3.11", local.folder / name) for name in "abc"]
    virtualenvs = ", ".join(f"Virtualenv({str(path)!r}, packages=['shop'])" for path in paths)
    local.file(
        "fabfile.py",
        "from envfab import *\n"
        f"ns = collection(Fleet(hosts=[Host('localhost', virtualenvs=[{virtualenvs}])],\n"
        "                      events=[Exec('cat >> told', kinds=['drift.found'])]))\n",
    )
    local.add_made("shop", "1.0")
    told = local.folder / "told"
    assert local.fab("verify").returncode == 0
    deploy(local)
    assert local.fab("verify").returncode == 0
    assert not told.exists()
    for path in paths[1:]:
        (next(path.glob("lib/python*/site-packages")) / "shop.py").unlink()
    assert local.fab("verify", "--check").returncode == 2
    event = json.loads(told.read_text())
    deployments = {one["target"]: one["deployment"] for one in local.json("verify")["virtualenvs"]}
    assert (event["kind"], event["task"], event["rollout"]) == ("drift.found", "verify", None)
    assert [(one["target"], one["status"], one["deployment"]) for one in event["virtualenvs"]] == [
        (target, "drift", deployments[target]) for target in (f"root@localhost:{path}" for path in paths[1:])
    ]
    message = event["virtualenvs"][0]["message"]
    assert message.startswith("1 file since ")
    assert message.endswith("/site-packages/shop.py removed")


def test_an_event_names_the_first_packages_and_files() -> None:
    """So that a line in a chat tells what happened."""
    packages = (PackageDrift("requests", "2.32.3", "2.31.0", 21, "2026-11-27T02:22:00+00:00"),)
    files = tuple(
        FileChange(f"bin/{name}", FileChangeKind.ADDED, (), Place.SCRIPTS, None, False, "2026-11-27T03:00:00+00:00")
        for name in "abc"
    )
    told = drift_in_words(Drift(1, 9, packages, files, 300))
    assert told.startswith("1 package, 300 files since Friday 2026-11-27 ")
    assert told.endswith(": requests 2.32.3 → 2.31.0 downgraded, bin/a added, bin/b added")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--check"], "--check and --repair exclude each other\n  repair first, then check\n"),
        (
            ["--metrics", "x"],
            "--metrics and --repair exclude each other\n  repair first, then verify with --metrics\n",
        ),
    ],
)
def test_what_has_no_meaning_with_a_repair_is_refused(local: Workplace, arguments: list[str], message: str) -> None:
    """One message, exit 1."""
    local.fabfile("Host('localhost', virtualenvs=[Virtualenv('/srv/v')])")
    done = local.fab("verify", "--repair", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"envfab: {message}")


def test_a_newer_format_is_refused_in_one_message(local: Workplace, shop: Path) -> None:
    """It says what is where and what to do, and the run exits with 1."""
    deploy(local)
    file = shop / ".envfab" / "generations" / "1" / ".envfab-deployed.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 2}))
    done = local.fab("verify")
    assert done.returncode == 1
    assert (
        f"{file} has format 2; this envfab reads formats up to 1: use the version that deployed there last, or a newer one"
        in done.stdout
    )


def test_what_a_host_says_of_drift_is_checked() -> None:
    """Types, words and sizes: an invalid reply is an error of its target."""
    good: dict[str, Any] = {
        "known": True, "generation": 1, "files": 2, "differ": 1, "others": 1, "packages": [],
        "changes": [
            {"path": "bin/x", "change": "added", "how": [], "place": "scripts", "owner": None, "shared": False, "seen": ""}
        ],
    }  # fmt: skip
    drift = to_drift(good, "web1")
    assert drift is not None
    assert drift.files[0].path == "bin/x"
    assert to_drift({"known": False}, "web1") is None
    (change,) = good["changes"]
    for wrong, what in (
        ({"known": 1}, "'known' must be true or false"),
        ({"others": -1}, "'others' must be a whole number"),
        (
            {"changes": [{**change, "change": "stolen"}]},
            "'change' must be one of added, removed, changed, not 'stolen'",
        ),
        ({"changes": [{**change, "place": None}]}, "'place' must be a text, not null"),
        ({"changes": [change] * 10001}, "'changes' has 10001 entries, and may have 10000"),
        ({"packages": [{"name": "x" * 9999}]}, "'name' has 9999 characters"),
    ):
        with pytest.raises(AgentError, match=what):
            to_drift({**good, **wrong}, "web1")


def test_a_plan_tells_what_was_changed_and_what_it_makes_of_it(local: Workplace, shop: Path) -> None:
    """In one line, by stat; a deployment overwrites what belongs to packages that it replaces, and carries the rest over."""
    deploy(local)
    (before,) = local.json("plan")["virtualenvs"]
    assert before["drift"] == {
        **before["drift"], "packages": [], "files": [], "more": 0, "since": None, "generation": 1,
    }  # fmt: skip
    assert before["notes"] == []
    assert before["digest"] == local.json("targets")["targets"][0]["digest"]
    site = next(shop.glob("lib/python*/site-packages"))
    (site / "basket.py").unlink()
    (site / "shop" / "new.py").write_text("")
    note = "changed since the last deployment: 2 files; fab verify tells which"
    assert f"    {note}\n" in local.fab("plan").stdout
    (changed,) = local.json("plan")["virtualenvs"]
    assert changed["notes"] == [note]
    assert [one["change"] for one in changed["drift"]["files"]] == ["removed", "added"]
    local.add_made("basket", "2.0")
    done = local.fab("deploy", "--upgrade", "--yes")
    assert f"{note}; overwritten: 1 file; carried over: 1 file" in done.stdout
    assert [one["path"].rpartition("/")[2] for one in only(local)["drift"]["files"]] == ["new.py"]
    done = local.fab("rollback", "--yes")
    assert (
        "changed since the last deployment: 1 file; fab verify tells which; all of this stays behind in generation 2"
        in done.stdout
    )
    digests = [one["digest"] for one in local.json("history")["virtualenvs"][0]["deployments"]]
    assert digests[0] == digests[2] != digests[1]
    assert f"digest {digests[0][:12]}" in local.fab("history").stdout


def edited_in_place(path: Path) -> None:
    """Write another content of the same size, and give the file its time back."""
    status = path.stat()
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_repair_brings_back_what_was_deployed(local: Workplace, shop: Path) -> None:
    """Packages, files, modes, scripts and data files, also where the store was written to; it is a deployment."""
    assert "it is not known what was deployed" in local.fab("verify", "--repair", "--yes").stdout
    deploy(local)
    digest = only(local)["digest"]
    site = next(shop.glob("lib/python*/site-packages"))
    before = {
        path: path.read_bytes()
        for path in (site / "shop" / "__init__.py", shop / "bin" / "shop", shop / "share" / "shop.txt")
    }
    for path in before:
        edited_in_place(path)
    (shop / "bin" / "shop").chmod(0o600)
    (site / "by_hand.py").write_text("")
    pip = [str(shop / "bin" / "python"), "-m", "pip", "-q", "--disable-pip-version-check"]
    extra = make_wheel(local.folder / "by-hand", "extra", "1.0")
    subprocess.run([*pip, "uninstall", "-y", "basket"], check=True)
    subprocess.run([*pip, "install", "--no-index", "--no-deps", str(extra)], check=True)
    assert only(local, "--check", status=2)["status"] == "changed"
    done = local.fab("verify", "--repair")
    assert (done.returncode, "not a terminal" in done.stderr) == (1, True)
    done = local.fab("verify", "--repair", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "removes lib/python3.11/site-packages/by_hand.py" in done.stdout
    assert "as it was deployed" in done.stdout
    assert {path: path.read_bytes() for path in before} == before
    assert (shop / "bin" / "shop").stat().st_mode & 0o777 == 0o755
    assert not (site / "by_hand.py").exists()
    assert freeze(shop) == {"shop": "1.0", "basket": "1.0"}
    after = only(local, "--check")
    assert (after["status"], after["digest"]) == ("as deployed", digest)
    (record, _) = local.json("history")["virtualenvs"][0]["deployments"]
    assert {(one["action"], one["name"]) for one in record["changes"]} == {
        ("reinstall", "shop"),
        ("install", "basket"),
        ("remove", "extra"),
    }
    assert "1 current" in local.fab("verify", "--repair", "--yes").stdout


def test_a_repair_may_only_remove_files_and_names_what_it_cannot_bring_back(local: Workplace, shop: Path) -> None:
    """A file that no package owns has no wheel; one that was added just goes."""
    deploy(local)
    activate = shop / "bin" / "activate"
    activate.write_text("broken")
    (shop / "bin" / "by-hand").write_text("")
    done = local.fab("verify", "--repair", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "belongs to no package, so that no wheel brings it back: bin/activate" in done.stdout
    assert not (shop / "bin" / "by-hand").exists()
    assert [one["path"] for one in only(local)["drift"]["files"]] == ["bin/activate"]


def test_a_repair_puts_the_host_that_it_takes_out_of_service_back(local: Workplace, shop: Path) -> None:
    """Commands of `undrain` and those of other hosts run for a repair, too."""
    deploy(local)
    told = local.folder / "told"
    drains = f"drain=Command('echo drain >> {told}', on='localhost'), undrain='echo undrain >> {told}', settle=0"
    local.fabfile(f"Host('localhost', {drains}, virtualenvs=[Virtualenv({str(shop)!r}, packages=['shop', 'basket'])])")
    next(shop.glob("lib/python*/site-packages/shop/__init__.py")).unlink()
    done = local.fab("verify", "--repair", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert told.read_text().split() == ["drain", "undrain"]


def test_a_repair_without_its_wheel_is_blocked_and_names_it(local: Workplace, shop: Path) -> None:
    """Nothing is changed; and arguments that have no meaning together are refused."""
    deploy(local)
    next(shop.glob("lib/python*/site-packages/basket.py")).unlink()
    next((local.folder / "wheels").glob("basket-*.whl")).unlink()
    done = local.fab("verify", "--repair", "--yes")
    assert done.returncode == 1
    assert "basket 1.0   the last deployment" in done.stdout
    assert "the wheelhouse has no wheel of it" in done.stdout
    for arguments, message in (
        (["--repair", "--check"], "--check and --repair exclude each other"),
        (["--yes"], "--yes needs --repair"),
        (["--wait", "5"], "--wait needs --repair"),
    ):
        refused = local.fab("verify", *arguments)
        assert (refused.returncode, message in refused.stderr) == (1, True)
