"""Installing and removing by a uv out of the wheelhouse, whose cache is shared by all virtualenvs of one owner on a host."""

from __future__ import absolute_import

import base64
import contextlib
import csv
import errno
import fcntl
import os
import shutil

from .wheel_cache import checked, discard, folder, sha256_of
from .install import written_requirements
from .protocol import Problem, native
from .lock import set_inherited
from .probe import probe
from .subprocesses import base_environment, call, ending

ALWAYS = ["--no-config", "--offline", "--no-progress", "--color", "never"]


def install_by_uv(agent, request, body):
    """Remove `remove`, then install `wheels` as the operation `install` does, by the uv out of `uv_wheel`, then probe.

    Files are hard links into uv's cache where `link` says so and the file system can, or else copies. What uv
    keeps unpacked of the projects `forget` is thrown away before.
    """
    path = native(request["path"])
    wheels = request["wheels"]
    os.umask(request["umask"])
    shared = os.path.dirname(folder(path))
    # what is shared has the modes of its first installation
    cache = os.path.join(shared, "uv-%03o" % request["umask"])
    uv = Uv(agent, path, unpacked(shared, request["uv_wheel"]), cache)
    output = ""
    if request["forget"]:
        output += uv.run(["cache", "clean"] + request["forget"])
    if request["remove"]:
        output += uv.run(["pip", "uninstall", "--python", uv.python] + request["remove"])
    if wheels:
        place = os.path.join(path, ".envfab", "stage")
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(place, 0o755)
        try:
            arguments = ["pip", "install", "--python", uv.python, "--no-index", "--no-deps", "--reinstall"]
            arguments += ["--link-mode", "hardlink" if request["link"] else "copy"]
            for wheel in wheels:
                arguments += ["--find-links", offered(shared, wheel)]
            arguments += ["--require-hashes", "-r", written_requirements(place, wheels)]
            output += uv.run(arguments)
        except Problem:
            for wheel in wheels:
                file = os.path.join(shared, "offered", native(wheel["sha256"]), native(wheel["filename"]))
                if os.path.isfile(file):
                    checked(file, wheel)
            raise
        finally:
            shutil.rmtree(place, ignore_errors=True)
        if request["compile"]:
            # sent only where it is wanted
            from .bytecode import bytecode

            output += bytecode(os.path.join(shared, "bytecode-%03o" % request["umask"]), wheels, request["link"])
    return {"output": output, "probe": probe(agent, request, body)}


class Uv(object):
    """A uv that works on one virtualenv, with the cache of its owner."""

    def __init__(self, agent, path, program, cache):
        self.agent = agent
        self.path = path
        self.program = program
        self.cache = cache
        self.python = os.path.join(path, "bin", "python")

    def run(self, arguments):
        """uv's output, or a `Problem` with what it said was wrong."""
        environment = base_environment(self.path)
        environment["UV_PYTHON_DOWNLOADS"] = "never"
        command = [self.program, "--cache-dir", self.cache] + ALWAYS + arguments
        with held(self.cache, alone=arguments[0] == "cache"):
            try:
                status, output = call(self.agent, command, environment, writes=True)
            except EnvironmentError as error:
                if error.errno not in (errno.EACCES, errno.ENOEXEC, errno.ENOENT):
                    raise
                message = "uv cannot be run on this host (%s); the setting installer=pip does without" % error.strerror
                raise Problem("uv", message)
        if status:
            raise Problem("uv", "uv %s: %s" % (ending(status), last_words(output)), output=output)
        return output


@contextlib.contextmanager
def held(cache, alone):
    """Hold uv's cache: what is thrown away (`alone`) must not be what another uv is just linking to.

    Older ones do not see to that. Whoever holds it only waits for its own uv, which gets the lock as well and keeps it
    when the agent is killed.
    """
    os.makedirs(cache, 0o755, exist_ok=True)
    descriptor = os.open(cache, os.O_RDONLY)
    try:
        set_inherited(descriptor, True)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        except EnvironmentError:
            # a file system without locks: a newer uv has its own ways
            pass
        yield
    finally:
        os.close(descriptor)


def last_words(output):
    """What uv said was wrong: its error and what led to it, in one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    said = []
    for line in lines:
        # newer ones say it the first two ways, older ones the others
        for word in ("error:", "cause:", u"\u00d7", "Caused by:"):
            if line.startswith(word):
                said.append(line[len(word) :].strip())
    return ": ".join(said) if said else lines[-1] if lines else "it said nothing"


def unpacked(shared, wheel):
    """The program out of a uv wheel, unpacked once for all virtualenvs of this owner.

    It is compared with the wheel, and that with the digest that was asked for, unless it is the very file that was:
    a crash may have left another in its place.
    """
    program = os.path.join(shared, "uv", native(wheel["sha256"]), "uv")
    found = stamp(program)
    if found and found == noted(program):
        return program
    # takes longer to load than all the rest, and is needed once
    import zipfile

    with zipfile.ZipFile(checked(os.path.join(shared, "wheels", native(wheel["sha256"])), wheel)) as archive:
        inside = [name for name in archive.namelist() if name.endswith(".data/scripts/uv")]
        if not inside:
            raise Problem("uv", "%s holds no program uv" % wheel["filename"])
        if not os.path.isfile(program) or recorded(archive, inside[0]) != written(sha256_of(program)):
            unpack(archive, inside[0], program)
    note(program)
    return program


def stamp(program):
    """What changes with each change of a file, also where its times are set back; empty where there is none."""
    try:
        status = os.stat(program)
    except EnvironmentError:
        return ""
    return "%d %d %d %d" % (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def noted(program):
    """The stamp that the program had when it was found to be right; empty where it never was."""
    try:
        with open(program + ".checked") as stream:
            return stream.read()
    except (EnvironmentError, ValueError):
        return ""


def note(program):
    """Remember the program as it is now."""
    draft = "%s.checked.%d" % (program, os.getpid())
    try:
        with open(draft, "w") as stream:
            stream.write(stamp(program))
        os.rename(draft, program + ".checked")
    finally:
        discard(draft)


def unpack(archive, name, program):
    """Put a member of an archive where it is run from."""
    os.makedirs(os.path.dirname(program), 0o755, exist_ok=True)
    temporary = "%s.%d" % (program, os.getpid())
    try:
        with archive.open(name) as packed, open(temporary, "wb") as stream:
            shutil.copyfileobj(packed, stream, 1 << 20)
        os.chmod(temporary, 0o755)
        os.rename(temporary, program)
    finally:
        discard(temporary)


def recorded(archive, name):
    """The hash that a wheel's RECORD has for one of its files; None where it has none."""
    for record in archive.namelist():
        if record.endswith(".dist-info/RECORD"):
            for row in csv.reader(archive.read(record).decode("utf-8").splitlines()):
                if len(row) > 1 and row[0] == name:
                    return row[1]
    return None


def written(sha256):
    """A digest as RECORD writes it."""
    return "sha256=" + base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode("ascii").rstrip("=")


def offered(shared, wheel):
    """A folder that holds just this wheel, the same for all virtualenvs: uv knows a wheel again by its path and times.

    A copy and not a link, for each further link to a file changes one of its times. And the copy that is there first
    stays, whoever makes one at the same time: a folder takes the place of none that has something in it.
    """
    sha256, filename = native(wheel["sha256"]), native(wheel["filename"])
    place = os.path.join(shared, "offered", sha256)
    if os.path.isfile(os.path.join(place, filename)):
        return place
    draft = os.path.join(shared, "offered", ".%s.%d" % (sha256, os.getpid()))
    shutil.rmtree(draft, ignore_errors=True)
    os.makedirs(draft, 0o755)
    try:
        shutil.copyfile(checked(os.path.join(shared, "wheels", sha256), wheel), os.path.join(draft, filename))
        try:
            os.rename(draft, place)
        except EnvironmentError:
            # there, though without this wheel: what an agent left that was killed, or the wheel by another name
            if not os.path.isfile(os.path.join(place, filename)):
                os.rename(os.path.join(draft, filename), os.path.join(place, filename))
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


OPERATIONS = {"install_by_uv": install_by_uv}
