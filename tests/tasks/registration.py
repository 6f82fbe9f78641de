"""Fabfiles that register, and what is registered."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.wheels import make_wheel

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
SUCCESS = "Difio: Success, registered/updated application with uuid X\n"


def fabfile(folder: Path, hosts: str = "", registration: str = "", end: str = "ns = collection(fleet)\n") -> None:
    """Write a fabfile with these hosts and servers."""
    folder.mkdir(exist_ok=True)
    (folder / "fabfile.py").write_text(
        f"import os\nfrom envfab import *\nfleet = Fleet(hosts=[{hosts}], registration=[{registration}])\n{end}"
    )


def localhost(*paths: Path) -> str:
    """This machine with these virtualenvs, for a fabfile."""
    return f"Host('localhost', virtualenvs=[{', '.join(f'Virtualenv({str(path)!r})' for path in paths)}])"


def install(virtualenv: Path, name: str, version: str, *requires: str) -> Path:
    """Lay a distribution into a virtualenv, as an installer leaves it; the wheel that it is of."""
    (site,) = virtualenv.glob("lib/python*/site-packages")
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    lines = [f"Requires-Dist: {one}" for one in requires]
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines]))
    (info / "RECORD").write_text("")
    return make_wheel(virtualenv.parent / "made", name, version, requires=requires)
