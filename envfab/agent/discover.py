"""Discovery of the virtualenvs on a host."""

from __future__ import absolute_import

import os
import pwd

from .protocol import native, text

SKIPPED = set(["proc", "sys", "dev", "run", "node_modules", "site-packages", ".git", ".cache", "__pycache__"])
MOST_FOLDERS = 200000


def discover(agent, request, body):
    """Find the virtualenvs in the home folder and in `roots`, at most `depth` folders down.

    `{"found": […], "looked_in": [folder, …], "unread": number of folders that cannot be read}`.
    """
    found, left = [], MOST_FOLDERS
    roots = [native(root) for root in request["roots"]]
    home = pwd.getpwuid(os.geteuid()).pw_dir
    places = [root for root in roots + [home] * (home not in roots) if os.path.isdir(root)]
    pending = [(root, 0) for root in places]
    seen, unread = set(), 0
    while pending and left:
        folder, depth = pending.pop()
        left -= 1
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            names = os.listdir(folder)
        except EnvironmentError:
            unread += 1
            continue
        python = os.path.join(folder, "bin", "python")
        if "bin" in names and os.path.exists(python) and is_virtualenv(folder, names):
            found.append(described(folder))
        elif depth < request["depth"]:
            for name in names:
                full = os.path.join(folder, name)
                if name not in SKIPPED and os.path.isdir(full) and not os.path.islink(full):
                    pending.append((full, depth + 1))
    found.sort(key=lambda entry: entry["path"])
    return {"found": found, "looked_in": [text(root) for root in places], "unread": unread}


def is_virtualenv(folder, names):
    """Whether a folder is a virtualenv, by `pyvenv.cfg` or by the scripts of an older one."""
    return "pyvenv.cfg" in names or os.path.exists(os.path.join(folder, "bin", "activate_this.py"))


def described(folder):
    """The path, owner and interpreter of a virtualenv."""
    status = os.stat(folder)
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = str(status.st_uid)
    python = os.path.realpath(os.path.join(folder, "bin", "python"))
    system = False
    try:
        with open(os.path.join(folder, "pyvenv.cfg"), "rb") as stream:
            for line in stream:
                name, _, value = line.partition(b"=")
                if name.strip() == b"include-system-site-packages":
                    system = value.strip().lower() == b"true"
    except EnvironmentError:
        pass
    return {"path": text(folder), "owner": text(owner), "python": text(python), "system_site_packages": system}


OPERATIONS = {"discover": discover}
