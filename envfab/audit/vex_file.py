"""VEX documents that others wrote: OpenVEX or CycloneDX, read from files."""

from __future__ import annotations

from pathlib import Path

from envfab.audit import cyclonedx_vex, openvex
from envfab.audit.vex import VEXStatement
from envfab.errors import SupplyError
from envfab.util.json_fields import Fields
from envfab.util.paths import read_file
from envfab.util.untrusted import parse_json

LIMIT = 64 << 20
HINT = "--vex takes OpenVEX 0.2.0, or CycloneDX 1.4 and later in JSON"


def read(path: Path) -> list[VEXStatement]:
    """The statements of a document about projects on PyPI; raises `SupplyError` for what is not such a document."""
    try:
        document = Fields.of(parse_json(read_file(path, LIMIT)))
        if document.values.get("bomFormat") == "CycloneDX":
            return cyclonedx_vex.parse(document, str(path))
        if str(document.values.get("@context", "")).startswith(openvex.CONTEXT):
            return openvex.parse(document, str(path))
        raise ValueError("it is neither an OpenVEX nor a CycloneDX document")
    except OSError as error:
        raise SupplyError(f"cannot be read: {error.strerror}", where=str(path), hint=HINT) from None
    except UnicodeDecodeError:
        raise SupplyError("must be a text in UTF-8", where=str(path), hint=HINT) from None
    except ValueError as error:
        raise SupplyError(f"is not a VEX document: {error}", where=str(path), hint=HINT) from None
