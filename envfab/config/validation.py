"""Configuration objects: frozen dataclasses whose wrong arguments are one clear error with the fabfile's line.

The checks are for `__post_init__`: each looks at one field, and puts its final form in place.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from envfab.errors import ConfigurationError
from envfab.util.untrusted import one_line

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_options: object) -> Callable[[Any], Any]:
        """Tell type checkers alone that the decorated function makes dataclasses (PEP 681)."""
        return lambda function: function


T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def configuration(cls: type[T]) -> type[T]:
    """A frozen dataclass whose wrong arguments are a `ConfigurationError` instead of a `TypeError`."""
    made: Any = dataclass(frozen=True, slots=True)(cls)
    plain_init = made.__init__
    signature = inspect.signature(plain_init)
    known = list(signature.parameters)[1:]

    @functools.wraps(plain_init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            plain_init(self, *args, **kwargs)
        except TypeError:
            # only now, since it costs more than all else, and a fleet has thousands of hosts
            refuse_others(self, args, kwargs)
            raise

    def refuse_others(self: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        try:
            signature.bind(self, *args, **kwargs)
        except TypeError as problem:
            unknown = [name for name in kwargs if name not in known and repr(name) in str(problem)]
            close = difflib.get_close_matches(unknown[0], known, n=1) if unknown else []
            what = f"{problem}; did you mean {close[0]}?" if close else str(problem)
            raise error(f"{cls.__name__}(…)", what, f"it takes: {', '.join(known)}") from None

    made.__init__ = __init__
    return made  # type: ignore[no-any-return]


def caller() -> tuple[Path | None, int]:
    """The file and line that make a configuration object: the first on the stack that is not ours."""
    frame = sys._getframe(1)
    ours = os.path.dirname(os.path.dirname(__file__)) + os.sep
    while frame.f_back is not None and frame.f_code.co_filename.startswith((ours, "<string>")):
        frame = frame.f_back
    file = Path(frame.f_code.co_filename)
    return (file, frame.f_lineno) if file.is_file() else (None, 0)


def folder_of_the_caller() -> Path:
    """Where relative paths start; the working directory where no file is at work."""
    file, _ = caller()
    return file.resolve().parent if file else Path.cwd()


def wrong(owner: object, name: str, what: str, hint: str = "") -> NoReturn:
    raise error(f"{type(owner).__name__}.{name}", what, hint)


def error(field_name: str, what: str, hint: str = "") -> ConfigurationError:
    """What is wrong with a field, with the fabfile's line: a fleet has many hosts."""
    file, line = caller()
    return ConfigurationError(what, where=f"{file.name}:{line}: {field_name}" if file else field_name, hint=hint)


def put(owner: object, name: str, value: object) -> None:
    object.__setattr__(owner, name, value)


def check_text(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, str) or not value.strip():
            wrong(owner, name, f"must be text, not {value!r}", "give a string that is not empty")


def check_optional_text(owner: object, *names: str) -> None:
    check_text(owner, *(name for name in names if getattr(owner, name) is not None))


def check_user(owner: object, name: str) -> None:
    """Refuse what is not a login name: it goes into `sudo -u` and into the names of targets."""
    check_optional_text(owner, name)
    value = getattr(owner, name)
    if value is not None and (value.startswith("-") or any(character in value for character in ":, /\t\n\0*?[]")):
        wrong(owner, name, f"must be a user name, not {value!r}")


def check_truth(owner: object, name: str) -> None:
    if not isinstance(getattr(owner, name), bool):
        wrong(owner, name, f"must be True or False, not {getattr(owner, name)!r}")


def check_strings(owner: object, name: str) -> None:
    value = getattr(owner, name)
    strings = None if isinstance(value, (str, bytes)) or not isinstance(value, Iterable) else tuple(value)
    if strings is None or not all(isinstance(item, str) and item.strip() for item in strings):
        wrong(owner, name, f"must be a list of strings, not {value!r}", "put it in brackets: ['…']")
    put(owner, name, strings)


def check_files(owner: object, name: str) -> None:
    value = getattr(owner, name)
    files = (value,) if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(files, Sequence) or not all(is_path(file) for file in files):
        wrong(owner, name, f"must be a path, or a list of paths, not {value!r}")
    put(owner, name, tuple(os.fspath(file) for file in files))


def is_path(value: object) -> bool:
    """Whether a value can be the path of a file, and of one that a message can name."""
    if not isinstance(value, (str, os.PathLike)):
        return False
    path = os.fspath(value)
    return isinstance(path, str) and bool(path) and one_line(path) == path.strip()


def check_instances(owner: object, name: str, kind: type, called: str = "") -> None:
    put(owner, name, instances(owner, name, getattr(owner, name), kind, called))


def instances(owner: object, name: str, value: object, kind: type[T], called: str = "") -> tuple[T, ...]:
    """Return the value of a field as a tuple of `kind`; raise `ConfigurationError` if it holds something else."""
    called = called or f"{kind.__name__}(…)"
    items: object = (value,) if isinstance(value, kind) else value
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
        wrong(owner, name, f"must be a list of {called}, not {items!r}")
    found: list[T] = []
    for item in items:
        if not isinstance(item, kind):
            hint = "unpack an inner list with a star: *[…]" if isinstance(item, (list, tuple)) else ""
            wrong(owner, name, f"must hold only {called}, not {item!r}", hint)
        found.append(item)
    return tuple(found)


def check_url(owner: object, name: str) -> None:
    value = getattr(owner, name)
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        wrong(owner, name, f"must be an http or https URL, not {value!r}")
