"""Materials of bills, asked of agents: what distributions contain, and what interpreters are linked with."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from packaging.utils import NormalizedName, canonicalize_name

from envfab.errors import EnvfabError
from envfab.models.materials import DistributionMaterials, EmbeddedDocument, HashedFile, Materials
from envfab.remote import agent_sources
from envfab.remote.agent_frames import MAX_NAME, decoding
from envfab.remote.agent_replies import MAX_PATH, to_digest
from envfab.remote.probe import ProbeResult, TargetSession
from envfab.remote.probe_replies import MAX_DISTRIBUTIONS
from envfab.util.json_fields import Fields
from envfab.util.progress import Reporter

# as the agent cuts what it tells
MAX_SAID = 2_000  # characters
MAX_FILES = 2_000
MAX_IN_ALL = 20_000
MAX_DOCUMENT, MAX_DOCUMENTS = 1 << 20, 8 << 20  # bytes
NOT_KNOWN = "licences and bundled libraries are not known"
LINKED = ("openssl", "sqlite", "zlib", "expat")


def materials(site: TargetSession) -> Materials:
    """Ask a virtualenv's agent for the materials of its bill; raises `AgentError`, `Disconnected` or `Locked`."""
    agent = site.agent()
    agent.load(agent_sources.MATERIALS)
    return to_materials(agent.ask("materials"), str(site.member.target))


def with_materials(found: ProbeResult) -> ProbeResult:
    """Return the result of probing a virtualenv, its probe with materials; raises as `materials` does."""
    if found.site is None or found.probe is None:
        return found
    return replace(found, probe=replace(found.probe, materials=materials(found.site)))


def with_materials_or_warning(found: ProbeResult, reporter: Reporter) -> ProbeResult:
    """Return the result of probing a virtualenv, with materials if they can be had; else a warning tells why not."""
    try:
        return with_materials(found)
    except EnvfabError as error:
        reporter.warning(f"{NOT_KNOWN}: {error}")
        return found


def to_materials(reply: Mapping[str, Any], where: str) -> Materials:
    """Decode materials; raises `AgentError`."""
    with decoding(where):
        fields = Fields(reply)
        linked = fields.object("linked")
        return Materials(
            {name: linked.line_or_none(name, MAX_NAME) for name in LINKED},
            _Decoding().distributions(fields.objects("distributions", MAX_DISTRIBUTIONS)),
        )


class _Decoding:
    """The decoding of one reply, which counts files and bytes of documents in all."""

    def __init__(self) -> None:
        self._files = MAX_IN_ALL
        self._bytes = MAX_DOCUMENTS

    def distributions(self, entries: list[Fields]) -> dict[NormalizedName, DistributionMaterials]:
        """Decode the materials of all distributions; of two with the same name, the first counts, as in probes."""
        found: dict[NormalizedName, DistributionMaterials] = {}
        for entry in entries:
            found.setdefault(canonicalize_name(entry.line("name", MAX_NAME)), self._distribution(entry))
        return found

    def _distribution(self, entry: Fields) -> DistributionMaterials:
        return DistributionMaterials(
            entry.line_or_none("expression", MAX_SAID),
            entry.line_or_none("license", MAX_SAID),
            entry.lines("classifiers", MAX_FILES, MAX_SAID),
            self._hashed(entry, "license_files"),
            self._hashed(entry, "libraries"),
            tuple(self._document(one) for one in self._counted(entry.objects("documents", MAX_FILES))),
            tuple(map(_path_and_text, self._counted(entry.items("openssl", MAX_FILES)))),
            entry.truth("cut"),
        )

    def _counted(self, entries: list[Any]) -> list[Any]:
        self._files -= len(entries)
        if self._files < 0:
            raise ValueError(f"it has more than {MAX_IN_ALL} files")
        return entries

    def _hashed(self, entry: Fields, name: str) -> tuple[HashedFile, ...]:
        return tuple(map(_hashed_file, self._counted(entry.items(name, MAX_FILES))))

    def _document(self, entry: Fields) -> EmbeddedDocument:
        packed = entry.text_or_none("packed", MAX_DOCUMENT * 2)
        content = None if packed is None else _unpacked(packed, min(MAX_DOCUMENT, self._bytes))
        self._bytes -= len(content or b"")
        return EmbeddedDocument(entry.line("path", MAX_PATH), entry.number("size"), content)


def _hashed_file(value: object) -> HashedFile:
    pair = Fields({"file": value}).items("file", 2)
    if len(pair) != 2:
        raise ValueError("a file must be a path and a digest")
    path, sha256 = pair
    return HashedFile(Fields({"path": path}).line("path", MAX_PATH), None if sha256 is None else to_digest(sha256))


def _path_and_text(value: object) -> tuple[str, str]:
    pair = Fields({"file": value}).lines("file", 2, MAX_PATH)
    if len(pair) != 2:
        raise ValueError("a file must be a path and a text")
    return pair[0], pair[1]


def _unpacked(packed: str, most: int) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(base64.b64decode(packed, validate=True), most + 1)
    except zlib.error:
        raise ValueError("a document is damaged") from None
    if len(content) > most or not unpacking.eof:
        raise ValueError("a document is too long, or a part of it is missing")
    return content
