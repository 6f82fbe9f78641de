"""Reading over HTTP: bounded in size, and in the time for each piece; resumed where that is possible, and every failure
one clear error."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from envfab.errors import SupplyError
from envfab.util.atomic import rename
from envfab.util.untrusted import shown_url

if TYPE_CHECKING:
    import requests

AT_ONCE = 8
REDIRECTS = 5
TRIES_AGAIN = 2
CHUNK = 1 << 16
# of a file whose size nobody tells
FILE_LIMIT = 4 << 30


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, and for each piece of an answer."""

    connect: float = 10.0
    read: float = 30.0


@dataclass(frozen=True, slots=True)
class IndexResponse:
    """What came, the type it is said to have, and the address it came from in the end."""

    content: bytes
    kind: str
    url: str


class IndexUnavailable(SupplyError):
    """Nothing came from a server, or less than it said."""


class IndexSession:
    """Asks web servers, from up to `AT_ONCE` threads."""

    def __init__(self, timeouts: Timeouts | None = None) -> None:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        self._timeouts = timeouts or Timeouts()
        self._closed = False
        self._session = requests.Session()
        self._session.max_redirects = REDIRECTS
        self._session.headers["User-Agent"] = f"envfab/{version('envfab')}"
        again = Retry(
            total=None,
            connect=0,
            read=0,
            # a certificate that is refused, for one, which would be tried for ever
            other=0,
            redirect=None,
            status=TRIES_AGAIN,
            status_forcelist=(429, 502, 503, 504),
            backoff_factor=0.3,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=AT_ONCE, max_retries=again))

    def __enter__(self) -> IndexSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._session.close()

    def get(self, url: str, accept: str, limit: int) -> IndexResponse | None:
        """What lies at an address; None where there is nothing (404, 410). Raises `SupplyError` for all else."""
        with self._open(url, {"Accept": accept}) as response:
            if response.status_code in (404, 410):
                return None
            if response.status_code != 200:
                raise _refused(response, url)
            content = bytearray()
            for piece in self._pieces(response, url):
                content += piece
                if len(content) > limit:
                    raise SupplyError(f"sends more than {limit:,} bytes", where=shown_url(url))
            kind = response.headers.get("Content-Type", "").partition(";")[0].lower()
            return IndexResponse(bytes(content), kind, response.url)

    def download(self, url: str, sha256: str, place: Path, size: int | None = None) -> None:
        """Bring a file of `size` bytes to `place`, whose folder is made; goes on where an earlier try was cut off.

        Raises `SupplyError`, and then there is nothing at `place`: what came lies beside it for the next try, unless
        it is not the file with this SHA-256.
        """
        try:
            self._download(url, sha256, place, FILE_LIMIT if size is None else size)
        except OSError as error:
            raise SupplyError(f"a download cannot be stored: {error.strerror}", where=str(place)) from None

    def _download(self, url: str, sha256: str, place: Path, limit: int) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f"{place.name}.part")
        with open(draft, "ab") as file:
            # somebody else may be after the same file
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
                    f"{place.name} is not the file that the index tells of: its SHA-256 is another",
                    where=shown_url(url),
                    hint="try again; where it stays so, tell whoever keeps the index, and do not use the file",
                )
            os.fsync(file.fileno())
            rename(draft, place)

    def _append(self, url: str, descriptor: int, limit: int) -> None:
        """Write what comes at the end of an open file, from where the file ends where the server can do that.

        One that grows beyond `limit` bytes is emptied.
        """
        done = os.fstat(descriptor).st_size
        # a file that is compressed on the way cannot be cut into ranges
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
        with self._open(url, headers) as response:
            if response.status_code == 416:
                # all of it is there already, or more than all of it: its digest tells
                return
            if response.status_code == 200:
                os.ftruncate(descriptor, done := 0)
            elif response.status_code != 206 or not done:
                raise _refused(response, url)
            for piece in self._pieces(response, url):
                done += len(piece)
                if done > limit:
                    os.ftruncate(descriptor, 0)
                    raise SupplyError(f"sends more than {limit:,} bytes", where=shown_url(url))
                _write(descriptor, piece)

    @contextmanager
    def _open(self, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        import requests

        try:
            timeout = (self._timeouts.connect, self._timeouts.read)
            response = self._session.get(url, headers=headers, timeout=timeout, stream=True)
        except (requests.RequestException, ValueError) as error:
            raise self._unanswered(error, url) from None
        with response:
            hops = [*response.history, response]
            if url.startswith("https:") and any(not hop.url.startswith("https:") for hop in hops):
                raise SupplyError("redirects from HTTPS to a connection that anybody can change", where=shown_url(url))
            yield response

    def _pieces(self, response: requests.Response, url: str) -> Iterator[bytes]:
        import requests

        try:
            for piece in response.iter_content(CHUNK):
                if self._closed:
                    raise SupplyError("nobody waits for it any more", where=shown_url(url))
                yield piece
        except requests.RequestException as error:
            raise self._unanswered(error, url) from None

    def _unanswered(self, error: requests.RequestException | ValueError, url: str) -> SupplyError:
        import requests

        exceptions = requests.exceptions
        if isinstance(error, requests.TooManyRedirects):
            what = f"redirects more than {REDIRECTS} times"
        elif isinstance(error, requests.ConnectTimeout):
            what = f"no connection within {self._timeouts.connect:g} s"
        elif isinstance(error, requests.Timeout) or "timed out" in str(error):
            what = f"no answer within {self._timeouts.read:g} s"
        elif isinstance(error, exceptions.SSLError):
            what = "its certificate is refused"
        elif isinstance(error, (exceptions.InvalidURL, exceptions.MissingSchema, exceptions.InvalidSchema)):
            return SupplyError("is no address of a web server", where=shown_url(url), hint="give http://… or https://…")
        elif not isinstance(error, requests.RequestException):
            return SupplyError("redirects to what is no address of a web server", where=shown_url(url))
        elif isinstance(error, exceptions.ChunkedEncodingError):
            what = "the connection ended in the middle of an answer"
        else:
            what = "cannot be reached"
        return IndexUnavailable(what, where=shown_url(url))


def _refused(response: requests.Response, url: str) -> SupplyError:
    hint = ""
    if response.status_code in (401, 403):
        hint = "give a user and a password in the address, or in ~/.netrc"
    return SupplyError(f"answers HTTP {response.status_code}", where=shown_url(url), hint=hint)


def _write(descriptor: int, piece: bytes) -> None:
    while piece:
        piece = piece[os.write(descriptor, piece) :]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()
