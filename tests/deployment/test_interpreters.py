"""One wheelhouse, one requirement list, and virtualenvs of every CPython that is managed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.pythons import VERSIONS, find_python
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace

ABIS = {"2.7": "cp27mu", "3.6": "cp36m", "3.7": "cp37m"}


def tag(version: str) -> str:
    """The tag of a wheel with compiled parts for that CPython on this machine."""
    python = "cp" + version.replace(".", "")
    return f"{python}-{ABIS.get(version, python)}-linux_x86_64"


def test_every_interpreter_gets_what_fits_it(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path
) -> None:
    """Tags, markers, Requires-Python and extras are those of the target, not of this machine; pip's answer is whole."""
    there = [version for version in VERSIONS if find_python(version)]
    paths = {version: make_virtualenv(version, tmp_path / version) for version in there}
    local.file(
        "requirements.txt",
        "speedy\n"
        'backport ; python_version < "3.8"\n'
        "modern[fast]\n",
    )  # fmt: skip
    listed = ", ".join(f"Virtualenv({str(path)!r}, requirements='requirements.txt')" for path in paths.values())
    local.fabfile(f"Host('localhost', virtualenvs=[{listed}])")
    for version in there:
        local.add_made("speedy", "1.0", tags=[tag(version)], files={"speedy.py": f"FOR = {version!r}\n"})
    local.add_made("speedy", "2.0", tags=["cp399-cp399-linux_x86_64"])
    both = ["py2-none-any", "py3-none-any"]
    local.add_made("backport", "1.0", tags=both, files={"backport.py": ""})
    fast = ["speedy ; extra == 'fast'"]
    local.add_made("modern", "1.0", tags=both, extras=["fast"], requires=fast, files={"modern.py": "OLD = True\n"})
    local.add_made("modern", "2.0", extras=["fast"], requires_python=">=3.9", files={"modern.py": "OLD = False\n"})
    done = local.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(local.statuses("plan").values()) == {"current"}
    for version, path in paths.items():
        said = ask(path, "import speedy, modern; print(speedy.FOR, modern.OLD)")
        assert said == expected(version), version
        has_backport = (path / "lib" / f"python{version}" / "site-packages" / "backport.py").exists()
        assert has_backport == (version in ("2.7", "3.6", "3.7")), version


# the newest Django of each line that still has one for the interpreter, and what it requires
DJANGO = {"2.7": "1.11.29", "3.6": "3.2.25", "3.7": "2.2.28", "3.8": "4.2.16", "3.9": "4.2.16"}
NEWEST_DJANGO = "5.2"
REQUIRED = (
    *("pytz==2024.1", "sqlparse==0.4.4", "asgiref==3.4.1", "asgiref==3.8.1"),
    *("typing-extensions==4.1.1", "typing-extensions==4.12.2"),
)
FOR_3_8 = ("--only-binary", ":all:", "--python-version", "3.8", "--implementation", "cp", "--abi", "cp38")


def test_real_django_is_deployed_to_every_interpreter(
    local: Workplace, make_virtualenv: VirtualenvMaker, tmp_path: Path
) -> None:
    """Also by pips that rewrite a script and record it as it was, as those for CPython 2.7 and 3.6 do."""
    there = [version for version in VERSIONS if find_python(version)]
    django = {version: DJANGO.get(version, NEWEST_DJANGO) for version in there}
    wheels = [make_virtualenv.fetched(f"Django=={version}") for version in sorted(set(django.values()))]
    wheels += [make_virtualenv.fetched(requirement) for requirement in REQUIRED]
    if "3.8" in there:
        wheels += [make_virtualenv.fetched("backports.zoneinfo==0.2.1", *FOR_3_8)]
    paths = {version: make_virtualenv(version, tmp_path / version) for version in there}
    listed = ", ".join(
        f"Virtualenv({str(path)!r}, packages=['Django=={django[version]}'])" for version, path in paths.items()
    )
    local.fabfile(f"Host('localhost', virtualenvs=[{listed}])", settings="'compile': False")
    local.add(*wheels)
    done = local.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for version, path in paths.items():
        assert ask(path, "import django; print(django.get_version())") == django[version]
        script = subprocess.run(
            [path / "bin" / "django-admin", "--version"], capture_output=True, text=True, check=True
        )
        assert script.stdout.strip() == django[version]


def expected(version: str) -> str:
    """What the imports print under that version."""
    old = version in ("2.7", "3.6", "3.7", "3.8")
    return f"('{version}', {old})" if version == "2.7" else f"{version} {old}"


def ask(path: Path, program: str) -> str:
    """What a virtualenv's Python prints."""
    command = [str(path / "bin" / "python"), "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout.strip()
