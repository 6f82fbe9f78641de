"""Known vulnerabilities out of an OSV export: which versions, under which names, how old."""

from __future__ import annotations

import json
import os
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from envfab.audit.osv import AdvisoryIndex, read, vulnerabilities
from envfab.errors import SupplyError
from tests.planning.catalogue import distribution

NAMES = {canonicalize_name("django"), canonicalize_name("shop")}


def record(identity: str, *events: dict[str, str], name: str = "Django", **fields: Any) -> dict[str, Any]:
    """A record with one range."""
    affected = {
        "package": {"ecosystem": "PyPI", "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": list(events)}],
        "versions": fields.pop("versions", []),
    }
    return {"id": identity, "modified": "2026-11-01T10:00:00.123456Z", "affected": [affected], **fields}


def export(folder: Path, *records: object) -> Path:
    """A folder of records."""
    folder.mkdir(exist_ok=True)
    for number, one in enumerate(records):
        (folder / f"{number}.json").write_text(json.dumps(one))
    return folder


def known(place: Path, *there: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """(NAME VERSION, names of the vulnerability, fixed versions)."""
    found = vulnerabilities([distribution(one) for one in there], read(place, NAMES))
    return [(f"{one.shown_as} {one.version}", one.ids, one.fixed) for one in found]


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ("4.1", False), ("4.2", True), ("4.2.9", True), ("4.2.10", False), ("5.0a1", False), ("5.0", True), ("5.0.1", True),
        ("5.0.1+corp1", True), ("5.0.2", False), ("4.2.10rc1", True), ("4.2+corp1", True), ("3.0.post1", True), ("6.1", True),
        ("6.2", False), ("7.1", True), ("7.2", False),
    ],
)  # fmt: skip
def test_ranges_are_ordered_as_versions_are(tmp_path: Path, version: str, affected: bool) -> None:
    """Introduced inclusive, fixed exclusive, last affected inclusive, several spans, listed versions, local parts."""
    events = [{"fixed": "4.2.10"}, {"introduced": "4.2"}, {"introduced": "5.0"}, {"last_affected": "5.0.1"},
              {"introduced": "6.0"}, {"limit": "6.2"}, {"introduced": "7.0"}, {"fixed": "7.1"},
              {"introduced": "7.1"}, {"fixed": "7.2"}]  # fmt: skip
    place = export(tmp_path / "osv", record("GHSA-1", *events, versions=["3.0.post1", "no version"]))
    assert bool(known(place, f"Django=={version}")) is affected


def test_the_beginning_and_no_end(tmp_path: Path) -> None:
    """`introduced: 0` is before everything, and what has no fix is affected for ever; ranges of commits are not read."""
    everything = record("MAL-1", {"introduced": "0"}, name="shop")
    commits = record("GHSA-2", {"introduced": "0"})
    commits["affected"][0]["ranges"][0]["type"] = "GIT"
    place = export(tmp_path / "osv", everything, commits)
    assert known(place, "shop==0.0.dev0", "django==99") == [("shop 0.0.dev0", ("MAL-1",), ())]
    assert known(place, "shop==99") == [("shop 99", ("MAL-1",), ())]


def test_the_same_vulnerability_is_told_once(tmp_path: Path) -> None:
    """Records that name each other, directly or through a third, are one, with all names and fixes."""
    place = export(
        tmp_path / "osv",
        record(
            "GHSA-1", {"introduced": "4.0"}, {"fixed": "4.2"}, aliases=["CVE-1"], database_specific={"severity": "HIGH"}
        ),
        record("PYSEC-9", {"introduced": "4.0"}, {"fixed": "4.3"}, aliases=["CVE-2"], summary="Loses  data"),
        record("GHSA-2", {"introduced": "4.0"}, {"fixed": "4.2"}, aliases=["CVE-1", "CVE-2"]),
        record("GHSA-3", {"introduced": "4.0"}, {"fixed": "4.1.1"}),
    )
    both, other = vulnerabilities([distribution("django==4.1")], read(place, NAMES))
    assert both.ids == ("CVE-1", "CVE-2", "PYSEC-9", "GHSA-1", "GHSA-2")
    assert (both.fixed, both.severity, both.summary) == (("4.2", "4.3"), "HIGH", "Loses data")
    assert other.ids == ("GHSA-3",)


def test_withdrawn_and_foreign_records_say_nothing(tmp_path: Path) -> None:
    """Withdrawn ones are skipped, and so are other ecosystems' projects of the same name."""
    foreign = record("GHSA-2", {"introduced": "0"})
    foreign["affected"][0]["package"]["ecosystem"] = "npm"
    place = export(tmp_path / "osv", record("GHSA-1", {"introduced": "0"}, withdrawn="2026-10-01T00:00:00Z"), foreign)
    assert known(place, "django==4.1") == []


def test_a_record_that_is_nested_too_deeply_spoils_no_other(tmp_path: Path) -> None:
    """It is named among those that cannot be read."""
    place = export(tmp_path / "osv", record("GHSA-1", {"introduced": "0"}))
    (place / "deep.json").write_text("[" * 200_000)
    assert known(place, "django==4.1") == [("django 4.1", ("GHSA-1",), ())]
    assert read(place, NAMES).unreadable == ["deep.json"]


def test_names_are_compared_canonically(tmp_path: Path) -> None:
    """`Zope.Interface` in a record is `zope-interface` as it is installed."""
    place = export(tmp_path / "osv", record("GHSA-1", {"introduced": "0"}, name="Zope.Interface"))
    name = canonicalize_name("zope_interface")
    assert len(vulnerabilities([distribution("zope-interface==1")], read(place, {name}))) == 1


def test_the_age_is_that_of_the_newest_record(tmp_path: Path) -> None:
    """An export is as old as the last change in it."""
    older = record("GHSA-1", {"introduced": "0"}) | {"modified": "2026-01-01T00:00:00Z"}
    made = read(export(tmp_path / "osv", record("GHSA-2", {"introduced": "0"}), older), NAMES)
    assert made.age(datetime(2026, 11, 21, tzinfo=timezone.utc)) == "as of 2026-11-01, 19 days old"
    assert made.age(datetime(2026, 10, 1, tzinfo=timezone.utc)) == "as of 2026-11-01, 0 days old"


def test_a_zip_a_folder_and_a_file_are_the_same(tmp_path: Path) -> None:
    """The export as it is downloaded, unpacked, or one record of it."""
    one = record("GHSA-1", {"introduced": "0"}, {"fixed": "5"})
    folder = export(tmp_path / "osv", one)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(folder / "0.json", "GHSA-1.json")
    expected = [("django 4.1", ("GHSA-1",), ("5",))]
    for place in (folder, tmp_path / "all.zip", folder / "0.json"):
        assert known(place, "django==4.1") == expected


def test_records_that_nobody_can_read_are_counted(tmp_path: Path) -> None:
    """Damaged records stop nothing, and are named."""
    place = export(tmp_path / "osv", record("GHSA-1", {"introduced": "0"}), {"id": "x"}, [1], "text")
    (place / "9.json").write_text("{")
    made = read(place, NAMES)
    assert (made.records, made.unreadable) == (1, ["1.json", "2.json", "3.json", "9.json"])


def test_what_holds_no_record_is_no_all_clear(tmp_path: Path) -> None:
    """An empty folder, a foreign ecosystem, a damaged zip, a missing file: errors, not `nothing known`."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("a.json", json.dumps(record("GHSA-1", {"introduced": "0"})))
    content = (tmp_path / "bad.zip").read_bytes()
    (tmp_path / "bad.zip").write_bytes(content.replace(b"GHSA", b"XXXX"))
    for name, message in {
        "empty": "has no OSV record on a PyPI project",
        "cut.zip": "is damaged or cut short: its list of files is missing",
        "bad.zip": "is damaged or cut short",
        "none": "cannot be read: No such file or directory",
    }.items():
        with pytest.raises(SupplyError) as caught:
            read(tmp_path / name, NAMES)
        assert str(caught.value).startswith(f"{tmp_path / name}: {message}")


def test_an_index_tells_the_same_as_reading_all_of_it(tmp_path: Path) -> None:
    """Of the names that are asked for, from a zip, a folder or a file; withdrawn and damaged records stay out."""
    records = [
        record("GHSA-1", {"introduced": "0"}, {"fixed": "5"}),
        record("GHSA-2", {"introduced": "0"}, name="shop"),
        record("GHSA-3", {"introduced": "0"}, withdrawn="2026-10-01T00:00:00Z"),
        record("GHSA-4", {"introduced": "0"}) | {"aliases": 5},
        {"id": "x"},
    ]
    folder = export(tmp_path / "osv", *records)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for number in range(len(records)):
            archive.write(folder / f"{number}.json", f"{number}.json")
    for place in (folder, tmp_path / "all.zip", folder / "0.json"):
        index, whole = AdvisoryIndex(place), read(place, NAMES)
        assert index.about(NAMES).advisories == whole.advisories
        assert index.export.as_of == whole.as_of
        assert index.about([canonicalize_name("django")]).advisories.keys() == {"django"}
        assert index.about([canonicalize_name("other")]).advisories == {}


def test_an_index_of_an_export_that_is_gone(tmp_path: Path) -> None:
    """What was not asked for before cannot be told any more: an error, not `nothing known`."""
    place = tmp_path / "all.zip"
    for changed in (None, b"PK\x03\x04 cut", b"{}"):
        with zipfile.ZipFile(place, "w") as archive:
            archive.writestr("a.json", json.dumps(record("GHSA-1", {"introduced": "0"})))
        index = AdvisoryIndex(place)
        place.unlink() if changed is None else place.write_bytes(changed)
        with pytest.raises(SupplyError):
            index.about(NAMES)
    with pytest.raises(SupplyError):
        AdvisoryIndex(place)


@pytest.mark.parametrize("inside", [False, True])
def test_a_pipe_is_not_waited_for(tmp_path: Path, inside: bool) -> None:
    """In the place of the export, and of a record in its folder."""
    place = export(tmp_path / "osv", record("GHSA-1", {"introduced": "0"}))
    pipe = place / "pipe.json"
    os.mkfifo(pipe)
    with pytest.raises(SupplyError, match="cannot be read: it is not a regular file"):
        read(place if inside else pipe, NAMES)


def test_a_zip_that_cannot_be_unpacked_has_a_reason(tmp_path: Path) -> None:
    """Also by bz2, whose errors have no reason of the system."""
    place = tmp_path / "all.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("1.json", json.dumps(record("GHSA-1", {"introduced": "0"})))
    place.write_bytes(place.read_bytes().replace(b"BZh9", b"BZx9", 1))
    with pytest.raises(SupplyError, match="cannot be read: Invalid data stream"):
        read(place, NAMES)
