"""Bills made by hand: probes with materials, and the bills of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from envfab.models.materials import DistributionMaterials, EmbeddedDocument, HashedFile, Materials
from envfab.models.probe import Probe
from envfab.sbom.bill import Bill, BillComponent
from envfab.sbom.digests import Digests
from envfab.sbom.virtualenv_bill import make_bill
from envfab.wheelhouse.release_log.view import LogText
from tests.registration.probes import member, probe, there

LINKED = {"openssl": "OpenSSL 3.0.2 15 Mar 2022", "sqlite": "3.37.2", "zlib": "1.2.11", "expat": "expat_2.4.7"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "type",
                    "version",
                    "purl",
                    "cpe",
                    "hashes",
                    "alg",
                    "content",
                    "licenses",
                    "license",
                    "id",
                    "expression",
                    "components",
                    "bom-ref",
                    "ref",
                    "dependencies",
                    "dependsOn",
                    "metadata",
                    "component",
                    "packages",
                    "SPDXID",
                    "checksums",
                    "externalRefs",
                    "relationships",
                    "referenceType",
                    "referenceLocator",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
"""Values that documents may have, with the names of their fields."""
A, B = "a" * 64, "b" * 64


def probed(linked: Mapping[str, str | None] = LINKED, **distributions: DistributionMaterials) -> Probe:
    """The probe of a virtualenv with these distributions, in version 1."""
    materials = {canonicalize_name(name): one for name, one in distributions.items()}
    found = probe(member(), *(there(name, "1") for name in distributions))
    return replace(found, materials=Materials(linked, materials))


def bill_of(materials: DistributionMaterials, name: str = "shop") -> Bill:
    """The bill of a virtualenv with one distribution."""
    return make_bill(probed(LINKED, **{name: materials}), Digests(LogText("", "")))


def parts(bill: Bill) -> list[BillComponent]:
    """What the one distribution contains."""
    by_ref = {one.ref: one for one in bill.components}
    return [by_ref[ref] for found in bill.parts.values() for ref in found]


def told(bill: Bill, name: str) -> list[str]:
    """The values of a property, of all components."""
    return [value for one in (bill.root, *bill.components) for key, value in one.properties if key == name]


def document(content: Any, path: str = "shop-1.dist-info/sboms/a.cdx.json") -> EmbeddedDocument:
    """A document in a wheel; JSON, unless it is bytes, or None."""
    data = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
    return EmbeddedDocument(path, len(data or b""), data)


def cyclonedx(*components: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A CycloneDX document."""
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": list(components), **more}


def library(path: str, sha256: str | None = A) -> HashedFile:
    """A bundled library."""
    return HashedFile(path, sha256)
