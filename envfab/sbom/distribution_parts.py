"""The parts of a distribution: libraries that are bundled in it, and what the bills in its wheel list.

What two of them name is listed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from packaging.utils import NormalizedName, canonicalize_name

from envfab.models.materials import DistributionMaterials, EmbeddedDocument
from envfab.sbom.bill import LIBRARY, BillComponent, ComponentProperty
from envfab.sbom.bundled_libraries import library
from envfab.sbom.embedded_documents import ReadDocument, read_document
from envfab.sbom.interpreter import openssl

PYPI = "pkg:pypi/"


class DistributionParts:
    """The components that a distribution contains, what depends on what among them, and what could not be read.

    `ref` and `name` are the distribution's; at most `most` components are taken.
    """

    def __init__(self, ref: str, name: NormalizedName, materials: DistributionMaterials, most: int) -> None:
        self.components: dict[str, BillComponent] = {}
        self.needs: dict[str, tuple[str, ...]] = {}
        self.properties: list[ComponentProperty] = []
        self.warnings: list[str] = []
        self._ref, self._name, self._left = ref, name, most
        self._by_purl: dict[str, str] = {}
        for file in materials.libraries:
            self._add(library(ref, file))
        # the references of the bundled files, by hash and by bare name: documents may list thousands of components
        self._by_hash: dict[object, list[str]] = {}
        self._by_name: dict[str, list[str]] = {}
        for one in self.components.values():
            self._by_name.setdefault(_bare(one.name), []).append(one.ref)
            for digest in one.hashes:
                self._by_hash.setdefault(digest, []).append(one.ref)
        for document in materials.documents:
            self._merge(document)
        for path, text in materials.openssl:
            self._add_openssl(path, text)
        if materials.cut or self._left < 0:
            self._tell("envfab:incomplete", "it has more files and components than are listed")

    def _add(self, component: BillComponent) -> bool:
        self._left -= 1
        if self._left >= 0:
            self.components[component.ref] = component
        return self._left >= 0

    def _merge(self, document: EmbeddedDocument) -> None:
        """Take over what a document lists; one that cannot be read is told."""
        if document.content is None:
            return self._tell("envfab:document", f"{document.path}: {document.size} bytes, not read")
        try:
            read = read_document(document.content)
        except ValueError as error:
            return self._tell("envfab:document", f"{document.path}: not read, since {error}")
        self.properties.append(ComponentProperty("envfab:document", f"{document.path}: merged"))
        refs = self._refs(document.path.partition("/sboms/")[2], read)
        for ref, needs in read.needs.items():
            if ref in refs:
                known = [refs[need] for need in needs if need in refs and refs[need] != refs[ref]]
                self.needs[refs[ref]] = tuple(dict.fromkeys((*self.needs.get(refs[ref], ()), *known)))
        return None

    def _add_openssl(self, path: str, text: str) -> None:
        """Take over which OpenSSL a binary has in it: it is a bundled library, or a part that no document names."""
        told = openssl(text)
        if told is None:
            return
        version, cpe = told
        source = (ComponentProperty("envfab:version-source", f"the file says {text}"),)
        bundled = self.components.get(f"{self._ref}#{path}")
        if bundled is not None and bundled.purl is None:
            self.components[bundled.ref] = replace(bundled, version=version, cpe=cpe, properties=source)
        elif bundled is None and not any(one.name.lower() == "openssl" for one in self._others()):
            ref = f"{self._ref}#{path}#openssl"
            self._add(BillComponent(ref, LIBRARY, "OpenSSL", version, cpe=cpe, location=path, properties=source))

    def _others(self) -> Iterator[BillComponent]:
        """The components that are not crates: that of the binding is named like the library."""
        return (one for one in self.components.values() if not (one.purl or "").startswith("pkg:cargo/"))

    def _tell(self, name: str, text: str) -> None:
        self.properties.append(ComponentProperty(name, text))
        self.warnings.append(f"{self._name}: {text}")

    def _refs(self, path: str, read: ReadDocument) -> dict[str, str]:
        """Add what a document lists; {its own references: those of the bill}."""
        refs: dict[str, str] = {}
        for number, component in enumerate(read.components):
            if component.ref in refs:
                # auditwheel names the distribution twice
                continue
            known = self._known(component)
            if known is None:
                known = f"{self._ref}#sboms/{path}#{number}"
                source = ComponentProperty("envfab:document", path)
                if not self._add(replace(component, ref=known, properties=(*component.properties, source))):
                    break
            refs[component.ref] = known
            if component.purl is not None:
                self._by_purl.setdefault(component.purl, known)
        return refs

    def _known(self, component: BillComponent) -> str | None:
        """The reference of a component that is there already: as the distribution, by its URL, or as a bundled file."""
        if self._is_the_distribution(component):
            return self._ref
        if component.purl in self._by_purl:
            return self._by_purl[component.purl]
        bundled = self._bundled(component)
        if bundled is not None:
            self.components[bundled.ref] = _both(component, bundled)
            return bundled.ref
        return None

    def _is_the_distribution(self, component: BillComponent) -> bool:
        url, _, subpath = (component.purl or "").partition("#")
        name, _, _ = url.partition("?")[0].removeprefix(PYPI).partition("@")
        return url.startswith(PYPI) and not subpath and canonicalize_name(name) == self._name

    def _bundled(self, component: BillComponent) -> BillComponent | None:
        """The library that a component is: the file with its hash, or the only one of its name."""
        refs = [ref for digest in component.hashes for ref in self._by_hash.get(digest, ())]
        same = next((one for one in map(self.components.__getitem__, refs) if one.purl is None), None)
        named = self._by_name.get(_bare(component.name), ())
        if same is None and len(named) == 1 and self.components[named[0]].purl is None:
            same = self.components[named[0]]
        return same


def _bare(name: str) -> str:
    """The name of a library or of its project, to compare: `libFreeType`, `freetype` → `freetype`."""
    return name.lower().removeprefix("lib")


def _both(named: BillComponent, bundled: BillComponent) -> BillComponent:
    """A component of a document together with the file that it is; the hash of a package is not that of its file."""
    hashes = [one for one in bundled.hashes if one not in named.hashes]
    told: Iterable[ComponentProperty] = (ComponentProperty("envfab:file-sha256", one.value) for one in hashes)
    if not named.hashes:
        told = ()
    return replace(
        named,
        ref=bundled.ref,
        hashes=named.hashes or bundled.hashes,
        location=bundled.location,
        properties=(*named.properties, *told),
    )
