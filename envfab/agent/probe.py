"""The probe of a virtualenv: its interpreter, what is installed, leftovers of interruptions, its generations."""

from __future__ import absolute_import

import os
import sys
from stat import S_ISDIR, S_ISLNK

from .deployed import facts_of
from .metadata import DESCRIBED, is_leftover, parsed, scan
from .files import DIRECTORY, MEMORY, OWN_SIGNERS, open_own, read, remembered
from .layout import CURRENT, GENERATIONS, current, numbers, refuse_other_generations
from .lingering import still_there
from .protocol import Problem, native, text

# bytes; the record of a large virtualenv takes some hundred thousand, the holder of a lock some hundred
JOURNAL = 8 << 20
HOLDER = 1 << 16
LAST = 1 << 20
# seconds between tries, since another probe may hold a lock for a moment to check whether it is held
PAUSES = (0, 0.01, 0.05)
MOST_UNREADABLE = 10
# distributions that a virtualenv without any packages of its own may have
INSTALLERS = ("pip", "setuptools", "wheel", "distribute", "pkg_resources", "uv")


def probe(agent, request, body):
    """Everything that planning needs, in one reply."""
    agent.path = native(request["path"])
    require_virtualenv(agent.path)
    refuse_other_generations(agent.path)
    own, outside = site_folders(agent.path)
    found = {"own": [], "outside": [], "leftovers": [], "damaged": []}
    written = remembered(agent.path, "journal.json", JOURNAL)
    holder = at_work(agent) if written else None
    # first, so that a change during the probe makes a different stamp
    state = stamp(own, outside, written, holder)
    for folder in own:
        scan(folder, found["own"], found)
    for folder in outside:
        scan(folder, found["outside"], None)
    last = last_record(agent.path)
    return dict(
        found,
        version=sys.version.split()[0],
        implementation=implementation(),
        executable=text(sys.executable),
        markers=markers(),
        node=text(os.uname()[1]),
        # {}: there is a journal, but it is not JSON
        journal=None if written is None else parsed(written) or {},
        holder=holder,
        last=last,
        # {}: there is a note, but it is not JSON
        drained=drained_note(agent.path),
        lingering=still_there(agent.path, last.get("lingering")) if isinstance(last, dict) else [],
        generation=current(agent.path),
        generations=numbers(agent.path),
        deployed=without_data(facts_of(agent.path, current(agent.path))),
        plain=is_plain(agent.path, own),
        stranded=stranded(agent.path, own, found["own"]),
        unreadable=unreadable(own),
        signed_only=os.path.lexists(OWN_SIGNERS),
        stamp=state,
    )


def drained_note(path):
    """The note that the host is out of service (see `drained`); None if there is none."""
    written = remembered(path, "drained.json", HOLDER)
    return None if written is None else parsed(written) or {}


def without_data(facts):
    """Facts about a deployment, for the reply; None if there are none."""
    return facts and dict((name, facts.get(name)) for name in ("format", "generation", "deployment", "when", "digest"))


def is_plain(path, own):
    """Whether the virtualenv's scripts or packages are outside of its generations."""
    above = os.path.realpath(os.path.join(path, GENERATIONS)) + os.sep
    below = os.path.realpath(path) + os.sep
    scripts = os.path.realpath(os.path.join(path, "bin"))
    site = [folder for folder in own if os.path.basename(folder) == "site-packages" and folder.startswith(below)]
    return any(not folder.startswith(above) for folder in [scripts] + site)


def require_virtualenv(path):
    """Raise `Problem` if this interpreter is not that of the virtualenv at `path`."""
    prefix = os.path.realpath(sys.prefix)
    if prefix != os.path.realpath(path):
        why = "" if os.path.exists(os.path.join(path, "pyvenv.cfg")) else ", since pyvenv.cfg is missing"
        what = "bin/python is an interpreter of %s, not of this virtualenv%s; repair it: fab create_virtualenv --repair"
        raise Problem("elsewhere", what % (text(prefix), why))
    # virtualenv before 20 set `real_prefix`; conda's environments are not virtualenvs, but work as well
    based = getattr(sys, "real_prefix", getattr(sys, "base_prefix", sys.prefix)) != sys.prefix
    if not based and not os.path.isdir(os.path.join(prefix, "conda-meta")):
        raise Problem("elsewhere", "this is an interpreter's own folder, not a virtualenv: name another path")


def probe_if_changed(agent, request, body):
    """A probe, or None if the virtualenv still has the stamp `known`; for an agent that holds the lock."""
    agent.path = native(request["path"])
    written = remembered(agent.path, "journal.json", JOURNAL)
    own, outside = site_folders(agent.path)
    if request.get("known") == stamp(own, outside, written, None):
        return None
    return probe(agent, request, body)


def at_work(agent):
    """The description of the lock's holder (see `lock`), None if no other process holds it.

    A journal whose deployment is under way, or whose migration still runs, is not of an interrupted one. The check
    takes a shared lock for a moment; `lock.lock` tries again if that is in its way.
    """
    if agent.lock is not None:
        return None
    import fcntl

    try:
        descriptor = open_own(agent.path, "lock", os.O_RDONLY)
    except EnvironmentError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        # under this lock, so that no other agent checks the folder's lock at the same time
        held = is_held(os.path.join(agent.path, MEMORY))
    except EnvironmentError:
        held = True
    try:
        return parsed(read(descriptor, HOLDER)) or {} if held else None
    finally:
        os.close(descriptor)


def is_held(folder):
    """Whether the agent of another user still holds the virtualenv (see `lock.hold`)."""
    import errno
    import fcntl
    import time

    descriptor = os.open(folder, DIRECTORY)
    try:
        for pause in PAUSES:
            time.sleep(pause)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
            except EnvironmentError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    return False
        return True
    finally:
        os.close(descriptor)


def stamp(own, outside, journal, holder):
    """A digest that changes with everything that a plan may depend on, at far less cost than a probe.

    `journal` are the bytes of the journal.
    """
    found = [text(journal or b""), sys.version, "at work" if holder is not None else "", text(os.pathsep.join(own))]
    for folder in own + outside:
        for name in os.listdir(folder):
            if name.endswith(DESCRIBED):
                full = os.path.join(folder, name)
                found.append("%s %r" % (text(full), last_change(full)))
            elif folder in own and is_leftover(name):
                found.append(text(name))
    return digest("\n".join(sorted(found)))


def site_folders(path):
    """(the virtualenv's own folders of packages, those outside), from the import path."""
    own, outside = sorted_folders(path, [as_current(path, folder) for folder in sys.path])
    if not own:
        # pip removes the folder with the last distribution, and an agent started after that lacks it on its path
        import sysconfig

        prefix = os.path.realpath(path) + os.sep
        for name in ("purelib", "platlib"):
            real = os.path.realpath(sysconfig.get_path(name))
            if os.path.isdir(real) and (real + os.sep).startswith(prefix) and real not in own:
                own.append(real)
    return own, outside


def as_current(path, folder):
    """A folder of the import path, in the current generation: a pinned process has its own generation's."""
    above = os.path.join(path, GENERATIONS) + os.sep
    if not folder.startswith(above):
        return folder
    return os.path.join(path, CURRENT, folder[len(above) :].partition(os.sep)[2])


def sorted_folders(path, import_path):
    """(the virtualenv's own folders of packages, those outside) of an import path."""
    own, outside = [], []
    prefix = os.path.realpath(path) + os.sep
    for folder in import_path:
        real = os.path.realpath(folder)
        if not os.path.isdir(real):
            continue
        if (real + os.sep).startswith(prefix):
            if real not in own:
                own.append(real)
        elif os.path.basename(real) in ("site-packages", "dist-packages") and real not in outside:
            outside.append(real)
    return own, outside


def last_change(path):
    """The time at which a file or folder last changed; None if it was removed meanwhile."""
    try:
        return os.stat(path).st_mtime
    except EnvironmentError:
        return None


def last_record(path):
    """The last valid record of the history; None if there is none."""
    try:
        descriptor = open_own(path, "history.jsonl", os.O_RDONLY)
    except EnvironmentError:
        return None
    try:
        os.lseek(descriptor, max(0, os.fstat(descriptor).st_size - LAST), os.SEEK_SET)
        lines = read(descriptor, LAST).splitlines()
    finally:
        os.close(descriptor)
    for line in reversed(lines):
        record = parsed(line)
        if record is not None:
            return record
    return None


def stranded(path, own, distributions):
    """Packages of another minor version of Python, which this interpreter does not use.

    `{"folder": "lib/python3.9", "packages": 12}`; None if there are none, or if it has packages other than installers.
    """
    if any(entry["name"].lower() not in INSTALLERS for entry in distributions):
        return None
    most = None
    for name in sorted(names_in(os.path.join(path, "lib"))):
        packages = os.path.join(path, "lib", name, "site-packages")
        if not name.startswith(("python", "pypy")) or os.path.realpath(packages) in own:
            continue
        projects = [one for one in names_in(packages) if one.endswith(DESCRIBED)]
        number = len([one for one in projects if one.partition("-")[0].lower() not in INSTALLERS])
        if number and (most is None or number > most["packages"]):
            most = {"folder": text(os.path.join("lib", name)), "packages": number}
    return most


def unreadable(own):
    """What lies in the folders of packages and belongs to others who let this user not read it; not what is deeper."""
    found = []
    me = os.geteuid()
    for folder in own if me else ():
        for name in os.listdir(folder):
            full = os.path.join(folder, name)
            try:
                status = os.lstat(full)
            except EnvironmentError:
                continue
            if status.st_uid != me and not S_ISLNK(status.st_mode) and not may_read(full, status):
                found.append(text(full))
    return sorted(found)[:MOST_UNREADABLE]


def may_read(path, status):
    """Whether this user may read a file, or list a folder and go into it."""
    return os.access(path, os.R_OK | os.X_OK if S_ISDIR(status.st_mode) else os.R_OK)


def names_in(folder):
    """The names in a folder; none if it cannot be read."""
    try:
        return os.listdir(folder)
    except EnvironmentError:
        return []


def implementation():
    """`CPython` or `PyPy`, without the cost of importing `platform`."""
    return "PyPy" if "PyPy" in sys.version else "CPython"


def markers():
    """The complete marker environment of this interpreter (PEP 508)."""
    system, _, release, version, machine = os.uname()
    described_by = getattr(sys, "implementation", None)
    found = described_by.version if described_by else None
    return {
        "implementation_name": described_by.name if described_by else "",
        "implementation_version": full_version(found) if found else "0",
        "os_name": os.name,
        "platform_machine": machine,
        "platform_python_implementation": implementation(),
        "platform_release": release,
        "platform_system": system,
        "platform_version": version,
        "python_full_version": sys.version.split()[0],
        "python_version": "%d.%d" % sys.version_info[:2],
        "sys_platform": sys.platform,
    }


def full_version(info):
    """A version tuple in the format of PEP 508: `3.13.0rc1`."""
    version = "%d.%d.%d" % (info.major, info.minor, info.micro)
    return version if info.releaselevel == "final" else version + info.releaselevel[0] + str(info.serial)


def digest(content):
    """SHA-256 in hex, by the C module if there is one, which loads faster than hashlib."""
    try:
        from _sha2 import sha256
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256
    return sha256(content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")).hexdigest()


OPERATIONS = {"probe": probe}
