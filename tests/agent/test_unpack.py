"""Wheels unpacked by the agent: sound ones of every odd shape, and those that would do harm."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import stat
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import safe_zip, wheel_file
from envfab.agent import unpack as source
from envfab.agent.protocol import Problem
from tests.support.wheels import WHEEL_DATE, record_text, second_name

agent: Any = source
MEMORY = Path("/dev/shm")
"""A file system that costs no disk."""
INFO = "shop-1.0.dist-info"
ABOUT = {
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: Shop\nVersion: 1.0\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
SOUND = record_text({name: content.encode() for name, content in ABOUT.items()}, f"{INFO}/RECORD")


def member(name: str, *, mode: int = stat.S_IFREG | 0o644, date: tuple[int, ...] = WHEEL_DATE) -> zipfile.ZipInfo:
    """What a zip file's directory says of a member."""
    entry = zipfile.ZipInfo("x", date)  # type: ignore[arg-type]  # six numbers
    entry.filename = entry.orig_filename = name
    entry.external_attr = mode << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def pack(
    folder: Path, files: Mapping[str, str | bytes], *more: tuple[zipfile.ZipInfo, bytes], record: str = ""
) -> Path:
    """A wheel of shop 1.0 with these files, and with more members; RECORD lists all of them, or is `record`."""
    found = {
        name: content.encode() if isinstance(content, str) else content for name, content in {**ABOUT, **files}.items()
    }
    listed = {**found, **{entry.filename: content for entry, content in more}}
    record = record or record_text(listed, f"{INFO}/RECORD")
    members = [*((member(name), content) for name, content in found.items()), *more]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "shop-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in [*members, (member(f"{INFO}/RECORD"), record.encode())]:
            archive.writestr(entry, content)
    return path


def unpacked(wheel: Path, folder: Path, *, umask: int = 0o022, compiled: bool = False) -> dict[str, Any]:
    """What the tree of an unpacked wheel says of itself."""
    agent.unpack(str(wheel), str(folder), umask, compiled)
    found: dict[str, Any] = agent.read_tree(str(folder))
    return found


def refusal(wheel: Path, folder: Path) -> str:
    """Why a wheel is not unpacked; nothing of it is left."""
    with pytest.raises(Problem) as raised:
        agent.unpack(str(wheel), str(folder), 0o022, True)
    assert raised.value.kind == "wheel"
    assert not folder.exists()
    name, _, message = str(raised.value.message).partition(": ")
    assert name == wheel.name
    return message


def files(folder: Path) -> set[str]:
    """The files below a folder, without what the tree says of itself."""
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {name for name in found if name != "tree.json"}


def test_files_lie_by_the_keys_of_the_install_scheme(tmp_path: Path) -> None:
    """What is at the wheel's root belongs where Root-Is-Purelib says."""
    data = {f"shop-1.0.data/{key}/{key}.x": "" for key in ("purelib", "platlib", "scripts", "headers", "data")}
    data |= {"shop/__init__.py": "", "shop.libs/libx.so.1": "", "other.pth": "import shop\n"}
    pure = unpacked(pack(tmp_path, data), tmp_path / "pure")
    about = {f"{INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD")}
    at_root = {"shop/__init__.py", "shop.libs/libx.so.1", "other.pth"} | about
    kept = {f"{key}/{key}.x" for key in ("purelib", "platlib", "scripts", "headers", "data")}
    assert files(tmp_path / "pure") == kept | {f"purelib/{name}" for name in at_root}
    about_it = ABOUT[f"{INFO}/WHEEL"].replace("true", "False")
    plat = unpacked(pack(tmp_path, {**data, f"{INFO}/WHEEL": about_it}), tmp_path / "plat")
    assert files(tmp_path / "plat") == kept | {f"platlib/{name}" for name in at_root}
    assert (pure["root"], plat["root"]) == ("purelib", "platlib")


def test_a_tree_says_what_it_is(tmp_path: Path) -> None:
    """Of each file its key, its path, RECORD's hash without padding, its size and its time."""
    points = "[console_scripts]\nshop = shop:main\n[gui_scripts]\nshow = shop.gui:show.main\n"
    wheel = pack(tmp_path, {"shop.py": "X = 1\n", f"{INFO}/entry_points.txt": points})
    found = unpacked(wheel, tmp_path / "tree", umask=0o027, compiled=True)
    assert (found["format"], found["name"], found["version"]) == (1, "Shop", "1.0")
    assert (found["dist_info"], found["umask"]) == (INFO, 0o027)
    assert found["console"] == [["shop", "shop", "main"]]
    assert found["gui"] == [["show", "shop.gui", "show.main"]]
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"X = 1\n").digest()).decode().rstrip("=")
    assert ["purelib", "shop.py", f"sha256={digest}", 6, 1577836800] in found["files"]
    assert [row[:2] for row in found["compiled"]] == [["purelib", importlib.util.cache_from_source("shop.py")]]
    assert len(found["files"]) == 5


@pytest.mark.parametrize(
    ("umask", "plain", "executable", "folder"),
    [
        (0o022, 0o644, 0o755, 0o755),
        (0o077, 0o600, 0o711, 0o700),
        (0o002, 0o664, 0o775, 0o775),
        (0, 0o666, 0o777, 0o777),
    ],
)
def test_modes_are_those_that_pip_gives(tmp_path: Path, umask: int, plain: int, executable: int, folder: int) -> None:
    """By the umask, and executable for all where the archive says that it is for somebody."""
    more = [(member("shop/run", mode=stat.S_IFREG | 0o700), b""), (member("shop/typeless", mode=0o777), b"")]
    before = os.umask(0o022)
    unpacked(pack(tmp_path, {"shop/x.py": ""}, *more), tmp_path / "tree", umask=umask, compiled=True)
    assert os.umask(before) == 0o022
    place = tmp_path / "tree" / "purelib" / "shop"
    compiled = Path(importlib.util.cache_from_source(str(place / "x.py")))
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (place / "x.py", place / "typeless", compiled)]
    assert modes == [plain] * 3
    assert stat.S_IMODE((place / "run").stat().st_mode) == executable
    assert stat.S_IMODE(place.stat().st_mode) == folder


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ((2020, 1, 1, 0, 0, 0), 1577836800),
        ((1980, 0, 0, 0, 0, 0), 315532800),
        ((1980, 1, 0, 0, 0, 0), 315532800),
        ((2099, 12, 31, 23, 59, 58), 4102444798),
    ],
)
def test_times_are_the_archives_in_utc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, date: tuple[int, ...], seconds: int
) -> None:
    """Whatever the host's zone, so that all hosts have the same; what is no time is the archive format's first one."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        unpacked(pack(tmp_path, {}, (member("x.py", date=date), b"")), tmp_path / "tree")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (tmp_path / "tree/purelib/x.py").stat().st_mtime == seconds


def test_bytecode_is_what_an_import_takes(tmp_path: Path) -> None:
    """It names time and size of its source, and imports do not compile again; what is broken is left as it is."""
    content: dict[str, str | bytes] = {
        "shop/__init__.py": "X = 1\n",
        "shop/broken.py": "def\n",
        "shop/nul.py": "\0",
        "shop/latin.py": b"\xe9\n",
        "shop-1.0.data/scripts/run.py": "",
        "shop/cookie.py": "# coding: latin-1\nX = '\xe9'\n".encode("latin-1"),
    }
    found = unpacked(pack(tmp_path, content), tmp_path / "tree", compiled=True)
    names = ["shop/__init__.py", "shop/cookie.py"]
    assert [row[1] for row in found["compiled"]] == [importlib.util.cache_from_source(name) for name in names]
    file = tmp_path / "tree/purelib" / importlib.util.cache_from_source("shop/__init__.py")
    status = (tmp_path / "tree/purelib/shop/__init__.py").stat()
    head = struct.unpack("<4sIII", file.read_bytes()[:16])
    assert head == (importlib.util.MAGIC_NUMBER, 0, int(status.st_mtime), status.st_size)
    said = subprocess.run(
        [sys.executable, "-Bv", "-c", "import shop.cookie; print(shop.cookie.X, shop.__spec__.origin)"],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env={"PYTHONPATH": str(tmp_path / "tree/purelib"), "PYTHONIOENCODING": "utf-8"},
    )
    assert said.stdout == f"é {tmp_path}/tree/purelib/shop/__init__.py\n"
    assert f"# code object from '{file}'" in said.stderr


def test_a_source_whose_bytecode_would_have_too_long_a_name_is_unpacked(tmp_path: Path) -> None:
    """It is imported without bytecode; other sources get theirs."""
    long = "a" * 252 + ".py"
    unpacked(pack(tmp_path, {f"shop/{long}": "X = 1\n", "shop/b.py": ""}), tmp_path / "tree", compiled=True)
    assert (tmp_path / "tree/purelib/shop" / long).is_file()
    assert [path for _, path, _, _ in agent.read_tree(str(tmp_path / "tree"))["compiled"]] == [
        importlib.util.cache_from_source("shop/b.py")
    ]
    assert agent.is_whole(str(tmp_path / "tree"))


def test_bytecode_that_the_wheel_brings_stays(tmp_path: Path) -> None:
    """It is in RECORD; and nothing is compiled where a file lies in place of the folder."""
    own = importlib.util.cache_from_source("own.py")
    content: dict[str, str | bytes] = {"own.py": "", own: b"the wheel's", "sub/x.py": "", "sub/__pycache__": ""}
    found = unpacked(pack(tmp_path, content), tmp_path / "tree", compiled=True)
    assert found["compiled"] == []
    assert (tmp_path / "tree/purelib" / own).read_bytes() == b"the wheel's"


def test_of_two_members_for_one_place_the_later_counts(tmp_path: Path) -> None:
    """As with pip: first what lies at the root, then what lies below a key."""
    content = {"shop-1.0.data/purelib/shop.py": "LATER = 1\n", "shop.py": ""}
    found = unpacked(pack(tmp_path, content), tmp_path / "tree")
    assert (tmp_path / "tree/purelib/shop.py").read_text() == "LATER = 1\n"
    assert [row[3] for row in found["files"] if row[1] == "shop.py"] == [10]


def test_what_setuptools_wrote_for_entry_points_is_left_out(tmp_path: Path) -> None:
    """These scripts are made anew; others stay."""
    names = ("shop", "shop.exe", "shop-script.py", "shop.pya", "shopper")
    content = {f"shop-1.0.data/scripts/{name}": "" for name in names}
    content[f"{INFO}/entry_points.txt"] = "[console_scripts]\nshop = shop:main\n"
    unpacked(pack(tmp_path, content), tmp_path / "tree")
    assert os.listdir(tmp_path / "tree/scripts") == ["shopper"]


def test_an_empty_wheel_is_a_distribution(tmp_path: Path) -> None:
    """Nothing but its dist-info folder."""
    unpacked(pack(tmp_path, {}), tmp_path / "tree", compiled=True)
    assert agent.is_whole(str(tmp_path / "tree"))


def record_of(content: bytes, algorithm: str, *, pad: bool = False) -> str:
    """A RECORD of `shop.py` and of what is about it, with such hashes."""
    lines = []
    for name, found in {"shop.py": content, **{name: text.encode() for name, text in ABOUT.items()}}.items():
        digest = base64.urlsafe_b64encode(hashlib.new(algorithm.lower(), found).digest()).decode()
        lines.append(f"{name},{algorithm}={digest if pad else digest.rstrip('=')},")
    return "\r\n".join([*lines, f"{INFO}/RECORD,,"])


@pytest.mark.parametrize("pad", [False, True], ids=["bare", "padded"])
@pytest.mark.parametrize("algorithm", ["sha256", "SHA256", "sha384", "sha512"])
def test_records_of_all_spellings_are_read(tmp_path: Path, algorithm: str, pad: bool) -> None:
    """The tree has them all spelled alike."""
    found = unpacked(
        pack(tmp_path, {"shop.py": "X = 1\n"}, record=record_of(b"X = 1\n", algorithm, pad=pad)), tmp_path / "t"
    )
    (digest,) = (row[2] for row in found["files"] if row[1] == "shop.py")
    assert digest.startswith(f"{algorithm.lower()}=")
    assert not digest.endswith("=")
    assert agent.is_whole(str(tmp_path / "t"))


def test_a_record_with_backslashes_is_read(tmp_path: Path) -> None:
    """Old tools wrote them on Windows, with slashes in the archive."""
    content = {"shop/x.py": "X = 1\n", **ABOUT}
    record = record_text({name: text.encode() for name, text in content.items()}, f"{INFO}/RECORD")
    unpacked(pack(tmp_path, content, record=record.replace("shop/x.py", "shop\\x.py")), tmp_path / "tree")
    assert (tmp_path / "tree/purelib/shop/x.py").exists()


def test_signatures_need_no_line_in_record(tmp_path: Path) -> None:
    """They were made of it; pip installs them as well."""
    content = {"shop.py": "", **ABOUT}
    record = record_text({name: text.encode() for name, text in content.items()}, f"{INFO}/RECORD")
    found = unpacked(pack(tmp_path, {**content, f"{INFO}/RECORD.jws": "{}"}, record=record), tmp_path / "tree")
    assert f"{INFO}/RECORD.jws" in [row[1] for row in found["files"]]


LEAVES = "has a member with an unsafe path: "


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        *(("/etc/passwd", "/etc/passwd"), ("../x.py", "../x.py"), ("shop/../../x.py", "shop/../../x.py"), ("..", "..")),
        *(("shop//x.py", "shop//x.py"), ("./x.py", "./x.py"), ("C:/x.py", "C:/x.py"), ("shop\\x.py", "shop\\x.py")),
        *(("shop/a\nb.py", "shop/a\\u000ab.py"), ("shop/\x1b[2J.py", "shop/\\u001b[2J.py")),
        *(("shop/\u202eyp.x", "shop/\\u202eyp.x"), (f"{'x/' * 200}..", "x/" * 100)),
    ],
)
def test_a_name_that_leaves_the_tree_is_refused(tmp_path: Path, name: str, shown: str) -> None:
    """Or that no terminal should be shown; RECORD may list it or not."""
    assert refusal(pack(tmp_path, {}, (member(name), b"")), tmp_path / "tree") == LEAVES + shown


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    """zipfile cuts the name there, so that two programs see two names."""
    wheel = pack(tmp_path, {"shop/xQy.py": ""})
    wheel.write_bytes(wheel.read_bytes().replace(b"xQy", b"x\0y"))
    assert refusal(wheel, tmp_path / "tree") == LEAVES + "shop/x\\u0000y.py"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_is_refused(tmp_path: Path, kind: int) -> None:
    """And whatever else is neither a file nor a folder."""
    wheel = pack(tmp_path, {}, (member("shop", mode=kind | 0o777), b"/etc"))
    assert refusal(wheel, tmp_path / "tree") == "has a member that is a link or a special file: shop"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    """One program takes the first, and another one the second."""
    wheel = pack(tmp_path, {"shop.py": ""}, (member("shop.py"), b"X = 1\n"))
    assert refusal(wheel, tmp_path / "tree") == "has two members named shop.py"


def test_a_member_with_two_names_is_refused(tmp_path: Path) -> None:
    """CPython 3.12 and later unpack to the second one."""
    wheel = pack(tmp_path, {}, (second_name(member("shop/a.py"), "shop/b.py"), b""))
    assert refusal(wheel, tmp_path / "tree") == "has a member with two names: shop/a.py and shop/b.py"


def test_a_file_that_is_a_folder_too_is_refused(tmp_path: Path) -> None:
    """There is no place for both."""
    wheel = pack(tmp_path, {"shop": "", "shop/a.py": ""})
    assert refusal(wheel, tmp_path / "tree") == "has a member that is a file and a folder: shop"


def rewritten(wheel: Path, change: Callable[[bytes], bytes]) -> Path:
    """The same wheel with other bytes."""
    wheel.write_bytes(change(wheel.read_bytes()))
    return wheel


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    """Nobody has the password."""
    wheel = pack(tmp_path, {"shop.py": ""})
    at = wheel.read_bytes().rindex(b"PK\x01\x02") + 8
    rewritten(wheel, lambda data: data[:at] + b"\1" + data[at + 1 :])
    assert refusal(wheel, tmp_path / "tree") == f"has an encrypted member: {INFO}/RECORD"


def test_another_compression_is_refused(tmp_path: Path) -> None:
    """Not every interpreter has it."""
    entry = member("shop.py")
    entry.compress_type = zipfile.ZIP_BZIP2
    wheel = pack(tmp_path, {}, (entry, b""))
    assert refusal(wheel, tmp_path / "tree") == "has a member that is neither stored nor deflated: shop.py"


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("MOST_MEMBERS", "has 4 members; 3 are allowed"),
        ("MOST_BYTES", "would unpack to 3"),
        ("MOST_TEXT", "is larger than 3"),
    ],
)
def test_an_archive_has_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, message: str) -> None:
    """In members, in bytes, and in what is read at once."""
    monkeypatch.setattr(wheel_file if limit == "MOST_TEXT" else safe_zip, limit, 3)
    assert message in refusal(pack(tmp_path, {"shop.py": ""}), tmp_path / "tree")


def test_a_folder_with_contents_is_refused(tmp_path: Path) -> None:
    """One without is nothing."""
    unpacked(pack(tmp_path, {}, (member("shop/", mode=stat.S_IFDIR | 0o755), b""), record=SOUND), tmp_path / "sound")
    assert not (tmp_path / "sound/purelib/shop").exists()
    wheel = pack(tmp_path, {}, (member("shop/", mode=stat.S_IFDIR | 0o755), b"x"), record=SOUND)
    assert refusal(wheel, tmp_path / "tree") == "has a folder entry with contents: shop/"


def test_a_record_that_was_damaged_is_not_believed(tmp_path: Path) -> None:
    """Nothing vouches for RECORD but the archive's checksum."""
    wheel = pack(tmp_path, {"shop.py": ""})
    with zipfile.ZipFile(wheel) as archive:
        checksum = struct.pack("<I", archive.getinfo(f"{INFO}/RECORD").CRC)
    rewritten(wheel, lambda data: data.replace(checksum, b"abcd"))
    assert refusal(wheel, tmp_path / "tree") == f"is damaged: {INFO}/RECORD does not match its checksum"


def test_an_archive_that_unpacks_without_an_end_is_refused(tmp_path: Path) -> None:
    """Before anything of it is written."""
    wheel = pack(tmp_path, {"shop.bin": bytes(40 << 20)})
    assert refusal(wheel, tmp_path / "tree").startswith("would unpack to 41943")


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """So a small file unpacks to an endless one."""
    wheel = pack(tmp_path, {"one.py": "", "two.py": ""})
    data = wheel.read_bytes()
    at = data.index(b"PK\x01\x02")
    rewritten(wheel, lambda data: data.replace(data[at + 42 : at + 46], data[at + 42 : at + 46]))
    with zipfile.ZipFile(wheel) as archive:
        one, two = (archive.getinfo(name).header_offset for name in ("one.py", "two.py"))
    rewritten(wheel, lambda data: data[:at] + data[at:].replace(struct.pack("<I", two), struct.pack("<I", one)))
    assert refusal(wheel, tmp_path / "tree") == "has members that overlap; it looks like a zip bomb"


def test_a_member_that_is_longer_than_announced_is_refused(tmp_path: Path) -> None:
    """Not more than the directory says is ever written."""
    wheel = pack(tmp_path, {"shop.py": "#" * 5000})
    sizes = struct.pack("<I", 5000)
    rewritten(wheel, lambda data: data.replace(sizes, struct.pack("<I", 4000)))
    assert refusal(wheel, tmp_path / "tree") == "the size of shop.py is not that in the archive's directory"


@pytest.mark.parametrize("left", [1, 100, 400])
def test_an_archive_that_was_cut_short_is_refused(tmp_path: Path, left: int) -> None:
    """In one line."""
    wheel = rewritten(pack(tmp_path, {"shop.py": "X = 1\n"}), lambda data: data[:left])
    message = refusal(wheel, tmp_path / "tree")
    assert message.startswith(("is damaged or cut short (", "is not a wheel: it does not begin like a zip file"))
    assert "\n" not in message


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_archive_is_refused_or_unpacked_as_recorded(tmp_path: Path, seed: int) -> None:
    """Whichever byte is another one: no traceback, and nothing that RECORD does not vouch for."""
    wheel = pack(tmp_path, {"shop.py": "X = 1\n" * 30, "shop-1.0.data/data/share/x": "x"})
    data = bytearray(wheel.read_bytes())
    at = int.from_bytes(hashlib.sha256(b"%d" % seed).digest()[:4], "big") % len(data)
    data[at] ^= 1 + seed % 255
    wheel.write_bytes(data)
    try:
        unpacked(wheel, tmp_path / "tree")
    except Problem as problem:
        assert (problem.kind, (tmp_path / "tree").exists()) == ("wheel", False)  # noqa: PT017 (it need not be raised)
    else:
        assert (tmp_path / "tree/purelib/shop.py").read_text() == "X = 1\n" * 30


def listed(change: Callable[[str], str]) -> str:
    """The RECORD of a wheel with `shop.py`, changed."""
    content = {"shop.py": "X = 1\n", **ABOUT}
    return change(record_text({name: text.encode() for name, text in content.items()}, f"{INFO}/RECORD"))


OTHER = base64.urlsafe_b64encode(hashlib.sha256(b"").digest()).decode().rstrip("=")
OWN = base64.urlsafe_b64encode(hashlib.sha256(b"X = 1\n").digest()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace(f"shop.py,sha256={OWN},6\n", ""),
            "has a file that its RECORD does not list: shop.py",
        ),
        (lambda text: text.replace(OWN, OTHER), "shop.py does not match its RECORD: the sha256 differs"),
        (lambda text: text.replace(f"{OWN},6", f"{OWN},7"), "shop.py has 6 bytes, its RECORD says 7"),
        (lambda text: text + "gone.py,sha256=x,\n", "lacks a file that its RECORD lists: gone.py"),
        (lambda text: text + text.partition("\n")[0] + "\n", "its RECORD lists shop.py twice"),
        (
            lambda text: text.replace(f"sha256={OWN}", "md5=1B2M2Y8AsgTpgAmY7PhCfg"),
            NO_HASH := "its RECORD has no valid hash for shop.py",
        ),
        (lambda text: text.replace(f"sha256={OWN}", ""), NO_HASH),
        (lambda text: text.replace(OWN, OWN[:-4]), NO_HASH),
        (
            lambda text: text.replace(f"{OWN},6", f"{OWN},six"),
            "its RECORD cannot be read: invalid literal for int() with base 10: 'six'",
        ),
    ],
)
def test_what_record_does_not_vouch_for_is_refused(tmp_path: Path, change: Callable[[str], str], message: str) -> None:
    """Each file is compared while it is written."""
    assert refusal(pack(tmp_path, {"shop.py": "X = 1\n"}, record=listed(change)), tmp_path / "tree") == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({f"{INFO}/WHEEL": "Wheel-Version: 2.0\n"}, "is a wheel of format 2.0; this envfab reads 1.x"),
        ({f"{INFO}/WHEEL": ""}, "is a wheel of format unknown; this envfab reads 1.x"),
        ({"other-1.0.dist-info/METADATA": ""}, f"has 2 dist-info folders: other-1.0.dist-info, {INFO}"),
        ({f"{INFO}/METADATA": "Name: shop\n"}, "its METADATA has no Name or no Version"),
        ({f"{INFO}/METADATA": "Name: ../shop\nVersion: 1\n"}, "its METADATA has a Name that is not valid: ../shop"),
        ({"shop-1.0.data/bin/x": ""}, "has a data folder that installers do not know: shop-1.0.data/bin/x"),
        (
            {f"{INFO}/entry_points.txt": "[console_scripts]\n../x = a:b\n"},
            "invalid name of an entry point: ../x = a:b",
        ),
        (
            {f"{INFO}/entry_points.txt": "[console_scripts]\nx\n"},
            "invalid name of an entry point: x",
        ),
        ({f"{INFO}/entry_points.txt": "[gui_scripts]\nx = a\n"}, "an entry point must name a function: x = a"),
        ({f"{INFO}/entry_points.txt": "[gui_scripts]\nx = a:b:c\n"}, "an entry point must name a function: x = a:b:c"),
        ({f"{INFO}/entry_points.txt": b"[console_scripts]\n\xff = a:b\n"}, "its entry_points.txt is not UTF-8"),
    ],
)
def test_what_no_installer_can_install_is_refused(
    tmp_path: Path, content: Mapping[str, str | bytes], message: str
) -> None:
    """Told of the wheel, and before a virtualenv is touched."""
    assert refusal(pack(tmp_path, content), tmp_path / "tree") == message


def test_a_wheel_without_a_dist_info_folder_is_refused(tmp_path: Path) -> None:
    """Some other zip file."""
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("x.py", "")
    assert refusal(wheel, tmp_path / "tree") == "has 0 dist-info folders: none"


def test_a_folder_that_was_there_is_left_alone(tmp_path: Path) -> None:
    """It is somebody else's tree."""
    wheel = pack(tmp_path, {"shop.py": ""})
    unpacked(wheel, tmp_path / "tree")
    with pytest.raises(FileExistsError):
        unpacked(wheel, tmp_path / "tree")
    assert agent.is_whole(str(tmp_path / "tree"))


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """Neither half a file nor half a `.pyc`."""
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", str(tiny)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    wheel = pack(tmp_path, {"shop.py": f"X = {os.urandom(12000).hex()!r}\n"})
    try:
        unpacked(wheel, tiny / "fits")
        with pytest.raises(OSError, match="No space left"):
            unpacked(wheel, tiny / "tree", compiled=True)
        assert os.listdir(tiny) == ["fits"]
    finally:
        subprocess.run(["umount", tiny], check=True)


def test_all_is_on_the_disk_before_the_tree_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash there is no tree, or all of it."""
    synced: set[int] = set()
    real = agent.write_file

    def see_to_it(file: str, *rest: Any) -> None:
        if file.endswith("tree.json"):
            assert {path.stat().st_ino for path in (tmp_path / "tree").rglob("*")} <= synced
        real(file, *rest)

    monkeypatch.setattr(agent, "write_file", see_to_it)
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    unpacked(pack(tmp_path, {"shop/x.py": "", "shop/deep/y.py": ""}), tmp_path / "tree", compiled=True)
    assert {(tmp_path / "tree/tree.json").stat().st_ino, (tmp_path / "tree").stat().st_ino} <= synced


def test_a_file_that_cannot_be_put_on_the_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever thread meets it."""

    def fail(path: str) -> None:
        if path.endswith("x.py"):
            raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(agent, "sync", fail)
    with pytest.raises(OSError, match="Input/output"):
        unpacked(pack(tmp_path, {"shop/x.py": ""}), tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def touch(path: Path) -> None:
    """Another time, the same content."""
    os.utime(path, (1, 1))


def change(path: Path) -> None:
    """Another content, of the same length and at another time."""
    path.write_bytes(path.read_bytes()[::-1])


def grow(path: Path) -> None:
    """More content, and the time is as it was."""
    status = path.stat()
    path.write_bytes(path.read_bytes() + b"#")
    os.utime(path, (status.st_mtime, status.st_mtime))


def link(path: Path) -> None:
    """The same content, elsewhere."""
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def hide(path: Path) -> None:
    """No longer readable for others, as a virtualenv that was closed to them leaves the file that it shares."""
    path.chmod(0o600)


def open_up(path: Path) -> None:
    """Writable for all, so that its content and its time may be anyone's."""
    path.chmod(0o666)


def flip_executable(path: Path) -> None:
    """Executable, if it was not, and no longer if it was."""
    path.chmod(path.stat().st_mode ^ 0o111)


def give_away(path: Path) -> None:
    """Another user's, who may write to it, or another group's."""
    try:
        os.chown(path, -1 if os.geteuid() else 12345, 12345 if os.geteuid() == 0 else os.getgroups()[-1])
    except (OSError, IndexError):
        pytest.skip("giving a file away needs root")


PYC = importlib.util.cache_from_source("shop.py")


@pytest.mark.parametrize(
    ("name", "damage", "whole"),
    [
        *(
            ("shop.py", touch, True),
            ("shop.py", change, False),
            ("shop.py", grow, False),
            ("shop.py", Path.unlink, False),
        ),
        *(("shop.py", link, False), (PYC, touch, False), (PYC, grow, False), (PYC, Path.unlink, False)),
        *((f"{INFO}/RECORD", touch, True), (f"{INFO}/RECORD", change, False)),
        *(("shop.py", damage, False) for damage in (hide, open_up, flip_executable, give_away)),
        *(("run", damage, False) for damage in (hide, flip_executable)),
        *((PYC, damage, False) for damage in (hide, open_up, give_away)),
    ],
)
def test_a_tree_is_whole_while_its_files_are_as_they_were(
    tmp_path: Path, name: str, damage: Callable[[Path], None], whole: bool
) -> None:
    """By size and time; where these differ, by content; bytecode only by size and time. Its owner and mode must be too."""
    script = (member("run", mode=stat.S_IFREG | 0o755), b"")
    unpacked(pack(tmp_path, {"shop.py": "X = 1\n"}, script), tmp_path / "tree", compiled=True)
    assert agent.is_whole(str(tmp_path / "tree"))
    damage(tmp_path / "tree/purelib" / name)
    assert agent.is_whole(str(tmp_path / "tree")) == whole


def test_an_older_tree_without_executable_files_noted_is_whole(tmp_path: Path) -> None:
    """It is not unpacked again for that."""
    script = (member("run", mode=stat.S_IFREG | 0o755), b"")
    unpacked(pack(tmp_path, {"shop.py": "X = 1\n"}, script), tmp_path / "tree")
    noted = tmp_path / "tree/tree.json"
    said = json.loads(noted.read_text())
    assert said.pop("executable") == [["purelib", "run"]]
    noted.write_text(json.dumps(said))
    assert agent.is_whole(str(tmp_path / "tree"))


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"format": 2}', '{"format": 1}', "[" * 100_000, "\ud800", '{"format": 1, "files": 3}'],
)
def test_a_tree_that_was_cut_off_is_none(tmp_path: Path, content: str) -> None:
    """Whatever its tree.json says, or where there is none."""
    assert agent.read_tree(str(tmp_path)) is None
    (tmp_path / "tree.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    assert agent.read_tree(str(tmp_path)) is None
    assert not agent.is_whole(str(tmp_path))


def test_unpacking_costs_little_more_than_extraction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In CPU time, the disk aside, it is that of zipfile and hashlib alone; half as much again is too much."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    wheel = pack(tmp_path, {f"shop/m{number}.py": os.urandom(1500).hex() for number in range(500)})
    best = dict.fromkeys(("bare", "ours"), 9.0)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as quick:
        for attempt in range(4):
            started = time.process_time()
            with zipfile.ZipFile(wheel) as archive:
                for entry in archive.infolist():
                    file = archive.extract(entry, f"{quick}/bare{attempt}")
                    hashlib.sha256(Path(file).read_bytes()).digest()
            between = time.process_time()
            unpacked(wheel, Path(quick, f"ours{attempt}"))
            best["bare"] = min(best["bare"], between - started)
            best["ours"] = min(best["ours"], time.process_time() - between)
    assert best["ours"] <= 1.5 * best["bare"], best
