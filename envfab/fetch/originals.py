"""Where a wheel that was logged may be had once more: another folder, a package index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from envfab.errors import SupplyError, UsageError
from envfab.fetch.fetch import forget, opened
from envfab.index.client import PackageIndex
from envfab.models.wheel import Wheel
from envfab.util.paths import user_path
from envfab.util.untrusted import shown_url
from envfab.wheelhouse.repair import Originals
from envfab.wheelhouse.validate import sha256_of


class InFolder:
    """Wheels in a folder, or in folders of their projects, as `publish_index` writes them."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UsageError(
                "the folder does not exist", where=str(folder), hint="--from names a folder or an index's URL"
            )
        self._folder = folder
        self.name = str(folder)

    def find(self, wheel: Wheel) -> Path | None:
        """As `Originals` says."""
        for path in (self._folder / wheel.filename, self._folder / wheel.name / wheel.filename):
            try:
                if path.is_file() and sha256_of(path) == wheel.sha256:
                    return path
            except OSError as error:
                raise SupplyError(f"cannot be read: {error.strerror}", where=str(path)) from None
        return None


class InIndex:
    """Wheels of a package index, which is asked only if one is looked for."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self._url = url
        self._stack = stack
        self._index: PackageIndex | None = None
        self.name = shown_url(url)

    def find(self, wheel: Wheel) -> Path | None:
        """As `Originals` says; what is downloaded is gone when the stack is closed."""
        if self._index is None:
            self._index = self._stack.enter_context(opened(self._url))
        for release in self._index.releases(wheel.name):
            if (release.wheel.filename, release.wheel.sha256) == (wheel.filename, wheel.sha256):
                path = self._index.download(release.wheel)
                self._stack.callback(forget, [path])
                return path
        return None


@contextmanager
def originals(places: Sequence[str]) -> Iterator[list[Originals]]:
    """Folders, and indexes by their URL, in which to look; raises `UsageError` for what is neither."""
    with ExitStack() as stack:
        found: list[Originals] = []
        for place in places:
            is_url = place.startswith(("http://", "https://"))
            found.append(InIndex(place, stack) if is_url else InFolder(user_path(place, "--from")))
        yield found
