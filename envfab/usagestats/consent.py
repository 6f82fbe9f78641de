"""What the user decided: the file `status`, the environment, and the random id that stands for the user."""

from __future__ import annotations

# Imported in function bodies: uuid, which is needed once in the life of an installation.
from collections.abc import Mapping
from pathlib import Path

from envfab.usagestats.queue import write_atomically

STATUS = "status"
USER_ID = "user_id"
AGREED = "consent"  # beside `status`: the versions of consent that the user said yes to, one a line
FIRST_VERSION = "1"  # what a yes without that file was said to
_YES = frozenset({"", "1", "on", "enabled", "yes", "true"})
_NO = frozenset({"", "0", "off", "disabled", "no", "false"})
_CI = ("CI", "TF_BUILD", "JENKINS_URL", "TEAMCITY_VERSION", "CODEBUILD_BUILD_ID")
_LONGEST_ID = 200
_MOST_VERSIONS = 20
_MAX_AGREED = 4096  # bytes


def environment_forbids(environ: Mapping[str, str], env_var: str, *, skip_ci: bool) -> bool:
    """Whether `env_var` or DO_NOT_TRACK switches statistics off or, where `skip_ci` says so, a CI service runs us."""
    if environ.get(env_var, "").lower() not in _YES or _says_yes(environ, "DO_NOT_TRACK"):
        return True
    return skip_ci and any(_says_yes(environ, name) for name in _CI)


def _says_yes(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() not in _NO


def read_choice(folder: Path) -> str | None:
    """The word in the file `status`, None where there is none; raises `OSError` where it is there and unreadable."""
    try:
        return (folder / STATUS).read_bytes().decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return None


def write_choice(folder: Path, word: str | None) -> bool:
    """Keep the user's choice, or forget it; whether that worked.

    A no that cannot be kept, on a full disk for example, takes back an earlier yes at least.
    """
    if word is None:
        return _remove(folder / STATUS)
    kept = write_atomically(folder / STATUS, word.encode(), durable=True)
    if not kept and word == "DISABLED":
        _remove(folder / STATUS)
    return kept


def has_agreed(folder: Path, version: str) -> bool:
    """Whether a user who has opted in did so for this version of consent."""
    return version in _agreed(folder)


def agree(folder: Path, version: str) -> bool:
    """Keep that the user says yes to a version of consent, beside others of an earlier yes; whether that worked."""
    earlier = _agreed(folder) if read_choice(folder) == "ENABLED" else []
    agreed = [*(other for other in earlier if other != version), version][-_MOST_VERSIONS:]
    if agreed == [FIRST_VERSION]:
        return _remove(folder / AGREED)
    return write_atomically(folder / AGREED, "".join(f"{one}\n" for one in agreed).encode(), durable=True)


def forget_agreement(folder: Path) -> bool:
    """Forget what versions of consent the user said yes to; whether they are gone."""
    return _remove(folder / AGREED)


def _agreed(folder: Path) -> list[str]:
    try:
        data = (folder / AGREED).read_bytes()
    except FileNotFoundError:
        return [FIRST_VERSION]
    return data[:_MAX_AGREED].decode("utf-8", "replace").splitlines()


def user_id(folder: Path) -> str | None:
    """The random id kept in `folder`, made if there is none; None where none can be kept: it would differ each time."""
    known = read_user_id(folder)
    if known is not None:
        return known
    import uuid

    fresh = str(uuid.uuid4()).encode()
    path = folder / USER_ID
    # Where two programs do this at once, both end up with the id of the first.
    if not write_atomically(path, fresh, replace=False) and read_user_id(folder) is None:
        write_atomically(path, fresh)  # the file does not hold an id, or the file system has no hard links
    return read_user_id(folder)


def forget_user_id(folder: Path) -> bool:
    """Remove the id; whether it is gone."""
    return _remove(folder / USER_ID)


def id_made_at(folder: Path) -> int | None:
    """When the file of the id was made, in milliseconds since 1970; None where there is none."""
    try:
        return (folder / USER_ID).stat().st_mtime_ns // 1_000_000
    except OSError:
        return None


def read_user_id(folder: Path) -> str | None:
    """The random id kept in `folder`."""
    try:
        text = (folder / USER_ID).read_bytes()[: _LONGEST_ID + 1].decode("utf-8", "replace").strip()
    except OSError:
        return None
    return text if 0 < len(text) <= _LONGEST_ID and text.isprintable() else None


def _remove(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
