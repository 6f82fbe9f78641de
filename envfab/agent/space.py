"""Sizes of the store's trees, and free space of file systems."""

from __future__ import absolute_import

import os

from .protocol import native, text
from .unpack import read_tree

# file systems on which a file takes up at least as much as it is long; others may compress it
PLAIN = ("ext2", "ext3", "ext4", "xfs", "tmpfs")
MOUNTS = "/proc/self/mounts"


def room(folder):
    """Return the space that this user has on the file system of a folder; None for what the file system does not tell.

    {"folder", "device": which file system it is, "free": bytes, "inodes", "plain": whether it surely does not compress}
    """
    try:
        status, device = os.statvfs(folder), os.stat(folder).st_dev
    except EnvironmentError:
        return {"folder": text(folder), "device": "", "free": None, "inodes": None, "plain": False}
    # part of it is often kept for root
    reserved = os.geteuid() == 0
    blocks, inodes = (status.f_bfree, status.f_ffree) if reserved else (status.f_bavail, status.f_favail)
    return {
        "folder": text(folder),
        "device": str(device),
        "free": blocks * (status.f_frsize or status.f_bsize) if status.f_blocks else None,
        # btrfs, and tmpfs without a limit, have 0 in all
        "inodes": inodes if status.f_files else None,
        "plain": kind(folder) in PLAIN,
    }


def kind(folder):
    """Return the type of the file system of a folder, as in /proc/self/mounts; None if that cannot be read."""
    path = os.path.join(os.path.realpath(folder), "")
    best, found = "", None
    try:
        with open(MOUNTS, "rb") as stream:
            lines = stream.read().splitlines()
    except EnvironmentError:
        return None
    for line in lines:
        fields = line.split(b" ")
        if len(fields) < 3:
            continue
        point = os.path.join(native(unescaped(fields[1])), "")
        # of two that are mounted at one place, the later one hides the other
        if path.startswith(point) and len(point) >= len(best):
            best, found = point, native(fields[2])
    return found


def unescaped(field):
    """Decode a mount point as in fstab(5), where white space and backslashes are octal numbers."""
    for said, meant in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(said, meant)
    return field


def size_of(place):
    """Return the bytes of a tree's files, as its tree.json records them; 0 if it has none."""
    said = read_tree(place)
    return sum(one[-2] for one in said["files"] + said["compiled"]) if said else 0
