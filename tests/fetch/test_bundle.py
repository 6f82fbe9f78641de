"""Bundles: what is written comes in, what is not exactly that stays out, and the wheelhouse is as it was."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from envfab.errors import EnvfabError
from envfab.fetch.bundle import add_bundle, is_bundle, write_bundle
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.provenances import provenance
from tests.support.wheels import make_wheel

Members = dict[str, bytes]


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    """Two wheels that no wheelhouse has."""
    return [make_wheel(tmp_path / "dist", name, "1.0") for name in ("shop", "basket")]


@pytest.fixture
def bundle(tmp_path: Path, wheels: list[Path]) -> Path:
    """Both in one file."""
    place = tmp_path / "carry" / "wheels.bundle"
    write_bundle(place, wheels)
    return place


def names(wheelhouse: Wheelhouse) -> list[str]:
    """What lies in the wheels folder."""
    return sorted(path.name for path in wheelhouse.wheels.iterdir()) if wheelhouse.wheels.exists() else []


def test_what_is_packed_comes_in(bundle: Path, wheels: list[Path], wheelhouse: Wheelhouse) -> None:
    """All wheels are logged as if each had been added; a second time they are there already."""
    assert is_bundle(bundle)
    assert [one.outcome.value for one in add_bundle(bundle, wheelhouse)] == ["added", "added"]
    assert names(wheelhouse) == sorted(wheel.name for wheel in wheels)
    assert [one.outcome.value for one in add_bundle(bundle, wheelhouse)] == ["present", "present"]
    assert [path.name for path in bundle.parent.iterdir()] == ["wheels.bundle"]


def with_changed_wheel(members: Members) -> None:
    members["wheels/shop-1.0-py3-none-any.whl"] += b"x"


def with_escaping_member(members: Members) -> None:
    members["../evil.whl"] = b"x"


def with_escaping_manifest(members: Members) -> None:
    manifest = json.loads(members["manifest.json"])
    manifest["wheels"][0]["filename"] = "../basket-1.0-py3-none-any.whl"
    members["manifest.json"] = json.dumps(manifest).encode()


def without_a_wheel(members: Members) -> None:
    del members["wheels/shop-1.0-py3-none-any.whl"]


def with_a_stowaway(members: Members) -> None:
    members["wheels/evil-1.0-py3-none-any.whl"] = b"x"


def of_another_format(members: Members) -> None:
    members["manifest.json"] = b'{"format": 2}'


def without_manifest(members: Members) -> None:
    del members["manifest.json"]


def with_twice_the_same(members: Members) -> None:
    manifest = json.loads(members["manifest.json"])
    manifest["wheels"] *= 2
    members["manifest.json"] = json.dumps(manifest).encode()


def with_a_strange_provenance(members: Members) -> None:
    manifest = json.loads(members["manifest.json"])
    manifest["wheels"][1]["provenance"] = json.dumps(provenance("b" * 64))
    members["manifest.json"] = json.dumps(manifest).encode()


def with_a_bomb(members: Members) -> None:
    members["wheels/bomb"] = bytes(40 << 20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_changed_wheel, "shop-1.0-py3-none-any.whl is not what the manifest says: its SHA-256 is another"),
        (with_escaping_member, "has a member with an unsafe path"),
        (with_escaping_manifest, "its manifest cannot be read"),
        (without_a_wheel, "lacks wheels/shop-1.0-py3-none-any.whl, which its manifest names"),
        (with_a_stowaway, "has wheels/evil-1.0-py3-none-any.whl, which its manifest does not name"),
        (of_another_format, "it is of format 2; this envfab reads 1"),
        (without_manifest, "is not a bundle: it has no manifest.json"),
        (with_twice_the_same, "its manifest cannot be read: it names a wheel twice"),
        (with_a_strange_provenance, "the provenance of shop-1.0-py3-none-any.whl is not one: it is about another file"),
        (with_a_bomb, "it looks like a zip bomb"),
    ],
)
def test_what_is_not_as_it_was_packed_stays_out(
    bundle: Path, wheelhouse: Wheelhouse, change: Callable[[Members], None], message: str
) -> None:
    """Nothing of such a bundle comes in, and the error names the bundle and what is wrong with it."""
    rewrite(bundle, change)
    with pytest.raises(EnvfabError) as caught:
        add_bundle(bundle, wheelhouse)
    assert message in str(caught.value)
    assert str(bundle) in str(caught.value)
    assert names(wheelhouse) == []
    assert not wheelhouse.log.exists()


def rewrite(bundle: Path, change: Callable[[Members], None]) -> None:
    """The same archive with other members."""
    with zipfile.ZipFile(bundle) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    packed(bundle, members)


def packed(bundle: Path, members: Mapping[str, bytes]) -> None:
    """An archive of these members."""
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_an_unsound_wheel_keeps_all_others_out(tmp_path: Path, wheels: list[Path], wheelhouse: Wheelhouse) -> None:
    """The manifest being right does not make a file a wheel."""
    bad = make_wheel(tmp_path / "dist", "till", "1.0", filename="till-2.0-py3-none-any.whl")
    write_bundle(tmp_path / "b", [*wheels, bad])
    with pytest.raises(EnvfabError, match=r"till-2\.0-py3-none-any\.whl has the dist-info folder of another release"):
        add_bundle(tmp_path / "b", wheelhouse)
    assert names(wheelhouse) == []


def test_a_different_file_of_a_known_name_keeps_all_others_out(
    bundle: Path, tmp_path: Path, wheelhouse: Wheelhouse
) -> None:
    """What was logged never changes, and the bundle comes in as a whole or not at all."""
    wheelhouse.add(make_wheel(tmp_path / "own", "shop", "1.0", files={"shop.py": "ours"}))
    with pytest.raises(EnvfabError, match="a different file was logged under this name"):
        add_bundle(bundle, wheelhouse)
    assert names(wheelhouse) == ["shop-1.0-py3-none-any.whl"]


def test_a_failure_half_way_keeps_all_out(
    bundle: Path, wheelhouse: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wheels that have their names already lose them again where a later one, or the log, cannot be written."""
    wheelhouse.add(make_wheel(tmp_path / "own", "till", "1.0"))
    before = wheelhouse.log.read_bytes()
    replace, calls = os.replace, []

    def failing(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(EnvfabError, match="cannot add 2 wheels: No space left on device"):
        add_bundle(bundle, wheelhouse)
    assert names(wheelhouse) == ["till-1.0-py3-none-any.whl"]
    assert wheelhouse.log.read_bytes() == before
    monkeypatch.undo()
    assert [one.outcome.value for one in add_bundle(bundle, wheelhouse)] == ["added", "added"]


def test_a_manifest_that_is_nested_too_deeply_is_refused(bundle: Path, wheelhouse: Wheelhouse) -> None:
    """One clear error, as for any other manifest that is none."""
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("manifest.json", "[" * 200_000)
    with pytest.raises(EnvfabError, match="its manifest cannot be read: it is nested too deeply"):
        add_bundle(bundle, wheelhouse)


def test_a_cut_bundle_says_so(bundle: Path, wheelhouse: Wheelhouse) -> None:
    """Half a file is no bundle, though the end of its last wheel looks like the end of an archive."""
    bundle.write_bytes(bundle.read_bytes()[:-100])
    with pytest.raises(EnvfabError, match="was it copied whole"):
        add_bundle(bundle, wheelhouse)


def test_where_no_bundle_can_be_written_is_told(wheels: list[Path], tmp_path: Path) -> None:
    """A file in the way is one clear error, and nothing half-written stays."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EnvfabError, match="the bundle cannot be written: "):
        write_bundle(tmp_path / "file" / "b", wheels)


def test_what_is_no_file_is_no_bundle(tmp_path: Path) -> None:
    """Folders, pipes, missing files and wheels are left to add_wheel."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none", make_wheel(tmp_path, "shop", "1.0")):
        assert not is_bundle(path)
