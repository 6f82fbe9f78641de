"""Hooks that register a virtualenv whenever it is activated: blocks in `postactivate` and `bin/activate`.

A block between two marks calls a script beside the file, which works in the background. The first mark says how the
file was before, so that removing the block restores the same bytes.
"""

from __future__ import annotations

import re
import shlex
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from envfab.errors import RegistrationError
from envfab.util.atomic import write_file
from envfab.util.paths import user_path

SCRIPT = "envfab-register"
FLEET_VARIABLES = ("DIFIO_URL", "DIFIO_USER_ID")
VARIABLES = (*FLEET_VARIABLES, "DIFIO_UUID", "DIFIO_APP_NAME", "DIFIO_APP_URL", "DIFIO_VIRTUALENV_VERSION")
SHEBANG = b"#!/bin/sh\n"
UNFINISHED, OWN_FILE = " (the line before had no end)", " (it made this file)"
_BLOCK = re.compile(
    rb"# >>> envfab register_hook(?P<how>[^\n>]*) >>>\n.*?^# <<< envfab register_hook <<<(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)

# Nothing here may fail or print: it runs in the user's shell, perhaps under `set -eu`.
ACTIVATE = """\
# with the fabfile in {folder}
if [ -x "${{VIRTUAL_ENV-}}/bin/envfab-register" ]; then
    "$VIRTUAL_ENV/bin/envfab-register" || :
    _ENVFAB_REGISTERED=$VIRTUAL_ENV
fi
"""
# `workon` sources bin/activate first
POSTACTIVATE = """\
# with the fabfile in {folder}
if [ -z "${{VIRTUAL_ENV-}}" ] || [ "${{_ENVFAB_REGISTERED-}}" = "$VIRTUAL_ENV" ]; then
    unset _ENVFAB_REGISTERED
elif [ -x "$VIRTUAL_ENV/bin/envfab-register" ]; then
    "$VIRTUAL_ENV/bin/envfab-register" || :
fi
"""
GLOBAL_POSTACTIVATE = """\
# with the fabfile in {folder}
if [ -n "${{VIRTUAL_ENV-}}" ] && [ ! -x "$VIRTUAL_ENV/bin/envfab-register" ] && [ -x {script} ]; then
    {script} || :
fi
"""
BACKGROUND = """\
#!/bin/sh
# Made by `fab register_hook`; `fab register_hook --remove` takes it away.
# Registers the active virtualenv in the background: activation neither waits nor shows an error.
log=/dev/null
state=${{XDG_STATE_HOME:-${{HOME-}}/.local/state}}/envfab
if mkdir -p "$state" && touch "$state/register_hook.log"; then
    log=$state/register_hook.log
fi 2>/dev/null
(
    trap '' HUP
    cd {folder} || exit 1
{variables}    exec {command} --local
) </dev/null >"$log" 2>&1 &
exit 0
"""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of `register`: its folder, command line and environment variables.

    `of` distinguishes calls in one folder: it is the virtualenv, where the call is not for the whole fleet.
    """

    folder: str
    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    of: str = ""

    def __post_init__(self) -> None:
        for word in (self.folder, self.of, *self.command, *self.variables.values()):
            if any(character in word for character in "\n\r\0"):
                raise RegistrationError("a hook cannot hold a line break", where=repr(word))


def install(virtualenv: Path, call: Call) -> list[Path]:
    """Install the hook in one virtualenv; returns the files that changed. Raises `RegistrationError`."""
    folder = virtualenv / "bin"
    if not (folder / "activate").is_file():
        raise RegistrationError("bin/activate does not exist", where=str(virtualenv), hint="is it a virtualenv?")
    changed = _put_script(folder / SCRIPT, call)
    changed += _put_block(folder / "postactivate", POSTACTIVATE.format(folder=call.folder))
    return changed + _put_block(folder / "activate", ACTIVATE.format(folder=call.folder))


def install_for_all(hooks: Path, call: Call) -> list[Path]:
    """Install the hook in virtualenvwrapper's folder of global hooks; returns the files that changed.

    Raises `RegistrationError`.
    """
    if not hooks.is_dir():
        raise RegistrationError(
            "the folder of hooks does not exist", where=str(hooks), hint="set WORKON_HOME or VIRTUALENVWRAPPER_HOOK_DIR"
        )
    script = hooks / SCRIPT
    changed = _put_script(script, call)
    block = GLOBAL_POSTACTIVATE.format(folder=call.folder, script=shlex.quote(str(script)))
    return changed + _put_block(hooks / "postactivate", block)


def remove(folder: Path) -> list[Path]:
    """Remove the hook from a folder (a virtualenv's `bin`, or the global hooks); returns the files that changed.

    Raises `RegistrationError`.
    """
    changed = [path for name in ("activate", "postactivate") for path in _take_block(folder / name)]
    script = folder / SCRIPT
    with _translated(script):
        if script.exists():
            script.unlink()
            changed.append(script)
    return changed


def global_hooks(environment: Mapping[str, str]) -> Path:
    """virtualenvwrapper's folder of global hooks."""
    for name in ("VIRTUALENVWRAPPER_HOOK_DIR", "WORKON_HOME"):
        if environment.get(name):
            return user_path(environment[name], name)
    return user_path("~/.virtualenvs", "HOME")


def with_block(content: bytes | None, lines: str) -> bytes:
    """A file's content with the block, in place of an earlier one; None is a file that does not exist."""
    if content is None:
        return SHEBANG + _block(OWN_FILE, lines)
    earlier = _BLOCK.search(content)
    if earlier is not None:
        block = _block(earlier["how"].decode(), lines)
        return content[: earlier.start()] + block + content[earlier.end() :]
    if b"# >>> envfab register_hook" in content:
        raise RegistrationError("the end of its register_hook block is missing", hint="remove the block by hand")
    unfinished = bool(content) and not content.endswith(b"\n")
    return content + (b"\n" if unfinished else b"") + _block(UNFINISHED if unfinished else "", lines)


def without_block(content: bytes) -> bytes | None:
    """A file's content as it was before the block; None where the file did not exist."""
    found = _BLOCK.search(content)
    if found is None:
        return content
    before, after = content[: found.start()], content[found.end() :]
    how = found["how"].decode()
    if how == UNFINISHED and not after:
        before = before.removesuffix(b"\n")
    if how == OWN_FILE and before + after == SHEBANG:
        return None
    return before + after


def _block(how: str, lines: str) -> bytes:
    return f"# >>> envfab register_hook{how} >>>\n{lines}# <<< envfab register_hook <<<\n".encode(
        "utf-8", "surrogateescape"
    )


def script_text(call: Call) -> bytes:
    """The script that registers in the background; folder, command and variables are quoted."""
    variables = "".join(
        f'    [ -n "${{{name}-}}" ] || {name}={shlex.quote(value)}\n    export {name}\n'
        for name, value in call.variables.items()
    )
    command = " ".join(shlex.quote(word) for word in call.command)
    text = BACKGROUND.format(folder=shlex.quote(call.folder), variables=variables, command=command)
    return text.encode("utf-8", "surrogateescape")


def _put_script(path: Path, call: Call) -> list[Path]:
    # an address may hold a password: then only the owner may read the script
    return _put(path, script_text(call), 0o700 if "@" in call.variables.get("DIFIO_URL", "") else 0o755)


def _put_block(path: Path, lines: str) -> list[Path]:
    with _translated(path):
        old = path.read_bytes() if path.exists() else None
        return _put(path, with_block(old, lines), None)


def _take_block(path: Path) -> list[Path]:
    with _translated(path):
        if not path.exists():
            return []
        new = without_block(path.read_bytes())
        if new is None:
            path.unlink()
            return [path]
        return _put(path, new, None)


def _put(path: Path, content: bytes, mode: int | None) -> list[Path]:
    """Write the file where that changes something; without a `mode` it keeps its own."""
    with _translated(path):
        there = path.stat() if path.exists() else None
        if mode is None:
            mode = stat.S_IMODE(there.st_mode) if there else 0o755
        if there and path.read_bytes() == content and stat.S_IMODE(there.st_mode) == mode:
            return []
        write_file(path, content, mode, owner=(there.st_uid, there.st_gid) if there else None)
        return [path]


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Raise an `OSError` as a `RegistrationError` that names the file, and name it in those that name nothing."""
    try:
        yield
    except OSError as error:
        raise RegistrationError(f"cannot be changed: {error.strerror}", where=str(path)) from None
    except RegistrationError as error:
        raise RegistrationError(error.what, where=error.where or str(path), hint=error.hint) from None
