"""Exchange of two names in a file system, atomic if the kernel supports it."""

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
# errors of a kernel or a file system that does not support it
UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP)


def exchange(one, other):
    """Exchange the names `one` and `other`, both of which must exist.

    Without the kernel's support these are renames, and `other` does not exist for some microseconds.
    """
    if renamed_by_kernel(one, other):
        return
    aside = one + ".aside"
    os.rename(other, aside)
    os.rename(one, other)
    os.rename(aside, one)


def renamed_by_kernel(one, other):
    """Exchange two names by renameat2(2); false if that is not supported, EnvironmentError if it fails."""
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
