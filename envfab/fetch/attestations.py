"""Verification of attestations (PEP 740) by the library `pypi-attestations`, the extra `envfab[provenance]`.

The keys that it trusts are those that come with the library, or that sigstore keeps in the user's cache folder:
nothing is asked of a server.
"""

from __future__ import annotations

# Imported in function bodies: pypi-attestations, which is an extra, and takes 0.4 s.
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec

from envfab.errors import SupplyError
from envfab.models.provenance import Provenance
from envfab.util.untrusted import one_line
from envfab.util.versions import shortened

LIBRARY = "pypi_attestations"
_SHOWN = 300  # characters of what the library says


def can_verify() -> bool:
    """Return whether the library is installed."""
    return find_spec(LIBRARY) is not None


def verify(provenance: Provenance, filename: str, sha256: str) -> None:
    """Verify each attestation: signed for this file, by the publisher that stands beside it.

    Raises `SupplyError` for one that is not. `can_verify` must be true.
    """
    import pypi_attestations
    from pydantic import ValidationError
    from sigstore.errors import Error

    try:
        document = pypi_attestations.Provenance.model_validate_json(provenance.content)
    except ValidationError as error:
        # the first of its problems, without Pydantic's advice for programmers
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise _refused(f"pypi-attestations {version(LIBRARY)} cannot read it: {problem}", filename) from None
    try:
        distribution = pypi_attestations.Distribution(name=filename, digest=sha256)
        with _quiet():
            for bundle in document.attestation_bundles:
                for attestation in bundle.attestations:
                    attestation.verify(bundle.publisher, distribution, offline=True)
    except (ValueError, OSError, Error) as error:
        raise _refused(str(error), filename) from None


def _refused(problem: str, filename: str) -> SupplyError:
    said = one_line(shortened(" ".join(problem.split()), _SHOWN))
    return SupplyError(
        f"its provenance cannot be verified: {said}",
        where=filename,
        hint="do not use it, unless the keys here are too old: pip install --upgrade 'envfab[provenance]',"
        " and remove ~/.cache/sigstore-python",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's warning that it asks no server."""
    logger = logging.getLogger("sigstore")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
