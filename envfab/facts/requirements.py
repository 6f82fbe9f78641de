"""Requirements files: what a virtualenv must satisfy.

The grammar is pip's (one requirement a line, `-r`, `-c`, comments, continuations, `--hash`), less all that
would bring in anything but a wheel of the house. A file named `pylock.toml` or `pylock.NAME.toml` is a lock (PEP 751).
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from envfab.errors import RequirementsError

_PYLOCK = re.compile(r"(^|/)pylock(\.[^./]+)?\.toml$")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_USERINFO = re.compile(r"//[^/@]*@")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ALGORITHMS = frozenset({"sha384", "sha512"})
_LOOKS_LIKE_A_FILE = re.compile(r"^[./~]|^[A-Za-z+]+:/|://|\.(whl|tar\.gz|tgz|zip)$")

# Where pip looks for packages, and in which form, is settled already: wheels come from the house alone.
_IGNORED_FLAGS = frozenset({"--no-index", "--prefer-binary", "--require-hashes"})
_IGNORED_WITH_VALUE = frozenset(
    {"--index-url", "--extra-index-url", "--find-links", "--trusted-host", "--only-binary", "--no-binary"}
)
_SHORT = {"-i": "--index-url", "-f": "--find-links", "-r": "--requirement", "-c": "--constraint", "-e": "--editable"}
_WITH_VALUE = _IGNORED_WITH_VALUE | {"--requirement", "--constraint", "--editable", "--hash"}
_REFUSED = {
    "--editable": "editables are not deployed: build a wheel, add it with add_wheel and require it by name",
    "--pre": "a pre-release is taken where a requirement names one: NAME>=2.0rc1",
}
_NO_FILES = "what is deployed are wheels of the house: add the wheel with add_wheel and require it by name"


@dataclass(frozen=True, slots=True)
class Entry:
    """One requirement, the SHA-256 digests that are allowed for it, and where it stands (`file:line`)."""

    requirement: Requirement
    hashes: frozenset[str]
    origin: str

    @property
    def name(self) -> NormalizedName:
        """The canonical name of the project that is required."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What must be installed, and what constrains it without requiring it (`-c`)."""

    entries: tuple[Entry, ...]
    constraints: tuple[Entry, ...] = ()

    def __hash__(self) -> int:
        # a plan is looked up by it for every virtualenv, and hashing requirements takes packaging long
        return hash(tuple(entry.origin for entry in (*self.entries, *self.constraints)))


def parse(
    files: Sequence[str],
    read: Callable[[str], str],
    packages: Sequence[str] = (),
    packages_origin: str = "fabfile",
) -> Requirements:
    """The requirements in `files`, whose text `read` gives, and in the lines `packages`.

    Raises `RequirementsError` with `file:line` for what cannot be read or is no requirement on a wheel.
    """
    reading = _Reading(read)
    for file in files:
        reading.file(file, constraint=False, included_from=(), where=file)
    for text in packages:
        reading.line(_uncommented(text), packages_origin, file=None, constraint=False, included_from=())
    return Requirements(tuple(reading.entries), tuple(reading.constraints))


@dataclass(slots=True)
class _Reading:
    """Requirements files on their way to entries and constraints."""

    read: Callable[[str], str]
    entries: list[Entry] = field(default_factory=list)
    constraints: list[Entry] = field(default_factory=list)

    def file(self, name: str, *, constraint: bool, included_from: tuple[str, ...], where: str) -> None:
        """Read the file `name`; `where` is the line that includes it."""
        if name in included_from:
            raise RequirementsError(
                f"{name} includes itself" + (f", by way of {included_from[-1]}" if name != included_from[-1] else ""),
                where=where,
                hint="remove one of the -r or -c lines",
            )
        text = self._text(name, where)
        if _PYLOCK.search(name):
            (self.constraints if constraint else self.entries).extend(_locked(text, name))
            return
        for number, line in _logical_lines(text):
            self.line(line, f"{name}:{number}", name, constraint, (*included_from, name))

    def _text(self, name: str, where: str) -> str:
        missing = "" if where == name else name
        try:
            return self.read(name).removeprefix("\ufeff")
        except FileNotFoundError:
            raise RequirementsError(
                f"there is no file {missing}".rstrip() if missing else "there is no such requirements file",
                where=where,
                hint="-r and -c are relative to the file that they stand in" if missing else "",
            ) from None
        except UnicodeDecodeError:
            raise RequirementsError(
                f"{missing or 'the file'} is not UTF-8 text", where=where, hint="save it as UTF-8"
            ) from None
        except OSError as error:
            reason = error.strerror or error
            raise RequirementsError(f"{missing or 'the file'} cannot be read: {reason}", where=where) from None

    def line(self, line: str, where: str, file: str | None, constraint: bool, included_from: tuple[str, ...]) -> None:
        """Read one logical line, without its comment."""
        text, options = _divided(line, where)
        if text:
            entry = _entry(text, options, where)
            if constraint and entry.requirement.extras:
                raise RequirementsError(f"the constraint {text!r} has extras", where=where, hint="remove the brackets")
            (self.constraints if constraint else self.entries).append(entry)
            return
        for name, value in options:
            if name in ("--requirement", "--constraint") and file is not None:
                if "://" in value:
                    raise RequirementsError(
                        f"{_without_secrets(value)} is no file",
                        where=where,
                        hint="keep the file beside the one that includes it",
                    )
                path = posixpath.normpath(posixpath.join(posixpath.dirname(file), value))
                self.file(path, constraint=name == "--constraint", included_from=included_from, where=where)
            else:
                _refuse_unless_ignored(name, where)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with the number of their first line; a backslash at the end continues one."""
    parts: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first if parts else number
        comment = _COMMENT.match(line)
        if line.endswith("\\") and not comment:
            parts.append(line.rstrip("\\"))
            continue
        # a comment ends a continued line and must not melt into its last word
        parts.append(f" {line}" if comment else line)
        yield from _unless_empty(first, "".join(parts))
        parts = []
    yield from _unless_empty(first, "".join(parts))


def _unless_empty(number: int, line: str) -> Iterator[tuple[int, str]]:
    stripped = _uncommented(line)
    if stripped:
        yield number, stripped


def _uncommented(line: str) -> str:
    return _COMMENT.sub("", line).strip()


def _divided(line: str, where: str) -> tuple[str, list[tuple[str, str]]]:
    """A line as its requirement and its options with their values."""
    words = line.split(" ")
    split = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    try:
        tokens = shlex.split(" ".join(words[split:]))
    except ValueError as error:
        raise RequirementsError(
            f"the options cannot be taken apart: {error}", where=where, hint="close the quote"
        ) from None
    return " ".join(words[:split]).strip(), list(_options(tokens, where))


def _options(tokens: list[str], where: str) -> Iterator[tuple[str, str]]:
    rest = iter(tokens)
    for token in rest:
        if token.startswith("--"):
            name, equals, value = token.partition("=")
        else:
            name = _SHORT.get(token[:2], token)
            value = token[2:].removeprefix("=") if name != token else ""
            equals = value
        if name in _WITH_VALUE and not equals:
            value = next(rest, "")
        if name in _WITH_VALUE and not value:
            raise RequirementsError(f"{name} has no value", where=where, hint=f"say {name} VALUE")
        yield name, value


def _refuse_unless_ignored(name: str, where: str) -> None:
    if name in _IGNORED_FLAGS or name in _IGNORED_WITH_VALUE:
        return
    if name == "--hash":
        raise RequirementsError("--hash stands without a requirement", where=where, hint="say NAME==VERSION --hash=…")
    hint = _REFUSED.get(name, "a line is a requirement, or one of -r, -c and pip's index options, which are ignored")
    raise RequirementsError(f"{name} cannot be used here", where=where, hint=hint)


def _entry(text: str, options: list[tuple[str, str]], where: str) -> Entry:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        if _LOOKS_LIKE_A_FILE.search(text):
            raise RequirementsError(
                f"{_without_secrets(text)!r} is a file or a URL", where=where, hint=_NO_FILES
            ) from None
        problem = str(error).splitlines()[0]
        raise RequirementsError(
            f"{text!r} is no requirement: {problem}", where=where, hint="write NAME, NAME==VERSION or NAME>=VERSION"
        ) from None
    if requirement.url:
        raise RequirementsError(f"{_without_secrets(text)!r} names a URL", where=where, hint=_NO_FILES)
    if _LOOKS_LIKE_A_FILE.search(requirement.name):
        raise RequirementsError(f"{text!r} is a file", where=where, hint=_NO_FILES)
    for name, _value in options:
        if name != "--hash":
            _refuse_unless_ignored(name, where)
    return Entry(requirement, _hashes([value for name, value in options if name == "--hash"], where), where)


def _locked(text: str, name: str) -> Iterator[Entry]:
    """The packages of a lock (PEP 751), each pinned to its version and its wheels' hashes."""
    import packaging.pylock

    try:
        import tomllib
    except ModuleNotFoundError:
        import tomli as tomllib  # type: ignore[import-not-found,no-redef]  # 3.10 has none
    try:
        lock = packaging.pylock.Pylock.from_dict(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, packaging.pylock.PylockValidationError) as error:
        problem = " ".join(str(error).split())
        raise RequirementsError(f"it is no lock: {problem}", where=name, hint="fab lock --pylock writes one") from None
    for package in lock.packages:
        where = f"{name}:{package.name}"
        if package.version is None or not package.wheels:
            raise RequirementsError(
                "it is locked to something else than wheels of a version", where=where, hint=_NO_FILES
            )
        marker = f"; {package.marker}" if package.marker else ""
        digests = [f"sha256:{one.hashes['sha256']}" for one in package.wheels if "sha256" in one.hashes]
        if not digests:
            raise RequirementsError("none of its wheels has a SHA-256", where=where, hint="lock it again")
        requirement = Requirement(f"{package.name}=={package.version}{marker}")
        yield Entry(requirement, _hashes(digests, where), where)


def _without_secrets(text: str) -> str:
    return _USERINFO.sub("//…@", text)


def _hashes(values: list[str], where: str) -> frozenset[str]:
    """The SHA-256 digests among `values`, which are `ALGORITHM:DIGEST`."""
    digests = set()
    for value in values:
        algorithm, _colon, digest = value.partition(":")
        if algorithm == "sha256" and _SHA256.fullmatch(digest.lower()):
            digests.add(digest.lower())
        elif algorithm not in _ALGORITHMS:
            raise RequirementsError(
                f"--hash={value} is no SHA-256", where=where, hint="say --hash=sha256: and 64 hexadecimal digits"
            )
    if values and not digests:
        raise RequirementsError(
            "the release log knows SHA-256 only, and none is given", where=where, hint="add --hash=sha256:…"
        )
    return frozenset(digests)
