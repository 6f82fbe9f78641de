"""Drift: what was changed in a virtualenv since its last deployment, by hand or by programs.

A file's content is read once: what was found right is remembered by inode and ctime, which no edit leaves as they are.
Until a deployment, `.envfab-verified.json` has these, and when each difference was first seen.
"""

from __future__ import absolute_import

import os

from .digests import hash_of, script_hash
from .inventory import data_paths, expected_in, files, inventory_of, seen_in, stat_of
from .deployed import is_text, read_json
from .files import MEMORY, open_own
from .json_codec import dumps
from .layout import BESIDE, GENERATIONS, VERIFIED, current
from .ownership import FileOwners, canonical, installed
from .protocol import key_of, native, text

# nanoseconds in which a file may change twice without another ctime, many times over
RACY = 2 * 10**9


def drift(agent, request, body):
    """Compare the current generation with its inventory, and tell what differs.

    With `read`, contents are read, as far as they are not known; else a file counts as changed if its time differs. At
    most `most` files are listed. Without an inventory the answer is `{"known": False}`, else it has

        {"known": True, "generation", "files": number of files compared, "differ": number of files that differ,
         "others": number of these that are not of `packages`,
         "packages": [{"name", "before": version or None, "after": version or None, "files", "seen"}, …],
         "changes": [{"path", "change", "how": […], "place", "owner", "shared", "seen"}, …]}

    `changes` are of files beside those of `packages`. `change` is "added", "removed" or "changed"; `how` has "content",
    "mode", "kind" or "link"; `place` is "packages", "scripts" or "data". `shared` says that others have the same file.
    """
    path = agent.path = native(request["path"])
    number = current(path)
    inventory = inventory_of(path, number)
    if inventory is None:
        return {"known": False}
    comparison = Comparison(path, number, inventory, request["now"])
    changes = comparison.changes(request["read"])
    packages = Packages(comparison, changes) if changes else None
    grouped, rest = packages.group() if packages else ([], {})
    if request["read"]:
        comparison.remember(changes)
    listed = [comparison.told(inside, rest[inside], packages.owner(inside)) for inside in sorted(rest)[: request["most"]]]
    return {
        "known": True,
        "generation": number,
        "files": len(comparison.expected),
        "differ": len(changes),
        "others": len(rest),
        "packages": grouped,
        "changes": listed,
    }


class Comparison(object):
    """The comparison of the generation `number` with its inventory; `now` is when, as records of deployments have it."""

    def __init__(self, path, number, inventory, now):
        self.path, self.number, self.inventory, self.now = path, number, inventory, now
        self.root = os.path.join(path, GENERATIONS, str(number))
        self.expected = expected_in(inventory)
        self.data = set(data_paths(self.expected, inventory["folders"]))
        known = read_json(path, number, VERIFIED) or {}
        same = known.get("deployment") == inventory["deployment"] and isinstance(known.get("verified"), list)
        self.verified = set(one for one in known["verified"] if is_text(one)) if same else set()
        self.seen = seen_in(inventory, known)
        self.statuses = dict(files(self.root, inventory["folders"]))
        for inside in self.data:
            try:
                self.statuses[inside] = os.lstat(os.path.join(path, native(inside)))
            except EnvironmentError:
                continue
        self.right = []

    def full(self, inside):
        """Return the full path of a file: data files are compared where programs look for them."""
        return os.path.join(self.path if inside in self.data else self.root, native(inside))

    def changes(self, reads):
        """Return {path: what differs}: "added", "removed", or a list of "content", "mode", "kind" and "link"."""
        hashes = {}
        for part in self.inventory["parts"] if reads else ():
            hashes.update(zip(part["paths"], part["hashes"]))
        found = dict((inside, "removed") for inside in self.expected if inside not in self.statuses)
        for inside, status in self.statuses.items():
            expected = self.expected.get(inside)
            how = "added" if expected is None else self.differences(inside, status, expected, hashes.get(inside))
            if how:
                found[inside] = how
        return found

    def differences(self, inside, status, expected, recorded):
        """Return how a file differs from what it is expected to be; `recorded` is its hash, None not to read it."""
        stat = stat_of(status, self.path if inside in self.data else self.root, inside)
        name = "%d %d %s" % (status.st_ino, changed_at(status), inside)
        if stat == expected and (recorded is None or name in self.verified):
            self.right.append((name, status))
            return []
        if stat.startswith("link ") or expected.startswith("link "):
            return [] if stat == expected else ["link" if stat[:5] == expected[:5] else "kind"]
        is_mode, is_size, _ = stat.split(" ")
        # the virtualenv's owner can write anything there
        mode, size, _ = (expected + "  ").split(" ")[:3]
        if is_mode[:-4] != mode[:-4]:
            return ["kind"]
        how = ["mode"] if is_mode != mode else []
        if name in self.verified or (is_size == size and self.is_as_recorded(inside, stat == expected, recorded)):
            self.right.append((name, status))
            return how
        return ["content"] + how

    def is_as_recorded(self, inside, as_expected, recorded):
        """Return whether a file has that hash; without one, whether its status is `as_expected`."""
        try:
            return as_expected if recorded is None else hash_of(self.full(inside), recorded) == recorded
        except EnvironmentError:
            return False

    def told(self, inside, how, owner):
        """Return how a file differs, for the answer; `owner` is the name of its distribution, or None."""
        status = self.statuses.get(inside)
        scripts = self.inventory["folders"][0] + "/"
        place = "data" if inside in self.data else "scripts" if inside.startswith(scripts) else "packages"
        return {
            "path": text(native(inside)),
            "change": how if how in ("added", "removed") else "changed",
            "how": [] if how in ("added", "removed") else how,
            "place": place,
            "owner": owner,
            "shared": status is not None and "content" in how and status.st_nlink > 1,
            "seen": self.seen.get(inside) or self.now,
        }

    def remember(self, changes):
        """Note which files were found right, and when each difference was first seen; not if that cannot be written."""
        name = os.path.join(BESIDE, str(self.number), VERIFIED)
        draft = os.path.join(self.path, MEMORY, name + ".new")
        try:
            if os.path.lexists(draft):
                os.unlink(draft)
            descriptor = open_own(self.path, name + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except EnvironmentError:
            return
        with os.fdopen(descriptor, "wb") as stream:
            # by the file system's clock
            before = changed_at(os.fstat(descriptor)) - RACY
            known = {
                "deployment": self.inventory["deployment"],
                "verified": [named for named, status in self.right if changed_at(status) < before],
                "seen": dict((inside, self.seen.get(inside) or self.now) for inside in changes),
            }
            stream.write(dumps(known).encode("utf-8"))
        os.rename(draft, draft[: -len(".new")])


class Packages(object):
    """The distributions of the inventory and those that are there, by canonical name, and the files that differ."""

    def __init__(self, comparison, changes):
        self.comparison, self.changes = comparison, changes
        inventory = comparison.inventory
        site = [native(folder) for folder in inventory["folders"][1:]]
        there = installed(comparison.root, site)
        self.present = FileOwners(there, site)
        self.now = dict((one.name, one) for one in there)
        self.then = dict((canonical(part["name"]), part) for part in inventory["parts"] if part["name"] is not None)
        self.deployed = dict((path, part["name"]) for part in self.then.values() for path in part["paths"])

    def owner(self, inside):
        """Return the name of the distribution that a file was deployed with, else of the one that has it now, or None."""
        there = self.present.of(inside)
        return self.deployed.get(inside) or (there.shown_as if there else None)

    def group(self):
        """Return ([distributions that were installed, removed or replaced], {path: what differs} of other files)."""
        rest, packages = dict(self.changes), []
        for name in sorted(set(self.now).union(self.then)):
            then, now = self.then.get(name), self.now.get(name)
            if then and now and then["version"] == now.version:
                paths = self.of_reinstallation(then, now) if self.is_reinstalled(now) else []
            else:
                paths = self.paths_of(then, now)
            paths = [path for path in paths if path in rest]
            if not paths:
                continue
            packages.append(
                {
                    "name": then["name"] if then else now.shown_as,
                    "before": then["version"] if then else None,
                    "after": now.version if now else None,
                    "files": len(paths),
                    "seen": min(self.comparison.seen.get(path) or self.comparison.now for path in paths),
                }
            )
            for path in paths:
                del rest[path]
        return packages, rest

    def paths_of(self, then, now):
        """Return the paths of a distribution: as it was deployed, and as it is there now."""
        mine = set(path for path in self.changes if now and self.present.of(path) is now)
        return mine.union(path for path in then["paths"] if path in self.changes) if then else mine

    def is_reinstalled(self, now):
        """Return whether another installer has installed the same version of a distribution again."""
        return any("content" in self.changes.get(key_of(folder) + "/INSTALLER", ()) for folder in now.folders)

    def of_reinstallation(self, then, now):
        """Return the paths that differ because of the installer: what it notes, and its own text for scripts."""
        info = tuple(key_of(folder) + "/" for folder in now.folders)
        scripts = [path for path in then["paths"] if path in self.changes and self.is_same_script(then, path)]
        return scripts + [path for path in self.changes if path.startswith(info)]

    def is_same_script(self, then, path):
        """Return whether a script that differs does the same as the one that was deployed."""
        if self.changes[path] != ["content"] or path not in then["scripts"]:
            return False
        return script_hash(self.comparison.full(path)) == then["scripts"][path]


def changed_at(status):
    """Return a file's ctime in nanoseconds, as exactly as this Python tells."""
    return getattr(status, "st_ctime_ns", None) or int(status.st_ctime * 10**9)


OPERATIONS = {"drift": drift}
