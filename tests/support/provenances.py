"""Provenances of wheels (PEP 740): a real one, and ones without a signature that counts."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

# from PyPI, with what it says of it
ATTESTED = Path(__file__).parent / "attested" / "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl"
# in a fabfile: as if pypi-attestations were not installed
WITHOUT_LIBRARY = "import sys; sys.modules['pypi_attestations'] = None\n"


def provenance(sha256: str, repository: str = "acme/shop", **publisher: Any) -> dict[str, Any]:
    """A provenance of a file, published from a repository on GitHub; nothing in it is signed."""
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "x", "digest": {"sha256": sha256}}]}
    envelope = {"statement": base64.b64encode(json.dumps(statement).encode()).decode(), "signature": "AA=="}
    attestation = {"version": 1, "verification_material": {}, "envelope": envelope}
    told = {"kind": "GitHub", "repository": repository, "workflow": "release.yml", "environment": None, **publisher}
    return {"version": 1, "attestation_bundles": [{"publisher": told, "attestations": [attestation]}]}
