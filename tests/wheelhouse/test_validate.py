"""Sound wheels pass, and each way of being unsound is told apart."""

from __future__ import annotations

import re
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envfab.errors import WheelError
from envfab.models.wheel import Wheel
from envfab.wheelhouse.safe_zip import Limits
from envfab.wheelhouse.validate import inspect, read_metadata
from tests.support.wheels import make_wheel, record_text, second_name, sha256, write_zip

INFO = "shop-1.0.dist-info"
NAME = "shop-1.0-py3-none-any.whl"


def members_of(wheel: Path) -> dict[str, bytes]:
    """Every member of a wheel, in order."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(folder: Path, change: Callable[[dict[str, bytes]], object], *, record: bool = False) -> Path:
    """The wheel `shop` 1.0 with its members changed, and its RECORD brought up to date where asked for."""
    wheel = make_wheel(folder, "shop", "1.0")
    members = members_of(wheel)
    change(members)
    if record:
        del members[f"{INFO}/RECORD"]
        members[f"{INFO}/RECORD"] = record_text(members, f"{INFO}/RECORD").encode()
    write_zip(wheel, members)
    return wheel


def refusal(wheel: Path, limits: Limits | None = None) -> str:
    """The message with which a wheel is refused; it is one line, or two with a hint, and names the file."""
    with pytest.raises(WheelError) as caught:
        inspect(wheel, limits)
    message = str(caught.value)
    assert message.count("\n") <= 1
    assert wheel.name in message
    return message


def test_a_sound_wheel_is_described_by_its_name_its_metadata_and_its_hash(tmp_path: Path) -> None:
    """A sound wheel comes back with its published name, its SHA-256, its tags and what it requires."""
    path = make_wheel(
        tmp_path,
        "My.Shop",
        "1.0+corp1",
        requires=["Django>=4", "redis; extra == 'cache'"],
        requires_python=">=3.8",
        extras=["cache"],
        tags=["py2-none-any", "py3-none-any"],
        build="2",
        files={"my_shop/__init__.py": "", "my_shop-1.0+corp1.data/scripts/shop": "#!python\n"},
        entry_points={"shop": "my_shop:main"},
    )
    found = inspect(path)
    assert (found.wheel.name, str(found.wheel.version), found.wheel.build) == ("my-shop", "1.0+corp1", (2, ""))
    assert found.wheel.shown_as == found.metadata.name == "My.Shop"
    assert found.wheel.sha256 == sha256(path)
    assert found.size == path.stat().st_size
    assert sorted(map(str, found.wheel.tags)) == ["py2-none-any", "py3-none-any"]
    assert [str(requirement) for requirement in found.metadata.requires] == ["Django>=4", 'redis; extra == "cache"']
    assert str(found.metadata.requires_python) == ">=3.8"
    assert found.metadata.extras == {"cache"}


def test_metadata_is_read_alone(tmp_path: Path) -> None:
    """METADATA can be read without the checks of the rest, its long description passed over."""
    description = "Metadata-Version: 2.1\nName: shop\nVersion: 1.0\nRequires-Dist: django\n\nRequires-Dist: not this\n"
    wheel = make_wheel(tmp_path, "shop", "1.0", dist_info={"METADATA": description, "RECORD.jws": "{}"})
    assert [str(requirement) for requirement in read_metadata(wheel).requires] == ["django"]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(lambda row: row.replace(",", "=,", 2).replace("=,", ",", 1), id="padded digests"),
        pytest.param(lambda row: row.rpartition(",")[0] + ",", id="no sizes"),
        pytest.param(lambda row: row + "\r", id="CR and LF"),
    ],
)
def test_oddities_of_record_in_good_wheels_pass(tmp_path: Path, row: Callable[[str], str]) -> None:
    """What the format leaves open, and what published wheels do, is no fault."""

    def change(members: dict[str, bytes]) -> None:
        rows = members[f"{INFO}/RECORD"].decode().splitlines()
        members[f"{INFO}/RECORD"] = "".join(f"{row(line) if ',,' not in line else line}\n" for line in rows).encode()

    inspect(rewritten(tmp_path, change))


def test_signatures_need_no_hash_and_folders_no_line(tmp_path: Path) -> None:
    """RECORD.jws and RECORD.p7s are exempt from RECORD, and so are entries for folders."""

    def change(members: dict[str, bytes]) -> None:
        members |= {f"{INFO}/RECORD.jws": b"{}", f"{INFO}/RECORD.p7s": b"x", f"{INFO}/": b"", "empty/": b""}

    inspect(rewritten(tmp_path, change))


def test_unusual_characters_in_a_path_pass(tmp_path: Path) -> None:
    """Commas, quotes and letters of all alphabets are no reason to refuse."""
    files = {"shop/größe.py": "", "shop/a, b.py": "", "shop/שלום.py": "", 'shop/"x".py': ""}
    wheel = make_wheel(tmp_path, "shop", "1.0", files=files)
    with zipfile.ZipFile(wheel) as archive:
        assert set(files) < set(archive.namelist())
    inspect(wheel)


def test_a_wheel_renamed_for_another_platform_passes(tmp_path: Path) -> None:
    """Tag lines that differ from the file name in the platform alone are no fault."""
    inspect(make_wheel(tmp_path, "shop", "1.0", filename="shop-1.0-py3-none-manylinux1_x86_64.whl"))


@pytest.mark.parametrize(
    ("filename", "said"),
    [
        ("shop-1.1-py3-none-any.whl", "another release: shop-1.0.dist-info"),
        ("store-1.0-py3-none-any.whl", "another release: shop-1.0.dist-info"),
        ("shop-1.0-cp27-none-any.whl", "does not have the file name's tags, but py3-none-any"),
        ("shop-1.0.whl", "Invalid wheel filename"),
        ("shop.zip", "Invalid wheel filename"),
    ],
)
def test_the_file_name_must_fit_the_contents(tmp_path: Path, filename: str, said: str) -> None:
    """A wheel under another release's name, another python's tag, or no wheel's name is refused."""
    assert said in refusal(make_wheel(tmp_path, "shop", "1.0", filename=filename))


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ("Name: store\nVersion: 1.0\n", "the file name says shop 1.0, METADATA says store 1.0"),
        ("Name: shop\nVersion: 2.0\n", "the file name says shop 1.0, METADATA says shop 2.0"),
        ("Name: shop\n", "lacks Name or Version"),
        ("", "lacks Name or Version"),
        ("Name: shop\nVersion: 1.0\nRequires-Dist: pytz (2.0)\n", "METADATA cannot be read"),
        ("Name: shop\nVersion: one\n", "METADATA cannot be read"),
        ("Name: -shop\nVersion: 1.0\n", "METADATA cannot be read"),
    ],
)
def test_metadata_must_be_readable_and_name_the_release(tmp_path: Path, metadata: str, said: str) -> None:
    """METADATA that names another release, or that planning could not read, is refused."""
    wheel = make_wheel(tmp_path, "shop", "1.0", dist_info={"METADATA": metadata})
    assert said in refusal(wheel)


@pytest.mark.parametrize(
    ("wheel_file", "said"),
    [
        ("Wheel-Version: 2.0\nTag: py3-none-any\n", "format 2.0; this envfab reads 1.x"),
        ("Tag: py3-none-any\n", "no Wheel-Version"),
        ("Wheel-Version: x\n", "no Wheel-Version"),
    ],
)
def test_a_newer_wheel_format_is_refused(tmp_path: Path, wheel_file: str, said: str) -> None:
    """A major Wheel-Version that is newer, or none at all, is refused; a newer minor one is not."""
    assert said in refusal(make_wheel(tmp_path, "shop", "1.0", dist_info={"WHEEL": wheel_file}))
    inspect(make_wheel(tmp_path, "shop", "1.0", dist_info={"WHEEL": "Wheel-Version: 1.9\nTag: py3-none-any\n"}))


@pytest.mark.parametrize("name", ["METADATA", "WHEEL", "RECORD"])
def test_what_every_wheel_has_must_be_there(tmp_path: Path, name: str) -> None:
    """A wheel without METADATA, WHEEL or RECORD is refused."""
    wheel = rewritten(tmp_path, lambda members: members.pop(f"{INFO}/{name}"))
    assert f"it has no {INFO}/{name}" in refusal(wheel)


def test_there_is_exactly_one_dist_info_folder(tmp_path: Path) -> None:
    """No dist-info folder makes a zip file, two make a riddle; one of a vendored project further down is fine."""
    plain = tmp_path / NAME
    write_zip(plain, {"shop.py": b""})
    assert "it has no dist-info folder" in refusal(plain)
    two = rewritten(tmp_path, lambda members: members.update({"other-1.0.dist-info/METADATA": b""}), record=True)
    assert "has 2 dist-info folders: other-1.0.dist-info, shop-1.0.dist-info" in refusal(two)
    inspect(make_wheel(tmp_path, "shop", "1.0", files={"shop/_vendor/other-1.0.dist-info/METADATA": ""}))


def test_record_must_be_complete_and_true(tmp_path: Path) -> None:
    """A file that RECORD does not list, lists wrongly, lists twice, or lists although it is not there is refused."""

    def record(old: str, new: str) -> Callable[[dict[str, bytes]], object]:
        def change(members: dict[str, bytes]) -> None:
            text = members[f"{INFO}/RECORD"].decode()
            assert old in text
            members[f"{INFO}/RECORD"] = text.replace(old, new, 1).encode()

        return change

    def check(change: Callable[[dict[str, bytes]], object], said: str) -> None:
        assert said in refusal(rewritten(tmp_path, change))

    check(lambda members: members.update({"evil.py": b""}), "has a file that its RECORD does not list: evil.py")
    check(lambda members: members.pop("shop.py"), "lacks a file that its RECORD lists: shop.py")
    check(lambda members: members.update({"shop.py": b"x"}), "shop.py does not match its RECORD: the sha256 differs")
    check(record(",16\n", ",17\n"), "shop.py has 16 bytes, its RECORD says 17")
    check(record(",16\n", ",many\n"), "its RECORD cannot be read")
    check(record("shop.py,sha256=", "shop.py,md5="), "a hash that is not allowed for shop.py: md5")
    check(record("shop.py,sha256=", "shop.py,sha512="), "a hash that cannot be read for shop.py")
    check(record("shop.py,", f"{INFO}/RECORD,,\nshop.py,"), f"lists {INFO}/RECORD twice")
    check(lambda members: members.update({f"{INFO}/RECORD": b"\xff\n"}), "its RECORD cannot be read")
    check(lambda members: members.update({f"{INFO}/RECORD": b"shop.py,,\n"}), "its RECORD has no hash for shop.py")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../evil.py",
        "shop/../../evil.py",
        "shop/..",
        "shop\\evil.py",
        "..\\evil.py",
        "C:/evil.py",
        "c:evil.py",
        "./evil.py",
        "shop//evil.py",
        "new\nline.py",
    ],
)
def test_a_path_that_leaves_the_wheel_is_refused(tmp_path: Path, path: str) -> None:
    """Absolute paths, `..`, backslashes, drive letters and what is not plain are refused, though RECORD lists them."""
    wheel = make_wheel(tmp_path, "shop", "1.0", files={"shop.py": "", path: "evil"})
    assert "has a member with an unsafe path" in refusal(wheel)


def test_a_nul_in_a_path_hides_nothing(tmp_path: Path) -> None:
    """A path is judged with what follows a NUL, where zipfile itself cuts it off."""
    wheel = make_wheel(tmp_path, "shop", "1.0", files={"shop.py_x": ""})
    wheel.write_bytes(wheel.read_bytes().replace(b"shop.py_x", b"shop.py\x00x"))
    assert "has a member with an unsafe path" in refusal(wheel)


@pytest.mark.parametrize("name", ["/etc/evil.py", "../evil.py", "evil.py", "shop.py\x00", ""])
def test_a_second_name_is_refused(tmp_path: Path, name: str) -> None:
    """A member that another version of Python would unpack elsewhere is refused, wherever that is."""
    wheel = make_wheel(tmp_path, "shop", "1.0")
    members = members_of(wheel)
    with zipfile.ZipFile(wheel, "w") as archive:
        for member, content in members.items():
            entry = zipfile.ZipInfo(member)
            archive.writestr(second_name(entry, name) if member == "shop.py" else entry, content)
    assert "has a member with two names: 'shop.py' and" in refusal(wheel)


def test_a_second_name_that_is_the_same_passes(tmp_path: Path) -> None:
    """Archivers that write the Unicode path of each member are not refused for that."""
    wheel = make_wheel(tmp_path, "shop", "1.0")
    members = members_of(wheel)
    with zipfile.ZipFile(wheel, "w") as archive:
        for member, content in members.items():
            archive.writestr(second_name(zipfile.ZipInfo(member), member), content)
    assert inspect(wheel).wheel.name == "shop"


@pytest.mark.parametrize(("mode", "said"), [(0o120777, "link"), (0o010644, "special file"), (0o060644, "special file")])
def test_links_and_special_files_are_refused(tmp_path: Path, mode: int, said: str) -> None:
    """A member that unpacks to a symbolic link, a pipe or a device is refused."""
    wheel = make_wheel(tmp_path, "shop", "1.0")
    with zipfile.ZipFile(wheel, "a") as archive:
        entry = zipfile.ZipInfo("shop.cfg")
        entry.external_attr = mode << 16
        archive.writestr(entry, "/etc/passwd")
    assert said in refusal(wheel)


def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Of two members with one name an installer takes either: refused, and so is a file that is a folder too."""
    wheel = make_wheel(tmp_path, "shop", "1.0")
    with zipfile.ZipFile(wheel, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("shop.py", "VERSION = 'evil'")
    assert "has two members named shop.py" in refusal(wheel)
    both = make_wheel(tmp_path, "shop", "1.0", files={"shop": "", "shop/__init__.py": ""})
    assert "is a file and a folder: shop" in refusal(both)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    """A member that only a password opens is refused."""
    wheel = make_wheel(tmp_path, "shop", "1.0")
    data = bytearray(wheel.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    wheel.write_bytes(data)
    assert "has an encrypted member: shop.py" in refusal(wheel)


def test_compression_that_old_pythons_lack_is_refused(tmp_path: Path) -> None:
    """LZMA and bzip2 members, which Python 2.7 cannot unpack, are refused."""
    wheel = make_wheel(tmp_path, "shop", "1.0")
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("big.bin", b"0" * 1000)
    assert "that is neither stored nor deflated: big.bin" in refusal(wheel)


def test_a_data_folder_that_installers_do_not_know_is_refused(tmp_path: Path) -> None:
    """Below `.data` only the five keys of the format may stand; another project's `.data` is a package like any."""
    bad = make_wheel(tmp_path, "shop", "1.0", files={"shop-1.0.data/etc/passwd": ""})
    assert "installers do not know: shop-1.0.data/etc/passwd" in refusal(bad)
    inspect(make_wheel(tmp_path, "shop", "1.0", files={"other.data/etc/passwd": ""}))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """What unpacks to hundreds of times its size, or to more than is allowed, or has too many members, is refused."""
    bomb = make_wheel(tmp_path, "shop", "1.0", files={"zeros": bytes(33 << 20)})
    assert "times its size\n  it looks like a zip bomb" in refusal(bomb)
    inspect(make_wheel(tmp_path, "shop", "1.0", files={"zeros": bytes(1 << 20)}))
    small = make_wheel(tmp_path, "shop", "1.0")
    assert "bytes; 100 are allowed" in refusal(small, Limits(total=100))
    assert "has 4 members; 3 are allowed" in refusal(small, Limits(members=3))


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """Two directory entries that lead to the same bytes are how the densest bombs are built."""
    wheel = make_wheel(tmp_path, "shop", "1.0", files={"aaa.py": "1", "bbb.py": "1"})
    data = bytearray(wheel.read_bytes())
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[second + 42 : second + 46] = bytes(4)
    wheel.write_bytes(data)
    assert "has members that overlap" in refusal(wheel)


def test_a_directory_that_lies_about_a_size_is_found_out_while_reading(tmp_path: Path) -> None:
    """A member that holds more or less than the directory says is refused, however small it claims to be."""
    wheel = make_wheel(tmp_path, "shop", "1.0", files={"zeros": bytes(1 << 20)})
    data = bytearray(wheel.read_bytes())
    at = data.index(b"PK\x01\x02")
    for size in (100, 2 << 20):
        data[at + 24 : at + 28] = size.to_bytes(4, "little")
        wheel.write_bytes(data)
        assert "damaged" in (message := refusal(wheel)) or "shorter" in message


@pytest.mark.parametrize("kept", [0, 3, 50, 200, 0.5, 0.9, 0.999])
def test_a_wheel_that_is_cut_short_is_refused(tmp_path: Path, kept: float) -> None:
    """A download that broke off is refused, wherever it did."""
    wheel = make_wheel(tmp_path, "shop", "1.0")
    data = wheel.read_bytes()
    wheel.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    message = refusal(wheel)
    assert "cut short" in message or "is not a wheel" in message
    assert "download it again" in message


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    """Text, a folder and nothing at all under a wheel's name are refused in so many words."""
    wheel = tmp_path / NAME
    assert "No such file" in refusal(wheel)
    wheel.write_text("<html>404</html>")
    assert "is not a wheel: it does not begin like a zip file" in refusal(wheel)
    wheel.unlink()
    wheel.mkdir()
    assert "is not a file" in refusal(wheel)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damage_is_never_a_traceback_and_never_passes_for_another_content(tmp_path: Path, data: st.DataObject) -> None:
    """However a wheel's bytes are changed, it is refused by a WheelError, or its contents are what they were."""
    sound = make_wheel(tmp_path / "sound", "shop", "1.0")
    content = bytearray(sound.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = tmp_path / NAME
    damaged.write_bytes(content)
    try:
        inspect(damaged)
    except WheelError:
        return
    assert members_of(damaged)["shop.py"] == b"VERSION = '1.0'\n"


def fields(first: str, lines: int, line: str) -> str:
    """A header with a line that is there many times."""
    return first + "".join(line.replace("*", str(number)) for number in range(lines))


LONG = "1" * 5000


@pytest.mark.parametrize(
    ("member", "content", "said"),
    [
        ("WHEEL", f"Wheel-Version: {LONG}.0\nTag: py3-none-any\n", "is a wheel of format 1111111"),
        ("WHEEL", fields("Wheel-Version: 1.0\n", 900_000, "Tag: a-b-c\n"), "has 900,000 tags; 1,000 are allowed"),
        ("WHEEL", f"Wheel-Version: 1.0\nTag: {'-'.join(['.'.join(['py3'] * 9000)] * 3)}\n", "has 729,000,000,000 tags"),
        ("METADATA", f"Name: shop\nVersion: {LONG}\n", "a number of more than 100 digits"),
        ("METADATA", f"Name: shop\nVersion: 1.0\nRequires-Dist: a=={LONG}\n", "a number of more than 100 digits"),
        (
            "METADATA",
            f"Name: shop\nVersion: 1.0\nRequires-Dist: a ; python_version > '{LONG}'\n",
            "a number of more than 100 digits",
        ),
        (
            "METADATA",
            f"Name: shop\nVersion: 1.0\nRequires-Dist: a ; {'(' * 3000}os_name == 'x'{')' * 3000}\n",
            "more than 50 parentheses",
        ),
        (
            "METADATA",
            fields("Name: shop\nVersion: 1.0\n", 20_000, "Requires-Dist: a*\n"),
            "more than 10,000 Requires-Dist",
        ),
        ("METADATA", f"Name: shop\nVersion: 1.0\nKeywords: {'x' * (5 << 20)}\n", "more than 4,194,304 bytes of fields"),
    ],
)
def test_what_cannot_be_planned_with_is_refused(tmp_path: Path, member: str, content: str, said: str) -> None:
    """Numbers, tags and requirements without end: one short error, in a bounded time."""
    began = time.monotonic()
    message = refusal(
        rewritten(tmp_path, lambda members: members.update({f"{INFO}/{member}": content.encode()}), record=True)
    )
    assert said in message
    assert len(message) < 500 + len(str(tmp_path))
    assert time.monotonic() - began < 10


def test_a_size_in_record_may_be_no_number_without_end(tmp_path: Path) -> None:
    """Python says of such a number how many digits it may have; nobody needs to know."""
    wheel = rewritten(tmp_path, change_record(lambda text: re.sub(r",\d+$", f",{LONG}", text, flags=re.MULTILINE)))
    assert "its RECORD cannot be read: a size has too many digits" in refusal(wheel)


def change_record(change: Callable[[str], str]) -> Callable[[dict[str, bytes]], object]:
    """A change of RECORD's text."""

    def apply(members: dict[str, bytes]) -> None:
        members[f"{INFO}/RECORD"] = change(members[f"{INFO}/RECORD"].decode()).encode()

    return apply


def test_a_record_of_what_is_not_there_is_not_kept(tmp_path: Path) -> None:
    """The first path that no member has ends it, however many follow."""
    more = "".join(f"x{number},,\n" for number in range(300_000))
    wheel = rewritten(tmp_path, change_record(lambda text: text + more))
    tracemalloc.start()
    assert "lacks a file that its RECORD lists: x0" in refusal(wheel)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20


@pytest.mark.parametrize("character", ["\x85", "\x9b", "\u2028", "\u2029", "\u202e", "\u2066", "\u200f"])
def test_a_members_name_shows_what_it_is(tmp_path: Path, character: str) -> None:
    """C1 and line separators end a line of RECORD for some readers; what turns the direction hides an ending."""
    message = refusal(rewritten(tmp_path, lambda members: members.update({f"a{character}b.py": b""}), record=True))
    assert "unsafe path" in message
    assert character not in message


@pytest.mark.parametrize(
    ("line", "read", "note"),
    [
        ("Requires-Python: >=3.*", ">=3", "its Requires-Python '>=3.*' is read as '>=3'"),
        ("Requires-Python: >=2.7, !=3.0*, <4.*", "!=3.0.*,<4,>=2.7", "is read as '>=2.7, !=3.0.*, <4'"),
        ("Requires-Python: >='3.6'", ">=3.6", "is read as '>=3.6'"),
        ("Requires-Python: 3.6", "", "its Requires-Python '3.6' cannot be read, and is ignored"),
        ("Requires-Python: three", "", "cannot be read, and is ignored"),
        (f"Requires-Python: >={LONG}", "", "cannot be read, and is ignored"),
    ],
)
def test_requires_python_is_read_as_current_installers_do(tmp_path: Path, line: str, read: str, note: str) -> None:
    """uv mends the usual slips, and pip passes over what it cannot read; each is noted."""
    metadata = inspect(of_metadata(tmp_path, line)).metadata
    assert str(metadata.requires_python) == read
    (said,) = metadata.notes
    assert note in said
    assert len(said) < 300


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("pytz (>dev)", "pytz>0.0.0dev"),
        ("pytz>=2.0.*", "pytz>=2.0"),
        ("pytz>=1.0<3000", "pytz<3000,>=1.0"),
        ("pytz!=~1.0 ; python_version > '3'", 'pytz!=1.0.*; python_version > "3"'),
    ],
)
def test_requires_dist_of_old_wheels_is_read_as_uv_does(tmp_path: Path, line: str, read: str) -> None:
    """pip 24.1 and later refuse these, older ones and uv take them."""
    metadata = inspect(of_metadata(tmp_path, f"Requires-Dist: {line}")).metadata
    assert list(map(str, metadata.requires)) == [read]
    assert metadata.notes[0].startswith(f"its Requires-Dist {line!r} is read as ")


@pytest.mark.parametrize("line", ["pytz (2.0)", "pytz>=2011k", "this is none", "pytz ; extra = 'x'"])
def test_requires_dist_that_no_current_installer_reads_is_refused(tmp_path: Path, line: str) -> None:
    """Tried with pip 26.3 and uv 0.13."""
    message = refusal(of_metadata(tmp_path, f"Requires-Dist: {line}"))
    assert message.endswith("\n  current pip and uv refuse such a wheel, too")


def test_a_broken_line_of_metadata_is_read_whole(tmp_path: Path) -> None:
    """pip 26.3 and uv 0.13 take it; so does the agent, of what is installed."""
    metadata = inspect(of_metadata(tmp_path, "Requires-Dist: django\n (>=3.2) ;\n\tpython_version > '3'")).metadata
    assert list(map(str, metadata.requires)) == ['django>=3.2; python_version > "3"']


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("Requires-Dist: django\nRequires-Dist: caf\udce9", "has a Requires-Dist that is not UTF-8"),
        ("Name: shop", "has 2 lines Name"),
        ("Version: 2.0", "has 2 lines Version"),
    ],
)
def test_fields_that_would_be_lost_are_refused(tmp_path: Path, lines: str, said: str) -> None:
    """Of a field with one value that it cannot read, packaging gives none: the plan would leave out all dependencies."""
    assert said in refusal(of_metadata(tmp_path, lines))


def test_of_several_requires_python_the_first_counts(tmp_path: Path) -> None:
    """As with pip and uv."""
    metadata = inspect(of_metadata(tmp_path, "Requires-Python: >=3.9\nRequires-Python: >=2.7")).metadata
    assert str(metadata.requires_python) == ">=3.9"


@pytest.mark.parametrize(
    "line", [f"Requires-Dist: a<{'9' * 200}", "Requires-Dist: a\n" * 10_001, f"Requires-Dist: a ;{'(' * 60}x{')' * 60}"]
)
def test_what_only_envfab_refuses_is_not_said_of_pip(tmp_path: Path, line: str) -> None:
    """pip 26.3 takes these."""
    message = refusal(of_metadata(tmp_path, line.rstrip()))
    assert message.endswith("\n  no plan can use it")


def of_metadata(folder: Path, line: str) -> Path:
    """The wheel `shop` 1.0 with one line more in its METADATA."""
    text = f"Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n{line}\n"
    return make_wheel(folder, "shop", "1.0", dist_info={"METADATA": text.encode("utf-8", "surrogateescape")})


@pytest.mark.parametrize(
    "filename",
    [f"shop-{LONG}-py3-none-any.whl", f"shop-1.0-{LONG}-py3-none-any.whl", f"shop-{'1' * 150}-py3-none-any.whl",
     f"shop-1.0-{'.'.join('abcdefghijklmnopqrstuvwxyz')}-{'.'.join('abcdefghijklmnopqrstuvwxyz')}-{'.'.join('ab')}.whl"],
)  # fmt: skip
def test_a_file_name_of_numbers_and_tags_without_end_is_refused(filename: str) -> None:
    """Names come from logs, indexes and plans as well, where no file system limits them."""
    with pytest.raises(WheelError) as caught:
        Wheel.from_filename(filename)
    assert len(str(caught.value)) < 700
