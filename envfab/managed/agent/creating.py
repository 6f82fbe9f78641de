"""Making a virtualenv that is not there yet, with the interpreter that runs this agent."""

from __future__ import absolute_import

import errno
import os
import pwd
import shutil
import sys

from .kernel import Problem, native, text
from .processes import base_environment, call


def create(agent, request, body):
    """Make it: `{"with": "venv" | "venv, without pip" | "virtualenv"}`, or None where it is there already.

    Nothing is left of one that failed.
    """
    path = native(request["path"])
    if is_there(os.path.join(path, "bin", "python")):
        return {"with": None, "version": None}
    if os.path.exists(path) and (not os.path.isdir(path) or os.listdir(path)):
        raise Problem("exists", "something is already there")
    existed = os.path.isdir(path)
    os.umask(request["umask"])
    made = first_missing(path)
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        os.makedirs(parent, 0o755)
    if not existed:
        # where that is not allowed, the system says it better than venv
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
    raise Problem("create", "no virtualenv could be made with %s" % sys.executable, output="\n".join(outputs))


def is_there(python):
    """Whether a virtualenv has its interpreter; raises Problem where that is gone, or where this user cannot see it."""
    try:
        os.stat(python)
        return True
    except EnvironmentError as error:
        denied = error.errno == errno.EACCES
    if not os.path.islink(python):
        if denied:
            what = "%s may not look there (%s): name its owner as `user` in the fabfile"
            raise Problem("exists", what % (user(), text(python)))
        return False
    interpreter = text(os.path.realpath(python))
    if denied:
        what = "a virtualenv is there whose interpreter %s may not use (%s): name its owner as `user` in the fabfile"
        raise Problem("exists", what % (user(), interpreter))
    raise Problem("exists", "a virtualenv is there whose interpreter is gone (%s): move it away" % interpreter)


def user():
    """Who this is."""
    try:
        return text(pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        return str(os.geteuid())


def ways(system_site_packages):
    """How it can be made here, best first: (title, arguments)."""
    options = ["--system-site-packages"] if system_site_packages else []
    if sys.version_info[0] > 2:
        yield "venv", ["-m", "venv"] + options
        # Debian's python3 has venv without ensurepip; pip then comes from the house
        yield "venv, without pip", ["-m", "venv", "--without-pip"] + options
    yield "virtualenv", ["-m", "virtualenv", "--no-download"] + options


def first_missing(path):
    """The outermost folder of `path` that does not exist."""
    missing = path
    while not os.path.isdir(os.path.dirname(missing)):
        missing = os.path.dirname(missing)
    return missing


def clean_environment():
    """Of no virtualenv, and without settings of pip or Python."""
    environment = base_environment("/usr")
    del environment["VIRTUAL_ENV"]
    environment["PIP_CONFIG_FILE"] = os.devnull
    return environment


OPERATIONS = {"create": create}
