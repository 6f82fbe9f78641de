"""Materials of a bill: what agents tell of licences, bundled libraries and bills of materials in wheels."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from envfab.agent import materials as agent_materials
from envfab.remote import agent_sources
from tests.agent.conftest import site_packages
from tests.remote.conftest import StartAgent
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import record_digest

EACH = pytest.mark.parametrize("version", ["2.7", "3.6", "3.13"], indirect=True)
ONE = pytest.mark.parametrize("version", ["3.13"], indirect=True)
# the agent has no annotations, since it runs on Python 2.7
source: Any = agent_materials
METADATA = "Metadata-Version: 2.4\nName: Shop\nVersion: 1.0\n"


@pytest.fixture
def venv(make_virtualenv: VirtualenvMaker, tmp_path: Path, version: str) -> Path:
    """A plain virtualenv of its own."""
    return make_virtualenv(version, tmp_path / "venv")


def lay(venv: Path, files: Mapping[str, str], record: str | None = None, metadata: str = METADATA) -> None:
    """Lay a distribution into a virtualenv, with its files, all in RECORD unless that is given."""
    site = site_packages(venv)
    files = {"Shop-1.0.dist-info/METADATA": metadata, **files}
    for path, content in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(content)
    lines = [f"{path},sha256={record_digest(content.encode())},{len(content)}" for path, content in files.items()]
    (site / "Shop-1.0.dist-info" / "RECORD").write_text("\n".join(lines) if record is None else record)


def told(agent: StartAgent, venv: Path) -> dict[str, Any]:
    """What the agent tells of the distribution."""
    (found,) = [one for one in everything(agent, venv)["distributions"] if one["name"] == "Shop"]
    return dict(found)


def everything(agent: StartAgent, venv: Path) -> dict[str, Any]:
    """All that the agent tells."""
    return agent(venv, *agent_sources.MATERIALS).ask("materials")


def sha256(content: str) -> str:
    """The SHA-256 of a text."""
    return hashlib.sha256(content.encode()).hexdigest()


@EACH
def test_materials_are_told_by_every_interpreter(agent: StartAgent, venv: Path) -> None:
    """Licences, digests of their texts, libraries, documents, and what the interpreter is linked with."""
    lay(
        venv,
        {
            "Shop-1.0.dist-info/licenses/MIT.txt": "mit",
            "Shop-1.0.dist-info/LICENSE": "old",
            "Shop-1.0.dist-info/sboms/a.cdx.json": '{"ü": 1}',
            "shop.libs/libssl-81ffa89e.so.3": f"elf{' ' * (source.PIECE - 10)}OpenSSL 1.1.1w  11 Sep 2023",
            "shop/_speed.so": "elf",
        },
        metadata=f"{METADATA}License-Expression: MIT\nLicense: Expat\nClassifier: License :: OSI Approved\nClassifier: X\n",
    )
    reply = everything(agent, venv)
    (found,) = [one for one in reply["distributions"] if one["name"] == "Shop"]
    assert (found["expression"], found["license"], found["cut"]) == ("MIT", "Expat", False)
    assert found["classifiers"] == ["License :: OSI Approved"]
    assert found["license_files"] == [
        ["Shop-1.0.dist-info/LICENSE", sha256("old")],
        ["Shop-1.0.dist-info/licenses/MIT.txt", sha256("mit")],
    ]
    ((library, _),) = found["libraries"]
    assert library == "shop.libs/libssl-81ffa89e.so.3"
    assert found["openssl"] == [[library, "OpenSSL 1.1.1w  11 Sep 2023"]]
    (document,) = found["documents"]
    assert document["path"] == "Shop-1.0.dist-info/sboms/a.cdx.json"
    assert json.loads(zlib.decompress(base64.b64decode(document["packed"]))) == {"ü": 1}
    assert sorted(reply["linked"]) == ["expat", "openssl", "sqlite", "zlib"]
    assert reply["linked"]["openssl"].startswith(("OpenSSL ", "LibreSSL "))


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("shop.libs/libpq-e9b5c9ac.so.5.18", True),
        ("shop.libs/msvcp140.dll", True),
        ("shop/.dylibs/libz.1.dylib", True),
        ("shop/.libs/libgfortran.so.3", True),
        ("vendor/lib/libcublas.so.12", True),
        ("shop/libtorch.so", True),
        ("shop/libspeed.cpython-313-x86_64-linux-gnu.so", False),
        ("shop/libspeed.abi3.so", False),
        ("shop/_rust.abi3.so", False),
        ("shop.libs/README", False),
        ("shop/so.py", False),
    ],
)
def test_shared_libraries_are_told_from_extension_modules(path: str, is_one: bool) -> None:
    """By the folder that auditwheel, delocate or delvewheel put them into, else by their names."""
    assert source.is_library(path) is is_one


@ONE
def test_a_record_that_leads_out_of_the_virtualenv_is_not_followed(
    agent: StartAgent, venv: Path, tmp_path: Path
) -> None:
    """A hostile wheel gets no file of the host into a bill, neither by its paths nor by links."""
    secret = tmp_path / "secret.so.1"
    secret.write_text("secret")
    info = "Shop-1.0.dist-info"
    up = "../" * 4
    rows = [f"{info}/sboms/{up}../secret.so.1", f"{info}/licenses/{up}../secret.so.1", f"{up}secret.so.1", str(secret)]
    lay(venv, {}, record="\n".join([*(f"{row},," for row in rows), f"{info}/sboms/link.json,,", "link.so.1,,"]))
    (site_packages(venv) / info / "sboms").mkdir()
    (site_packages(venv) / info / "sboms" / "link.json").symlink_to(secret)
    (site_packages(venv) / "link.so.1").symlink_to(secret)
    found = told(agent, venv)
    assert found["license_files"] == found["libraries"] == []
    assert found["documents"] == [{"path": f"{info}/sboms/link.json", "size": 0, "packed": None}]


@ONE
def test_a_record_of_nonsense_is_no_error(agent: StartAgent, venv: Path) -> None:
    """Paths that no system can open, quotes that never end, and no text at all."""
    lay(venv, {"x.libs/a.so": "a"})
    record = site_packages(venv) / "Shop-1.0.dist-info" / "RECORD"
    long = f"Shop-1.0.dist-info/sboms/{'x' * 9999},,"
    for content in (f"x.libs/\0.so,,\n{long}\n", '"x.libs/b.so\n', "\ud800.so.1,,"):
        record.write_bytes(content.encode("utf-8", "surrogatepass"))
        found = told(agent, venv)
        assert (found["libraries"], found["documents"]) == ([], [])


@ONE
def test_files_without_a_usable_hash_are_hashed(agent: StartAgent, venv: Path) -> None:
    """RECORD may have none, one of another kind, or nonsense; what is listed and not there is left out."""
    lay(venv, {"x.libs/a.so": "a", "x.libs/b.so": "b", "x.libs/c.so": "c"})
    record = "x.libs/a.so,,\nx.libs/b.so,md5=x,\nx.libs/c.so,sha256=ü,\nx.libs/gone.so,,\nx.libs/d.so\n"
    (site_packages(venv) / "Shop-1.0.dist-info" / "RECORD").write_text(record)
    assert told(agent, venv)["libraries"] == [[f"x.libs/{name}.so", sha256(name)] for name in "abc"]


@ONE
def test_what_is_too_much_is_named_and_not_sent(agent: StartAgent, venv: Path) -> None:
    """A document of more than 1 MiB, and files beyond the limit of a distribution."""
    info = "Shop-1.0.dist-info"
    lay(venv, {f"{info}/sboms/large.json": " " * (source.MOST_DOCUMENT + 1), f"{info}/sboms/small.json": "{}"})
    large, small = told(agent, venv)["documents"]
    assert (large["size"], large["packed"]) == (source.MOST_DOCUMENT + 1, None)
    assert zlib.decompress(base64.b64decode(small["packed"])) == b"{}"
    more = "".join(f"{info}/licenses/{number},,\n" for number in range(source.MOST_FILES + 1))
    (site_packages(venv) / info / "RECORD").write_text(more)
    assert told(agent, venv)["cut"] is True


@ONE
def test_eggs_and_broken_distributions_have_what_their_metadata_says(agent: StartAgent, venv: Path) -> None:
    """PKG-INFO has the same fields, and there is no list of files to go by."""
    egg_info = site_packages(venv) / "Shop.egg-info"
    egg_info.mkdir()
    (egg_info / "PKG-INFO").write_text(f"{METADATA}License: {'x' * 5000}\n")
    found = told(agent, venv)
    assert found["license"] == "x" * source.MOST_SAID
    assert (found["libraries"], found["documents"], found["cut"]) == ([], [], False)


def test_an_interpreter_without_a_library_tells_none() -> None:
    """Builds without ssl exist; whatever importing it raises is not the end."""
    assert source.told("no_such_module", "VERSION") is None
    assert source.told("zlib", "NO_SUCH_NAME") is None
