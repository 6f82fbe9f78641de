"""Child processes: their environment, what they inherit, and their output."""

from __future__ import absolute_import

import os
import pwd
import subprocess
import tempfile
import time

from .protocol import native
from .lock import set_inherited

KEPT_OUTPUT = 200000
LOCALES = ("C.UTF-8", "en_US.UTF-8", "en_GB.UTF-8")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def call(agent, arguments, environment, writes, folder="/", limit=None, kept=KEPT_OUTPUT):
    """Run a child to its end: (exit status, its output's last `kept` bytes); after `limit` seconds it is killed.

    A child that changes the virtualenv or a database (`writes`) inherits the lock. Its output goes to an unnamed file,
    not to a pipe, so that it can continue when this agent is gone.
    """
    with tempfile.TemporaryFile() as output:
        if writes and agent.lock is not None:
            set_inherited(agent.lock, True)
        try:
            process = subprocess.Popen(
                [native(argument) for argument in arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                close_fds=False,
                env=dict((native(name), native(value)) for name, value in environment.items()),
                cwd=native(folder),
            )
        finally:
            if writes and agent.lock is not None:
                set_inherited(agent.lock, False)
        status = process.wait() if limit is None else waited(process, limit)
        output.seek(max(0, os.fstat(output.fileno()).st_size - kept))
        return status, output.read().decode("utf-8", "replace")


def waited(process, limit):
    """The exit status of a child, which is killed after `limit` seconds (2.7 cannot wait with a limit)."""
    deadline, pause = time.time() + limit, 0.001
    while process.poll() is None:
        if time.time() > deadline:
            process.kill()
            return process.wait()
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
    return process.returncode


def ending(status):
    """How a child ended, for messages."""
    return "ended with status %d" % status if status >= 0 else "was killed by signal %d" % -status


def utf8_locale():
    """A UTF-8 locale of this host: in others, CPython 2.7 and 3.6 cannot handle some file names."""
    import locale

    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in LOCALES:
            try:
                locale.setlocale(locale.LC_CTYPE, name)
                return name
            except locale.Error:
                continue
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return LOCALES[0]


def account():
    """(name, home) of the user that this process runs as, whatever its environment says."""
    try:
        user = pwd.getpwuid(os.geteuid())
    except KeyError:
        # a container may run as a user id without a name
        return str(os.geteuid()), "/"
    return user.pw_name, user.pw_dir


def base_environment(path):
    """The environment of every child; nothing is inherited, so that PIP_*, PYTHON* and DJANGO_* have no effect."""
    name, home = account()
    locale = utf8_locale()
    return {
        "PATH": os.path.join(path, "bin") + ":" + SYSTEM_PATH,
        "HOME": home,
        "USER": name,
        "LOGNAME": name,
        "LANG": locale,
        "LC_ALL": locale,
        "VIRTUAL_ENV": path,
    }
