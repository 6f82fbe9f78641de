"""Where the contenders play: hosts, wheels, and a controller with a home of its own; all of it on the tmpfs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

from benchmarks.fleet.contenders import HERE, Contender, envfab
from benchmarks.fleet.hosts import Hosts, checked
from benchmarks.fleet.measuring import Command, Cost, measure
from benchmarks.fleet.states import VIRTUALENV, States
from benchmarks.fleet.wheelhouse import REQUIREMENTS, Wheelhouse, pins, wheelhouse
from benchmarks.fleet.workloads import Workload

PREPARING = canonicalize_name("iniconfig")


@dataclass(slots=True)
class Stage:
    """All that a run needs; `prepared` names the templates that are there, `state` the one that hosts are in."""

    hosts: Hosts
    states: States
    wheelhouse: Wheelhouse
    controller: Path
    prepared: set[str] = field(default_factory=set)
    state: str = ""

    @classmethod
    def made(cls, hosts: Hosts) -> Stage:
        """With the wheelhouse filled by envfab itself, and archives of the wheels for those who like them better."""
        controller = hosts.root / "controller"
        (controller / "home" / ".ssh").mkdir(parents=True, mode=0o700)
        wheels = wheelhouse(controller / "wheels")
        for state, folder in wheels.folders.items():
            names = sorted(path.name for path in folder.iterdir())
            checked("tar", "-C", str(folder), "-cf", f"{controller}/wheels/{state}.tar", *names)
        (controller / "inventory").write_text("".join(f"{name}\n" for name in hosts.names))
        (controller / "preparing.txt").write_text(f"{PREPARING}\n")
        stage = cls(hosts, States.made(hosts), wheels, controller)
        added = sorted(str(path) for path in wheels.everything.iterdir())
        measure(stage.command(envfab(wheels, hosts.config, "add_wheel", *added), "before"), hosts)
        return stage

    def command(self, words: Sequence[str], requirements: str, **others: str) -> Command:
        """A command of the controller, with the environment that all contenders get, and nothing of ours."""
        environment = {
            "PATH": f"{self.wheelhouse.python.parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.controller / "home"),
            "LANG": "C.UTF-8",
            "ANSIBLE_CONFIG": str(HERE / "with_ansible" / "ansible.cfg"),
            "ANSIBLE_SSH_ARGS": f"-F {self.hosts.config} -o ControlMaster=auto -o ControlPersist=60s",
            "BENCH_HOSTS": " ".join(self.hosts.names),
            "BENCH_SSH_CONFIG": str(self.hosts.config),
            "BENCH_KNOWN_HOSTS": str(self.hosts.config.with_name("known_hosts")),
            "BENCH_HOME": str(self.hosts.home),
            "BENCH_VIRTUALENVS": f"{self.hosts.home}/{VIRTUALENV}",
            "BENCH_HOUSE": str(self.controller / "wheelhouse"),
            "BENCH_WHEELS": str(self.wheelhouse.folders.get(requirements, "")),
            "BENCH_REQUIREMENTS": str(REQUIREMENTS / f"{requirements}.txt"),
            **others,
        }
        return Command(words, self.controller, environment, self.controller / "output")

    def prepare(self, contender: Contender) -> None:
        """Make the state in which a contender finds cold hosts."""
        name = f"{_owner(contender)}/empty"
        if name in self.prepared:
            return
        self.states.restore("empty", 1)
        self.state = ""
        self.states.furnish(contender.furniture, self.wheelhouse)
        self.states.save(name)
        self.prepared.add(name)

    def keep(self, contender: Contender) -> None:
        """Keep what a contender's run into the empty virtualenv has left."""
        self.states.save(f"{_owner(contender)}/before")

    def bring(self, contender: Contender, state: str, number: int | None = None) -> None:
        """Bring hosts (the first `number`, or all) to a contender's state, where they are not there already."""
        name = f"{_owner(contender)}/{state}"
        if self.state != name:
            self.states.restore(name, number)
        self.state = ""

    def play(self, contender: Contender, workload: Workload, *, memory: bool = False) -> Cost:
        """One run, from one state to another, which is checked."""
        self.bring(contender, workload.begins)
        command = self.command(
            contender.command(self.wheelhouse, self.hosts.config), workload.goal, **contender.settings
        )
        cost = measure(command, self.hosts, memory=memory)
        self.states.check(pins(workload.goal), compiled=contender.compiles)
        self.state = f"{_owner(contender)}/{workload.goal}"
        return cost

    def play_task(self, contender: Contender, goal: str, *task: str) -> Cost:
        """One run of another task of envfab on all hosts, after an upgrade; it leaves them in the state `goal`."""
        words = envfab(self.wheelhouse, self.hosts.config, *task)
        cost = measure(self.command(words, "after", **contender.settings), self.hosts)
        self.states.check(pins(goal), compiled=contender.compiles)
        # the history of the hosts is another one than that of the state kept under this name
        self.state = ""
        return cost

    def play_some(self, contender: Contender, virtualenvs: Sequence[str]) -> Cost:
        """One run on the first host alone, which is left and taken as it is."""
        paths = " ".join(f"{self.hosts.home}/{name}" for name in virtualenvs)
        variables = {**contender.settings, "BENCH_HOSTS": self.hosts.names[0], "BENCH_VIRTUALENVS": paths}
        words = contender.command(self.wheelhouse, self.hosts.config)
        cost = measure(self.command(words, "before", **variables), self.hosts)
        for name in virtualenvs:
            self.states.check(pins("before"), compiled=contender.compiles, virtualenv=name, number=1)
        return cost


def _owner(contender: Contender) -> str:
    return contender.base or contender.name
