"""The wheels folder and the release log compared, as both were at one moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from packaging.utils import NormalizedName, canonicalize_name

from envfab.errors import WheelError
from envfab.models.wheel import Release, Wheel
from envfab.wheelhouse.release_log.view import LoggedWheel, LogText


class Contents:
    """What the file names in the folder and the lines of the log say; no wheel is opened.

    A wheel's name is parsed only when its project is asked for, so that a large wheelhouse costs little.
    """

    def __init__(self, filenames: Iterable[str], text: LogText) -> None:
        self._files = _by_project(filenames)
        self._releases: dict[NormalizedName, Sequence[Release]] = {}
        self._logged_names: frozenset[str] | None = None
        self.text = text

    def projects(self) -> Collection[NormalizedName]:
        """Return the canonical names with at least one wheel that is logged and exists."""
        files = self._files
        return {name for name in self.text.names() if name in files and self.text.mentions(name, files[name])}

    def size(self) -> tuple[int, int]:
        """Return (the number of logged wheels that exist, the number of their projects), by file names alone."""
        logged = self._logged()
        numbers = [sum(filename in logged for filename in filenames) for filenames in self._files.values()]
        return sum(numbers), sum(number > 0 for number in numbers)

    def strangers(self) -> Iterator[Wheel]:
        """Yield every wheel file that no line names, without parsing lines: a damaged line names its file, too."""
        logged = self._logged()
        for filenames in self._files.values():
            for filename in filenames:
                wheel = None if filename in logged else _wheel_or_none(filename)
                if wheel is not None:
                    yield wheel

    def _logged(self) -> frozenset[str]:
        if self._logged_names is None:
            self._logged_names = frozenset(filename for _name, filename in self.text.filenames())
        return self._logged_names

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        """Return every wheel of a project that is logged and exists."""
        if name not in self._releases:
            there = self._files.get(name, ())
            self._releases[name] = tuple(one for one in self._of(name) if one.wheel.filename in there) if there else ()
        return self._releases[name]

    def logged(self) -> Iterator[Release]:
        """Yield every logged wheel, whether its file exists or not."""
        for name in self.text.names():
            yield from self._of(name)

    def lost(self) -> Iterator[Release]:
        """Yield logged wheels whose file is missing, that are not withdrawn and newer than all of their project that
        exist."""
        files = {filename for filenames in self._files.values() for filename in filenames}
        for name in dict.fromkeys(name for name, filename in self.text.filenames() if filename not in files):
            there = max((one.wheel.version for one in self.releases(name)), default=None)
            for one in self._of(name):
                if one.wheel.filename not in files and not one.yanked and (there is None or one.wheel.version > there):
                    yield one

    def unlogged(self) -> Iterator[Wheel]:
        """Yield every wheel file without a line."""
        for name in self._files:
            yield from self.unlogged_of(name)

    def unlogged_of(self, name: NormalizedName) -> Iterator[Wheel]:
        """Yield every wheel file of a project without a line."""
        filenames = self._files.get(name, ())
        logged = self.text.wheels(name) if filenames else {}
        for filename in filenames:
            wheel = None if filename in logged else _wheel_or_none(filename)
            if wheel is not None:
                yield wheel

    def unnamed(self) -> Iterator[str]:
        """Yield `.whl` files whose name is not a wheel's."""
        for filenames in self._files.values():
            yield from (filename for filename in filenames if _wheel_or_none(filename) is None)

    def _of(self, name: NormalizedName) -> Iterator[Release]:
        """What the log has of a project, without lines that give another project's wheel to it."""
        for logged in self.text.wheels(name).values():
            wheel = _wheel_or_none(logged.filename, logged.sha256, logged.project)
            if wheel is not None and wheel.name == name:
                yield Release(wheel, logged.added, logged.yanked_reason)


def wheel_of(logged: LoggedWheel) -> Wheel:
    """Return the wheel of a log entry; raises `WheelError` where its file name is not a wheel's."""
    return Wheel.from_filename(logged.filename, logged.sha256, logged.project)


def _wheel_or_none(filename: str, sha256: str | None = None, shown_as: str = "") -> Wheel | None:
    try:
        return Wheel.from_filename(filename, sha256, shown_as)
    except WheelError:
        return None


def _by_project(filenames: Iterable[str]) -> Mapping[NormalizedName, Sequence[str]]:
    files: dict[NormalizedName, list[str]] = {}
    known: dict[str, list[str]] = {}
    for filename in filenames:
        if filename.endswith(".whl") and filename[0] != ".":
            prefix = filename.partition("-")[0]
            if prefix not in known:
                known[prefix] = files.setdefault(canonicalize_name(prefix), [])
            known[prefix].append(filename)
    return files
