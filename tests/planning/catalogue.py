"""A wheelhouse made of dictionaries, and virtualenvs made of lines, for tests of planning."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.tags import Tag, parse_tag
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.config.target import Target
from envfab.errors import WheelError
from envfab.models.distribution import Distribution, Origin
from envfab.models.interpreter import Interpreter
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements, parse
from envfab.models.wheel import Release, Wheel, WheelMetadata

TARGET = Target("shop", "web1", "/srv/shop/venv")


def markers(python: str, **others: str) -> dict[str, str]:
    """The complete marker environment of a CPython on Linux."""
    environment = {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "6.1.0-18-amd64",
        "platform_system": "Linux",
        "platform_version": "#1 SMP",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": "linux",
    }
    if python.startswith("2."):
        environment |= {"sys_platform": "linux2", "implementation_name": "", "implementation_version": "0"}
    return environment | others


def tags(python: str) -> tuple[Tag, ...]:
    """The tags that a CPython on x86_64 Linux supports, most preferred first, as its own pip has them."""
    major, minor = python.split(".")[:2]
    nodot = f"{major}{minor}"
    abi = {"27": "cp27mu", "36": "cp36m"}.get(nodot, f"cp{nodot}")
    texts = [f"cp{nodot}-{abi}-manylinux2014_x86_64", f"cp{nodot}-{abi}-linux_x86_64"]
    if major == "3":
        texts += [f"cp3{older}-abi3-manylinux2014_x86_64" for older in range(int(minor), 1, -1)]
    texts += [f"py{nodot}-none-any", f"py{major}-none-any"]
    texts += [f"py{major}{older}-none-any" for older in range(int(minor) - 1, -1, -1)]
    return tuple(tag for text in texts for tag in parse_tag(text))


def interpreter(python: str = "3.11.7", known_tags: bool = True, **others: str) -> Interpreter:
    """A CPython; `others` are marker values that differ."""
    return Interpreter(Version(python), "CPython", markers(python, **others), tags(python) if known_tags else None)


@dataclass
class DictCatalogue:
    """A `Catalogue` in memory that remembers of which wheels the METADATA was read."""

    by_name: dict[NormalizedName, list[Release]] = field(default_factory=dict)
    described: dict[str, WheelMetadata | WheelError] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    not_logged: list[Wheel] = field(default_factory=list)

    def add(
        self,
        spec: str,
        requires: Sequence[str] = (),
        *,
        requires_python: str | None = None,
        extras: Sequence[str] = (),
        tag: str = "py2.py3-none-any",
        build: str = "",
        sha256: str | None = "",
        yanked: str | None = None,
        unreadable: str = "",
        logged: bool = True,
    ) -> Wheel:
        """Put a wheel in, named by `NAME==VERSION`; its hash is made up unless it is given or None."""
        name, _, version = spec.partition("==")
        escaped = canonicalize_name(name).replace("-", "_")
        filename = "-".join([escaped, version, *([build] if build else []), tag]) + ".whl"
        digest = hashlib.sha256(filename.encode()).hexdigest() if sha256 == "" else sha256
        wheel = Wheel.from_filename(filename, digest, name)
        if logged:
            self.by_name.setdefault(wheel.name, []).append(Release(wheel, None, yanked))
        else:
            self.not_logged.append(wheel)
        self.described[filename] = (
            WheelError(unreadable, where=filename)
            if unreadable
            else WheelMetadata.build(name, version, requires, requires_python, extras)
        )
        return wheel

    def projects(self) -> Collection[NormalizedName]:
        return self.by_name.keys()

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        return self.by_name.get(name, [])

    def unlogged(self, name: NormalizedName) -> Sequence[tuple[Wheel, str]]:
        return [(wheel, f"wheels/{wheel.filename}") for wheel in self.not_logged if wheel.name == name]

    def metadata(self, wheel: Wheel) -> WheelMetadata:
        self.read.append(wheel.filename)
        described = self.described[wheel.filename]
        if isinstance(described, WheelError):
            raise described
        return described


def wheelhouse(wheels: Mapping[str, Sequence[str]] | Iterable[str]) -> DictCatalogue:
    """Plain wheels: `{"Django==5.2": ["asgiref>=3.8"]}`, or names alone."""
    catalogue = DictCatalogue()
    pairs = wheels.items() if isinstance(wheels, Mapping) else [(spec, ()) for spec in wheels]
    for spec, requires in pairs:
        catalogue.add(spec, requires)
    return catalogue


def distribution(
    spec: str, requires: Sequence[str] = (), extras: Sequence[str] = (), origin: Origin = Origin.WHEEL
) -> Distribution:
    """What `NAME==VERSION` is when it is installed."""
    name, _, version = spec.partition("==")
    return Distribution.build(name, version, tuple(requires), tuple(extras), origin)


def probe(
    *there: Distribution | str,
    python: Interpreter | None = None,
    outside: Sequence[Distribution] = (),
    leftovers: Sequence[str] = (),
    duplicates: Sequence[str] = (),
    target: Target = TARGET,
) -> Probe:
    """A virtualenv with these installed; a string is a distribution without dependencies."""
    distributions = [distribution(one) if isinstance(one, str) else one for one in there]
    return Probe(
        target,
        python or interpreter(),
        {one.name: one for one in distributions},
        {one.name: one for one in outside},
        tuple(leftovers),
        tuple(duplicates),
        None,
        "fingerprint",
    )


def requirements(*lines: str, constraints: Sequence[str] = ()) -> Requirements:
    """The file `requirements.txt` with these lines; `constraints` stand in `constraints.txt`."""
    files = {
        "requirements.txt": "\n".join([*lines, *(["-c constraints.txt"] if constraints else [])]),
        "constraints.txt": "\n".join(constraints),
    }
    return parse(["requirements.txt"], files.__getitem__)
