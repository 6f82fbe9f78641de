"""The wheelhouse: the wheels directory together with the release log."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
import shlex
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from envfab.config.target import Target
from envfab.errors import WheelError, WheelhouseError
from envfab.models.wheel import Release, Wheel, WheelMetadata
from envfab.util.times import present
from envfab.util.untrusted import one_line
from envfab.util.versions import version_or_none
from envfab.wheelhouse import add
from envfab.wheelhouse.add import Added
from envfab.wheelhouse.digest_cache import DigestMemory, cache_folder
from envfab.wheelhouse.listed_wheels import Fault, FaultyFile, Listed, fault_beside, fault_of
from envfab.wheelhouse.release_log.records import (
    AbortingRecord,
    ErrorRecord,
    InstallRecord,
    ReleaseRecord,
    YankRecord,
    is_whole,
)
from envfab.wheelhouse.release_log.signed_lines import SignedRelease
from envfab.wheelhouse.release_log.storage import LogFile
from envfab.wheelhouse.release_log.view import LoggedWheel, LogText, SkippedLine
from envfab.wheelhouse.snapshot import Contents, wheel_of
from envfab.wheelhouse.unpacked import UnpackedWheel, read_unpacked
from envfab.wheelhouse.validate import read_metadata

if TYPE_CHECKING:
    # it needs the cryptography library, which few runs do
    from envfab.wheelhouse.release_log.log_signers import LogSigners
    from envfab.wheelhouse.release_log.sign_again import SigningAgain


class Wheelhouse:
    """The wheels directory and the release log together, as a `Catalogue` for planning.

    The folder and the log are read once, on the first access; `add`, `yank` and `refresh` cause the next access to read
    them again. Neither need exist. Digests are remembered in the folder `cache`, by default the user's cache folder.
    Methods that read raise `WheelhouseError` where the folder or the log cannot be read, and where the log must be
    signed (`signers`) and is not.
    """

    def __init__(
        self, wheels: Path, log: Path, *, cache: Path | None = None, signers: LogSigners | None = None
    ) -> None:
        self.wheels = wheels
        self.log = log
        self._log_file = LogFile(log, signers)
        self._digests = DigestMemory(cache or cache_folder(os.environ), wheels)
        self._metadata: dict[str, WheelMetadata] = {}
        self._unpacked: dict[str, UnpackedWheel] = {}
        self._unpacking = threading.Lock()
        self.refresh()

    def refresh(self) -> None:
        """Forget what was read: the next access reads the folder and the log again."""
        self._contents: Contents | None = None

    def projects(self) -> Collection[NormalizedName]:
        """Return the canonical names with at least one wheel that is logged and exists."""
        return self._read().projects()

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        """Return every wheel of a project that is logged and exists."""
        return self._read().releases(name)

    def metadata(self, wheel: Wheel) -> WheelMetadata:
        """Return the wheel's METADATA, read once; raises `WheelError`."""
        if wheel.filename not in self._metadata:
            self._metadata[wheel.filename] = read_metadata(self.path_of(wheel))
        return self._metadata[wheel.filename]

    def unpacked(self, wheel: Wheel) -> UnpackedWheel:
        """Return what the wheel unpacks to, read once, from whatever thread; raises `WheelError`."""
        with self._unpacking:
            if wheel.filename not in self._unpacked:
                self._unpacked[wheel.filename] = read_unpacked(self.path_of(wheel))
            return self._unpacked[wheel.filename]

    def hashes(self, wheel: Wheel) -> Mapping[tuple[str, str], str]:
        """Return `unpacked(wheel).hashes`; none where the wheel cannot be read."""
        try:
            return self.unpacked(wheel).hashes
        except WheelError:
            return {}

    def unlogged(self, name: NormalizedName) -> Sequence[tuple[Wheel, str]]:
        """Return every wheel file of a project without a line in the log, with its path, quoted for `add_wheel`."""
        return [(wheel, self._typed(wheel)) for wheel in self._read().unlogged_of(name)]

    def all_unlogged(self) -> Sequence[tuple[Wheel, str]]:
        """Return `unlogged` of all projects, without parsing lines: a wheel whose line is damaged counts as logged."""
        found = sorted(self._read().strangers(), key=lambda wheel: wheel.filename)
        return [(wheel, self._typed(wheel)) for wheel in found]

    def _typed(self, wheel: Wheel) -> str:
        path, here = self.path_of(wheel), Path.cwd()
        return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))

    def path_of(self, wheel: Wheel) -> Path:
        """Return the path of the wheel's file."""
        return self.wheels / wheel.filename

    def sha256(self, wheel: Wheel) -> str:
        """Return the logged SHA-256 or, where an older log has none, that of the file; raises `WheelhouseError`."""
        return wheel.sha256 or self._digest(wheel)

    @property
    def signers(self) -> LogSigners | None:
        """Who must have signed the releases; None if they need not be signed."""
        return self._log_file.signers

    def signed_releases(self, wheels: Iterable[Wheel]) -> Sequence[SignedRelease]:
        """Return what was signed of each wheel's release; raises `WheelhouseError` for one that is not signed."""
        return [self._read().text.signed_release(wheel.name, wheel.filename, self.sha256(wheel)) for wheel in wheels]

    def add(self, path: Path, *, trust: bool = False) -> Added:
        """Validate, copy and log a wheel; raises `WheelError` or `WheelhouseError`, and then nothing was changed.

        `trust` accepts one that was logged without a SHA-256, which otherwise raises `UnknownHash`.
        """
        return self.add_all([path], trust=trust)[0]

    def add_all(self, paths: Sequence[Path], *, trust: bool = False) -> list[Added]:
        """Add several wheels: all, or with an error none."""
        try:
            return add.add_all(paths, self.wheels, self._log_file, trust=trust)
        finally:
            self.refresh()

    def yank(self, what: str, reason: str) -> tuple[Wheel, ...]:
        """Withdraw a wheel (a file name) or a release (`name==version`); return the wheels that were not withdrawn
        before.

        Raises `WheelhouseError` where the log has none of them.
        """
        return self.yank_all([what], reason)[what]

    def yank_all(self, named: Iterable[str], reason: str) -> Mapping[str, tuple[Wheel, ...]]:
        """Withdraw several as `yank`; return the wheels by each of `named`. Raises `WheelhouseError` where the log
        lacks one, and then withdraws none."""
        now = present()
        with self._log_file.locked() as held:
            text = held.read()
            found = {what: _named(text, what) for what in named}
            fresh = {what: [one for one in logged if one.yanked_reason is None] for what, logged in found.items()}
            once = {one.filename: one for logged in fresh.values() for one in logged}.values()
            held.append(*(YankRecord(one.project, one.version, one.filename, now, _one_line(reason)) for one in once))
        self.refresh()
        return {what: tuple(wheel_of(one) for one in logged) for what, logged in fresh.items()}

    def to_sign_again(self, signers: LogSigners) -> SigningAgain:
        """Return what is to be signed in the log; raises `WheelhouseError` for a line that cannot be signed."""
        from envfab.wheelhouse.release_log.sign_again import SigningAgain

        return SigningAgain(LogFile(self.log).read().lines, signers, self._completed)

    def sign_again(self, signing: SigningAgain) -> None:
        """Sign, and replace the log; raises `EnvfabError`, and then nothing is changed."""
        signing.write(LogFile(self.log))
        self.refresh()

    def _completed(self, release: ReleaseRecord, record: str) -> str:
        """A release's record with its size, where the wheel is the one that was logged."""
        if release.sha256 is None:
            raise WheelhouseError(
                f"{release.filename} was logged without a SHA-256, so that signing its line would say nothing",
                where=str(self.log),
                hint=f"without signers in the fleet: fab add_wheel --trust {self.wheels / release.filename}",
            )
        wheel = self.wheels / release.filename
        if not wheel.is_file():
            return record
        size = wheel.stat().st_size
        if self._digests.sha256(release.filename) != release.sha256 or release.size not in (None, size):
            raise WheelhouseError(
                f"{release.filename} is not the file that its line says; nothing was signed",
                where=str(self.log),
                hint="fab verify_wheels, without signers in the fleet, tells more",
            )
        return record if release.size is not None else f"{record} size={size}"

    def why_yanked(self, what: str) -> tuple[str, ...]:
        """Return the reasons why `what` (as for `yank`) was withdrawn, each once."""
        reasons = (logged.yanked_reason for logged in _named(self._read().text, what))
        return tuple(dict.fromkeys(reason or "no reason was given" for reason in reasons if reason is not None))

    def list(self) -> tuple[Listed, ...]:
        """Return every wheel that is logged or exists, by name, version and file name."""
        contents = self._read()
        found = [
            Listed(one.wheel, True, one.added, self._size(one.wheel), one.yanked_reason) for one in contents.logged()
        ]
        found += [Listed(wheel, False, None, self._size(wheel), None) for wheel in contents.unlogged()]
        return tuple(sorted(found, key=lambda one: (one.wheel.name, one.wheel.version, one.wheel.filename)))

    def size(self) -> tuple[int, int]:
        """Return (the number of logged wheels that exist, the number of their projects), by file names alone."""
        return self._read().size()

    def lost(self) -> tuple[Wheel, ...]:
        """Return logged wheels that are missing and newer than all others of their project: plans use older ones."""
        return tuple(one.wheel for one in self._read().lost())

    def problems(self) -> tuple[SkippedLine, ...]:
        """Return the lines of the log that were skipped; reads the whole log."""
        return self._read().text.problems()

    def verify_unchanged(self, wheels: Iterable[Wheel]) -> None:
        """Raise `WheelhouseError` where a wheel is not the file that was logged; one without a logged hash passes."""
        changed = [wheel for wheel in wheels if self._is_changed(wheel)]
        self._digests.save()
        if changed:
            names = ", ".join(sorted(wheel.filename for wheel in changed))
            raise WheelhouseError(
                f"changed on disk after it was logged: {names}",
                where=str(self.wheels),
                hint="add the original file again, or build a new version: a released wheel never changes",
            )

    def examine(self) -> Iterator[FaultyFile]:
        """Compare every file with the log, and yield the differences; each file is read, to find damage of the disk."""
        for listed in self.list():
            path = self.path_of(listed.wheel)
            found = fault_of(listed, path, partial(self._digest, listed.wheel, anew=True)) or fault_beside(listed, path)
            if found is not None:
                yield found
        for filename in self._read().unnamed():
            yield FaultyFile(filename, Fault.UNREADABLE, "its name is not a wheel's")
        self._digests.save()

    def end_torn_line(self) -> str | None:
        """Add the missing line end of the log's last line if the line is otherwise complete; return that line."""
        if self._read().text.torn is None:
            return None
        with self._log_file.locked() as held:
            torn = held.read().torn
            if torn is None or not is_whole(torn) or not held.keeps_torn:
                return None
            held.append()
        self.refresh()
        return torn

    def clear_abandoned(self) -> tuple[str, ...]:
        """Remove temporary files that an interrupted `add` left more than a day ago; return their names."""
        return add.clear_abandoned(self.wheels)

    def log_install(self, target: Target, wheels: Iterable[Wheel], deployment: str) -> None:
        """Log that a deployment installed wheels; raises `WheelhouseError`."""
        now = present()
        self._log_file.append(*(InstallRecord(str(target), wheel.filename, now, deployment) for wheel in wheels))

    def log_error(self, target: Target, message: str) -> None:
        """Log that something failed on a target; raises `WheelhouseError`."""
        self._log_file.append(ErrorRecord(str(target), _one_line(message)))

    def log_aborting(self, target: Target, message: str) -> None:
        """Log that a rollout gave up on a target; raises `WheelhouseError`."""
        self._log_file.append(AbortingRecord(str(target), _one_line(message)))

    def _read(self) -> Contents:
        if self._contents is None:
            self._contents = Contents(self._scan(), self._log_file.read())
        return self._contents

    def _scan(self) -> Sequence[str]:
        try:
            return os.listdir(self.wheels)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise WheelhouseError(f"cannot read the wheels folder: {error.strerror}", where=str(self.wheels)) from None

    def _size(self, wheel: Wheel) -> int | None:
        try:
            return self.path_of(wheel).stat().st_size
        except OSError:
            return None

    def _is_changed(self, wheel: Wheel) -> bool:
        return wheel.sha256 is not None and self._digest(wheel) != wheel.sha256

    def _digest(self, wheel: Wheel, *, anew: bool = False) -> str:
        try:
            return self._digests.sha256(wheel.filename, anew=anew)
        except OSError as error:
            raise WheelhouseError(f"cannot be read: {error.strerror}", where=str(self.path_of(wheel))) from None


def _named(text: LogText, what: str) -> tuple[LoggedWheel, ...]:
    """Return the logged wheels of a file name or `name==version`; raises `WheelhouseError` where there are none."""
    project, is_release, version = what.partition("==")
    if not is_release:
        project = what.partition("-")[0]
    logged = text.wheels(canonicalize_name(project.strip()))
    if is_release:
        wanted = version_or_none(version.strip())
        found = [one for one in logged.values() if wanted is not None and version_or_none(one.version) == wanted]
    else:
        found = [one for one in logged.values() if one.filename == what]
    if not is_release and what == project and logged:
        raise WheelhouseError(
            f"a release must be named NAME==VERSION, not {what!r}",
            hint=f"the release log has {_releases(logged.values())}",
        )
    if not found:
        there = _releases(logged.values())
        raise WheelhouseError(
            f"the release log has no {what}",
            hint=f"it has {there}" if there else "name it NAME==VERSION, or by its file name; `fab wheels` lists them",
        )
    return tuple(found)


def _releases(logged: Iterable[LoggedWheel]) -> str:
    return ", ".join(sorted({f"{one.project}=={one.version}" for one in logged}))


def _one_line(message: str) -> str:
    return " ".join(one_line(message).split())
