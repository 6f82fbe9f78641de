"""The bill of materials of a virtualenv, made of its probe and of what the release log says of its wheels."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from urllib.parse import quote

from packaging.utils import NormalizedName

from envfab.models.distribution import Distribution
from envfab.models.materials import DistributionMaterials
from envfab.models.probe import Probe
from envfab.sbom.bill import APPLICATION, LIBRARY, Bill, BillComponent, ComponentProperty, Hash
from envfab.sbom.dependencies import dependencies, tops
from envfab.sbom.digests import Digests
from envfab.sbom.distribution_parts import DistributionParts
from envfab.sbom.interpreter import interpreter_component, linked_libraries
from envfab.sbom.licenses import NOT_ASKED, licenses_of

MOST_PARTS = 20_000  # of all distributions of a virtualenv


def make_bill(probe: Probe, digests: Digests) -> Bill:
    """Make the bill of a virtualenv; without materials in its probe, it has no licences, files and libraries."""
    return _Making(probe, digests).bill()


class _Making:
    """A bill while it is made."""

    def __init__(self, probe: Probe, digests: Digests) -> None:
        self._probe, self._digests = probe, digests
        self._components: list[BillComponent] = []
        self._parts: dict[str, tuple[str, ...]] = {}
        self._needs: dict[str, tuple[str, ...]] = {}
        self._warnings: list[str] = []
        self._left = MOST_PARTS

    def bill(self) -> Bill:
        root = _root(self._probe)
        refs = {name: self._add(name, there) for name, there in sorted(self._probe.distributions.items())}
        graph = dependencies(self._probe)
        for name, needed in graph.items():
            own = self._needs.get(refs[name], ())
            self._needs[refs[name]] = (*(refs[one] for one in needed), *own)
        interpreter = interpreter_component(self._probe.interpreter, self._probe.materials)
        libraries = linked_libraries(self._probe.materials)
        self._needs[interpreter.ref] = tuple(one.ref for one in libraries)
        self._needs[root.ref] = (*(refs[name] for name in tops(graph)), interpreter.ref)
        every = (*self._components, interpreter, *libraries)
        return Bill(root, every, self._parts, self._needs, tuple(self._warnings))

    def _add(self, name: NormalizedName, there: Distribution) -> str:
        """Add a distribution and its parts; its reference."""
        materials = self._materials(name)
        purl = package_url(there.shown_as, there.version_text)
        parts = DistributionParts(purl, name, materials, self._left) if materials is not None else None
        sha256 = self._digests.sha256(self._probe.target, there)
        component = BillComponent(
            purl,
            LIBRARY,
            there.shown_as,
            there.version_text or None,
            purl=purl,
            hashes=(Hash("SHA-256", sha256),) if sha256 else (),
            licenses=licenses_of(materials) if materials is not None else NOT_ASKED,
            properties=(
                ComponentProperty("envfab:origin", there.origin.value),
                *(_license_files(materials) if materials is not None else ()),
                *(parts.properties if parts is not None else ()),
            ),
        )
        self._components.append(component)
        if parts is not None:
            self._left -= len(parts.components)
            self._components += parts.components.values()
            self._parts[purl] = tuple(parts.components)
            self._needs |= parts.needs
            self._warnings += parts.warnings
        return purl

    def _materials(self, name: NormalizedName) -> DistributionMaterials | None:
        known = self._probe.materials
        return known.distributions.get(name) if known is not None else None


def package_url(name: str, version: str) -> str:
    """The package URL of a distribution on PyPI: `pkg:pypi/typing-extensions@4.1`."""
    url = f"pkg:pypi/{quote(name.lower().replace('_', '-'), safe='')}"
    return f"{url}@{quote(version, safe='')}" if version else url


def _license_files(materials: DistributionMaterials) -> Iterator[ComponentProperty]:
    for file in materials.license_files:
        digest = f"sha256:{file.sha256}" if file.sha256 else "not readable"
        yield ComponentProperty("envfab:license-file", f"{file.path} {digest}")


def _root(probe: Probe) -> BillComponent:
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
    if probe.materials is None:
        facts["incomplete"] = "licences, bundled libraries and what the interpreter is linked with are not known"
    return BillComponent(
        str(target),
        APPLICATION,
        posixpath.basename(target.path) or target.path,
        properties=tuple(ComponentProperty(f"envfab:{name}", value) for name, value in facts.items()),
    )
