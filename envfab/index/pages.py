"""An index's page on one project, and its list of projects: PEP 503 HTML and PEP 691 JSON, written and read.

With the hashes, `Requires-Python` and yanking (PEP 592) of each file, its size and time (PEP 700), where its provenance
is (PEP 740), and the hash of the metadata file beside it: written under the name of PEP 714 alone, read under that of
PEP 658, too. Under the older name pip 22.3 to 23.1 find nothing of a project whose METADATA spells its name otherwise
than its page (Django). The project's status (PEP 792) is read.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

from packaging.utils import InvalidSdistFilename, NormalizedName, canonicalize_name, parse_sdist_filename

from envfab.errors import SupplyError, WheelError
from envfab.index.project_status import ACTIVE, ProjectStatus
from envfab.models.wheel import Wheel
from envfab.util import untrusted
from envfab.util.untrusted import shown_url
from envfab.util.versions import problem_of, shortened

API_VERSION = "1.1"
WITH_PROVENANCE = "1.3"
JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "application/vnd.pypi.simple.v1+html"
_DISTRIBUTIONS = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".egg")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class File:
    """A file that an index offers.

    `metadata` is the SHA-256 of its metadata file (PEP 658), empty where the page only says that it exists, None where
    there is none. `yanked` is the reason (PEP 592), None where the file is not withdrawn. `size` is in bytes.
    `provenance` is the address of its provenance (PEP 740).
    """

    filename: str
    url: str
    sha256: str | None = None
    requires_python: str | None = None
    yanked: str | None = None
    metadata: str | None = None
    size: int | None = None
    uploaded: str | None = None
    provenance: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """What an index tells of a project."""

    files: tuple[File, ...] = ()
    status: ProjectStatus = ACTIVE


def project_json(name: NormalizedName, versions: Iterable[str], files: Sequence[File]) -> str:
    """A project's page by PEP 691, as JSON."""
    document = {
        "meta": {"api-version": WITH_PROVENANCE if any(file.provenance for file in files) else API_VERSION},
        "name": name,
        "versions": list(versions),
        "files": [_file_json(file) for file in files],
    }
    return json.dumps(document, indent=1) + "\n"


def project_html(name: NormalizedName, files: Sequence[File]) -> str:
    """A project's page by PEP 503, as HTML."""
    anchors = "".join(f"    {_anchor(file)}<br>\n" for file in files)
    return _page(f"Links for {name}", anchors)


def list_json(names: Iterable[NormalizedName]) -> str:
    """The list of projects by PEP 691, as JSON."""
    document = {"meta": {"api-version": API_VERSION}, "projects": [{"name": name} for name in names]}
    return json.dumps(document, indent=1) + "\n"


def list_html(names: Iterable[NormalizedName]) -> str:
    """The list of projects by PEP 503, as HTML."""
    return _page("Simple index", "".join(f'    <a href="{name}/">{name}</a><br>\n' for name in names))


def parse_json(text: str, base: str) -> ProjectPage:
    """What a PEP 691 page says that lies at `base`; raises `SupplyError` for anything else."""
    try:
        document = untrusted.parse_json(text)
        version = str(document["meta"]["api-version"])
        if version.partition(".")[0] != "1":
            raise SupplyError(
                f"speaks version {shortened(version, 20)} of the index format; this envfab reads 1.x",
                where=shown_url(base),
            )
        status = document.get("project-status")
        said = status if isinstance(status, Mapping) else {"status": status}
        return ProjectPage(
            tuple(_file_of(one, base) for one in document["files"]),
            ProjectStatus.read(said.get("status"), said.get("reason")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise SupplyError(
            f"is not a page of a package index: {shortened(problem, 200)}", where=shown_url(base)
        ) from None


def parse_html(text: str, base: str) -> ProjectPage:
    """What a PEP 503 page says that lies at `base`; raises `SupplyError` for anything else."""
    anchors = _Anchors()
    try:
        anchors.feed(text)
        anchors.close()
        links = [one for one in anchors.found if one.get("href")]
        files = tuple(_file_of_anchor(one, base, urljoin(base, anchors.base or "")) for one in links)
    except (ValueError, AssertionError) as error:
        # invalid addresses, and declarations that Python's parser fails on
        raise SupplyError(
            f"is not a page of a package index: {shortened(str(error), 200)}", where=shown_url(base)
        ) from None
    # error and login pages come with status 200 as well
    if not (anchors.declared or any(file.filename.endswith(_DISTRIBUTIONS) for file in files)):
        raise SupplyError("is not a page of a package index: it links to no distribution", where=shown_url(base))
    return ProjectPage(files, ProjectStatus.read(anchors.status, anchors.reason))


def wheel_of(file: File) -> Wheel | None:
    """The wheel that a file is, by its name; None for a source distribution and anything else."""
    if not file.filename.endswith(".whl"):
        return None
    try:
        return Wheel.from_filename(file.filename, file.sha256)
    except WheelError:
        return None


def sdist_version(file: File, name: NormalizedName) -> str | None:
    """The version of a source distribution of the project `name`; None for anything else."""
    if problem_of(file.filename):
        return None
    try:
        found, version = parse_sdist_filename(file.filename)
    except InvalidSdistFilename:
        return None
    return str(version) if canonicalize_name(found) == name else None


def _page(title: str, body: str) -> str:
    return (
        "<!DOCTYPE html>\n<html>\n  <head>\n"
        f'    <meta name="pypi:repository-version" content="{API_VERSION}">\n    <meta charset="utf-8">\n'
        f"    <title>{html.escape(title)}</title>\n  </head>\n  <body>\n    <h1>{html.escape(title)}</h1>\n"
        f"{body}  </body>\n</html>\n"
    )


def _anchor(file: File) -> str:
    attributes = {"href": file.url + (f"#sha256={file.sha256}" if file.sha256 else "")}
    if file.requires_python:
        attributes["data-requires-python"] = file.requires_python
    if file.yanked is not None:
        attributes["data-yanked"] = file.yanked
    if file.metadata:
        attributes["data-core-metadata"] = f"sha256={file.metadata}"
    written = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<a {written}>{html.escape(file.filename)}</a>"


def _file_json(file: File) -> dict[str, Any]:
    document: dict[str, Any] = {
        "filename": file.filename,
        "url": file.url,
        "hashes": {"sha256": file.sha256} if file.sha256 else {},
        "yanked": False if file.yanked is None else file.yanked or True,
    }
    if file.requires_python:
        document["requires-python"] = file.requires_python
    if file.metadata:
        document["core-metadata"] = {"sha256": file.metadata}
    if file.size is not None:
        document["size"] = file.size
    if file.uploaded:
        document["upload-time"] = file.uploaded
    if file.provenance:
        document["provenance"] = file.provenance
    return document


def _file_of(one: Mapping[str, Any], base: str) -> File:
    said = one.get("core-metadata", one.get("dist-info-metadata"))
    yanked = one.get("yanked", False)
    size = one.get("size")
    filename = str(one["filename"])
    _refuse_paths(filename, base)
    return File(
        filename,
        urldefrag(urljoin(base, str(one["url"])))[0],
        _digest(one.get("hashes") or {}),
        _text(one.get("requires-python")),
        None if yanked is False or yanked is None else yanked if isinstance(yanked, str) else "",
        _metadata(said),
        size if isinstance(size, int) else None,
        _text(one.get("upload-time")),
        _address(one.get("provenance"), base),
    )


def _address(said: object, base: str) -> str | None:
    return urljoin(base, said) if isinstance(said, str) and said else None


def _text(said: object) -> str | None:
    return said if isinstance(said, str) and said else None


def _metadata(said: object) -> str | None:
    if isinstance(said, Mapping):
        return _digest(said) or ""
    return "" if said else None


def _digest(hashes: Mapping[str, Any]) -> str | None:
    digest = str(hashes.get("sha256") or "").lower()
    return digest if _SHA256.fullmatch(digest) else None


def _refuse_paths(filename: str, page: str) -> None:
    """Refuse a page whose files would be stored somewhere else than under their names."""
    if not filename or "/" in filename or "\\" in filename or filename.startswith("."):
        raise SupplyError(
            f"offers a file named {shortened(filename)!a}",
            where=shown_url(page),
            hint="an index offers plain file names",
        )


def _file_of_anchor(attributes: Mapping[str, str | None], page: str, base: str) -> File:
    address, fragment = urldefrag(urljoin(base, attributes["href"] or ""))
    filename = unquote(urlsplit(address).path.rpartition("/")[2])
    # a page links to other things too: to its parent, to a style sheet
    if filename.endswith(_DISTRIBUTIONS):
        _refuse_paths(filename, page)
    algorithm, _, digest = fragment.partition("=")
    said = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata"))
    metadata = None
    if said is not None and said != "false":
        metadata = _digest(dict([said.split("=", 1)])) or "" if "=" in said else ""
    return File(
        filename,
        address,
        _digest({algorithm: digest}),
        attributes.get("data-requires-python") or None,
        (attributes["data-yanked"] or "") if "data-yanked" in attributes else None,
        metadata,
        provenance=_address(attributes.get("data-provenance"), page),
    )


class _Anchors(HTMLParser):
    """Collects the attributes of every link, the base of a page that names one, and the project's status."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[dict[str, str | None]] = []
        self.base: str | None = None
        self.declared = False
        self.status: str | None = None
        self.reason: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))
        elif tag == "base" and self.base is None:
            self.base = dict(attrs).get("href")
        elif tag == "meta":
            self._read_meta(dict(attrs))

    def _read_meta(self, attributes: Mapping[str, str | None]) -> None:
        name, content = attributes.get("name"), attributes.get("content")
        if name == "pypi:repository-version":
            self.declared = True
        elif name == "pypi:project-status":
            self.status = self.status or content
        elif name == "pypi:project-status-reason":
            self.reason = self.reason or content


def upload_time(moment: datetime | None) -> str | None:
    """A time as PEP 700 writes it: UTC, with a Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment is not None else None


def relative_url(filename: str) -> str:
    """The address of a file that lies beside its page."""
    return quote(filename, safe="+!")


def newest_first(files: Iterable[tuple[Wheel, File]]) -> Iterator[tuple[Wheel, File]]:
    """Wheels as pages list them: newest version first, then by name."""
    by_name = sorted(files, key=lambda pair: pair[0].filename)
    return iter(sorted(by_name, key=lambda pair: pair[0].version, reverse=True))
