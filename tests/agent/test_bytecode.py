"""Bytecode that all virtualenvs of an owner share: of the wheel's own sources, whole, and never in the way."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import py_compile
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import bytecode as source
from tests.agent.conftest import Starter
from tests.agent.test_uv import NEWEST, SHOP, by_uv, cache, compiled, run
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel, sha256

agent: Any = source
LINKED = pytest.mark.parametrize("link", [True, False], ids=["links", "copies"])


def installed(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """What an installation of shop 1.0 leaves in a folder of packages; the path of its dist-info."""
    rows = []
    for name, text in files.items():
        content = text if isinstance(text, bytes) else text.encode()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        rows.append(f"{name},sha256={digest},{len(content)}\n")
    dist_info = folder / "shop-1.0.dist-info"
    dist_info.mkdir()
    (dist_info / "RECORD").write_text("".join(rows))
    return dist_info


def share(dist_info: Path, kept: Path, *, link: bool = False) -> Any:
    """Give an installation its bytecode, as an agent does that has no reason to wait."""
    package = agent.CompiledPackage(str(dist_info), str(kept), link)
    assert package.share(wait=True)
    return package


def imported(folder: Path, code: str) -> str:
    """What this interpreter says to `code` with what lies in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(folder)}
    )
    return done.stdout


def pyc(folder: Path, name: str) -> Path:
    """Where the bytecode of a source lies."""
    return folder / importlib.util.cache_from_source(name)


def empty(file: Path) -> None:
    """As a crash leaves a file whose content was not yet on the disk."""
    file.write_bytes(b"")


def cut_off(file: Path) -> None:
    """As a full disk leaves one that nobody compared."""
    file.write_bytes(file.read_bytes()[:-5])


def garble(file: Path) -> None:
    """As long as it was, and something else."""
    file.write_bytes(file.read_bytes()[:-5] + b"\0\0\0\0\0")


def unreadable(file: Path) -> None:
    """Something that cannot be read, by root neither."""
    file.unlink()
    file.mkdir()


@NEWEST
@LINKED
@pytest.mark.parametrize("damage", [empty, cut_off, garble, unreadable, Path.unlink])
def test_kept_bytecode_that_is_damaged_is_compiled_again(
    make_virtualenv: VirtualenvMaker,
    deploying: Starter,
    tmp_path: Path,
    version: str,
    uv_wheel: Path,
    damage: Callable[[Path], None],
    link: bool,
) -> None:
    """It is as if it were not there; what comes of it is kept, and the next one takes that."""
    wheel = make_wheel(tmp_path / "made", "shop", "1.0", files=SHOP)
    one, two, three = (make_virtualenv(version, tmp_path / name) for name in ("one", "two", "three"))
    by_uv(deploying(one), uv_wheel, wheel, link=link)
    (kept,) = cache().glob(f"bytecode-022/*/{sha256(wheel)}/shop/__pycache__/views.*.pyc")
    damage(kept)
    for path in (two, three):
        reply = by_uv(deploying(path), uv_wheel, wheel, link=link)
        assert "not all of it" not in reply["output"]
        assert "'gone'" in run(path, "import shop.views; shop.views.view()").stderr
        assert len(compiled(path, "shop")) == 2
    assert compiled(three, "shop")[1].samefile(kept) == link


@NEWEST
def test_an_error_leaves_files_uncompiled_and_the_deployment_alone(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path
) -> None:
    """Told in the installer's output; the other packages get theirs, and the next deployment does, too."""
    blocked = make_wheel(
        tmp_path / "made", "blocked", "1.0", files={"blocked/x.py": "X = 1\n", "blocked/__pycache__": ""}
    )
    shop = make_wheel(tmp_path / "made", "shop", "1.0", files=SHOP)
    path = make_virtualenv(version, tmp_path / "v")
    session = deploying(path)
    for _ in range(2):
        reply = by_uv(session, uv_wheel, blocked, shop)
        assert "blocked-1.0.dist-info: not all of it has bytecode: " in reply["output"]
        assert session.ask("verify", names=["blocked", "shop"]) == {"wrong": {}}
        assert len(compiled(path, "shop")) == 2
    assert run(path, "import blocked.x; print(blocked.x.X)").stdout == "1\n"


@NEWEST
def test_where_nothing_can_be_kept_everybody_compiles_for_himself(
    make_virtualenv: VirtualenvMaker, deploying: Starter, tmp_path: Path, version: str, uv_wheel: Path
) -> None:
    """Something else lies where the folder should be."""
    path = make_virtualenv(version, tmp_path / "v")
    cache().mkdir(parents=True)
    (cache() / "bytecode-022").touch()
    by_uv(deploying(path), uv_wheel, make_wheel(tmp_path / "made", "shop", "1.0", files=SHOP))
    assert len(compiled(path, "shop")) == 2


def test_a_full_disk_of_the_cache_keeps_nothing(tmp_path: Path) -> None:
    """What was compiled is there all the same, and no part of it is left in the cache."""
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", str(tiny)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        dist_info = installed(tmp_path / "site", {"shop.py": f"X = {'x' * 200_000!r}\n"})
        problems: list[str] = []
        package = agent.CompiledPackage(str(dist_info), str(tiny / "kept"), True)
        assert package.share_or_say(True, problems)
        assert problems == ["shop-1.0.dist-info: not all of it has bytecode: No space left on device\n"]
        assert [path.name for path in tiny.iterdir()] == ["kept.lock"]
    finally:
        subprocess.run(["umount", tiny], check=True)
    assert agent.is_loadable(str(pyc(tmp_path / "site", "shop.py")))


def test_a_short_write_leaves_no_bytecode(tmp_path: Path) -> None:
    """Some versions of py_compile do not notice that a disk took only a part; a module with that cannot be imported."""
    file = tmp_path / "big.py"
    file.write_text(f"X = {'x' * 200_000!r}\n")
    code = (
        "import contextlib, resource, sys; from envfab.agent.bytecode import compiles\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, -1))\n"
        "with contextlib.suppress(OSError): assert not compiles(*sys.argv[1:])\n"
    )
    target = pyc(tmp_path, "big.py")
    subprocess.run(
        [sys.executable, "-c", code, str(file), str(target)],
        check=True,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )
    assert list(target.parent.iterdir()) == []


def test_what_is_kept_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it gets its name: a crash leaves all of it, or nothing that is taken for it."""
    synced: set[int] = set()
    kept, rename = tmp_path / "kept", os.rename

    def see_to_it(old: str, new: str) -> None:
        if new == str(kept):
            files = {file.stat().st_ino for file in Path(old).rglob("*") if file.is_file()}
            assert len(files) == 3
            assert files <= synced
        rename(old, new)

    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    monkeypatch.setattr(os, "rename", see_to_it)
    share(installed(tmp_path / "site", {"shop/__init__.py": "", "shop/x.py": ""}), kept)
    assert kept.is_dir()


@LINKED
def test_bytecode_of_a_damaged_source_is_not_passed_on(tmp_path: Path, link: bool) -> None:
    """Not though it lies there ready: a service may have imported the source before the damage was seen."""
    files = {"shop.py": "SHOP = 1\n", "other.py": ""}
    one, two = (installed(tmp_path / name, files) for name in ("one", "two"))
    good = tmp_path / "one" / "shop.py"
    good.write_text("SHOP = 6\n")
    py_compile.compile(str(good), doraise=True)
    share(one, tmp_path / "kept", link=link)
    assert not pyc(tmp_path / "one", "shop.py").exists()
    assert pyc(tmp_path / "one", "other.py").exists()
    share(two, tmp_path / "kept", link=link)
    assert pyc(tmp_path / "two", "shop.py").exists()
    assert imported(tmp_path / "two", "import shop; print(shop.SHOP)") == "1\n"


def test_a_damaged_installation_is_not_the_one_that_is_kept(tmp_path: Path) -> None:
    """Or what it lacks would be lacking for all that come after it."""
    one, two, three = (installed(tmp_path / name, {"a.py": "", "b.py": ""}) for name in ("one", "two", "three"))
    (tmp_path / "one" / "a.py").write_text("damaged")
    share(one, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
    share(two, tmp_path / "kept")
    # the third could compile nothing
    shutil.rmtree(tmp_path / "two")
    (tmp_path / "three" / "a.py").chmod(0)
    share(three, tmp_path / "kept")
    assert pyc(tmp_path / "three", "a.py").exists()


def test_bytecode_that_came_with_the_wheel_stays_as_it_is(tmp_path: Path) -> None:
    """It is in RECORD, and a deployment is looked through for what is not as that says."""
    name = importlib.util.cache_from_source("shop.py")
    dist_info = installed(tmp_path / "site", {"shop.py": "", name: b"the wheel's own", "other.py": ""})
    share(dist_info, tmp_path / "kept")
    assert (tmp_path / "site" / name).read_bytes() == b"the wheel's own"
    assert pyc(tmp_path / "site", "other.py").exists()


def test_bytecode_names_the_time_of_its_source_whatever_the_surroundings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SOURCE_DATE_EPOCH py_compile would have it name a hash, in the place of the time."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    share(installed(tmp_path / "site", {"shop.py": "SHOP = 1\n"}), tmp_path / "kept")
    status = (tmp_path / "site" / "shop.py").stat()
    header = struct.unpack("<4sIII", pyc(tmp_path / "site", "shop.py").read_bytes()[:16])
    assert header == (importlib.util.MAGIC_NUMBER, 0, int(status.st_mtime), status.st_size)


def test_a_link_takes_its_place_beside_a_service_that_writes_there(tmp_path: Path) -> None:
    """A service compiles what it imports, at any moment."""
    kept, target, done = tmp_path / "kept", tmp_path / "target", threading.Event()
    kept.write_text("kept")

    def serve() -> None:
        while not done.is_set():
            (tmp_path / "draft").write_text("written by the service")
            (tmp_path / "draft").rename(target)

    service = threading.Thread(target=serve)
    service.start()
    try:
        for _ in range(3000):
            agent.link_anew(str(kept), str(target))
    finally:
        done.set()
        service.join()
    for _ in range(2):
        agent.link_anew(str(kept), str(target))
        assert target.samefile(kept)
    assert {path.name for path in tmp_path.iterdir()} <= {"kept", "target", "draft"}


@pytest.mark.parametrize("name", ["Foo.Bar", "foo_bar", "FOO_BAR", "foo._bar"])
def test_a_wheel_finds_its_distribution_however_its_name_is_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A dist-info folder may be spelled in another way than the plan says the name (PEP 503, PEP 625)."""
    (tmp_path / "in").mkdir()
    dist_info = installed(tmp_path / "in", {"foo_bar.py": "X = 1\n"}).rename(tmp_path / "in" / f"{name}-1.0.dist-info")
    # the folders of an interpreter cannot be others for one call
    monkeypatch.setattr(agent.sysconfig, "get_path", lambda _scheme: str(tmp_path / "in"))
    assert agent.dist_infos() == {"foo-bar": str(dist_info)}
    assert agent.bytecode(str(tmp_path / "kept"), [{"name": "foo-bar", "sha256": "0" * 64}], False) == ""
    assert pyc(tmp_path / "in", "foo_bar.py").exists()
