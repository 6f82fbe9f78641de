"""The distributions in a folder of packages, as installers describe them there; what interrupted ones left behind."""

from __future__ import absolute_import

import os

from .json_codec import loads
from .files import content
from .protocol import native, text

DESCRIBED = (".dist-info", ".egg-info", ".egg-link", ".egg")
EASY_INSTALL = "easy-install.pth"
# bytes of a file about a distribution: descriptions are longer than what is before them
MOST = 4 << 20
FIELDS = ("name", "version", "requires-dist", "requires-python", "provides-extra")


def scan(folder, distributions, odd):
    """Add the distributions of a folder to `distributions`, and what an interruption left to `odd`.

    Outside the virtualenv (`odd` is None) nobody repairs anything, and Debian's packages have no RECORD.
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
    """Whether pip put it aside, and was killed before it took it away."""
    return name.startswith("~") and not name.endswith((".pyc", ".pyo"))


def dist_info(folder):
    """A distribution from its `.dist-info`; None where its METADATA is gone."""
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
    """A distribution that `setup.py install` made an egg of: a folder, or a zip file."""
    if os.path.isdir(path):
        entry = egg_info(os.path.join(path, "EGG-INFO"))
        return entry and dict(entry, origin="egg", at=text(path))
    return described_egg(zipped(path, "PKG-INFO"), zipped(path, "requires.txt"), "egg", path)


def zipped(path, name):
    """The bytes of a file of EGG-INFO in a zipped egg; None where it has none."""
    # only where there is such an egg: it takes long to load
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.getinfo("EGG-INFO/" + name)
            return archive.read(inside) if inside.file_size <= MOST else None
    except (EnvironmentError, KeyError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipfile):
        return None


def is_on_path(folder, name):
    """Whether easy-install.pth puts an egg of a folder on the import path: without that nobody imports it."""
    lines = [line.strip() for line in (content(os.path.join(folder, EASY_INSTALL), MOST) or b"").splitlines()]
    return any(native(line) in ("./" + name, os.path.join(folder, name)) for line in lines)


def egg_link(path):
    """A distribution that `setup.py develop` linked in."""
    try:
        source = native((content(path, MOST) or b"").partition(b"\n")[0].strip())
        names = [name for name in os.listdir(source) if name.endswith(".egg-info")]
    except EnvironmentError:
        return None
    entry = egg_info(os.path.join(source, names[0])) if names else None
    return entry and dict(entry, origin="editable")


def egg_requires(data):
    """The lines of a `requires.txt` as `Requires-Dist` writes them."""
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
    """What a reply says of one distribution."""
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
    """The header fields of a METADATA or PKG-INFO file that matter here; None where it cannot be read."""
    data = content(path, MOST, whole=False)
    return None if data is None else fields_of(data)


def fields_of(data):
    """The header fields of a METADATA or PKG-INFO, by their names in small letters."""
    fields = dict((name, []) for name in FIELDS)
    current = None
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    # what follows the first empty line is the description, which may be long
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
    """The JSON in a file; None where there is none that can be read."""
    return parsed(content(path, MOST))


def parsed(data):
    """The JSON that bytes are; None where they are none, or there are none."""
    if not data:
        return None
    try:
        return loads(data.decode("utf-8"))
    except (ValueError, RuntimeError):
        # RuntimeError: nested too deeply
        return None
