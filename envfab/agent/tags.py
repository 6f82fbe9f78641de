"""The wheel tags that this interpreter supports, most preferred first: from its own pip, or computed."""

from __future__ import absolute_import

import os
import struct
import sys

LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}


def tags(agent, request, body):
    """The supported tags: `{"tags": ["cp311-cp311-manylinux_2_36_x86_64", …]}`."""
    return {"tags": from_pip() or worked_out()}


def from_pip():
    """The tags that the virtualenv's pip supports; None if there is no pip, or it does not tell."""
    for name in ("pip._internal.utils.compatibility_tags", "pip._internal.pep425tags", "pip.pep425tags"):
        try:
            module = __import__(name, fromlist=["get_supported"])
            return ["-".join(tag) if isinstance(tag, tuple) else str(tag) for tag in module.get_supported()]
        except Exception:  # a broken pip may fail in any way; the tags are then computed
            continue
    return None


def worked_out():
    """The tags by the rules of the platform compatibility specification, without any library."""
    major, minor = sys.version_info[:2]
    platforms = list(platform_tags())
    python = "cp%d%d" % (major, minor)
    found = [(python, abi, platform) for abi in abis() for platform in platforms]
    if major == 3 and "t" not in abis()[0]:
        found += [(python, "abi3", platform) for platform in platforms]
    found += [(python, "none", platform) for platform in platforms]
    if major == 3 and "t" not in abis()[0]:
        for older in range(minor - 1, 1, -1):
            found += [("cp3%d" % older, "abi3", platform) for platform in platforms]
    generic = ["py%d%d" % (major, minor), "py%d" % major]
    generic += ["py%d%d" % (major, older) for older in range(minor - 1, -1, -1)]
    found += [(name, "none", platform) for name in generic for platform in platforms]
    found.append((python, "none", "any"))
    found += [(name, "none", "any") for name in generic]
    return ["-".join(tag) for tag in found]


def abis():
    """The ABI tags of this interpreter."""
    major, minor = sys.version_info[:2]
    name = "cp%d%d" % (major, minor)
    if major == 2:
        return [name + ("mu" if sys.maxunicode > 0xFFFF else "m")]
    if minor < 8:
        return [name + "m"]
    import sysconfig

    return [name + "t"] if sysconfig.get_config_var("Py_GIL_DISABLED") else [name]


def platform_tags():
    """The platform tags, newest libc first."""
    import sysconfig

    plain = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    if not plain.startswith("linux"):
        yield plain
        return
    machine = os.uname()[4]
    if struct.calcsize("P") == 4:
        machine = {"x86_64": "i686", "aarch64": "armv7l"}.get(machine, machine)
    # wheels built for exactly this system: pip prefers them on these interpreters, and takes them last on older ones
    native_first = sys.version_info >= (3, 10)
    if native_first:
        yield "linux_" + machine
    libc = glibc()
    if libc:
        for minor in range(libc[1], 4, -1):
            yield "manylinux_%d_%d_%s" % (libc[0], minor, machine)
            if (libc[0], minor) in LEGACY:
                yield "%s_%s" % (LEGACY[(libc[0], minor)], machine)
    else:
        musl_version = musl()
        if musl_version:
            for minor in range(musl_version[1], -1, -1):
                yield "musllinux_%d_%d_%s" % (musl_version[0], minor, machine)
    if not native_first:
        yield "linux_" + machine


def glibc():
    """The version of the GNU C library, (2, 36), or None."""
    try:
        # by its number in <bits/confname.h>, since 2.7 does not have the name
        _, _, version = os.confstr(2).partition(" ")
        return tuple(int(part) for part in version.split(".")[:2])
    except (AttributeError, ValueError, OSError):
        return None


def musl():
    """The version of musl, (1, 2), or None; its loader prints it when run without arguments."""
    import glob
    import subprocess

    for loader in glob.glob("/lib/ld-musl-*.so.1"):
        process = subprocess.Popen([loader], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in process.communicate()[0].decode("utf-8", "replace").splitlines():
            if line.startswith("Version "):
                return tuple(int(part) for part in line.split()[1].split(".")[:2])
    return None


OPERATIONS = {"tags": tags}
