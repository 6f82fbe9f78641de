"""The interpreter that runs this program: pip-compile resolves for it alone."""

from __future__ import annotations

import platform

from packaging.markers import default_environment
from packaging.tags import sys_tags
from packaging.version import Version

from envfab.models.interpreter import Interpreter


def this_one() -> Interpreter:
    """The interpreter that runs this program, with its tags."""
    markers = {key: str(value) for key, value in default_environment().items()}
    version = Version(platform.python_version().rstrip("+"))
    return Interpreter(version, platform.python_implementation(), markers, tuple(sys_tags()))
