"""Bytecode is compiled here, once for all hosts of a kind, and on a host where this machine cannot."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import marshal
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest
from packaging.version import Version

from envfab.agent import bytecode_archive
from envfab.deployment.compilers import Compilers
from envfab.models.interpreter import Interpreter
from envfab.remote.agent_sources import own_kind
from tests.agent.conftest import Starter, compose, deploying, fields, store
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel, sha256
from tests.support.workplace import Workplace

__all__ = ["deploying"]
FILES = {"shop/__init__.py": "", "shop/a.py": "A = 1\n", "shop/wrong.py": "def (\n", "shop/data.txt": "x"}


def test_bytecode_comes_with_the_wheel_and_is_used(local: Workplace, make_virtualenv: VirtualenvMaker) -> None:
    """The summary for programs says where it was compiled; the interpreter takes it as it is."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    path = make_virtualenv(version, local.folder / "v")
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'])])")
    local.add_made("shop", "1.0", files=FILES)
    (one,) = local.json("deploy", "--yes")["virtualenvs"]
    assert one["compiled"] == {"here": 1, "there": 0}
    (compiled,) = path.glob("lib/python*/site-packages/shop/__pycache__/a.*.pyc")
    before = compiled.stat().st_mtime_ns, compiled.read_bytes()
    program = "import shop.a, sys; sys.exit(shop.a.__cached__ == '')"
    subprocess.run([path / "bin" / "python", "-v", "-c", program], check=True, capture_output=True)
    assert (compiled.stat().st_mtime_ns, compiled.read_bytes()) == before
    assert not list(compiled.parent.glob("wrong.*"))


@pytest.mark.parametrize("version", ["2.7", "3.8", "3.13"])
def test_an_interpreter_of_another_version_is_found(
    version: str, make_virtualenv: VirtualenvMaker, local: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PATH, under the name that it has there."""
    path = make_virtualenv(version, local.folder / "v")
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'])])")
    local.add_made("shop", "1.0", files=FILES, tags=("py2-none-any", "py3-none-any"))
    found = make_virtualenv.python(version)
    monkeypatch.setenv("PATH", f"{found.parent}{os.pathsep}{os.environ['PATH']}")
    (one,) = local.json("deploy", "--yes")["virtualenvs"]
    assert one["compiled"] == {"here": 1, "there": 0}


def test_an_interpreter_that_a_setting_names_is_used(make_virtualenv: VirtualenvMaker, local: Workplace) -> None:
    """One that is not on PATH; what is no interpreter, or is not there, is passed over."""
    path = make_virtualenv("3.8", local.folder / "v")
    named = ["/bin/false", "/srv/none/python", str(make_virtualenv.python("3.8"))]
    host = f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'])])"
    local.fabfile(host)
    local.add_made("shop", "1.0", files=FILES)
    for compilers, compiled in (([], {"here": 0, "there": 1}), (named, {"here": 1, "there": 0})):
        local.fabfile(host, f"'compilers': {compilers!r}")
        (one,) = local.json("deploy", "--yes", "--reinstall", "shop")["virtualenvs"]
        assert one["compiled"] == compiled
        local.fab("clean", "--all")


def test_what_is_not_here_is_compiled_there(tmp_path: Path) -> None:
    """No interpreter of that kind, or none that starts: nobody is kept waiting, and nothing fails."""
    wheel = make_wheel(tmp_path, "shop", "1.0")
    compilers = Compilers()
    for kind in ("cpython-399-00000000", f"{sys.implementation.cache_tag}-00000000", "unheard of"):
        assert compilers.bytecode(kind, wheel, sha256(wheel)) is None
    assert compilers.bytecode(own_kind(), tmp_path / "gone.whl", "0" * 64) is None
    compilers.close()


def test_it_is_what_the_interpreter_itself_compiles(tmp_path: Path) -> None:
    """Packed once, and the same for all who ask."""
    wheel = make_wheel(tmp_path, "shop", "1.0", files=FILES)
    compilers = Compilers()
    found = compilers.bytecode(own_kind(), wheel, sha256(wheel))
    assert found is not None
    assert compilers.bytecode(own_kind(), wheel, sha256(wheel)) is found
    compilers.close()
    files = bytecode_archive.unpacked(found.data)  # type: ignore[no-untyped-call]  # it runs on 2.7, too
    (name,) = [path for _, path in files if "/a." in path]
    data = files["purelib", name]
    assert data.startswith(importlib.util.MAGIC_NUMBER)
    assert marshal.loads(data[16:]) == compile("A = 1\n", "shop/a.py", "exec", dont_inherit=True)


def test_what_is_planned_is_compiled_before_a_host_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For an interpreter of this version, once; for another one nothing is begun."""
    monkeypatch.setenv("HOME", str(tmp_path))
    wheel, other = make_wheel(tmp_path, "shop", "1.0", files=FILES), make_wheel(tmp_path, "other", "1.0")
    like_own = Interpreter(Version(platform.python_version()), platform.python_implementation(), {})
    foreign = Interpreter(Version("3.99"), like_own.implementation, {})
    compilers = Compilers()
    compilers.prepare(foreign, [(other, sha256(other))])
    compilers.prepare(like_own, [(wheel, sha256(wheel))])
    store = tmp_path / ".cache" / "envfab" / "store"
    deadline = time.monotonic() + 30
    while not list(store.glob("[0-9a-f]*.bytecode")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [file.name[:64] for file in store.glob("[0-9a-f]*.bytecode")] == [sha256(wheel)]
    compilers.close()


def test_what_was_not_begun_at_the_end_stays_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that was not agreed to keeps no core busy: `close` waits for one wheel at most."""
    monkeypatch.setenv("HOME", str(tmp_path))
    wheels = [make_wheel(tmp_path / str(number), "shop", f"{number}.0", files=FILES) for number in range(20)]
    like_own = Interpreter(Version(platform.python_version()), platform.python_implementation(), {})
    compilers = Compilers()
    compilers.prepare(like_own, [(wheel, sha256(wheel)) for wheel in wheels])
    compilers.close()
    assert len(list((tmp_path / ".cache" / "envfab" / "store").glob("[0-9a-f]*.bytecode"))) < len(wheels)


@pytest.mark.parametrize("sent", [b"", b"no bytecode", "of another wheel"])
def test_what_does_not_fit_is_compiled_anew(
    deploying: Starter, make_virtualenv: VirtualenvMaker, tmp_path: Path, sent: bytes | str
) -> None:
    """Bytes that are no bytecode, or that of other sources: what is imported is what the wheel has."""
    venv = make_virtualenv("3.11", tmp_path / "v")
    session = deploying(venv)
    session.ask("probe")
    shop = make_wheel(tmp_path / "2", "shop", "2.0", files={"shop.py": "V = 2 + 200\n"})
    if isinstance(sent, str):
        other = make_wheel(tmp_path / "1", "shop", "1.0", files={"shop.py": "V = 1\n"})
        compilers = Compilers()
        found = compilers.bytecode(own_kind(), other, sha256(other))
        compilers.close()
        assert found is not None
        sent = found.data
    store(session, shop)
    digest = hashlib.sha256(sent).hexdigest()
    session.tell_file("bytecode", [sent], len(sent), sha256=fields(shop)["sha256"], digest=digest)
    number = compose(session, shop, compile=True)
    session.ask("switch", number=number, base=number - 1)
    done = subprocess.run(
        [venv / "bin" / "python", "-c", "import shop; print(shop.V)"], capture_output=True, check=True
    )
    assert done.stdout == b"202\n"
    assert json.dumps(session.ask("verify", names=["shop"], number=None)) == '{"wrong": {}}'
