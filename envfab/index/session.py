"""Reading from package indexes: pages whole and bounded, files to disk and resumed; every failure one clear error."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from envfab.errors import SupplyError
from envfab.util.atomic import rename
from envfab.util.http import (
    CHUNK,
    TRIES_AGAIN,
    BadAddress,
    NoResponse,
    NotReached,
    Request,
    Timeouts,
    TooLarge,
    UnsafeRedirect,
    WebResponse,
    WebSession,
)
from envfab.util.untrusted import shown_url

AT_ONCE = 8
REDIRECTS = 5
FILE_LIMIT = 4 << 30  # bytes of a file whose size the index does not say


@dataclass(frozen=True, slots=True)
class IndexResponse:
    """A response: its content, its media type, and the address it came from after redirects."""

    content: bytes
    kind: str
    url: str


class IndexUnavailable(SupplyError):
    """A server sent no response, or a part of one."""


class IndexRefusal(SupplyError):
    """A server answered with an error."""


class IndexSession:
    """Asks package indexes, from up to `AT_ONCE` threads."""

    def __init__(self, timeouts: Timeouts | None = None) -> None:
        self._closed = False
        self._session = WebSession(timeouts, redirects=REDIRECTS, tries_again=TRIES_AGAIN, at_once=AT_ONCE)

    def __enter__(self) -> IndexSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._session.close()

    def get(self, url: str, accept: str, limit: int) -> IndexResponse | None:
        """What lies at an address, at most `limit` bytes; None where there is nothing (404, 410).

        Raises `SupplyError` for everything else.
        """
        with self._open(url, {"Accept": accept}) as response:
            if response.status in (404, 410):
                return None
            if response.status != 200:
                raise _refused(response, url)
            try:
                content = response.read(limit)
            except TooLarge:
                raise _too_large(limit, url) from None
            return IndexResponse(content, response.media_type, response.url)

    def download(self, url: str, sha256: str, place: Path, size: int | None = None) -> None:
        """Download a file of `size` bytes to `place`, whose folder is made; resume a download that was cut off.

        Raises `SupplyError`, and then there is nothing at `place`; what came is kept beside it for the next try, unless
        it is another file.
        """
        try:
            self._download(url, sha256, place, FILE_LIMIT if size is None else size)
        except OSError as error:
            raise SupplyError(f"a download cannot be stored: {error.strerror}", where=str(place)) from None

    def _download(self, url: str, sha256: str, place: Path, limit: int) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f"{place.name}.part")
        with open(draft, "ab") as file:
            # another process may download the same file
            fcntl.flock(file, fcntl.LOCK_EX)
            if place.exists():
                draft.unlink(missing_ok=True)
                return
            try:
                self._append(url, file.fileno(), limit)
            except IndexUnavailable as error:
                raise IndexUnavailable(error.what, where=error.where, hint="try again: what has come is kept") from None
            if _digest(draft) != sha256:
                draft.unlink()
                raise SupplyError(
                    f"{place.name} is not what the index describes: its SHA-256 is different",
                    where=shown_url(url),
                    hint="try again; if that does not help, tell the operators of the index, and do not use the file",
                )
            os.fsync(file.fileno())
            rename(draft, place)

    def _append(self, url: str, descriptor: int, limit: int) -> None:
        """Append the response to an open file; the server is asked for a range that begins at the end of the file.

        A file that grows beyond `limit` bytes is emptied.
        """
        done = os.fstat(descriptor).st_size
        # a file that is compressed on the way cannot be cut into ranges
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
        with self._open(url, headers) as response:
            if response.status == 416:
                # all of it is there already, or more than all of it: its digest tells
                return
            if response.status == 200:
                os.ftruncate(descriptor, done := 0)
            elif response.status != 206 or not done:
                raise _refused(response, url)
            for piece in self._pieces(response, url):
                done += len(piece)
                if done > limit:
                    os.ftruncate(descriptor, 0)
                    raise _too_large(limit, url)
                _write(descriptor, piece)

    @contextmanager
    def _open(self, url: str, headers: dict[str, str]) -> Iterator[WebResponse]:
        try:
            with self._session.open(Request(url, headers)) as response:
                yield response
        except BadAddress as error:
            raise SupplyError(error.reason, where=shown_url(url), hint="give http://… or https://…") from None
        except UnsafeRedirect as error:
            raise SupplyError(error.reason, where=shown_url(url)) from None
        except NotReached as error:
            raise IndexUnavailable(f"cannot be reached: {error.reason}", where=shown_url(url)) from None
        except NoResponse as error:
            raise IndexUnavailable(error.reason, where=shown_url(url)) from None

    def _pieces(self, response: WebResponse, url: str) -> Iterator[bytes]:
        for piece in response.pieces():
            if self._closed:
                raise SupplyError("the download was given up", where=shown_url(url))
            yield piece


def _too_large(limit: int, url: str) -> SupplyError:
    return SupplyError(f"sends more than {limit:,} bytes", where=shown_url(url))


def _refused(response: WebResponse, url: str) -> IndexRefusal:
    hint = ""
    if response.status in (401, 403):
        hint = "give a user and a password in the address, or in ~/.netrc"
    return IndexRefusal(f"answers HTTP {response.status}", where=shown_url(url), hint=hint)


def _write(descriptor: int, piece: bytes) -> None:
    while piece:
        piece = piece[os.write(descriptor, piece) :]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()
