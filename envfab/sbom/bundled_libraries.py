"""Shared libraries bundled in wheels: their names and versions, out of the names of their files."""

from __future__ import annotations

import re

from envfab.models.materials import HashedFile
from envfab.sbom.bill import LIBRARY, BillComponent, ComponentProperty, Hash

# auditwheel and delvewheel put a part of a digest before the first dot, some builds twice
DIGEST = re.compile(r"(-([0-9a-f]{8}|[0-9a-f]{32}))+$")
ENDING = re.compile(r"(?:(?P<before>[0-9][0-9.]*)\.)?(?:so|dylib|dll)(?:\.(?P<after>[0-9][0-9.]*))?", re.IGNORECASE)


def library(ref: str, file: HashedFile) -> BillComponent:
    """The component that a shared library of the distribution `ref` is."""
    name, version = name_and_version(file.path.rpartition("/")[2])
    properties = [ComponentProperty("envfab:version-source", "file name")] if version else []
    return BillComponent(
        f"{ref}#{file.path}",
        LIBRARY,
        name,
        version,
        hashes=(Hash("SHA-256", file.sha256),) if file.sha256 else (),
        location=file.path,
        properties=tuple(properties),
    )


def name_and_version(filename: str) -> tuple[str, str | None]:
    """The name of a library, and the version of its interface: `libssl-81ffa89e.so.3` → (`libssl`, `3`)."""
    base, _, ending = filename.partition(".")
    found = ENDING.fullmatch(ending)
    if found is None:
        return filename, None
    return DIGEST.sub("", base) or base, found["after"] or found["before"]
