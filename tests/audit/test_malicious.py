"""Malicious releases in an advisory export: which are found, and what is remembered between runs."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from envfab.audit import malicious
from envfab.audit.malicious import MaliciousReleases
from envfab.errors import SupplyError
from envfab.models.wheel import Wheel


def record(identity: str, name: str = "shop", **fields: Any) -> dict[str, Any]:
    """A record about version 1.0 of a project."""
    package = {"name": name, "ecosystem": "PyPI"}
    affected = [{"package": package, "versions": ["1.0"]}]
    summary = f"Malicious code in {name}"
    return {"id": identity, "modified": "2026-11-01T00:00:00Z", "summary": summary, "affected": affected, **fields}


def export(place: Path, *records: dict[str, Any] | str, settled: bool = True) -> Path:
    """An export as OSV has it, written a while ago."""
    with zipfile.ZipFile(place, "w") as archive:
        for number, one in enumerate(records):
            archive.writestr(f"{number}.json", one if isinstance(one, str) else json.dumps(one))
    if settled:
        os.utime(place, ns=(1, 1))
    return place


def ids(releases: MaliciousReleases, *names: str) -> list[str]:
    """The records that report wheels, such as `shop-1.0`."""
    return [one.id for one in releases.among(Wheel.from_filename(f"{name}-py3-none-any.whl") for name in names)]


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (record("MAL-2026-1"), ["MAL-2026-1"]),
        (record("GHSA-x", aliases=["CVE-1", "MAL-2026-2"]), ["MAL-2026-2"]),
        (record("PYSEC-2026-1"), []),
        (record("MAL-2026-3", withdrawn="2026-11-02T00:00:00Z"), []),
        (record("MAL-2026-4", name="Basket"), []),
    ],
)
def test_finds_records_by_their_ids(tmp_path: Path, one: dict[str, Any], found: list[str]) -> None:
    """The id or an alias says it; other records, withdrawn ones and those on other projects do not."""
    releases = MaliciousReleases(export(tmp_path / "all.zip", one, record("PYSEC-1", "till")), None)
    assert ids(releases, "shop-1.0", "shop-1.0+local", "shop-2.0") == found * 2


def test_ranges_count(tmp_path: Path) -> None:
    """All versions, where a record is on the whole project."""
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
    whole = record("MAL-1", affected=[{"package": {"name": "Sh_op", "ecosystem": "PyPI"}, "ranges": ranges}])
    assert ids(MaliciousReleases(export(tmp_path / "all.zip", whole), None), "sh_op-7") == ["MAL-1"]


def test_the_export_is_summarized_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run reads the summary, with the age and the damage; another export is read."""
    monkeypatch.setattr(malicious, "SETTLED", -1)
    place = export(tmp_path / "all.zip", record("MAL-1"), "no JSON")
    first = MaliciousReleases(place, tmp_path / "cache")
    with monkeypatch.context() as reading:
        reading.setattr(malicious, "every_record", None)
        second = MaliciousReleases(place, tmp_path / "cache")
    assert second.export == first.export
    assert second.export.unreadable == ["1.json"]
    assert ids(second, "shop-1.0") == ["MAL-1"]
    export(place, record("MAL-2", "basket"))
    assert ids(MaliciousReleases(place, tmp_path / "cache"), "shop-1.0", "basket-1.0") == ["MAL-2"]


def test_an_export_that_was_just_written_is_not_remembered(tmp_path: Path) -> None:
    """It could change once more within the same tick of the clock."""
    MaliciousReleases(export(tmp_path / "all.zip", record("MAL-1"), settled=False), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"format": 2}', "\0", '{"format": 1, "stamp": 3}', None])
def test_a_damaged_summary_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str | None) -> None:
    """Also one of a newer envfab, and one with wrong types in it."""
    monkeypatch.setattr(malicious, "SETTLED", -1)
    place = export(tmp_path / "all.zip", record("MAL-1"))
    MaliciousReleases(place, tmp_path / "cache")
    (summary,) = (tmp_path / "cache" / "advisories").iterdir()
    text = summary.read_text().replace('["shop"]', "7") if damage is None else damage
    summary.write_text(text)
    assert ids(MaliciousReleases(place, tmp_path / "cache"), "shop-1.0") == ["MAL-1"]


def test_a_folder_of_records_is_read_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its times do not tell of a change in a file."""
    monkeypatch.setattr(malicious, "SETTLED", -1)
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "1.json").write_text(json.dumps(record("PYSEC-1")))
    assert ids(MaliciousReleases(folder, tmp_path / "cache"), "shop-1.0") == []
    (folder / "1.json").write_text(json.dumps(record("MAL-1")))
    assert ids(MaliciousReleases(folder, tmp_path / "cache"), "shop-1.0") == ["MAL-1"]


def test_an_export_that_says_nothing_is_an_error(tmp_path: Path) -> None:
    """Of another ecosystem, damaged, or missing: it would look like an all-clear."""
    other = record("MAL-1", affected=[{"package": {"name": "shop", "ecosystem": "npm"}}])
    with pytest.raises(SupplyError, match="has no OSV record on a PyPI project"):
        MaliciousReleases(export(tmp_path / "all.zip", other), None)
    with pytest.raises(SupplyError, match="cannot be read"):
        MaliciousReleases(tmp_path / "none.zip", None)
