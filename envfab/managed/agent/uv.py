"""Installing and removing by a uv out of the house, whose cache is shared by all virtualenvs of one owner on a host."""

from __future__ import absolute_import

import errno
import os
import shutil

from .cache import checked, folder
from .installing import written_requirements
from .kernel import Problem, native
from .probe import probe
from .processes import base_environment, call, ending

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

            bytecode(os.path.join(shared, "bytecode-%03o" % request["umask"]), wheels, request["link"])
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
        try:
            status, output = call(
                self.agent, [self.program, "--cache-dir", self.cache] + ALWAYS + arguments, environment, writes=True
            )
        except EnvironmentError as error:
            if error.errno not in (errno.EACCES, errno.ENOEXEC, errno.ENOENT):
                raise
            message = "uv cannot be run on this host (%s); the setting installer=pip does without" % error.strerror
            raise Problem("uv", message)
        if status:
            raise Problem("uv", "uv %s: %s" % (ending(status), last_words(output)), output=output)
        return output


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
    """The program out of a uv wheel, unpacked once for all virtualenvs of this owner."""
    place = os.path.join(shared, "uv", native(wheel["sha256"]))
    program = os.path.join(place, "uv")
    if os.path.isfile(program):
        return program
    # takes longer to load than all the rest, and is needed once
    import zipfile

    os.makedirs(place, 0o755, exist_ok=True)
    temporary = "%s.%d" % (program, os.getpid())
    try:
        with zipfile.ZipFile(checked(os.path.join(shared, "wheels", native(wheel["sha256"])), wheel)) as archive:
            inside = [name for name in archive.namelist() if name.endswith(".data/scripts/uv")]
            if not inside:
                raise Problem("uv", "%s holds no program uv" % wheel["filename"])
            with archive.open(inside[0]) as packed, open(temporary, "wb") as stream:
                shutil.copyfileobj(packed, stream, 1 << 20)
        os.chmod(temporary, 0o755)
        os.rename(temporary, program)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return program


def offered(shared, wheel):
    """A folder that holds just this wheel, the same for all virtualenvs: uv knows a wheel again by its path and times.

    A copy and not a link, for each further link to a file changes one of its times.
    """
    place = os.path.join(shared, "offered", native(wheel["sha256"]))
    file = os.path.join(place, native(wheel["filename"]))
    if not os.path.isfile(file):
        os.makedirs(place, 0o755, exist_ok=True)
        temporary = os.path.join(place, ".%d" % os.getpid())
        try:
            shutil.copyfile(checked(os.path.join(shared, "wheels", native(wheel["sha256"])), wheel), temporary)
            os.rename(temporary, file)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)
    return place


OPERATIONS = {"install_by_uv": install_by_uv}
