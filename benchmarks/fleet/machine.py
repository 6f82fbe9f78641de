"""What ran: the machine, and the versions of all that took part."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from packaging.utils import canonicalize_name

from benchmarks.fleet.stage import Stage
from benchmarks.fleet.wheelhouse import pins


def facts(stage: Stage) -> dict[str, str]:
    """Names and values, for people."""
    pinned = {str(name): number for file in ("pyinfra", "ansible", "tools") for name, number in pins(file).items()}
    openssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.split(",")[0]
    kernel = os.uname()
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "system": f"{kernel.sysname} {kernel.release}, {kernel.machine}",
        "hosts' files": "on a tmpfs",
        "Python": platform.python_version(),
        "pip in the virtualenvs": stage.states.bare[canonicalize_name("pip")],
        "uv": pinned["uv"],
        "Fabric": version("fabric"),
        "Paramiko": version("paramiko"),
        "pyinfra": pinned["pyinfra"],
        "ansible-core": pinned["ansible-core"],
        "OpenSSH": openssh.removeprefix("OpenSSH_"),
        "envfab": version("envfab"),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
