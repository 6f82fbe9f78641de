"""The wheelhouse as a static package index, for any web server.

A reader never sees a part of a file: each is written beside its place and renamed; wheels are written before the page
that names them, and removed after it. Publishing again touches only what changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from envfab.errors import EnvfabError, FormatError, SupplyError
from envfab.index import pages
from envfab.index.pages import File
from envfab.models.provenance import SUFFIX
from envfab.models.wheel import Release, Wheel
from envfab.util.atomic import DRAFT, rename, write_file
from envfab.util.progress import Reporter
from envfab.wheelhouse.provenances import provenance_file, read_provenance
from envfab.wheelhouse.validate import metadata_file, parse_metadata
from envfab.wheelhouse.wheelhouse import Wheelhouse

FORMAT = 1
MARK = ".envfab-index"
UNFINISHED = ".publishing"
# the ends of the names of files beside a wheel
BESIDE = (".metadata", SUFFIX)
HTML_PAGE, JSON_PAGE = "index.html", "index.v1_json"


@dataclass(slots=True)
class Published:
    """The result of publishing: how many wheels and projects there are, and how many files changed."""

    wheels: int = 0
    projects: int = 0
    written: int = 0
    removed: int = 0


def publish(wheelhouse: Wheelhouse, folder: Path, reporter: Reporter) -> Published:
    """Bring `folder`, which is made or was published to before, to what the wheelhouse has.

    Raises `WheelhouseError` where a wheel changed since it was logged, and `SupplyError`; then readers still find the
    index as it was, or parts of the new one, all of them sound.
    """
    names = sorted(wheelhouse.projects())
    wheelhouse.verify_unchanged(release.wheel for name in names for release in wheelhouse.releases(name))
    try:
        with _claimed(folder, wheelhouse):
            return _Publishing(wheelhouse, folder, reporter).run(names)
    except OSError as error:
        raise SupplyError(
            f"cannot publish here: {error.strerror}",
            where=str(error.filename or folder),
            hint="check that you may write there",
        ) from None


@contextlib.contextmanager
def _claimed(folder: Path, wheelhouse: Wheelhouse) -> Iterator[None]:
    """Hold the folder's lock; raises `SupplyError` for a folder that is not an index of envfab's."""
    mark = folder / MARK
    if folder.exists() and not mark.exists() and any(folder.iterdir()):
        raise SupplyError(
            "the folder is not empty, and envfab did not write what is in it",
            where=str(folder),
            hint="name a folder that is empty or not there yet",
        )
    if folder.resolve().is_relative_to(wheelhouse.wheels.resolve()):
        raise SupplyError("this is the wheelhouse itself", where=str(folder), hint="name a folder beside it")
    folder.mkdir(parents=True, exist_ok=True)
    with open(mark, "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        said = file.read().strip()
        if not said:
            file.write(f"{FORMAT}\n")
        elif said != str(FORMAT):
            raise FormatError(
                f"this index was written in format {said[:20]!r}; this envfab writes {FORMAT}",
                where=str(folder),
                hint="use a newer envfab, or another folder",
            )
        yield


@dataclass(slots=True)
class _Publishing:
    wheelhouse: Wheelhouse
    folder: Path
    reporter: Reporter

    def run(self, names: list[NormalizedName]) -> Published:
        done = Published()
        self.reporter.stage("publishing", len(names))
        listed = []
        for name in names:
            count = self._project(name, done)
            done.wheels += count
            if count:
                listed.append(name)
            self.reporter.advance("publishing", name)
        done.projects = len(listed)
        self._write(self.folder / JSON_PAGE, pages.list_json(listed).encode(), done)
        self._write(self.folder / HTML_PAGE, pages.list_html(listed).encode(), done)
        for gone in sorted(self.folder.iterdir()):
            if gone.name not in listed and _is_of_a_project(gone):
                self._remove_project(gone, done)
        return done

    def _project(self, name: NormalizedName, done: Published) -> int:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        before = _published_before(folder)
        files = []
        for release in self.wheelhouse.releases(name):
            try:
                files.append((release.wheel, self._file(folder, release, before.get(release.wheel.filename), done)))
            except EnvfabError as error:
                self.reporter.warning(f"{release.wheel.filename} is left out: {error.what}")
        ordered = list(pages.newest_first(files))
        versions = list(dict.fromkeys(str(wheel.version) for wheel, _file in ordered))
        plain = [file for _wheel, file in ordered]
        self._write(folder / JSON_PAGE, pages.project_json(name, versions, plain).encode(), done)
        self._write(folder / HTML_PAGE, pages.project_html(name, plain).encode(), done)
        wanted = {HTML_PAGE, JSON_PAGE} | {f"{file.filename}{end}" for file in plain for end in ("", ".metadata")}
        wanted |= {f"{file.filename}{SUFFIX}" for file in plain if file.provenance}
        for entry in folder.iterdir():
            if entry.name not in wanted and entry.name.endswith((".whl", *BESIDE, UNFINISHED, DRAFT)):
                entry.unlink()
                done.removed += 1
        return len(files)

    def _file(self, folder: Path, release: Release, before: File | None, done: Published) -> File:
        """A wheel and its metadata in their places, and the line that tells of them."""
        wheel = release.wheel
        place, beside = folder / wheel.filename, folder / f"{wheel.filename}.metadata"
        digest = self.wheelhouse.sha256(wheel)
        size = self._wheel(wheel, place, done)
        provenance = self._provenance(wheel, digest, place, done)
        if before is not None and before.sha256 == digest and before.metadata and beside.exists():
            requires_python, told = before.requires_python, before.metadata
        else:
            content = metadata_file(self.wheelhouse.path_of(wheel))
            requires_python = str(parse_metadata(content, wheel.filename).requires_python) or None
            told = hashlib.sha256(content).hexdigest()
            self._write(beside, content, done)
        return File(
            wheel.filename,
            pages.relative_url(wheel.filename),
            digest,
            requires_python,
            release.yanked_reason,
            told,
            size,
            pages.upload_time(release.added),
            provenance,
        )

    def _provenance(self, wheel: Wheel, sha256: str, place: Path, done: Published) -> str | None:
        """The provenance that is kept beside a wheel in its place; its address, None where there is none."""
        found = read_provenance(self.wheelhouse.path_of(wheel), sha256)
        if found is None:
            return None
        beside = provenance_file(place)
        self._write(beside, found.content, done)
        return pages.relative_url(beside.name)

    def _wheel(self, wheel: Wheel, place: Path, done: Published) -> int:
        """The wheel linked or copied to its place; its size."""
        source = self.wheelhouse.path_of(wheel)
        status = source.stat()
        try:
            there = place.stat()
        except FileNotFoundError:
            there = None
        same = there is not None and (
            os.path.samestat(there, status)
            or (there.st_size, there.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
        )
        if not same:
            draft = place.with_name(f".{place.name}{UNFINISHED}")
            draft.unlink(missing_ok=True)
            try:
                os.link(source, draft)
            except OSError:
                # another file system, one without links, or a file of another user
                shutil.copy2(source, draft)
            rename(draft, place)
            done.written += 1
        return status.st_size

    def _write(self, place: Path, content: bytes, done: Published) -> None:
        """Write `content` to its place, unless the file has it already."""
        if place.exists() and place.read_bytes() == content:
            return
        write_file(place, content)
        done.written += 1

    def _remove_project(self, folder: Path, done: Published) -> None:
        """Remove what was published of a project that has left the wheelhouse; other files in the folder stay."""
        # the pages first, so that no page names a wheel that is gone
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.suffix == ".whl"):
            if entry.name in (HTML_PAGE, JSON_PAGE) or entry.name.endswith((".whl", *BESIDE, UNFINISHED, DRAFT)):
                entry.unlink()
                done.removed += 1
        with contextlib.suppress(OSError):
            folder.rmdir()


def _is_of_a_project(folder: Path) -> bool:
    """Whether envfab published this folder; a process that was killed may have left wheels without a page."""
    if canonicalize_name(folder.name) != folder.name or not folder.is_dir():
        return False
    return (folder / JSON_PAGE).exists() or any(entry.suffix == ".whl" for entry in folder.iterdir())


def _published_before(folder: Path) -> dict[str, File]:
    """The files on the project's last page, so that an unchanged wheel is not opened again."""
    try:
        text = (folder / JSON_PAGE).read_text(encoding="utf-8")
        return {file.filename: file for file in pages.parse_json(text, "").files}
    except (OSError, UnicodeDecodeError, ValueError, SupplyError):
        return {}
