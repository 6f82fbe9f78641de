"""What a deployment leaves behind on a host: which files are there that were not there before."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

COMMON = ("/tmp", "/var/tmp", "/dev/shm")


def files_of(uids: Iterable[int], homes: Path, *, apart_from: Iterable[Path] = ()) -> frozenset[str]:
    """Every path below `homes`, and every path in the common temporary folders that belongs to one of `uids`.

    What lies below a path of `apart_from` (a virtualenv, say) is left out. So is, in the common folders, what lies in a
    folder that none of the users may enter, and a file in one that none may write to: they can have left nothing there,
    and most files of a machine are in such folders.
    """
    owners = Owners.of(uids)
    hidden = frozenset(os.fspath(path) for path in apart_from)
    found = {entry.path for entry in _below(os.fspath(homes), hidden)}
    beside = hidden | {os.fspath(homes)}
    for folder in COMMON:
        found |= {entry.path for entry in _below(folder, beside, owners) if owners.own(entry)}
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Owners:
    """Users by number, and the numbers of the groups that they are in."""

    uids: frozenset[int]
    gids: frozenset[int]

    @classmethod
    def of(cls, uids: Iterable[int]) -> Owners:
        """These users with their groups."""
        entries = [pwd.getpwuid(uid) for uid in uids]
        names = {entry.pw_name for entry in entries}
        further = {group.gr_gid for group in grp.getgrall() if not names.isdisjoint(group.gr_mem)}
        return cls(frozenset(entry.pw_uid for entry in entries), frozenset(entry.pw_gid for entry in entries) | further)

    def own(self, entry: os.DirEntry[str]) -> bool:
        """Whether it belongs to one of the users; what vanishes meanwhile does not."""
        with suppress(OSError):
            return entry.stat(follow_symlinks=False).st_uid in self.uids
        return False

    def may_enter(self, folder: os.stat_result) -> bool:
        """Whether one of the users can reach what is in the folder."""
        return bool(folder.st_mode & 0o001) or self._have(folder)

    def may_write(self, folder: os.stat_result) -> bool:
        """Whether one of the users can make files in the folder."""
        return bool(folder.st_mode & 0o002) or self._have(folder)

    def _have(self, folder: os.stat_result) -> bool:
        return folder.st_uid in self.uids or folder.st_gid in self.gids


def _below(folder: str, hidden: frozenset[str], owners: Owners | None = None) -> Iterator[os.DirEntry[str]]:
    """What is below `folder`, without those of `hidden`; with `owners`, all folders but files only where these can be."""
    folders = [folder]
    while folders:
        with suppress(OSError):
            place = folders.pop()
            files_count = owners is None or owners.may_write(os.stat(place))
            with os.scandir(place) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        if files_count:
                            yield entry
                    elif entry.path not in hidden:
                        yield entry
                        if owners is None or owners.may_enter(entry.stat(follow_symlinks=False)):
                            folders.append(entry.path)
