"""Whatever moment the power goes, or an agent is killed, in: the virtualenv has one generation or the other, and goes on.

`test_faults` kills at each step; this walks through the single calls by which the agents change what is on the disk, in
deployments of several shapes. Not each call with each fault and each way on, which takes half an hour: a shape walks
through the operations that it is about, of calls of one kind the first and the last are taken, of these some all over,
and the faults and the ways on alternate. With ENVFAB_TESTS_MOMENTS=1000 none is left out. A manager that is killed and a connection that is cut end the agent between two operations, which is
a moment of the walk, too: that before the first call of the next operation.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from envfab.config.host import Host
from envfab.config.project import Project
from envfab.config.settings import Settings
from envfab.config.target import Member, Target
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.barriers import Barriers
from envfab.deployment.context import RolloutContext
from envfab.deployment.proposal import Proposal, propose_one
from envfab.deployment.propose import Proposals, propose
from envfab.deployment.result import Caller, new_rollout_id
from envfab.deployment.rollback import propose_undo
from envfab.deployment.rollout import Rollout, settled
from envfab.models.probe import Probe
from envfab.models.requirements import parse
from envfab.planning.plan import Options, Status
from envfab.planning.plan_cache import Plans
from envfab.remote.process import HostConnection, local_link
from envfab.remote.upkeep import release
from envfab.util.progress import Silent
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.links import PlainLinks
from tests.support.power import Moment, Power, some_of
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel

SETTINGS = Settings(compile=False)
DJANGO = """
import os, shop
done = open(os.environ["SHOP_DATABASE"]).read().split() if os.path.exists(os.environ["SHOP_DATABASE"]) else []
import sys
for name in [name for name in shop.MIGRATIONS if name not in done]:
    if "--plan" in sys.argv:
        print(name)
    else:
        with open(os.environ["SHOP_DATABASE"], "a") as stream:
            stream.write(name + "\\n")
        print("  Applying %s... OK" % name)
"""


@dataclass(slots=True)
class Fleet(PlainLinks):
    """This machine with some virtualenvs, worked on by this process; agents are processes of their own."""

    world: Path
    wheelhouse: Wheelhouse
    virtualenvs: tuple[Virtualenv, ...]
    packages: tuple[str, ...] = ("shop==2.0",)
    host: dict[str, Any] = field(default_factory=dict)
    sudo_password: str | None = None
    links: list[HostConnection] = field(default_factory=list)

    @property
    def members(self) -> list[Member]:
        """The virtualenvs."""
        host = Host("localhost", virtualenvs=self.virtualenvs, **self.host)
        return [Member(Target("root", "localhost", one.path), host, one, "root") for one in self.virtualenvs]

    def link(self, _host: Host, /) -> HostConnection:
        """As `Links` says."""
        if not self.links:
            self.links.append(local_link())
        return self.links[0]

    def deploy(self) -> list[str]:
        """How a deployment ends in each virtualenv."""
        wanted = parse((), lambda name: name, self.packages)
        requirements = {member.target: wanted for member in self.members}
        with propose(requirements, self.members, self, self.wheelhouse, Options(), SETTINGS, Silent()) as proposing:
            return self.carry_out(proposing)

    def rollback(self) -> list[str]:
        """How a rollback ends in each."""
        with propose_undo(self.members, self, self.wheelhouse, SETTINGS, Silent(), None) as proposing:
            return self.carry_out(proposing)

    def carry_out(self, proposing: Proposals) -> list[str]:
        """How what is proposed ends in each."""
        proposals = proposing.all()
        around = RolloutContext(
            rollout=new_rollout_id(),
            caller=Caller("ada", "laptop"),
            wheelhouse=self.wheelhouse,
            settings=SETTINGS,
            gates=Barriers(),
            reporter=Silent(),
            reconsider=self.plan_again,
            wait=10,
        )
        chosen = [proposal for proposal in proposals if proposal.plan.status is Status.CHANGES]
        results = Rollout(around, chosen).carry_out()
        ended = [results.get(one.plan.target) or settled(one) for one in proposals]
        return [f"{one.ending.value}: {one.error}" if one.error else one.ending.value for one in ended]

    def plan_again(self, old: Proposal, probe: Probe) -> Proposal | None:
        """The plan for a virtualenv that changed."""
        assert old.site is not None
        return propose_one(old.site, probe, old.requirements, Plans(self.wheelhouse, Options()))

    def release(self) -> list[str]:
        """How a release ends in each."""
        holder = {"format": 1, "who": "ada", "from": "laptop", "since": "now", "deployment": None}
        return [
            str(one.error) if one.error else "released"
            for one in release(self.members, self, SETTINGS, Silent(), holder)
        ]


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Wheelhouse:
    """Two versions of a shop, with a script and data files that come, change and go; and what migrates it."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    made = Wheelhouse(folder / "wheels", folder / "release_log", cache=folder / "cache")
    for number, version in enumerate(("1.0", "2.0"), 1):
        files = {
            "shop/__init__.py": f"MIGRATIONS = {['shop.0001', 'shop.0002'][:number]!r}\n",
            "shop/run.py": f"def main():\n    print({version!r})\n",
            f"shop/only_{number}.py": "",
            f"shop-{version}.data/data/etc/shop.conf": version,
            f"shop-{version}.data/data/share/shop/only_{number}": "",
            f"shop-{version}.data/scripts/shop-old-{number}": "#!python\n",
        }
        made.add(
            make_wheel(
                folder, "shop", version, files=files, entry_points={"shop-run": "shop.run:main"}, requires=["django"]
            )
        )
    made.add(make_wheel(folder, "django", "5.1", files={"django/__init__.py": "", "django/__main__.py": DJANGO}))
    return made


Act = Callable[[Fleet], list[str]]
State = Mapping[str, object]


def deploy_old(fleet: Fleet) -> list[str]:
    """Deploy shop 1.0."""
    fleet.packages = ("shop==1.0",)
    ended = fleet.deploy()
    fleet.packages = ("shop==2.0",)
    return ended


def edit(fleet: Fleet) -> list[str]:
    """Change a file of the generation before the current one, so that a rollback composes another one."""
    (file,) = fleet.world.glob("v0/.envfab/generations/1/lib/python3*/site-packages/shop/only_1.py")
    file.unlink()
    file.touch()
    return ["edited"]


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of deployment: what was done before it, what it does, and in which of its operations an agent dies."""

    before: tuple[Act, ...]
    act: Act
    operations: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    moments: int = 8
    # two virtualenvs with one database, on a host that reloads once, and whose agent of the two dies
    two: bool = False
    struck: int = 0


SHAPES = {
    "first": Shape((), Fleet.deploy, ("lock", "store", "fill", "begin", "compose", "switch"), moments=14),
    "upgrade": Shape((deploy_old,), Fleet.deploy, ("compose", "switch", "tidy", "close"), moments=12),
    "pinned": Shape((deploy_old,), Fleet.deploy, ("inspect", "switch"), {"pinned": True}),
    "the first of two": Shape((deploy_old,), Fleet.deploy, ("django_admin", "step"), two=True),
    "the second of two": Shape((deploy_old,), Fleet.deploy, ("switch",), two=True, struck=1),
    "rollback": Shape((deploy_old, Fleet.deploy), Fleet.rollback, ("begin", "switch", "tidy")),
    "rollback by wheels": Shape((deploy_old, Fleet.deploy, edit), Fleet.rollback, ("compose", "switch")),
    "release": Shape((deploy_old, Fleet.deploy), Fleet.release, ("release",)),
}
MOMENTS = int(os.environ.get("ENVFAB_TESTS_MOMENTS", "0"))
FAULTS = ("power", "kill", "power", "full")
MAKES = ("open", "link", "symlink", "mkdir")
WELL = {"deployed", "released", "current"}
# what a kill leaves of a file that was to be renamed: the next one takes its place
DRAFTS = {"journal.json.new", "current.new"}


@dataclass(slots=True)
class Walk:
    """One shape: its world before, and what its virtualenvs have before and after the deployment."""

    shape: Shape
    fleet: Fleet
    template: Path
    power: Power
    old: list[State] = field(default_factory=list)
    new: list[State] = field(default_factory=list)

    def restore(self) -> None:
        """The world as it was before."""
        subprocess.run(["rm", "-rf", str(self.fleet.world)], check=True)
        subprocess.run(["cp", "-a", str(self.template), str(self.fleet.world)], check=True)

    @property
    def states(self) -> list[State]:
        """What the virtualenvs have."""
        return [state(Path(one.path)) for one in self.fleet.virtualenvs]


def state(path: Path) -> State:
    """What a virtualenv has, file by file; not what envfab keeps there, nor what differs from generation to generation."""
    found: dict[str, object] = {}
    for top in ("bin", "lib", "etc", "share"):
        for here, folders, names in os.walk(path / top, followlinks=True):
            folders[:] = [name for name in folders if name != "__pycache__"]
            for name in names:
                file = Path(here, name)
                if not name.endswith(".pyc") and "pinned" not in name:
                    found[str(file.relative_to(path))] = os.readlink(file) if file.is_symlink() else file.read_bytes()
    return found


def switched(found: State) -> State:
    """What of it is in the folders that are switched."""
    return {path: content for path, content in found.items() if path.startswith(("bin/", "lib/"))}


@pytest.fixture
def walk(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    wheelhouse: Wheelhouse,
    make_virtualenv: VirtualenvMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> Walk:
    """A walk through a shape: its world, and the moments of a deployment that nothing happens to."""
    shape: Shape = request.param
    world, template = tmp_path / "world", tmp_path / "template"
    monkeypatch.setenv("HOME", str(world / "home"))
    paths = [world / f"v{number}" for number in range(2 if shape.two else 1)]
    for path in paths:
        make_virtualenv("3.11", path)
        (site,) = path.glob("lib/python*/site-packages")
        (site / "by_hand.py").write_text("x = 1\n")
        (path / "etc").mkdir()
        (path / "etc" / "shop.conf").write_text("by hand")
    (world / "home").mkdir()
    database = "shop" if shape.two else None
    project = Project("shop.settings", env={"SHOP_DATABASE": str(world / "database")}, database=database)
    options = {"projects": [project], "reload": "true", **shape.options}
    host = {"reload": f"echo reloaded >> {world}/reloaded", "reload_once": True} if shape.two else {}
    fleet = Fleet(world, wheelhouse, tuple(Virtualenv(str(path), **options) for path in paths), host=host)
    walk = Walk(shape, fleet, template, Power(pytest.MonkeyPatch(), paths[shape.struck], tmp_path / "log"))
    for act in shape.before:
        act(fleet)
    walk.old = walk.states
    world.rename(template)
    walk.restore()
    walk.power.watch()
    ended = shape.act(fleet)
    walk.power.leave()
    assert set(ended) <= WELL, ended
    walk.new = walk.states
    return walk


@pytest.mark.parametrize("walk", SHAPES.values(), ids=SHAPES, indirect=True)
def test_whatever_moment_an_agent_dies_in_the_virtualenv_is_whole_and_goes_on(walk: Walk) -> None:
    """It has the packages of before or those of after; the next deployment ends well, and so does a rollback."""
    told = [moment for moment in walk.power.moments if moment.operation in walk.shape.operations]
    assert {moment.operation for moment in told} == set(walk.shape.operations)
    for number, moment in enumerate(some_of(told, MOMENTS or walk.shape.moments)):
        fault = FAULTS[number % len(FAULTS)]
        fault = "kill" if fault == "full" and moment.function not in MAKES else fault
        walk.restore()
        try:
            outlives(walk, moment, fault, rolls_back=number % 3 == 0)
        except Exception as error:
            raise AssertionError(f"{fault} at {moment}") from error


def outlives(walk: Walk, moment: Moment, fault: str, *, rolls_back: bool) -> None:
    """Let `fault` happen at a moment, and go on, by a rollback first where there is something to take back."""
    fleet, shape = walk.fleet, walk.shape
    walk.power.watch(moment, fault)
    struck = shape.act(fleet)[shape.struck]
    walk.power.leave()
    if fault == "full":
        # a cache has another place where the one cannot be made
        assert struck in WELL or "no space left" in struck.casefold()
    else:
        assert "the connection ended" in struck
    for number, found in enumerate(walk.states):
        assert switched(found) in (switched(walk.old[number]), switched(walk.new[number]))
    if shape.act is Fleet.release:
        assert fleet.release() == ["released"]
        assert walk.states == walk.new
        assert not (walk.power.path / "bin").is_symlink()
        return
    newest, rolled = (walk.old, None) if shape.act is Fleet.rollback else (walk.new, walk.old)
    if rolls_back and rolled and not shape.two and (walk.power.path / ".envfab" / "journal.json").exists():
        assert fleet.rollback() == ["deployed"]
        assert walk.states == rolled
    assert set(fleet.deploy()) <= WELL
    assert walk.states == newest
    assert set(fleet.deploy()) == {"current"}
    assert sorted((fleet.world / "database").read_text().split()) == ["shop.0001", "shop.0002"]
    if rolled:
        assert set(fleet.rollback()) == {"deployed"}
        assert walk.states == rolled
    for virtualenv in fleet.virtualenvs:
        memory = Path(virtualenv.path) / ".envfab"
        assert {one.name for one in memory.iterdir()} - DRAFTS == {"current", "generations", "history.jsonl", "lock"}
        assert all(one.name.isdigit() for one in (memory / "generations").iterdir())


@pytest.mark.parametrize("walk", [SHAPES[name] for name in ("first", "rollback", "release")], indirect=True)
def test_what_is_told_as_done_is_on_the_disk(walk: Walk) -> None:
    """An answer is given once no loss of power can take back what it tells of: names and contents are synced."""
    assert walk.power.unsynced == []
