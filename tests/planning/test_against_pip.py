"""The resolver's answers beside pip's own, for the same interpreter and the same house."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.tags import sys_tags
from packaging.version import Version

from envfab.facts.interpreter import Interpreter
from envfab.facts.probe import Probe
from envfab.facts.requirements import Requirements
from envfab.planning.plan import Options, Plan, Status
from envfab.planning.planner import plan
from tests.planning.catalogue import distribution, probe, requirements
from tests.planning.generated import EXTRA, Case, generate
from tests.planning.pip_oracle import ask_pip, version_of_pip
from tests.planning.soundness import applied, unmet
from tests.support.virtualenvs import VirtualenvMaker

CASES = 400
CURRENT_RULES_SINCE = (26, 0)
"""The pip whose packaging takes pre-releases by today's rules."""

HELD_BACK = "an installed final release keeps a pre-release out"
"""pip asks packaging about the index alone; here the installed version is a candidate like the others, so that the
house's only wheel, a release candidate, does not replace a final release."""

GIVEN_UP = "pip gives up where there is a solution"
"""Backjumping can skip a solution; here other orders of search follow before a conflict is called one."""


@pytest.fixture(scope="module")
def pip_python(
    make_virtualenv: VirtualenvMaker, outer_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An interpreter like the one that runs the tests, with a pip of today and nothing else."""
    path = make_virtualenv(Path(sys.executable), tmp_path_factory.mktemp("pip") / "venv")
    python = path / "bin" / "python"
    if version_of_pip(python) < CURRENT_RULES_SINCE:
        command = [str(python), "-m", "pip", "install", "--quiet", "--upgrade", "pip"]
        subprocess.run(command, env=dict(outer_environment), stdin=subprocess.DEVNULL, check=False)
    if version_of_pip(python) < CURRENT_RULES_SINCE:
        pytest.skip("no pip of today can be had: PyPI is out of reach")
    return python


def test_our_plans_install_what_pip_would_install(pip_python: Path, tmp_path: Path) -> None:
    """Of hundreds of generated houses, each is planned as pip resolves it, but for two differences that have names."""
    tags = tuple(sys_tags())
    here = Interpreter(Version(platform.python_version()), platform.python_implementation(), _markers(), tags)
    cases = [generate(seed, native_tag=str(tags[0])) for seed in range(CASES)]

    theirs = ask_pip(pip_python, cases, tmp_path)

    assert theirs.keys() == {case.seed for case in cases}
    differences: Counter[str] = Counter()
    for case in cases:
        there, required = _situation(case, here)
        # force: pip asks nobody whether something outside the requirements breaks
        ours = plan(there, required, case.catalogue(), Options(force=True))
        wheels = (
            None
            if ours.status is Status.BLOCKED
            else {one.name: one.wheel.filename for one in ours.actions if one.wheel}
        )
        if wheels != theirs[case.seed]:
            name = _named_difference(case, ours, theirs[case.seed], there, required)
            assert name, f"case {case.seed}: ours {wheels}, pip's {theirs[case.seed]}\n{case}"
            differences[name] += 1
    solved = sum(answer is not None for answer in theirs.values())
    assert solved > CASES * 0.6
    assert sum(differences.values()) < CASES * 0.02, differences


def _markers() -> dict[str, str]:
    return {name: str(value) for name, value in default_environment().items()}


def _situation(case: Case, here: Interpreter) -> tuple[Probe, Requirements]:
    installed = [distribution(f"{one.name}=={one.version}", one.requires, [EXTRA]) for one in case.installed]
    return probe(*installed, python=here), requirements(*case.requirements, constraints=case.constraints)


def _named_difference(
    case: Case, ours: Plan, theirs: Mapping[str, str] | None, there: Probe, required: Requirements
) -> str | None:
    """The name of a difference that is meant; None for any other."""
    if ours.status is Status.BLOCKED:
        return None
    sound = not unmet(applied(ours, there, case.catalogue()), required)
    if theirs is None:
        return GIVEN_UP if sound else None
    of_name = {(wheel.name, wheel.filename): Version(wheel.version) for wheel in case.wheels}
    finals = {one.name for one in case.installed if not Version(one.version).is_prerelease}
    changed = {action.name for action in ours.actions}
    held_back = any(
        of_name[name, filename].is_prerelease and name in finals and name not in changed
        for name, filename in theirs.items()
    )
    return HELD_BACK if held_back and sound else None
