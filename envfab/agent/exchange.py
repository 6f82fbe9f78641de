"""Swapping two names of a file system, atomically where the kernel can."""

from __future__ import absolute_import

import errno
import os

# renameat2(2), which glibc has since 2.28, by its number elsewhere
RENAME_EXCHANGE = 2
AT_FDCWD = -100
SYSCALLS = {
    "x86_64": 316,
    "i386": 353,
    "i586": 353,
    "i686": 353,
    "aarch64": 276,
    "riscv64": 276,
    "loongarch64": 276,
    "armv6l": 382,
    "armv7l": 382,
    "ppc64": 357,
    "ppc64le": 357,
    "s390x": 347,
}
# of a kernel or a file system that does not know it
UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP)


def exchange(one, other):
    """Let the names `one` and `other`, both of which are there, change places.

    Where the kernel cannot, these are two renames, and `other` is not there for some microseconds.
    """
    if renamed_by_kernel(one, other):
        return
    aside = one + ".aside"
    os.rename(other, aside)
    os.rename(one, other)
    os.rename(aside, one)


def renamed_by_kernel(one, other):
    """Whether renameat2 did it."""
    try:
        import ctypes
    except ImportError:
        return False
    encode = os.fsencode if hasattr(os, "fsencode") else str
    names = [ctypes.c_char_p(encode(name)) for name in (one, other)]
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE)
    if hasattr(libc, "renameat2"):
        status = libc.renameat2(*arguments)
    elif os.uname()[4] in SYSCALLS:
        status = libc.syscall(SYSCALLS[os.uname()[4]], *arguments)
    else:
        return False
    if status == 0:
        return True
    number = ctypes.get_errno()
    if number in UNKNOWN:
        return False
    raise EnvironmentError(number, os.strerror(number), other)
