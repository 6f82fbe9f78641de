"""Who is measured: each contender is a command, and the files it needs in a folder beside this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fleet.wheelhouse import Wheelhouse

HERE = Path(__file__).resolve().parent
BINARY, PYTHON = "uv binary", "Python for Ansible"


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to bring virtualenvs in step.

    `command` takes the wheelhouse and the SSH config; `settings` are further variables. `compiles` says whether it
    leaves bytecode, `group` who is alike in the plot. `furniture` is what its hosts have before they are cold: an
    installer, or what the tool asks of a host. `base` is whose hosts it starts from if it makes none of its own. Only
    the workloads in `workloads` are run (all, where it is empty), and at most `rounds` of one.
    """

    name: str
    title: str
    about: str
    command: Callable[[Wheelhouse, Path], list[str]]
    compiles: bool = True
    ours: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    furniture: str = ""
    base: str = ""
    workloads: tuple[str, ...] = ()
    rounds: Mapping[str, int] = field(default_factory=dict)

    def runs(self, workload: str) -> bool:
        """Whether it is measured at this."""
        return not self.workloads or workload in self.workloads


def envfab(wheelhouse: Wheelhouse, config: Path, *task: str) -> list[str]:
    """The command line of one of envfab's tasks."""
    return [str(wheelhouse.python.with_name("fab")), "-r", str(HERE / "with_envfab"), "-S", str(config), *task]


def _fabric(task: str) -> Callable[[Wheelhouse, Path], list[str]]:
    folder = str(HERE / "with_fabric")
    return lambda wheelhouse, config: [str(wheelhouse.python.with_name("fab")), "-r", folder, "-S", str(config), task]


def _ansible(*options: str) -> Callable[[Wheelhouse, Path], list[str]]:
    def command(wheelhouse: Wheelhouse, config: Path) -> list[str]:
        del config  # the environment names it
        program = str(wheelhouse.bins["ansible"] / "ansible-playbook")
        return [program, "-i", "inventory", *options, str(HERE / "with_ansible" / "playbook.yml")]

    return command


def _pyinfra(wheelhouse: Wheelhouse, config: Path) -> list[str]:
    del config  # the inventory names it
    folder = HERE / "with_pyinfra"
    return [str(wheelhouse.bins["pyinfra"] / "pyinfra"), "-y", str(folder / "inventory.py"), str(folder / "deploy.py")]


def _shell(installer: str) -> Callable[[Wheelhouse, Path], list[str]]:
    return lambda _wheelhouse, _config: [str(HERE / "with_shell" / "deploy.sh"), installer]


def _deploy(wheelhouse: Wheelhouse, config: Path) -> list[str]:
    return envfab(wheelhouse, config, "deploy", "--yes")


ENVFAB = (
    Contender("envfab", "envfab", "`fab deploy --yes`", _deploy, ours=True),
    Contender(
        "envfab-source", "envfab, not compiled", "the same, with `compile: false`", _deploy, compiles=False, ours=True,
        settings={"FABRIC_ENVFAB_COMPILE": "false"},
    ),
)  # fmt: skip
PEERS = (
    Contender(
        "pyinfra", "pyinfra",
        "`pip freeze` decides; `files.put` for each wheel that is lacking, `pip.packages` with `--no-index --no-deps`; "
        "names as `pip freeze` spells them", _pyinfra,
    ),
    Contender(
        "ansible", "Ansible",
        "`copy` of one archive of the wheels, `unarchive` where it changed, `pip` with a list of names; pipelining, "
        "20 forks, ControlPersist, no facts", _ansible(), furniture=PYTHON,
    ),
    Contender(
        "ansible-pip", "Ansible, its pip task alone", "its best case: it does not look after the wheels",
        _ansible("--tags", "packages"), furniture=PYTHON, base="ansible", workloads=("nothing",),
    ),
    Contender(
        "fabric", "plain Fabric, wheel by wheel",
        "20 threads; lists the distributions, then one SFTP put and one call of pip for each wheel that is lacking; no "
        "host keys checked", _fabric("deploy"), rounds={"cold": 1},
    ),
    Contender(
        "fabric-list", "plain Fabric that lists, no more", "20 threads, `ls site-packages`; no host keys checked",
        _fabric("show"), base="fabric", workloads=("nothing",),
    ),
    Contender(
        "shell-pip", "shell, pip",
        "20 at once, multiplexed OpenSSH, one tar stream of the wheels that are lacking, one `pip install --no-deps`",
        _shell("pip"),
    ),
    Contender(
        "shell-uv", "shell, uv", "the same with `uv pip install`", _shell("uv"), compiles=False, furniture=BINARY,
    ),
    Contender(
        "shell-uv-compiled", "shell, uv, compiled", "the same with `--compile-bytecode`", _shell("uv-compiled"),
        furniture=BINARY,
    ),
)  # fmt: skip

CONTENDERS = ENVFAB + PEERS
