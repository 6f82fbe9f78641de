"""A virtualenv as a software bill of materials: CycloneDX 1.6, JSON."""

from __future__ import annotations

# Imported in function bodies: cyclonedx-python-lib, which is installed with envfab[sbom] alone.
import posixpath
from importlib.metadata import version
from typing import TYPE_CHECKING

from envfab.errors import RegistrationError
from envfab.models.distribution import Distribution
from envfab.models.probe import Probe
from envfab.sbom.dependencies import dependencies, tops
from envfab.sbom.digests import Digests

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component


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
