"""The distributions in a folder of packages, by their metadata, and the leftovers of interrupted installers."""

from __future__ import absolute_import

import os

from .json_codec import loads
from .files import content
from .protocol import native, text

DESCRIBED = (".dist-info", ".egg-info", ".egg-link", ".egg")
EASY_INSTALL = "easy-install.pth"
# bytes of a metadata file that are read; the description at its end may be long
MOST = 4 << 20
FIELDS = ("name", "version", "requires-dist", "requires-python", "provides-extra")


def scan(folder, distributions, odd):
    """Add the distributions of a folder to `distributions`, and leftovers and damaged ones to `odd`.

    `odd` is None for a folder outside the virtualenv: nothing is repaired there, and Debian's packages have no RECORD.
    """
    for name in sorted(os.listdir(folder)):
        full = os.path.join(folder, name)
        if name.startswith("~"):
            if odd is not None and is_leftover(name):
                odd["leftovers"].append(text(name))
            continue
        if name.endswith(".dist-info"):
            entry = dist_info(full)
            if odd is not None and (entry is None or not entry["recorded"]):
                odd["damaged"].append(text(name))
                entry = None
        elif name.endswith(".egg-info"):
            entry = egg_info(full)
        elif name.endswith(".egg-link"):
            entry = egg_link(full)
        elif name.endswith(".egg") and is_on_path(folder, name):
            entry = egg(full)
        else:
            continue
        if entry is not None:
            distributions.append(entry)


def is_leftover(name):
    """Whether pip renamed it in order to remove it, and was killed before that."""
    return name.startswith("~") and not name.endswith((".pyc", ".pyo"))


def dist_info(folder):
    """A distribution from its `.dist-info`; None if its METADATA is missing."""
    fields = read_fields(os.path.join(folder, "METADATA"))
    if fields is None or not fields["name"] or not fields["version"]:
        return None
    origin = "wheel"
    present = os.listdir(folder)
    if "direct_url.json" in present:
        url = read_json(os.path.join(folder, "direct_url.json")) or {}
        origin = "editable" if (url.get("dir_info") or {}).get("editable") else "direct URL"
    return described(fields, origin, folder, "RECORD" in present)


def egg_info(path):
    """A distribution that setuptools or distutils described in an `.egg-info` folder or file."""
    if not os.path.isdir(path):
        # distutils writes no list of files
        entry = described_egg(content(path, MOST, whole=False), None, "egg-info", path)
        return entry and dict(entry, origin="distutils")
    data = content(os.path.join(path, "PKG-INFO"), MOST, whole=False)
    entry = described_egg(data, content(os.path.join(path, "requires.txt"), MOST), "egg-info", path)
    listed = any(os.path.isfile(os.path.join(path, name)) for name in ("installed-files.txt", "top_level.txt"))
    return entry if listed or not entry else dict(entry, origin="distutils")


def described_egg(data, requires, origin, path):
    """A distribution from the bytes of its PKG-INFO, and of its requires.txt."""
    fields = fields_of(data) if data is not None else None
    if fields is None or not fields["name"]:
        return None
    if not fields["requires-dist"]:
        fields["requires-dist"] = egg_requires(requires or b"")
    return described(fields, origin, path, True)


def egg(path):
    """A distribution that `setup.py install` installed as an egg: a folder, or a zip file."""
    if os.path.isdir(path):
        entry = egg_info(os.path.join(path, "EGG-INFO"))
        return entry and dict(entry, origin="egg", at=text(path))
    return described_egg(zipped(path, "PKG-INFO"), zipped(path, "requires.txt"), "egg", path)


def zipped(path, name):
    """The bytes of a file of EGG-INFO in a zipped egg; None if there is none."""
    # imported here, since it takes long and few virtualenvs have such an egg
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.getinfo("EGG-INFO/" + name)
            return archive.read(inside) if inside.file_size <= MOST else None
    except (EnvironmentError, KeyError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipfile):
        return None


def is_on_path(folder, name):
    """Whether easy-install.pth puts an egg on the import path; without that it cannot be imported."""
    lines = [line.strip() for line in (content(os.path.join(folder, EASY_INSTALL), MOST) or b"").splitlines()]
    return any(native(line) in ("./" + name, os.path.join(folder, name)) for line in lines)


def egg_link(path):
    """A distribution that `setup.py develop` installed as a link."""
    try:
        source = native((content(path, MOST) or b"").partition(b"\n")[0].strip())
        names = [name for name in os.listdir(source) if name.endswith(".egg-info")]
    except EnvironmentError:
        return None
    entry = egg_info(os.path.join(source, names[0])) if names else None
    return entry and dict(entry, origin="editable")


def egg_requires(data):
    """The lines of a `requires.txt` in the format of `Requires-Dist`."""
    lines, suffix = [], ""
    for line in data.decode("utf-8", "replace").splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            extra, _, marker = line[1:-1].partition(":")
            parts = ["(%s)" % marker] if marker else []
            parts += ['extra == "%s"' % extra] if extra else []
            suffix = " ; " + " and ".join(parts) if parts else ""
        elif line and not line.startswith("#"):
            lines.append(line + suffix)
    return lines


def described(fields, origin, path, recorded):
    """A distribution as replies have it."""
    return {
        "name": fields["name"][0],
        "version": (fields["version"] or [""])[0],
        "requires": fields["requires-dist"],
        "requires_python": (fields["requires-python"] or [None])[0],
        "extras": fields["provides-extra"],
        "origin": origin,
        "recorded": recorded,
        "at": text(path),
    }


def read_fields(path):
    """The header fields of a METADATA or PKG-INFO file that matter here; None if it cannot be read."""
    data = content(path, MOST, whole=False)
    return None if data is None else fields_of(data)


def fields_of(data, names=FIELDS):
    """The header fields `names` of METADATA or PKG-INFO, by name in lower case."""
    fields = dict((name, []) for name in names)
    current = None
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    # after the first empty line comes the description, which may be long
    head = data.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    for line in head.split(b"\n"):
        if not line:
            break
        if line[:1] in b" \t":
            if current is not None:
                current[-1] += " " + line.strip().decode("utf-8", "replace")
            continue
        name, _, value = line.partition(b":")
        current = fields.get(name.strip().lower().decode("ascii", "replace"))
        if current is not None:
            current.append(value.strip().decode("utf-8", "replace"))
    return fields


def read_json(path):
    """The JSON value in a file; None if it cannot be read."""
    return parsed(content(path, MOST))


def parsed(data):
    """The JSON value in bytes; None if they are not JSON, or empty."""
    if not data:
        return None
    try:
        return loads(data.decode("utf-8"))
    except (ValueError, RuntimeError):
        # RuntimeError: nested too deeply
        return None
