"""The result of probing a virtualenv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.utils import NormalizedName

from envfab.config.target import Target
from envfab.models.distribution import Distribution
from envfab.models.drift import Deployed, Drift
from envfab.models.interpreter import Interpreter
from envfab.models.materials import Materials


@dataclass(frozen=True, slots=True)
class Stranded:
    """Packages in the folder of another minor version (`lib/python3.9`), which the interpreter does not read."""

    folder: str
    packages: int


@dataclass(frozen=True, slots=True)
class Holder:
    """Who deploys to a virtualenv at this moment, from where and since when, as far as the lock tells."""

    who: str | None = None
    origin: str | None = None
    since: str | None = None
    deployment: str | None = None


@dataclass(frozen=True, slots=True)
class Drained:
    """For which deployment a host was taken out of service, by whom and when, as far as the note there tells."""

    deployment: str | None = None
    who: str | None = None
    origin: str | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True)
class LingeringProcess:
    """A process of a host: its number, when it started in ticks since the host did, and what it is called."""

    pid: int
    started: int
    name: str

    def __str__(self) -> str:
        return f"{self.name}[{self.pid}]"


@dataclass(frozen=True, slots=True)
class Probe:
    """A virtualenv as it was read.

    `distributions` has the virtualenv's own, by canonical name; `outside` those it only sees (system site
    packages); `duplicates` names present twice; `leftovers` pip's `~name` folders; `journal` the interrupted
    deployment as it was read, of whatever type, or None; `holder` who deploys there at this moment, or None (where
    there is one, there is no interrupted one: then `under_way` is what the journal has); `fingerprint` changes
    whenever any of it does; `node` is what the host calls itself.
    """

    target: Target
    interpreter: Interpreter
    distributions: Mapping[NormalizedName, Distribution]
    outside: Mapping[NormalizedName, Distribution]
    leftovers: tuple[str, ...]
    duplicates: tuple[str, ...]
    journal: object
    fingerprint: str
    # the last record of the history
    last: object = None
    node: str = ""
    holder: Holder | None = None
    under_way: object = None
    stranded: Stranded | None = None
    # the current generation, all that are there, and whether the virtualenv's folders are still its own
    generation: int | None = None
    generations: tuple[int, ...] = ()
    plain: bool = True
    # what the last deployment left in the current generation, if a deployment of this version of envfab made it
    deployed: Deployed | None = None
    # the processes that still run the generation before the current one
    lingering: tuple[LingeringProcess, ...] = ()
    # the deployment for which its host was taken out of service, and not put back since
    drained: Drained | None = None
    # what belongs to others in the folders of packages, and the owner may not read
    unreadable: tuple[str, ...] = ()
    # whether the host has allowed signers of its own, and so installs only what they signed
    signed_only: bool = False
    # what differs from what was deployed, if that was asked for and is known
    drift: Drift | None = None
    # what its bill of materials lists beside distributions, if that was asked for and is known
    materials: Materials | None = None

    @property
    def digest(self) -> str | None:
        """The digest of what was deployed last; None if it is not known."""
        return self.deployed.digest if self.deployed is not None else None

    @property
    def next_generation(self) -> int:
        """A number that no generation has had."""
        return max((*self.generations, self.generation if self.generation is not None else -1), default=-1) + 1
