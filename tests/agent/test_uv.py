"""Installing by a uv out of the wheelhouse, and bytecode that is compiled once for all virtualenvs of a host."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import uv as uv_source
from envfab.remote import agent_sources
from envfab.remote.agent_session import OperationFailed, Session
from tests.agent.conftest import Starter, fields, install, site_packages, store, versions
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel, sha256

OLDEST_AND_NEWEST = pytest.mark.parametrize("version", ["3.8", "3.13"], indirect=True)
NEWEST = pytest.mark.parametrize("version", ["3.13"], indirect=True)
SHOP = {
    "shop/__init__.py": "SHOP = 1\n",
    "shop/views.py": "def view():\n    raise KeyError('gone')\n",
    "shop/x.txt": "x",
}

agent_uv: Any = uv_source


def cache() -> Path:
    """What the virtualenvs of this user share."""
    return Path(os.environ["HOME"]) / ".cache" / "envfab"


def by_uv(session: Session, uv: Path, *wheels: Path, **options: Any) -> dict[str, Any]:
    """Store wheels and install them by uv."""
    session.load(agent_sources.UV + agent_sources.BYTECODE)
    lacking = session.ask("lacking", hashes=[sha256(wheel) for wheel in (uv, *wheels)])["lacking"]
    store(session, *(wheel for wheel in (uv, *wheels) if sha256(wheel) in lacking))
    asked = {"remove": [], "compile": True, "link": True, "umask": 0o022, "forget": []} | options
    described = [fields(wheel) for wheel in wheels]
    return session.ask("install_by_uv", uv_wheel=fields(uv), wheels=described, **asked)


def files(virtualenv: Path) -> dict[str, bytes]:
    """What lies in a virtualenv's folder of packages, by path; the installer's notes to itself left out."""
    site = site_packages(virtualenv)
    notes = ("INSTALLER", "RECORD", "uv_cache.json")
    return {
        str(path.relative_to(site)): path.read_bytes()
        for path in site.rglob("*")
        if path.is_file() and path.name not in notes and path.suffix != ".pyc"
    }


def compiled(virtualenv: Path, package: str) -> list[Path]:
    """The `.pyc` files of a package."""
    return sorted((site_packages(virtualenv) / package).rglob("*.pyc"))


def run(virtualenv: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """What the virtualenv's interpreter says to `code`."""
    python = str(virtualenv / "bin" / "python")
    return subprocess.run([python, *options, "-c", code], capture_output=True, text=True, check=False, cwd="/")


@OLDEST_AND_NEWEST
def test_the_result_is_what_pip_makes_of_it(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path
) -> None:
    """The same files after an installation, an upgrade and a removal; only the installers' notes differ."""
    ways = {"pip": make_virtualenv(version, tmp_path / "p"), "uv": make_virtualenv(version, tmp_path / "u")}
    made = tmp_path / "made"
    first = make_wheel(made, "shop", "1.0", files=SHOP, entry_points={"shop-run": "shop.views:view"})
    second = make_wheel(made, "shop", "2.0", files={"shop/__init__.py": "SHOP = 2\n"})
    other = make_wheel(made, "other", "1.0")
    replies = {}
    for way, path in ways.items():
        session = deploying(path)
        put = install if way == "pip" else lambda *args, **options: by_uv(args[0], uv_wheel, *args[1:], **options)
        put(session, first, other)
        assert (path / "bin" / "shop-run").stat().st_mode & 0o777 == 0o755
        replies[way] = put(session, second, remove=["other"])["probe"]
        assert session.ask("verify", names=["shop"]) == {"wrong": {}}
        assert session.ask("probe")["leftovers"] == []
        assert not (path / ".envfab" / "stage").exists()
    assert versions(replies["uv"]) == versions(replies["pip"])
    assert files(ways["uv"]) == files(ways["pip"])
    assert "shop/views.py" not in files(ways["uv"])
    assert not compiled(ways["uv"], "shop")[0].name.startswith("views")


@OLDEST_AND_NEWEST
def test_the_second_virtualenv_of_a_host_gets_links(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path
) -> None:
    """To the files that were unpacked, and to the bytecode that was compiled for the first; tracebacks name its own."""
    one, two = make_virtualenv(version, tmp_path / "one"), make_virtualenv(version, tmp_path / "two")
    wheel = make_wheel(tmp_path / "made", "shop", "1.0", files=SHOP)
    for path in (one, two):
        by_uv(deploying(path), uv_wheel, wheel)
    assert len(compiled(two, "shop")) == 2
    for kind in ("*.py", "*.pyc", "*.txt"):
        for file in (site_packages(two) / "shop").rglob(kind):
            assert file.samefile(site_packages(one) / file.relative_to(site_packages(two)))
    done = run(two, "import shop.views; shop.views.view()", "-v")
    assert f"code object from '{site_packages(two)}/shop/__pycache__/views" in done.stderr
    assert "could not create" not in done.stderr
    assert f'File "{site_packages(two)}/shop/views.py", line 2, in view' in done.stderr


@NEWEST
def test_what_is_kept_by_a_deployment_is_not_unpacked_again(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path
) -> None:
    """A link more to a cached wheel changes its times, and uv goes by them: it must not see that."""
    one, two = make_virtualenv(version, tmp_path / "one"), make_virtualenv(version, tmp_path / "two")
    wheel = make_wheel(tmp_path / "made", "shop", "1.0", files=SHOP)
    by_uv(deploying(one), uv_wheel, wheel)
    os.link(cache() / "wheels" / sha256(wheel), one / "kept")
    by_uv(deploying(two), uv_wheel, wheel)
    assert (site_packages(two) / "shop" / "x.txt").samefile(site_packages(one) / "shop" / "x.txt")


@NEWEST
def test_copies_where_links_are_not_wanted(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path
) -> None:
    """A file changed by hand in one virtualenv stays as it was in the others; the bytecode is compiled once all the same."""
    one, two = make_virtualenv(version, tmp_path / "one"), make_virtualenv(version, tmp_path / "two")
    wheel = make_wheel(tmp_path / "made", "shop", "1.0", files=SHOP)
    for path in (one, two):
        by_uv(deploying(path), uv_wheel, wheel, link=False)
        os.utime(site_packages(path) / "shop" / "views.py")
    file = site_packages(one) / "shop" / "views.py"
    assert not file.samefile(site_packages(two) / "shop" / "views.py")
    assert {path.stat().st_nlink for path in compiled(two, "shop")} == {1}
    by_uv(deploying(two), uv_wheel, wheel, link=False)
    # each copy of the bytecode names its own source's time, or the interpreter would not take it
    done = run(two, "import shop.views; shop.views.view()", "-v")
    assert f"matches {site_packages(two)}/shop/views.py" in done.stderr
    assert f'File "{site_packages(two)}/shop/views.py", line 2, in view' in done.stderr


@NEWEST
def test_bytecode_is_made_where_it_is_wanted_and_of_what_compiles(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path
) -> None:
    """A template that only looks like Python is passed over, as pip passes over it, and so is a file with null bytes."""
    odd = {"odd/__init__.py": "", "odd/template.py": "class {{ name }}:\n", "odd/null.py": "\0"}
    wheel = make_wheel(tmp_path / "made", "odd", "1.0", files=odd)
    bare, path, again = (make_virtualenv(version, tmp_path / name) for name in ("bare", "one", "two"))
    by_uv(deploying(bare), uv_wheel, wheel, compile=False)
    assert compiled(bare, "odd") == []
    for one in (path, again):
        by_uv(deploying(one), uv_wheel, wheel)
        assert [file.name.partition(".")[0] for file in compiled(one, "odd")] == ["__init__"]


@NEWEST
def test_bytecode_is_made_though_a_wheel_spells_its_version_in_its_own_way(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path
) -> None:
    """2024.01 in its folder's name, and 2024.1 as versions are compared and asked for."""
    path = make_virtualenv(version, tmp_path / "v")
    wheel = make_wheel(tmp_path / "made", "tz", "2024.01", files={"tz/__init__.py": ""})
    session = deploying(path)
    by_uv(session, uv_wheel)
    store(session, wheel)
    asked = {"remove": [], "compile": True, "link": True, "umask": 0o022, "forget": []}
    session.ask("install_by_uv", uv_wheel=fields(uv_wheel), wheels=[fields(wheel) | {"version": "2024.1"}], **asked)
    assert (site_packages(path) / "tz-2024.01.dist-info").is_dir()
    assert len(compiled(path, "tz")) == 1


@NEWEST
def test_bytecode_of_a_file_that_was_changed_by_hand_is_not_passed_on(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path
) -> None:
    """What is kept is of the wheel; what was changed is seen by a look at RECORD, and mended by unpacking anew."""
    one, two = make_virtualenv(version, tmp_path / "one"), make_virtualenv(version, tmp_path / "two")
    wheel = make_wheel(tmp_path / "made", "shop", "1.0", files=SHOP)
    by_uv(deploying(one), uv_wheel, wheel, compile=False)
    (site_packages(one) / "shop" / "__init__.py").write_text("SHOP = 666\n")
    session = deploying(two)
    by_uv(session, uv_wheel, wheel)
    assert session.ask("verify", names=["shop"])["wrong"] == {"shop": ["shop/__init__.py differs"]}
    by_uv(session, uv_wheel, wheel, forget=["shop"])
    assert session.ask("verify", names=["shop"])["wrong"] == {}
    assert run(two, "import shop; print(shop.SHOP)").stdout == "1\n"


@NEWEST
def test_virtualenvs_that_are_installed_at_once_share_the_work(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path
) -> None:
    """Whoever comes to a wheel that another compiles goes on with the next one, and takes the links later."""
    many = {f"part{number}/__init__.py": "X = 1\n" * 200 for number in range(20)}
    wheels = [
        make_wheel(
            tmp_path / "made", f"w{number}", "1.0", files={f"w{number}/{name}": text for name, text in many.items()}
        )
        for number in range(6)
    ]
    paths = [make_virtualenv(version, tmp_path / f"v{number}") for number in range(4)]
    sessions = [deploying(path) for path in paths]
    by_uv(sessions[0], uv_wheel)
    store(sessions[0], *wheels)
    with ThreadPoolExecutor(len(paths)) as pool:
        list(pool.map(lambda session: by_uv(session, uv_wheel, *wheels), sessions))
    for number in range(6):
        inodes = [[file.stat().st_ino for file in compiled(path, f"w{number}")] for path in paths]
        assert len(inodes[0]) == 20
        assert all(one == inodes[0] for one in inodes)
    assert not list(cache().rglob("*.part"))


@NEWEST
def test_a_failure_of_uv_says_what_uv_said(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path
) -> None:
    """One line for the user, all of the output for whoever wants it, and nothing staged is left."""
    path = make_virtualenv(version, tmp_path / "v")
    session = deploying(path)
    broken = tmp_path / "eta-1.0-py3-none-any.whl"
    broken.write_bytes(b"no zip file")
    with pytest.raises(OperationFailed) as caught:
        by_uv(session, uv_wheel, broken)
    assert caught.value.what.startswith("uv ended with status ")
    assert "eta-1.0-py3-none-any.whl" in caught.value.what
    assert "\n" not in caught.value.what
    assert not (path / ".envfab" / "stage").exists()


@NEWEST
@pytest.mark.parametrize("place", ["wheels", "offered"])
def test_a_wheel_damaged_in_the_cache_is_not_installed(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path, place: str
) -> None:
    """It is thrown away, so that the next try gets it anew."""
    session = deploying(make_virtualenv(version, tmp_path / "v"))
    theta = make_wheel(tmp_path / "made", f"theta-{place}", "1.0")
    by_uv(session, uv_wheel)
    store(session, theta)
    if place == "offered":
        by_uv(session, uv_wheel, theta)
    cached = next(path for path in (cache() / place).rglob("*") if path.is_file() and sha256(path) == sha256(theta))
    cached.write_bytes(b"PK" + cached.read_bytes())
    with pytest.raises(OperationFailed, match=r"theta_\w+-1\.0-py3-none-any\.whl is damaged in the cache"):
        session.ask(
            "install_by_uv",
            wheels=[fields(theta) | {"name": f"theta-{place}"}],
            uv_wheel=fields(uv_wheel),
            remove=[],
            compile=False,
            link=True,
            umask=0o022,
            forget=[],
        )
    assert not cached.exists()
    by_uv(session, uv_wheel, theta)


@NEWEST
def test_a_uv_that_cannot_be_run_is_one_message(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str
) -> None:
    """A wheel for another machine, say, or a home on a file system from which nothing may be run."""
    path = make_virtualenv(version, tmp_path / "v")
    foreign = make_wheel(
        tmp_path / "made", "uv", "1.0", files={"uv-1.0.data/scripts/uv": b"\x7fELF of another machine"}
    )
    hollow = make_wheel(tmp_path / "made", "uv", "2.0")
    wheel = make_wheel(tmp_path / "made", "shop", "1.0")
    session = deploying(path)
    with pytest.raises(
        OperationFailed, match=r"uv cannot be run on this host \(Exec format error\); the setting installer=pip"
    ):
        by_uv(session, foreign, wheel)
    with pytest.raises(OperationFailed, match=r"uv-2\.0-py3-none-any\.whl holds no program uv"):
        by_uv(session, hollow, wheel)
    assert "shop" not in versions(session.ask("probe"))


@NEWEST
def test_nobody_s_settings_reach_uv(
    make_virtualenv: VirtualenvMaker,
    deploying: Starter,
    tmp_path: Path,
    version: str,
    uv_wheel: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hostile uv.toml and UV_* variables are passed over."""
    settings = Path(os.environ["HOME"]) / ".config" / "uv" / "uv.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        'no-binary = true\nlink-mode = "symlink"\n[pip]\ntarget = "/nonexistent"\nno-binary = [":all:"]\n'
    )
    for name, value in {"UV_TARGET": "/nonexistent", "UV_NO_BINARY": "1", "UV_LINK_MODE": "symlink"}.items():
        monkeypatch.setenv(name, value)
    path = make_virtualenv(version, tmp_path / "v")
    reply = by_uv(deploying(path), uv_wheel, make_wheel(tmp_path / "made", "shop", "1.0"))
    assert versions(reply["probe"])["shop"] == "1.0"
    assert not (site_packages(path) / "shop.py").is_symlink()


@NEWEST
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_get_the_wanted_mode(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path, umask: int
) -> None:
    """Also where another virtualenv had them with another mode before."""
    wheel = make_wheel(tmp_path / "made", "shop", "1.0", files=SHOP)
    by_uv(deploying(make_virtualenv(version, tmp_path / "before")), uv_wheel, wheel, umask=0o022)
    path = make_virtualenv(version, tmp_path / "v")
    by_uv(deploying(path), uv_wheel, wheel, umask=umask)
    folder = site_packages(path) / "shop"
    modes = [file.stat().st_mode & 0o077 for file in (folder, folder / "views.py", compiled(path, "shop")[0])]
    assert modes == ([0o055, 0o044, 0o044] if umask == 0o022 else [0, 0, 0])


@NEWEST
@pytest.mark.parametrize("content", ["", "#!/bin/sh\ntouch '{mark}'\n"], ids=["empty", "another"])
def test_only_the_program_of_the_wheel_is_run(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path, content: str
) -> None:
    """What lies unpacked in its place, after a crash or by somebody else's hand, is replaced before."""
    wheel, mark = make_wheel(tmp_path / "made", "shop", "1.0", files=SHOP), tmp_path / "mark"
    by_uv(deploying(make_virtualenv(version, tmp_path / "one")), uv_wheel, wheel)
    program = cache() / "uv" / sha256(uv_wheel) / "uv"
    good, inode = sha256(program), program.stat().st_ino
    by_uv(deploying(make_virtualenv(version, tmp_path / "two")), uv_wheel, wheel)
    assert program.stat().st_ino == inode
    program.write_text(content.format(mark=mark))
    reply = by_uv(deploying(make_virtualenv(version, tmp_path / "three")), uv_wheel, wheel)
    assert versions(reply["probe"])["shop"] == "1.0"
    assert sha256(program) == good
    assert not mark.exists()
    assert sorted(path.name for path in program.parent.iterdir()) == ["uv", "uv.checked"]


def test_a_program_that_is_unchanged_is_not_read_again(
    tmp_path: Path, uv_wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is large, and run for each virtualenv of a host; but that its times were set back is seen."""
    (tmp_path / "wheels").mkdir()
    shutil.copy(uv_wheel, tmp_path / "wheels" / sha256(uv_wheel))
    looked: list[str] = []
    hashed = agent_uv.sha256_of

    def look(file: str) -> Any:
        looked.append(file)
        return hashed(file)

    monkeypatch.setattr(agent_uv, "sha256_of", look)
    (program,) = {agent_uv.unpacked(str(tmp_path), fields(uv_wheel)) for _ in range(3)}
    # it was unpacked, and is what it was unpacked as
    assert looked == []
    before = os.stat(program)
    with open(program, "r+b") as stream:
        stream.write(b"x")
    os.utime(program, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert {agent_uv.unpacked(str(tmp_path), fields(uv_wheel)) for _ in range(3)} == {program}
    assert looked == [program]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A wheel in a cache in the folder `shared`."""
    wheel = make_wheel(tmp_path, "shop", "1.0")
    (tmp_path / "shared" / "wheels").mkdir(parents=True)
    shutil.copy(wheel, tmp_path / "shared" / "wheels" / sha256(wheel))
    return wheel


def test_the_copy_that_is_offered_first_stays(tmp_path: Path, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv knows a wheel again by its times: whoever makes a copy at the same time throws his own away."""
    shared, first = tmp_path / "shared", tmp_path / "shared" / "offered" / sha256(stored) / stored.name
    checked = agent_uv.checked

    def checked_while_another_is_faster(*arguments: Any) -> Any:
        first.parent.mkdir(parents=True)
        shutil.copy(stored, first)
        times.append(first.stat().st_ctime_ns)
        return checked(*arguments)

    times: list[int] = []
    monkeypatch.setattr(agent_uv, "checked", checked_while_another_is_faster)
    for _ in range(2):
        assert agent_uv.offered(str(shared), fields(stored)) == str(first.parent)
        assert [first.stat().st_ctime_ns] == times
    assert list((shared / "offered").rglob("*")) == [first.parent, first]


@pytest.mark.parametrize("left", [".123", "other-1.0-py3-none-any.whl", None])
def test_a_copy_is_offered_where_its_folder_is_there_already(tmp_path: Path, stored: Path, left: str | None) -> None:
    """With what an older agent left that was killed, with the same wheel by another name, or empty."""
    shared = tmp_path / "shared"
    place = shared / "offered" / sha256(stored)
    place.mkdir(parents=True)
    if left:
        (place / left).touch()
    agent_uv.offered(str(shared), fields(stored))
    assert {path.name for path in place.iterdir()} == {stored.name, left} - {None}
    assert sha256(place / stored.name) == sha256(stored)
    assert list((shared / "offered").iterdir()) == [place]


@NEWEST
@pytest.mark.parametrize(
    ("others", "forget", "waits"),
    [(fcntl.LOCK_SH, ["shop"], True), (fcntl.LOCK_EX, [], True), (fcntl.LOCK_SH, [], False)],
    ids=["throwing away beside an installation", "installing beside one who throws away", "both installing"],
)
def test_nothing_is_thrown_away_that_another_uv_is_just_installing_from(
    make_virtualenv: VirtualenvMaker,
    deploying: Starter,
    tmp_path: Path,
    version: str,
    uv_wheel: Path,
    others: int,
    forget: list[str],
    waits: bool,
) -> None:
    """Who throws away waits for the others, and they for him; installations do not wait for each other."""
    session = deploying(make_virtualenv(version, tmp_path / "v"))
    wheel = make_wheel(tmp_path / "made", "shop", "1.0", files=SHOP)
    by_uv(session, uv_wheel, wheel)
    lock = os.open(cache() / "uv-022", os.O_RDONLY)
    with ThreadPoolExecutor(1) as pool:
        fcntl.flock(lock, others)
        running = pool.submit(by_uv, session, uv_wheel, wheel, forget=forget)
        if waits:
            assert wait([running], 2).not_done
            fcntl.flock(lock, fcntl.LOCK_UN)
        assert versions(running.result(60)["probe"])["shop"] == "1.0"
    os.close(lock)
