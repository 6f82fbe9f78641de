"""The resolver's answers beside pip's own, for the same interpreter and the same wheelhouse."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Set
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name
from packaging.version import Version

from envfab.models.interpreter import Interpreter
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements
from envfab.models.wheel import Wheel
from envfab.planning.marker_environment import Environment, applicable
from envfab.planning.plan import Action, ActionKind, Options, Plan, Status
from envfab.planning.planner import plan
from tests.planning.catalogue import TARGET, distribution, probe, requirements
from tests.planning.generated import EXTRA, Case, generate
from tests.planning.pip_oracle import ask_pip, version_of_pip
from tests.planning.soundness import applied, unmet
from tests.support.virtualenvs import VirtualenvMaker

SEEDS = (*range(400), 664, 1342, 1466, 1712, 2346, 2438, 3311, 11438)
"""Four hundred in a row, and those in which the two are known to differ."""
CURRENT_RULES_SINCE = (26, 0)
"""The pip whose packaging takes pre-releases by today's rules."""

HELD_BACK = "an installed final release keeps a pre-release out"
"""pip asks packaging about the index alone; here the installed version is a candidate like the others, so that the
wheelhouse's only wheel, a release candidate, does not replace a final release."""

GIVEN_UP = "pip gives up where there is a solution"
"""Backjumping can skip a solution; here other orders of search follow before a conflict is called one."""

OUTDATED = "pip keeps an older version for the sake of a choice that it gave up"
"""Asked again after its own installation, pip would go on; here a plan leaves nothing to do for the next one."""

NOTHING_APPLIES = "requirements of which none applies are a mistake"
"""pip installs nothing, and is content; here `--prune` would remove everything."""

UNSOUND = "pip's answer does not meet the requirements"
"""Where an installed version does not suit, pip goes on with the index's wheel of the very same version and of other
dependencies, and then leaves the installed one in place because it has that version."""


@pytest.fixture(scope="module")
def pip_python(
    make_virtualenv: VirtualenvMaker, outer_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An interpreter like the one that runs the tests, with a pip of today and nothing else."""
    path = make_virtualenv(Path(sys.executable), tmp_path_factory.mktemp("pip") / "venv", pip=True)
    python = path / "bin" / "python"
    if version_of_pip(python) < CURRENT_RULES_SINCE:
        command = [str(python), "-m", "pip", "install", "--quiet", "--upgrade", "pip"]
        subprocess.run(command, env=dict(outer_environment), stdin=subprocess.DEVNULL, check=False)
    if version_of_pip(python) < CURRENT_RULES_SINCE:
        pytest.skip("no pip of today can be had: PyPI is out of reach")
    return python


def test_our_plans_install_what_pip_would_install(pip_python: Path, tmp_path: Path) -> None:
    """Of hundreds of generated wheelhouses, each is planned as pip resolves it, but for the differences that have names."""
    tags = tuple(sys_tags())
    here = Interpreter(Version(platform.python_version()), platform.python_implementation(), _markers(), tags)
    cases = [generate(seed, native_tag=str(tags[0])) for seed in SEEDS]

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
    assert solved > len(SEEDS) * 0.6
    assert sum(differences.values()) < len(SEEDS) * 0.04, differences


def _markers() -> dict[str, str]:
    return {name: str(value) for name, value in default_environment().items()}


def _situation(case: Case, here: Interpreter) -> tuple[Probe, Requirements]:
    installed = [distribution(f"{one.name}=={one.version}", one.requires, [EXTRA]) for one in case.installed]
    return probe(*installed, python=here), requirements(*case.requirements, constraints=case.constraints)


def _named_difference(
    case: Case, ours: Plan, theirs: Mapping[str, str] | None, there: Probe, required: Requirements
) -> str | None:
    """The name of a difference that is meant; None for any other."""
    if (
        ours.status is Status.BLOCKED
        and required.entries
        and not applicable(required.entries, Environment(there.interpreter))
    ):
        return NOTHING_APPLIES
    catalogue = case.catalogue()
    after_ours = applied(ours, there, catalogue)
    sound = ours.status is not Status.BLOCKED and not unmet(after_ours, required)
    if theirs is None:
        return GIVEN_UP if sound else None
    after_theirs = applied(_as_plan(theirs), there, catalogue)
    if unmet(after_theirs, required):
        return UNSOUND
    if not sound:
        return None
    if _takes_a_pre_release(case, theirs, changed={action.name for action in ours.actions}):
        return HELD_BACK
    force = Options(force=True)
    settled = not plan(after_ours, required, catalogue, force).actions
    return OUTDATED if settled and plan(after_theirs, required, catalogue, force).actions else None


def _as_plan(wheels: Mapping[str, str]) -> Plan:
    """What pip would install, as a plan."""
    actions = [
        Action(ActionKind.INSTALL, canonicalize_name(name), name, None, Wheel.from_filename(filename), "")
        for name, filename in wheels.items()
    ]
    return Plan(TARGET, Status.CHANGES, actions=tuple(actions))


def _takes_a_pre_release(case: Case, wheels: Mapping[str, str], changed: Set[str]) -> bool:
    """Whether pip puts a pre-release in the place of a final release that we leave alone."""
    finals = {one.name for one in case.installed if not Version(one.version).is_prerelease}
    return any(
        Wheel.from_filename(filename).version.is_prerelease and name in finals and name not in changed
        for name, filename in wheels.items()
    )
