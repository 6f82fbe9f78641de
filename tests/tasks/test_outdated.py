"""`yank_wheel`, `publish_index` and the other tasks of supply, by the real program."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import serving
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace


@pytest.fixture
def installed(workplace: Workplace, make_virtualenv: VirtualenvMaker) -> Workplace:
    """A virtualenv with shop 1.0 in it, deployed from the wheelhouse."""
    venv = make_virtualenv("3.11", workplace.folder / "venv")
    workplace.file("shop.txt", "shop<2\n")
    workplace.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(venv)!r}, requirements='shop.txt')])")
    workplace.add_made("Shop", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stderr + done.stdout
    return workplace


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """A user's folder with a fabfile that has no host."""
    made = Workplace(tmp_path / "work")
    made.fabfile("")
    return made


def test_yanked_releases_are_pinned_or_passed_over(workplace: Workplace, make_virtualenv: VirtualenvMaker) -> None:
    """`wheels` shows the reason; plans take an older release, and the yanked one only where == names it, with a warning."""
    loose = make_virtualenv("3.11", workplace.folder / "loose")
    pinned = make_virtualenv("3.11", workplace.folder / "pinned")
    workplace.fabfile(
        f"Host('localhost', virtualenvs=[Virtualenv({str(loose)!r}, packages=['shop']),"
        f" Virtualenv({str(pinned)!r}, packages=['shop==1.1'])])"
    )
    for version in ("1.0", "1.1"):
        workplace.add_made("shop", version)
    done = workplace.fab("yank_wheel", "shop==1.1", "--reason", "loses data")
    assert (done.returncode, done.stdout) == (0, "yanked   shop 1.1   shop-1.1-py3-none-any.whl\n"), done.stderr
    assert workplace.fab("wheels").stdout.splitlines()[-1].endswith("yanked: loses data")
    plans = {one["path"]: one for one in workplace.json("plan")["virtualenvs"]}
    assert [one["version"] for one in plans[str(loose)]["actions"]] == ["1.0"]
    assert [one["version"] for one in plans[str(pinned)]["actions"]] == ["1.1"]
    assert plans[str(pinned)]["warnings"] == ["shop 1.1 is pinned and was yanked: loses data"]
    assert workplace.fab("yank_wheel:shop==1.1,reason=again").stdout == "shop==1.1 was yanked already: loses data\n"
    again = workplace.fab("yank_wheel:shop-1.1-py3-none-any.whl,reason=again")
    assert again.stdout == "shop-1.1-py3-none-any.whl was yanked already: loses data\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "yank_wheel needs a release"),
        (["shop==1.0"], "why is it withdrawn?"),
        (["shop==9", "--reason", "x"], "the release log has no shop==9\n  it has shop==1.0"),
    ],
)
def test_what_cannot_be_yanked_says_why(workplace: Workplace, arguments: list[str], message: str) -> None:
    """Nothing named, no reason, a release that there is none of: exit 1, and nothing is logged."""
    workplace.add_made("shop", "1.0")
    done = workplace.fab("yank_wheel", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "yank:" not in workplace.log


def test_an_index_is_no_file(workplace: Workplace) -> None:
    """A file where the folder is to be is named as such, and stays as it is."""
    done = workplace.fab("publish_index:fabfile.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "envfab: fabfile.py: is a file, and an index is a folder\n  name a folder of its own\n"


def test_publishes_and_tells_how_much(workplace: Workplace) -> None:
    """The folder is relative to where fab is called; yanked releases say so in it."""
    workplace.add_made("shop", "1.0")
    workplace.fab("yank_wheel", "shop==1.0", "--reason", "loses data")
    done = workplace.fab("publish_index:www/simple")
    assert done.stdout == "1 wheel of 1 project in www/simple: 6 files written, 0 removed\n", done.stderr
    page = json.loads((workplace.folder / "www" / "simple" / "shop" / "index.v1_json").read_text())
    assert page["files"][0]["yanked"] == "loses data"
    assert workplace.json("publish_index:www/simple")["written"] == 0
    assert "publish_index needs a folder" in workplace.fab("publish_index").stderr


def test_outdated_tells_of_the_wheelhouse_and_an_index(installed: Workplace, tmp_path: Path) -> None:
    """Each target with what is newer; --check exits with 2; an index that is not there withholds nothing but itself."""
    assert "nothing newer" in installed.fab("outdated", "--check").stdout
    installed.add_made("shop", "1.1")
    other = Workplace(tmp_path / "other")
    other.fabfile("")
    other.add_made("shop", "2.0")
    assert other.fab("publish_index:simple").returncode == 0
    with serving(other.folder / "simple") as url:
        done = installed.fab("outdated", "--index", url, "--check")
        assert done.returncode == 2, done.stderr
        assert done.stdout.splitlines()[1:] == [
            "    Shop   1.0 → 1.1 in the wheelhouse, 2.0 in the index   1.1 within the requirements"
        ]
        (told,) = installed.json("outdated", "--index", url)["virtualenvs"]
    assert told["outdated"] == [{"name": "Shop", "installed": "1.0", "house": "1.1", "index": "2.0", "allowed": "1.1"}]
    done = installed.fab("outdated", "--index", url)
    assert done.returncode == 1
    assert f"{url}" in done.stderr
    assert "cannot be reached" in done.stderr
    assert "    Shop   1.0 → 1.1 in the wheelhouse\n" in done.stdout
    document = installed.json("outdated", "--index", url, status=1)
    assert [one["house"] for one in document["virtualenvs"][0]["outdated"]] == ["1.1"]
    (problem,) = document["index_errors"]
    # the first that was asked for: then it is known that nobody answers
    assert problem.startswith(url)
    assert "cannot be reached" in problem


def test_outdated_tells_of_what_only_a_pin_allows(installed: Workplace) -> None:
    """A release that was withdrawn is newer for whoever names it, and for nobody else."""
    installed.add_made("shop", "1.1")
    assert installed.fab("yank_wheel", "shop==1.1", "--reason", "broken").returncode == 0
    assert "nothing newer" in installed.fab("outdated").stdout
    installed.file("shop.txt", "shop==1.1\n")
    assert "    Shop   1.0 → 1.1 within the requirements\n" in installed.fab("outdated").stdout


def test_locks_and_deploys_the_lock(installed: Workplace) -> None:
    """requirements.in becomes pinned, hashed requirements.txt for the target's interpreter; deploy installs from both kinds."""
    installed.add_made("shop", "1.2", requires=["basket"])
    installed.add_made("basket", "3.0")
    installed.file("shop.in", "shop<2\n")
    document = installed.json("lock:shop.in")
    assert document["files"][0]["pins"] == {"basket": "3.0", "shop": "1.2"}
    text = (installed.folder / "shop.txt").read_text()
    assert "#    fab lock shop.in\n" in text
    assert "    # via shop" in text
    done = installed.fab("lock", "shop.in", "--pylock")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pylock.toml   2 releases for CPython 3.11.")
    by_text = installed.json("plan")["virtualenvs"]
    fabfile = installed.folder / "fabfile.py"
    fabfile.write_text(fabfile.read_text().replace("shop.txt", "pylock.toml"))
    by_lock = installed.json("plan")["virtualenvs"]
    assert {one["name"]: one["version"] for one in by_lock[0]["actions"]} == {"basket": "3.0", "shop": "1.2"}
    assert [one["sha256"] for one in by_lock[0]["actions"]] == [one["sha256"] for one in by_text[0]["actions"]]
    assert installed.fab("deploy", "--yes").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lock"], "lock needs a file"),
        (["lock:none.in"], "none.in: there is no such requirements file"),
        (["lock:shop.txt"], "shop.txt would be overwritten"),
        (["lock:shop.txt", "--pylock", "--output", "lock.toml"], "lock.toml is no name for a lock"),
        (["lock:shop.txt", "--output", "x.txt"], "shop (shop.txt:1): the wheelhouse has no wheel of it"),
    ],
)
def test_what_cannot_be_locked_says_why(workplace: Workplace, arguments: list[str], message: str) -> None:
    """No file, no such file, no name for the result, nothing in the wheelhouse: exit 1, and no file is written."""
    workplace.file("shop.txt", "shop\n")
    done = workplace.fab(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert sorted(path.name for path in workplace.folder.glob("*.t*")) == ["shop.txt"]


def test_fetches_for_targets_that_cannot_reach_an_index(installed: Workplace, tmp_path: Path) -> None:
    """Interpreters out as a file, a bundle back: what was resolved elsewhere is deployed here."""
    elsewhere = Workplace(tmp_path / "elsewhere")
    elsewhere.fabfile("")
    elsewhere.add_made("shop", "1.5", requires=["basket"])
    elsewhere.add_made("basket", "1.0")
    assert elsewhere.fab("publish_index:simple").returncode == 0
    assert installed.fab("targets", "--export", "out/interpreters.json").returncode == 0
    other = Workplace(tmp_path / "other")
    other.fabfile("")
    exported = installed.folder / "out" / "interpreters.json"
    with serving(elsewhere.folder / "simple") as url:
        options = ["--index", url, "--interpreters", str(exported), "--bundle", "carry.bundle"]
        done = other.fab("fetch_wheels", "shop<2", *options)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            "fetched  basket 1.0   basket-1.0-py3-none-any.whl",
            "fetched  shop 1.5   shop-1.5-py3-none-any.whl",
            "carry.bundle holds 2 wheels",
        ]
        other.fabfile("Host('localhost', virtualenvs=[Virtualenv('/srv/none')])")
        done = other.fab("fetch_wheels", "shop<2", *options, "--name", "localhost")
        assert "none of the chosen targets is among the exported interpreters" in done.stderr
    assert not (other.folder / "wheels").exists()
    added = installed.json("add_wheel", str(other.folder / "carry.bundle"))["added"]
    assert [one["outcome"] for one in added] == ["added", "added"]
    assert installed.fab("deploy", "--yes").returncode == 0
    assert installed.fab("plan", "--check").returncode == 0


def test_fetches_what_the_targets_require(installed: Workplace, tmp_path: Path) -> None:
    """Without words, the fabfile's own requirements for the targets' own interpreters; then the wheelhouse has all of it."""
    elsewhere = Workplace(tmp_path / "elsewhere")
    elsewhere.fabfile("")
    elsewhere.add_made("shop", "1.5")
    elsewhere.add_made("shop", "2.0")
    assert elsewhere.fab("publish_index:simple").returncode == 0
    with serving(elsewhere.folder / "simple") as url:
        fetched = installed.json("fetch_wheels", "--index", url)["fetched"]
        assert [one["wheel"] for one in fetched] == ["shop-1.5-py3-none-any.whl"]
        assert installed.fab("fetch_wheels", "--index", url).stdout == "the wheelhouse has all of it already\n"
    assert "shop-1.5-py3-none-any.whl" in installed.log


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch_wheels"], "no requirements to fetch for"),
        (["fetch_wheels", "shop", "--interpreters", "none.json"], "none.json: cannot be read"),
        (["fetch_wheels", "shop", "--index", "http://127.0.0.1:1/"], "http://127.0.0.1:1/shop/: cannot be reached"),
        (["fetch_wheels", "none.txt", "--index", "http://127.0.0.1:1/"], "there is no such requirements file"),
    ],
)
def test_what_cannot_be_fetched_says_why(workplace: Workplace, arguments: list[str], message: str) -> None:
    """Nothing to fetch, no interpreters, no index, no file: exit 1, and no wheelhouse is made."""
    done = workplace.fab(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (workplace.folder / "wheels").exists()


def test_audit_tells_known_vulnerabilities_offline(installed: Workplace) -> None:
    """Findings with the export's age, exit 2; nothing known, exit 0; no export, exit 1."""
    affected: dict[str, Any] = {
        "package": {"ecosystem": "PyPI", "name": "shop"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0.1"}]}],
    }
    record = {"id": "GHSA-1", "aliases": ["CVE-1"], "modified": "2026-11-01T00:00:00Z", "summary": "Loses data"}
    installed.file("osv/GHSA-1.json", json.dumps({**record, "affected": [affected]}))
    done = installed.fab("audit", "--osv", "osv")
    assert done.returncode == 2, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].endswith("1 known to be vulnerable")
    assert lines[1].startswith("    Shop 1.0   CVE-1 (GHSA-1) · fixed in 1.0.1 · as of 2026-11-01, ")
    assert lines[2] == "        Loses data"
    (told,) = installed.json("audit", "--osv", "osv", status=2)["virtualenvs"]
    (one,) = told["vulnerabilities"]
    assert (one["name"], one["id"], one["aliases"], one["fixed"]) == ("Shop", "CVE-1", ["GHSA-1"], ["1.0.1"])
    assert one["as_of"] == "2026-11-01T00:00:00+00:00"
    affected["package"]["name"] = "other"
    installed.file("osv/GHSA-1.json", json.dumps({**record, "affected": [affected]}))
    assert installed.fab("audit", "--osv", "osv").returncode == 0
    site = next((installed.folder / "venv").glob("lib/python*/site-packages"))
    odd = installed.file(
        str(site / "Odd-2004d.dist-info" / "METADATA"), "Metadata-Version: 2.1\nName: Odd\nVersion: 2004d-x\n"
    )
    (odd.parent / "RECORD").write_text("")
    done = installed.fab("audit", "--osv", "osv")
    assert done.stdout.splitlines()[0].endswith("nothing known, 1 not checked")
    assert done.stdout.splitlines()[1] == "    Odd 2004d-x   not checked: its version is not one by PEP 440"
    (told,) = installed.json("audit", "--osv", "osv")["virtualenvs"]
    assert told["not_checked"] == [{"name": "Odd", "version": "2004d-x", "why": "its version is not one by PEP 440"}]
    shutil.rmtree(odd.parent)
    assert "audit needs known vulnerabilities" in installed.fab("audit").stderr
    assert "none.zip: cannot be read" in installed.fab("audit", "--osv", "none.zip").stderr
