"""Lookup of single wheels of the wheelhouse for one interpreter, apart from any plan."""

from __future__ import annotations

from packaging.utils import NormalizedName
from packaging.version import Version

from envfab.models.interpreter import Interpreter
from envfab.models.wheel import Wheel
from envfab.planning.candidates import Candidates
from envfab.planning.catalogue import Catalogue
from envfab.planning.marker_environment import Environment


def wheel_of(name: NormalizedName, version: Version, interpreter: Interpreter, catalogue: Catalogue) -> Wheel | None:
    """Return the best wheel of exactly this version, yanked or not, or None. The interpreter's tags must be known."""
    return Candidates(Environment(interpreter), {}, catalogue).wheel_of(name, version)
