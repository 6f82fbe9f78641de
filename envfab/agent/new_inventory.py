"""The inventory of a composed generation: of packages that stay it is taken over, of new ones it comes from their wheels.

What differs from the inventory of the generation before, and stays, goes on to differ from the new one.
"""

from __future__ import absolute_import

import os
from stat import S_ISREG

from .digests import generation_digest, hash_of, part_digest, script_hash
from .data_files import data_files
from .inventory import BYTECODE, IN_CACHE, data_paths, expected_in, files, present_in, seen_in, stat_of, stat_of_placed
from .deployed import FORMAT, read_json
from .json_codec import dumps
from .layout import DEPLOYED, INVENTORY, VERIFIED
from .ownership import FileOwners, canonical, installed
from .protocol import key_of, native


class NewInventory(object):
    """The inventory of the generation `number` of a virtualenv, as it is made for a deployment.

    `request` has the `deployment` and the time `when` it is, as records of deployments have them.
    """

    def __init__(self, layout, number, request):
        self.layout = layout
        self.number = number
        self.root = layout.root(number)
        self.deployment, self.when = request.get("deployment"), request.get("when")
        self.parts, self.seen = [], {}
        self.digest = None

    def take(self, placed=()):
        """Make it of what is there, as if all had been deployed; each file is read, except those that were just `placed`."""
        known = {}
        for _, _, rows in placed:
            known.update((key_of(path), recorded) for path, (recorded, _, _) in rows.items() if recorded)
        self.parts = self.parts_present(known)
        self.digest = generation_digest(self.parts)

    def take_over(self, old, copying, drop, placed):
        """Make it from that of the generation before.

        `old` is that inventory, `copying` and `drop` are what was copied from there and what was not, `placed` are
        [(name, version, path → (hash, size, time))] of new wheels.
        """
        self.parts = self.parts_of_wheels(placed)
        taken = set(path for part in self.parts for path in part["paths"])
        gone, stay = [], []
        for part in old["parts"]:
            (gone if part["name"] is not None and canonical(part["name"]) in drop.names else stay).append(part)
        expected = expected_in(old)
        seen = seen_in(old, read_json(self.layout.path, old["generation"], VERIFIED))
        drift = differences(expected, copying.stats, old["folders"])
        again = set(map(key_of, copying.again)) - drift
        self.parts += [self.renewed(part, taken, again) for part in stay]
        self.add_shared(drop, taken)
        self.add_new(again.difference(expected))
        left = taken.union(*[part["paths"] for part in gone])
        still = set(path for path in drift - left if native(path) not in drop)
        self.seen = dict((path, seen.get(path) or self.when) for path in still)
        self.digest = generation_digest(self.parts_present(self.known(still)) if still else self.parts)

    def known(self, unknown):
        """Return {path: hash} of this inventory, without some paths."""
        found = {}
        for part in self.parts:
            found.update(zip(part["paths"], part["hashes"]))
        return dict((path, recorded) for path, recorded in found.items() if path not in unknown)

    def parts_of_wheels(self, placed):
        """Return the parts for new wheels; of two that have the same file, the later one has it."""
        parts, taken = [], set()
        for name, version, rows in reversed(placed):
            part, scripts = new_part(name, version), os.path.join(self.layout.scripts, "")
            for path, (recorded, size, time) in rows.items():
                if IN_CACHE in path or path in taken or (path.endswith(BYTECODE) and path[:-1] in rows):
                    continue
                if time is None or rows.mode is None or path in rows.others or path.startswith(scripts):
                    self.add(part, path, recorded)
                else:
                    append(part, key_of(path), stat_of_placed(rows.mode, size, time), recorded, None)
            taken.update(rows)
            parts.append(self.finished(part))
        return parts

    def include_changes(self, old):
        """Make it from `old`, its own inventory, with what the commands of its deployment have changed since.

        What differed before, by hand, goes on to be drift.
        """
        expected = expected_in(old)
        present = present_in(self.root, self.root, old, expected)
        again = differences(expected, present, old["folders"]).difference(old["seen"])
        if not again:
            return False
        self.parts, self.seen = [self.renewed(part, (), again) for part in old["parts"]], old["seen"]
        self.add_new(again.difference(expected))
        self.digest = generation_digest(self.parts_present(self.known(self.seen)) if self.seen else self.parts)
        return True

    def renewed(self, part, taken, again):
        """Return a part without the paths in `taken`, and with those in `again`, which were made anew, as they are now."""
        if again.union(taken).isdisjoint(part["paths"]):
            return part
        made = new_part(part["name"], part["version"])
        for path, stat, recorded in zip(part["paths"], part["stats"], part["hashes"]):
            if path in again and path not in taken:
                self.add(made, path, "")
            elif path not in taken:
                append(made, path, stat, recorded, part["scripts"].get(path))
        return self.finished(made)

    def add_shared(self, drop, taken):
        """Add files of distributions that go to those that stay and have them as well."""
        for path in sorted(drop.shared):
            for part in self.parts:
                if part["name"] is not None and canonical(part["name"]) == drop.shared[path] and key_of(path) not in taken:
                    if key_of(path) not in part["paths"]:
                        self.add(part, path, "")
                        self.finished(part)

    def add_new(self, paths):
        """Add files that belong to no distribution: what pins a generation, and what commands of its deployment made."""
        there = [path for path in paths if os.path.lexists(os.path.join(self.root, native(path)))]
        part = ([part for part in self.parts if part["name"] is None] or [new_part(None, None)])[0]
        if there:
            self.parts = [one for one in self.parts if one["name"] is not None] + [part]
            for path in there:
                self.add(part, path, "")
            self.finished(part)

    def parts_present(self, known):
        """Return the parts of what is in the generation; files are read whose hash is not `known` (path → hash)."""
        there = installed(self.root, self.layout.site)
        owners = FileOwners(there, self.layout.site)
        parts = dict((one, new_part(one.shown_as, one.version)) for one in there)
        parts[None] = new_part(None, None)
        paths = [path for path, _ in files(self.root, map(key_of, self.layout.folders))]
        data = set(map(key_of, data_files(self.layout, self.root)))
        for path in sorted(paths) + sorted(path for path in data if owners.of(path) is not None):
            one = owners.of(path)
            recorded = known.get(path)
            self.add(parts[one], path, recorded or (one.hashes.get(native(path)) if one else None) or "", recorded is None)
        return [self.finished(part) for part in parts.values()]

    def add(self, part, path, recorded, is_read=None):
        """Add a file to a part; it is read if its hash is not known: `recorded` then tells the algorithm.

        What is not there is not added, nor are pipes and sockets.
        """
        full = os.path.join(self.root, native(path))
        try:
            status = os.lstat(full)
        except EnvironmentError:
            return None
        path, stat = key_of(path), stat_of(status, self.root, path)
        if stat.startswith("link "):
            return append(part, path, stat, "", None)
        if not S_ISREG(status.st_mode):
            return None
        if not recorded or is_read:
            recorded = hash_of(full, recorded)
        script = script_hash(full) if path.rpartition("/")[0] == self.layout.scripts else None
        return append(part, path, stat, recorded, script)

    def finished(self, part):
        """Return a part with its digest."""
        part["digest"] = part_digest(part, key_of(self.layout.scripts))
        return part

    def write(self):
        """Write it and the facts into the generation; what makes the generation flushes it to the disk."""
        both = {"generation": self.number, "deployment": self.deployment}
        folders = [key_of(folder) for folder in self.layout.folders]
        self.write_json(INVENTORY, dict(both, folders=folders, parts=self.parts, seen=self.seen))
        known = self.known(())
        data = dict((path, known[path]) for path in data_paths(known, folders) if known[path])
        self.write_json(DEPLOYED, dict(both, format=FORMAT, when=self.when, digest=self.digest, data=data))

    def write_json(self, name, value):
        """Write a file of the generation."""
        place = os.path.join(self.root, name)
        with open(place + ".new", "wb") as stream:
            stream.write(dumps(value).encode("utf-8"))
        os.rename(place + ".new", place)


def new_part(name, version):
    """Return a part of an inventory (see `inventory.inventory_of`) without files."""
    return {"name": name, "version": version, "digest": "", "paths": [], "stats": [], "hashes": [], "scripts": {}}


def append(part, path, stat, recorded, script):
    """Add a file to a part."""
    part["paths"].append(path)
    part["stats"].append(stat)
    part["hashes"].append(recorded)
    if script:
        part["scripts"][path] = script


def differences(expected, present, folders):
    """Return the paths at which `present` differs from `expected`, both {path: stat}; of data files, none are new."""
    if expected == present:
        return set()
    found = set(path for path in expected if present.get(path) != expected[path])
    new = [path for path in present if path not in expected]
    return found.union(new).difference(data_paths(new, folders))
