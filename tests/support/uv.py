"""A wheel of the uv that the tests run with."""

from __future__ import annotations

import zipfile
from importlib.metadata import distribution
from pathlib import Path

from tests.support.wheels import WHEEL_DATE, compressed_tag, record_text


def pack_uv(folder: Path) -> Path:
    """A wheel in `folder` with the installed uv, its own metadata and tags; not compressed, which would take a second."""
    from uv import find_uv_bin

    uv = distribution("uv")
    info = f"uv-{uv.version}.dist-info"
    described = uv.read_text("WHEEL") or ""
    tags = [line.partition(": ")[2] for line in described.splitlines() if line.startswith("Tag: ")]
    members = {
        f"uv-{uv.version}.data/scripts/uv": Path(find_uv_bin()).read_bytes(),
        f"{info}/METADATA": (uv.read_text("METADATA") or "").encode(),
        f"{info}/WHEEL": described.encode(),
    }
    members[f"{info}/RECORD"] = record_text(members, f"{info}/RECORD").encode()
    path = folder / f"uv-{uv.version}-{compressed_tag(tags)}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            entry = zipfile.ZipInfo(member, WHEEL_DATE)
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, content)
    return path
