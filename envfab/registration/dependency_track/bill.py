"""A virtualenv's bill of materials: made of a probe, and packed for the retry file."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from envfab.config.target import Member
from envfab.models.probe import Probe
from envfab.registration.dependency_track.protocol import Bom, project_name
from envfab.registration.identity import known_as
from envfab.sbom.cyclonedx import cyclonedx_document, require_library
from envfab.sbom.digests import Digests
from envfab.sbom.virtualenv_bill import make_bill
from envfab.wheelhouse.release_log.storage import LogFile
from envfab.wheelhouse.release_log.view import LogText

MAX_DOCUMENT = 32 * 1024 * 1024  # bytes


def bill_maker(project: str | None, release_log: Path | None) -> Callable[[Member, Probe], Bom]:
    """A function that makes the bill of materials of a virtualenv, for a project below `project`.

    Raises `RegistrationError` where the library is not installed, and `EnvfabError` where the log cannot be read.
    """
    require_library()
    digests = Digests(LogFile(release_log).read() if release_log is not None else LogText("", ""))

    def make(member: Member, probe: Probe) -> Bom:
        name = project_name(known_as(member, probe))
        return Bom(name, project, len(probe.distributions), cyclonedx_document(make_bill(probe, digests)))

    return make


def pack(bom: Bom) -> dict[str, Any]:
    """A bill of materials as JSON, with its document compressed: documents are long and repeat themselves."""
    packed = base64.b64encode(zlib.compress(bom.document.encode())).decode("ascii")
    return {"name": bom.name, "parent": bom.parent, "components": bom.components, "packed": packed}


def unpack(kept: Mapping[str, Any]) -> Bom:
    """What `pack` made, at most `MAX_DOCUMENT` bytes of it; raises `ValueError`, `KeyError` or `TypeError`."""
    unpacking = zlib.decompressobj()
    try:
        document = unpacking.decompress(base64.b64decode(kept["packed"], validate=True), MAX_DOCUMENT)
    except zlib.error as error:
        raise ValueError(f"the document is damaged: {error}") from None
    if not unpacking.eof:
        raise ValueError("a part of the document is missing, or it is too long")
    parent = kept["parent"]
    return Bom(str(kept["name"]), parent and str(parent), int(kept["components"]), document.decode())
