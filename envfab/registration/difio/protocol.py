"""Difio's protocol: a virtualenv's package list as a form, and the server's answer.

Reading is bounded; errors are one line. Fields that are not part of the protocol are ignored, so that
agents for other platforms (`app_vendor`) and other kinds of packages (`pkg_type`) can register too. So can servers
that know the original protocol alone be sent `digest`, `drift` and `siblings`, which envfab adds where they are known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlencode

from packaging.utils import canonicalize_name

from envfab.errors import RegistrationError
from envfab.registration.difio.drift import RegisteredDrift, drift_to_json, parse_drift
from envfab.registration.servers import ServerAnswer
from envfab.util.untrusted import parse_json

MAX_BODY = 2 * 1024 * 1024  # bytes; what servers accept
MAX_PACKAGES = 10_000
MAX_USER_ID = 2**63 - 1
MAX_SIBLINGS = 100  # characters
MAX_TEXT = {"app_uuid": 100, "app_name": 200, "app_url": 2000, "app_type": 100}  # characters
MAX_PACKAGE_TEXT = 200  # characters
MAX_MESSAGE = 2000  # characters
MAX_FIELDS = 20
STAND_ALONE_VIRTUALENV = 1000
PYTHON_PACKAGES = 0

_SHA256 = re.compile("[0-9a-f]{64}")
_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

Packages = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Registration:
    """An application: its owner's user id, what it is, and its packages as pairs of name and version.

    Raises `RegistrationError` for what no server could store: empty or long texts, control characters, a package twice
    (names are compared as PEP 503 normalizes them). `type` is `python-3.11.7`. `digest` is the SHA-256 in hex of what
    was deployed last, `drift` what differs from that; None if it is not known. `siblings` is the
    same for virtualenvs at the same path.
    """

    user_id: int
    uuid: str
    name: str
    url: str
    type: str
    packages: Packages
    digest: str | None = None
    drift: RegisteredDrift | None = None
    siblings: str | None = None

    @property
    def key(self) -> str:
        """What identifies the application at its server."""
        return self.uuid

    @property
    def package_count(self) -> int:
        """How many packages it lists."""
        return len(self.packages)

    def __post_init__(self) -> None:
        if not _is_int(self.user_id) or not 0 <= self.user_id <= MAX_USER_ID:
            _refuse("user_id", "must be a whole number from 0 up")
        for field, value in zip(MAX_TEXT, (self.uuid, self.name, self.url, self.type), strict=True):
            _check_text(field, value, MAX_TEXT[field])
        if len(self.packages) > MAX_PACKAGES:
            _refuse("installed", f"has more than {MAX_PACKAGES} packages")
        for name, version in self.packages:
            _check_text("the name of a package", name, MAX_PACKAGE_TEXT)
            _check_text(f"the version of {name}", version, MAX_PACKAGE_TEXT, empty=True)
        if len(_first_of_each(self.packages)) < len(self.packages):
            _refuse("installed", "names a package twice")
        if self.digest is not None and not _SHA256.fullmatch(self.digest):
            _refuse("digest", "must be a SHA-256 in hex")
        if self.siblings is not None:
            _check_text("siblings", self.siblings, MAX_SIBLINGS)


def format_registration(registration: Registration) -> bytes:
    """The body of the form that is posted (`application/x-www-form-urlencoded`)."""
    data: dict[str, Any] = {
        "user_id": registration.user_id,
        "app_name": registration.name,
        "app_uuid": registration.uuid,
        "app_type": registration.type,
        "app_url": registration.url,
        "app_vendor": STAND_ALONE_VIRTUALENV,
        "pkg_type": PYTHON_PACKAGES,
        "installed": [{"n": name, "v": version} for name, version in registration.packages],
    }
    if registration.digest is not None:
        data["digest"] = registration.digest
    if registration.drift is not None:
        data["drift"] = drift_to_json(registration.drift)
    if registration.siblings is not None:
        data["siblings"] = registration.siblings
    return urlencode({"json_data": json.dumps(data)}).encode("ascii")


def parse_registration(body: bytes) -> Registration:
    """The registration in a posted body, whatever its Content-Type; raises `RegistrationError`.

    Of a package that is listed twice the first entry counts: the original agent lists `virtualenv` twice where it is
    installed in the virtualenv.
    """
    if len(body) > MAX_BODY:
        raise RegistrationError(f"the registration has more than {MAX_BODY} bytes")
    data = _json(_json_data(body), "json_data")
    if not isinstance(data, Mapping):
        _refuse("json_data", "must be a JSON object")
    uuid, name, url, kind = (_text_of(data, field) for field in MAX_TEXT)
    drift = data.get("drift")
    return Registration(
        _field(data, "user_id"), uuid, name, url, kind, _packages(_field(data, "installed")),
        None if data.get("digest") is None else _text_of(data, "digest"),
        None if drift is None else parse_drift(drift),
        None if data.get("siblings") is None else _text_of(data, "siblings"),
    )  # fmt: skip


def registered(uuid: str) -> ServerAnswer:
    """The collector's answer to a registration that it stored."""
    return ServerAnswer(f"Success, registered/updated application with uuid {uuid}")


def format_answer(answer: ServerAnswer) -> bytes:
    """The body of an answer (`application/json`)."""
    return json.dumps({"message": answer.message, "exit_code": answer.exit_code}).encode("ascii")


def parse_answer(body: bytes) -> ServerAnswer:
    """The answer in a body; raises `RegistrationError` for anything else.

    The exit code must be one that a process can have, 0 to 255: 256 would end as success.
    """
    try:
        data = _json(body.decode("utf-8"), "the answer")
    except UnicodeDecodeError:
        raise RegistrationError("the answer is not text") from None
    if not isinstance(data, Mapping):
        _refuse("the answer", "must be a JSON object")
    message, exit_code = _field(data, "message"), _field(data, "exit_code")
    if not isinstance(message, str) or len(message) > MAX_MESSAGE:
        _refuse("message", f"must be a text of at most {MAX_MESSAGE} characters")
    if not _is_int(exit_code) or not 0 <= exit_code <= 255:
        _refuse("exit_code", "must be a whole number from 0 to 255")
    return ServerAnswer(message, exit_code)


def _json_data(body: bytes) -> str:
    try:
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise RegistrationError("the form is not UTF-8") from None
    except ValueError:
        raise RegistrationError(f"the form has more than {MAX_FIELDS} fields") from None
    found = [value for field, value in fields if field == "json_data"]
    if len(found) != 1:
        raise RegistrationError("the form must have the field json_data, once")
    return found[0]


def _json(text: str, where: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        _refuse(where, "is not JSON")


def _packages(entries: object) -> Packages:
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        _refuse("installed", "must be a list")
    if len(entries) > MAX_PACKAGES:
        _refuse("installed", f"has more than {MAX_PACKAGES} packages")
    found = []
    for entry in entries:
        if not isinstance(entry, Mapping):
            _refuse("installed", "must be a list of objects with n and v")
        found.append((_text_of(entry, "n"), _text_of(entry, "v")))
    return tuple(_first_of_each(found))


def _first_of_each(packages: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    firsts: dict[str, tuple[str, str]] = {}
    for package in packages:
        firsts.setdefault(canonicalize_name(package[0]), package)
    return list(firsts.values())


def _field(data: Mapping[str, Any], field: str) -> Any:
    if field not in data:
        _refuse(field, "is missing")
    return data[field]


def _text_of(data: Mapping[str, Any], field: str) -> str:
    value = _field(data, field)
    if not isinstance(value, str):
        _refuse(field, "must be a text")
    return value


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_text(field: str, value: str, limit: int, *, empty: bool = False) -> None:
    """Refuse what databases, pages or terminals cannot take: control characters, halves of surrogate pairs."""
    if not value.strip() and not empty:
        _refuse(field, "is empty")
    if len(value) > limit:
        _refuse(field, f"has more than {limit} characters")
    if _UNSTORABLE.search(value):
        _refuse(field, "has control characters")


def _refuse(where: str, what: str) -> NoReturn:
    raise RegistrationError(f"{where} {what}")
