"""A virtualenv as a software bill of materials: CycloneDX 1.6, JSON."""

from __future__ import annotations

# Imported in function bodies: cyclonedx-python-lib, which is installed with envfab[sbom] alone.
import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from packaging.utils import NormalizedName, canonicalize_name

from envfab.config.target import Target
from envfab.errors import RegistrationError
from envfab.models.distribution import Distribution, Origin
from envfab.models.probe import Probe
from envfab.planning.marker_environment import Environment
from envfab.util.atomic import write_file
from envfab.util.versions import version_or_none
from envfab.wheelhouse.release_log.records import InstallRecord
from envfab.wheelhouse.release_log.view import LogText

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component

LONGEST_NAME = 200  # bytes; file systems take 255


class Digests:
    """The digests of installed distributions in the release log, which is read once for all targets."""

    def __init__(self, log: LogText) -> None:
        self._log = log
        self._installed: dict[str, dict[NormalizedName, str]] = {}
        for record in log.records():
            if isinstance(record, InstallRecord):
                name = canonicalize_name(record.filename.partition("-")[0])
                self._installed.setdefault(record.target, {})[name] = record.filename

    def sha256(self, target: Target, there: Distribution) -> str | None:
        """The SHA-256 of the wheel that a distribution was installed from; None where the log does not say which.

        The wheel is the one that was last logged as installed there, else the only one of that version.
        """
        if there.origin is not Origin.WHEEL or there.version is None:
            return None
        logged = {
            filename: one.sha256
            for filename, one in self._log.wheels(there.name).items()
            if version_or_none(one.version) == there.version
        }
        # lines of older tools have no owner
        for spelling in (str(target), f"{target.host}:{target.path}"):
            filename = self._installed.get(spelling, {}).get(there.name)
            if filename in logged:
                return logged[filename]
        return next(iter(logged.values())) if len(set(logged.values())) == 1 else None


def require_library() -> None:
    """Raise `RegistrationError` where the library is not installed."""
    try:
        import cyclonedx.output.json  # noqa: F401 - whether it is there is the question
    except ImportError:
        raise RegistrationError(
            "a bill of materials needs cyclonedx-python-lib", hint="pip install 'envfab[sbom]'"
        ) from None


def document(probe: Probe, digests: Digests, *, indent: int | None = None) -> str:
    """The virtualenv's document, on one line unless told to indent; raises `RegistrationError` without the library."""
    require_library()
    from cyclonedx.output.json import JsonV1Dot6

    text: str = JsonV1Dot6(_bom(probe, digests)).output_as_string(indent=indent)
    return text


def write(folder: Path, target: Target, text: str) -> Path:
    """Write a target's document into a folder, which is made where it is missing; raises `RegistrationError`."""
    path = folder / file_name(target)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, f"{text}\n".encode())
    except OSError as error:
        raise RegistrationError(f"cannot be written: {error.strerror}", where=str(path)) from None
    return path


def file_name(target: Target) -> str:
    """The file name of a target's document: `shop@web1+srv+shop+venv.cdx.json`."""
    name = quote(f"{target.owner}@{target.host}{target.path}", safe="/@").replace("/", "+")
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return f"{name}.cdx.json"


def _bom(probe: Probe, digests: Digests) -> Bom:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType

    bom = Bom()
    bom.metadata.tools.components.add(
        Component(type=ComponentType.APPLICATION, name="envfab", version=version("envfab"))
    )
    root = _root(probe)
    bom.metadata.component = root
    components = {name: _component(probe, there, digests) for name, there in sorted(probe.distributions.items())}
    bom.components.update(components.values())
    graph = dependencies(probe)
    for name, component in components.items():
        bom.register_dependency(component, [components[needed] for needed in graph[name]])
    bom.register_dependency(root, [components[name] for name in tops(graph)])
    return bom


def _root(probe: Probe) -> Component:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType

    target = probe.target
    facts = {
        "target": str(target),
        "host": target.host,
        "path": target.path,
        "owner": target.owner,
        "python": probe.interpreter.title,
    }
    if probe.deployed is not None:
        facts["digest"] = probe.deployed.digest
    return Component(
        type=ComponentType.APPLICATION,
        name=posixpath.basename(target.path) or target.path,
        bom_ref=str(target),
        properties=[Property(name=f"envfab:{name}", value=value) for name, value in facts.items()],
    )


def _component(probe: Probe, there: Distribution, digests: Digests) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    purl = PackageURL("pypi", name=there.shown_as, version=there.version_text or None)
    sha256 = digests.sha256(probe.target, there)
    return Component(
        type=ComponentType.LIBRARY,
        name=there.shown_as,
        version=there.version_text or None,
        purl=purl,
        bom_ref=str(purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else [],
        properties=[Property(name="envfab:origin", value=there.origin.value)],
    )


def dependencies(probe: Probe) -> Mapping[NormalizedName, Sequence[NormalizedName]]:
    """What each of the virtualenv's own distributions requires of the others, by the target's markers (PEP 508).

    An extra counts where a distribution requires it.
    """
    environment = Environment(probe.interpreter)
    own = probe.distributions
    extras: dict[NormalizedName, set[NormalizedName]] = {name: set() for name in own}
    edges: dict[NormalizedName, set[NormalizedName]] = {name: set() for name in own}
    waiting = list(own)
    while waiting:
        name = waiting.pop()
        for requirement in environment.needed(own[name].requires, extras[name]):
            needed = canonicalize_name(requirement.name)
            if needed not in own:
                continue
            if needed != name:
                edges[name].add(needed)
            asked = {canonicalize_name(extra) for extra in requirement.extras} - extras[needed]
            if asked:
                extras[needed] |= asked
                waiting.append(needed)
    return {name: sorted(needed) for name, needed in edges.items()}


def tops(graph: Mapping[NormalizedName, Sequence[NormalizedName]]) -> list[NormalizedName]:
    """The names from which all others are reached: those that none requires, and one of each cycle."""
    needed = {name for names in graph.values() for name in names}
    found = sorted(graph.keys() - needed)
    reached: set[NormalizedName] = set()
    for name in [*found, *sorted(graph)]:
        if name in reached:
            continue
        if name in needed:
            found.append(name)
        waiting = [name]
        while waiting:
            one = waiting.pop()
            if one not in reached:
                reached.add(one)
                waiting += graph[one]
    return found
