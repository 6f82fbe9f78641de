"""An interpreter in a bill of materials, and the libraries that it is linked with."""

from __future__ import annotations

import re
from dataclasses import dataclass

from envfab.models.interpreter import Interpreter
from envfab.models.materials import Materials
from envfab.sbom.bill import LIBRARY, PLATFORM, BillComponent, ComponentProperty

REF = "interpreter"
# versions that the CPE dictionary has in this form: 3.13.1, 1.1.1w; not 3.13.0rc1
RELEASE = re.compile(r"[0-9]+(\.[0-9]+)*[a-z]?")


@dataclass(frozen=True, slots=True)
class _Library:
    """How a library tells its version, and vendor and product of its CPE by the name that it gives itself."""

    text: re.Pattern[str]
    products: dict[str, str]
    name: str = ""


LIBRARIES = {
    "openssl": _Library(
        re.compile(r"(?P<name>[A-Za-z][A-Za-z-]*) (?P<version>[0-9]\S*)(?: .*)?"),
        {"OpenSSL": "openssl:openssl", "LibreSSL": "openbsd:libressl"},
    ),
    "sqlite": _Library(re.compile(r"(?P<version>[0-9]\S*)"), {"SQLite": "sqlite:sqlite"}, "SQLite"),
    "zlib": _Library(re.compile(r"(?P<version>[0-9]\S*)"), {"zlib": "zlib:zlib"}, "zlib"),
    "expat": _Library(re.compile(r"expat_(?P<version>[0-9]\S*)"), {"Expat": "libexpat_project:libexpat"}, "Expat"),
}


def interpreter_component(interpreter: Interpreter, materials: Materials | None) -> BillComponent:
    """The component of an interpreter; which libraries it did not tell is a property."""
    name, version = interpreter.implementation, str(interpreter.version)
    cpe = _cpe("python:python", version) if name == "CPython" else None
    own = interpreter.markers.get("implementation_version", "0")
    told = [] if name == "CPython" else [ComponentProperty("envfab:python-version", version)]
    # before Python 3.3, an interpreter does not tell the version of its implementation
    version = own if told and own != "0" else version
    unknown = [] if materials is None else [key for key, text in materials.linked.items() if _parsed(key, text) is None]
    told += [ComponentProperty(f"envfab:{key}", "unknown") for key in unknown]
    return BillComponent(REF, PLATFORM, name, version, cpe=cpe, properties=tuple(told))


def linked_libraries(materials: Materials | None) -> tuple[BillComponent, ...]:
    """The components of the libraries that the interpreter is linked with, as far as they are known."""
    linked = materials.linked if materials is not None else {}
    parsed = [(key, _parsed(key, text)) for key, text in linked.items()]
    return tuple(_library_component(key, *named) for key, named in parsed if named is not None)


def _library_component(key: str, name: str, version: str) -> BillComponent:
    cpe = _cpe(LIBRARIES[key].products.get(name), version)
    return BillComponent(f"{REF}/{key}", LIBRARY, name, version, cpe=cpe)


def openssl(text: str) -> tuple[str, str | None] | None:
    """(version, CPE) of OpenSSL, out of the text by which it tells its version; None where that is not understood."""
    parsed = _parsed("openssl", text)
    return (parsed[1], _cpe(LIBRARIES["openssl"].products.get(parsed[0]), parsed[1])) if parsed is not None else None


def _parsed(key: str, text: str | None) -> tuple[str, str] | None:
    """(name, version) of a library, out of the text by which it tells them; None where that is not understood."""
    found = LIBRARIES[key].text.fullmatch(text) if text is not None else None
    return (LIBRARIES[key].name or found["name"], found["version"]) if found is not None else None


def _cpe(product: str | None, version: str) -> str | None:
    """The CPE of a release; None for what the dictionary may name in another way."""
    if product is None or not RELEASE.fullmatch(version):
        return None
    return f"cpe:2.3:a:{product}:{version}:*:*:*:*:*:*:*"
