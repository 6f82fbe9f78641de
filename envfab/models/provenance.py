"""The provenance of a file of a package index (PEP 740): attestations, and the publishers that they name.

Nothing is verified here but that the attestations are about the file; signatures are (`fetch/attestations`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envfab.util.untrusted import one_line, parse_json
from envfab.util.versions import shortened

SUFFIX = ".provenance"
LIMIT = 256 << 10  # bytes; those of PyPI have about 10,000
MOST = 20  # bundles, attestations, facts of a publisher
LONGEST = 200  # characters of a fact, as it is shown
# in the order in which they are shown; other facts follow
_FIRST = ("repository", "workflow", "workflow_filepath", "environment", "email")
# what differs between releases of one publisher: claims of a run, and a git ref such as refs/tags/v1.0
_PASSING = ("kind", "claims", "vcs_ref")


@dataclass(frozen=True, slots=True)
class Publisher:
    """The identity that an attestation names (PyPI's Trusted Publishers): its kind and the facts that identify it.

    They are a stranger's texts, in full: publishers whose names only begin alike are not the same.
    """

    kind: str
    facts: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Publisher:
        """The publisher in a provenance; raises `ValueError` where it is not one."""
        kind = said.get("kind")
        if not isinstance(kind, str) or not kind:
            raise ValueError("a publisher has no kind")
        facts = {key: value for key, value in said.items() if key not in _PASSING and isinstance(value, str) and value}
        if len(facts) > MOST:
            raise ValueError(f"a publisher has more than {MOST} facts")
        order = {name: rank for rank, name in enumerate(_FIRST)}
        names = sorted(facts, key=lambda name: (order.get(name, len(order)), name))
        return cls(kind, tuple((name, facts[name]) for name in names))

    @property
    def identity(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What two publishers must have in common to be the same; forges ignore the case of a repository's name."""
        return self.kind, tuple((key, value.lower() if key == "repository" else value) for key, value in self.facts)

    def __str__(self) -> str:
        plain = [_short(value) if key in _FIRST[:3] else f"{_short(key)} {_short(value)}" for key, value in self.facts]
        return " ".join([_short(self.kind), *plain])


@dataclass(frozen=True, slots=True)
class Provenance:
    """A provenance as the index gave it, and the publishers in it, each once."""

    content: bytes
    publishers: tuple[Publisher, ...]

    @classmethod
    def parse(cls, content: bytes, sha256: str) -> Provenance:
        """Read the provenance of the file with this SHA-256; raises `ValueError`, with a message for people, for
        anything else."""
        if len(content) > LIMIT:
            raise ValueError(f"it is larger than {LIMIT:,} bytes")
        try:
            document = parse_json(content)
            if document["version"] != 1:
                raise ValueError(f"it is of version {shortened(str(document['version']), 20)}; this envfab reads 1")
            bundles = _listed(document, "attestation_bundles")
            publishers = [Publisher.read(one["publisher"]) for one in bundles]
            attestations = [one for bundle in bundles for one in _listed(bundle, "attestations")]
            subjects = {subject for one in attestations for subject in _subjects(one)}
        except UnicodeDecodeError:
            raise ValueError("it is not UTF-8 text") from None
        except KeyError as error:
            raise ValueError(f"{error} is missing") from None
        except (TypeError, AttributeError):
            raise ValueError("it has a value of another type than PEP 740 says") from None
        if subjects != {sha256}:
            raise ValueError("it is about another file: the SHA-256 in it is different")
        return cls(content, tuple({one.identity: one for one in publishers}.values()))

    @property
    def identities(self) -> frozenset[object]:
        """What makes its publishers the same as those of another."""
        return frozenset(one.identity for one in self.publishers)

    @property
    def shown(self) -> str:
        """The publishers in words."""
        return " and ".join(map(str, self.publishers))


def _listed(holder: Mapping[str, Any], key: str) -> Sequence[Any]:
    found = holder[key]
    if not isinstance(found, list) or not 1 <= len(found) <= MOST:
        raise ValueError(f"{key} must be a list of 1 to {MOST}")
    return found


def _subjects(attestation: Mapping[str, Any]) -> Iterator[str]:
    """The SHA-256 digests that an attestation is about (an in-toto statement)."""
    statement = parse_json(base64.b64decode(attestation["envelope"]["statement"], validate=True))
    for subject in _listed(statement, "subject"):
        yield str(subject["digest"]["sha256"])


def _short(text: str) -> str:
    return one_line(shortened(text, LONGEST))
