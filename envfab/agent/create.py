"""Creation and repair of a virtualenv, with the interpreter that runs this agent."""

from __future__ import absolute_import

import errno
import os
import pwd
import re
import shutil
import sys

from .files import MEMORY
from .layout import CURRENT, numbers
from .protocol import Problem, native, text
from .subprocesses import base_environment, call

INTERPRETER = re.compile(r"(python|pypy)[0-9.]*$")
ASIDE = ".envfab-aside"


def create(agent, request, body):
    """Create the virtualenv: `{"with": "venv" | "venv, without pip" | "virtualenv"}`, or None if it exists.

    In the answer, `repaired` tells that it existed and was repaired, `version` is that of its Python.

    A failure leaves nothing behind. With `repair`, a virtualenv without a working interpreter or pyvenv.cfg gets them
    back and keeps everything else.
    """
    path = native(request["path"])
    if request["repair"] and is_broken(agent, path):
        return dict(repair(agent, path, request), repaired=True)
    if is_there(os.path.join(path, "bin", "python")):
        return {"with": None, "version": None}
    if os.path.exists(path) and (not os.path.isdir(path) or os.listdir(path)):
        if is_broken(agent, path):
            raise Problem("exists", "its bin/python is missing; repair it: fab create_virtualenv --repair")
        raise Problem("exists", "it exists and is not a virtualenv; remove it or name another path")
    existed = os.path.isdir(path)
    os.umask(request["umask"])
    made = first_missing(path)
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        os.makedirs(parent, 0o755)
    if not existed:
        # made here, since the system's error is clearer than that of venv
        os.mkdir(path, 0o755)
    outputs = []
    for title, arguments in ways(request["system_site_packages"]):
        status, output = call(agent, [sys.executable] + arguments + [path], clean_environment(), writes=True)
        if status == 0:
            return {"with": title, "version": sys.version.split()[0]}
        outputs.append(output)
        shutil.rmtree(path, ignore_errors=True)
    if existed:
        os.mkdir(path, 0o755)
    elif made != path:
        shutil.rmtree(made, ignore_errors=True)
    raise Problem("create", "cannot make a virtualenv with %s" % sys.executable, output="\n".join(outputs))


def is_broken(agent, path):
    """Whether the folder was a virtualenv, but its interpreter or pyvenv.cfg is missing or does not work."""
    python = os.path.join(path, "bin", "python")
    if not os.path.lexists(python):
        return os.path.exists(os.path.join(path, "pyvenv.cfg"))
    return not (os.path.exists(python) and is_described(path) and starts(agent, python))


def starts(agent, python):
    """Whether an interpreter starts: a copied one may lack the shared libraries that it needs."""
    try:
        return call(agent, [python, "-c", ""], clean_environment(), writes=False)[0] == 0
    except EnvironmentError:
        return False


def is_described(path):
    """Whether the virtualenv's interpreter can find its base: by pyvenv.cfg, or by the files of virtualenv before 20."""
    libraries = os.path.join(path, "lib")
    named = os.listdir(libraries) if os.path.isdir(libraries) else []
    files = ["pyvenv.cfg"] + [os.path.join("lib", name, "orig-prefix.txt") for name in named]
    return any(os.path.exists(os.path.join(path, file)) for file in files)


def repair(agent, path, request):
    """Give a virtualenv this agent's interpreter and a pyvenv.cfg; a failure changes nothing."""
    os.umask(request["umask"])
    folder = os.path.join(path, "bin")
    if os.path.islink(folder):
        return repair_generation(agent, path, request)
    there = os.listdir(folder) if os.path.isdir(folder) else []
    links = [(name, os.readlink(name)) for name in map(lambda one: os.path.join(folder, one), there)
             if os.path.basename(name).startswith(("python", "pypy")) and os.path.islink(name)]
    copies = [] if starts(agent, os.path.join(folder, "python")) else copied_interpreters(folder, there)
    for name, _ in links:
        os.unlink(name)
    for name in copies:
        os.rename(name, name + ASIDE)
    try:
        made = make_again(agent, path, path, request)
        for name in copies:
            os.unlink(name + ASIDE)
        return made
    except Problem:
        for name in copies:
            os.rename(name + ASIDE, name)
        for name, to in links:
            if os.path.lexists(name):
                os.unlink(name)
            os.symlink(to, name)
        raise


def repair_generation(agent, path, request):
    """Repair a virtualenv with generations: the current one gets the interpreter.

    venv refuses to work where `bin` is a link, so it makes a virtualenv beside, whose interpreter and pyvenv.cfg are
    moved into place.
    """
    require_current(path)
    beside = os.path.join(path, MEMORY, "repaired")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        made = make_again(agent, path, beside, request)
        settings = os.path.join(beside, "pyvenv.cfg")
        with open(settings, "rb") as stream:
            # it contains the command that made it, with the path
            said = stream.read().replace(encoded(beside), encoded(path))
        with open(settings, "wb") as stream:
            stream.write(said)
        names = [name for name in os.listdir(os.path.join(beside, "bin")) if INTERPRETER.match(name)]
        try:
            for name in [os.path.join("bin", name) for name in names] + ["pyvenv.cfg"]:
                os.rename(os.path.join(beside, name), os.path.join(path, name))
            if not os.path.lexists(packages_of(path)):
                os.makedirs(packages_of(path))
        except EnvironmentError as error:
            raise Problem("create", "cannot repair it: %s" % error)
        return made
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def require_current(path):
    """Raise `Problem` if `current` leads to no generation: only its owner may know which one it was."""
    link = os.path.join(path, CURRENT)
    if os.path.isdir(link):
        return
    there = " or ".join(map(str, numbers(path)))
    if not there:
        raise Problem("create", "%s has no generation left; remove it, then create it again" % text(path))
    what = "%s does not lead to a generation; correct it: ln -sfn generations/NUMBER %s (%s)"
    raise Problem("create", what % (text(link), text(link), there))


def make_again(agent, path, target, request):
    """Make a virtualenv at `target` to replace parts of the one at `path`; if that has pip, its pip stays."""
    outputs = []
    has_pip = os.path.isdir(os.path.join(packages_of(path), "pip"))
    for title, arguments in ways(request["system_site_packages"]):
        if (has_pip or target != path) and title == "venv":
            continue
        status, output = call(agent, [sys.executable] + arguments + [target], clean_environment(), writes=True)
        if status == 0:
            return {"with": "venv" if has_pip else title, "version": sys.version.split()[0]}
        outputs.append(output)
    raise Problem("create", "cannot repair it with %s" % sys.executable, output="\n".join(outputs))


def packages_of(path):
    """The folder in which this interpreter looks for a virtualenv's packages."""
    return os.path.join(path, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")


def encoded(path):
    """A path as bytes."""
    return path if isinstance(path, bytes) else os.fsencode(path)


def copied_interpreters(folder, names):
    """The files in `bin`, other than links, that are interpreters by their names."""
    files = [os.path.join(folder, name) for name in names if INTERPRETER.match(name)]
    return [file for file in files if os.path.isfile(file) and not os.path.islink(file)]


def is_there(python):
    """Whether a virtualenv has its interpreter; raises `Problem` if it is a dangling link, or not accessible."""
    try:
        os.stat(python)
        return True
    except EnvironmentError as error:
        denied = error.errno == errno.EACCES
    if not os.path.islink(python):
        if denied:
            what = "%s has no access to %s: name its owner as `user` in the fabfile"
            raise Problem("exists", what % (user(), text(python)))
        return False
    interpreter = text(os.path.realpath(python))
    if denied:
        what = "%s has no access to the virtualenv's interpreter %s: name its owner as `user` in the fabfile"
        raise Problem("exists", what % (user(), interpreter))
    raise Problem("exists", "its interpreter %s is missing; repair it: fab create_virtualenv --repair" % interpreter)


def user():
    """The name of the user that this process runs as."""
    try:
        return text(pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        return str(os.geteuid())


def ways(system_site_packages):
    """The ways to make a virtualenv, best first: (title, arguments)."""
    options = ["--system-site-packages"] if system_site_packages else []
    if sys.version_info[0] > 2:
        yield "venv", ["-m", "venv"] + options
        # Debian's python3 has venv without ensurepip; pip then comes from the wheelhouse
        yield "venv, without pip", ["-m", "venv", "--without-pip"] + options
    yield "virtualenv", ["-m", "virtualenv", "--no-download"] + options


def first_missing(path):
    """The outermost folder of `path` that does not exist."""
    missing = path
    while not os.path.isdir(os.path.dirname(missing)):
        missing = os.path.dirname(missing)
    return missing


def clean_environment():
    """An environment without a virtualenv, and without settings of pip or Python."""
    environment = base_environment("/usr")
    del environment["VIRTUAL_ENV"]
    environment["PIP_CONFIG_FILE"] = os.devnull
    return environment


OPERATIONS = {"create": create}
