"""The task `add_wheel`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import shlex
import stat
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import EnvfabError, UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.signing_key import tell_signing_key
from envfab.util.paths import user_path

if TYPE_CHECKING:
    from envfab.tasks.output.console import Console
    from envfab.tasks.shared.incoming import FileCheck
    from envfab.wheelhouse.add import Added
    from envfab.wheelhouse.wheelhouse import Wheelhouse


def task(fleet: Fleet) -> Any:
    """`add_wheel` for `fleet`."""

    @ours(
        "file",
        True,
        file="a wheel to add, or a bundle that fetch_wheels wrote; repeatable",
        yes="do not ask about wheels from another publisher than earlier releases",
        trust="also accept wheels that were logged without a SHA-256, and log the SHA-256 of these files",
    )
    def add_wheel(
        c: Context, file: Iterable[str] = (), trust: bool = False, yes: bool = False, json: bool = False
    ) -> None:
        """Check wheels, copy them into the wheelhouse and log them with their SHA-256."""
        from envfab.tasks.shared.incoming import FileCheck, MaliciousCheck
        from envfab.tasks.shared.publishers import PublisherCheck

        run = TaskContext(fleet, c, json)
        files = list(file)
        if not files:
            raise UsageError("add_wheel needs a file", hint="fab add_wheel:dist/shop-2.1-py3-none-any.whl")
        wheelhouse, console, added, refused = run.open_wheelhouse(), run.console, [], []
        if wheelhouse.signers is not None:
            # a fault of the key is one error, not one of each file
            wheelhouse.signers.require_key()
        with console:
            console.stage("adding", len(files))
            trusting = _Trust(console, trust)
            publishers = PublisherCheck(run, wheelhouse, yes)
            check = FileCheck(MaliciousCheck(run, run.settings.own), publishers)
            for name in files:
                try:
                    taken = _take_in(wheelhouse, _file(name), trusting, check)
                except EnvfabError as error:
                    refused.append({"file": name, "error": str(error)})
                    console.print(f"refused  {error}", "red")
                    taken = []
                for one in taken:
                    notes = "   its SHA-256 was not logged before" if one.hash_is_new else ""
                    notes += f"   yanked: {one.yanked_reason}" if one.yanked_reason is not None else ""
                    notes += f"   {origin}" if (origin := publishers.origins.get(one.wheel.filename)) else ""
                    console.print(f"{one.outcome.value:<8} {one.wheel.shown_as} {one.wheel.version}"
                                  f"   {one.wheel.filename}{notes}")  # fmt: skip
                    for note in one.notes:
                        console.warning(f"{one.wheel.filename}: {note}")
                    added.append(
                        {"file": name, "wheel": one.wheel.filename, "sha256": one.wheel.sha256,
                         "outcome": one.outcome.value, "hash_is_new": one.hash_is_new}
                    )  # fmt: skip
                console.advance("adding", name)
            tell_signing_key(console, wheelhouse.signers)
            if json:
                console.json({"format": 1, "added": added, "refused": refused})
        if refused:
            raise Exit(code=1)

    return add_wheel


def _file(typed: str) -> Path:
    """Return the path of a typed file; raises `UsageError` where it is not a readable file."""
    path = user_path(typed, "file")
    try:
        folder = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        if "://" in typed:
            raise UsageError("must be a file, not a URL", where=typed, hint="download it first") from None
        if isinstance(error, PermissionError):
            raise UsageError("permission denied", where=typed) from None
        pattern = any(letter in typed for letter in "*?[")
        hint = "the shell expands a pattern only where it is unquoted and matches files" if pattern else ""
        raise UsageError("there is no such file", where=typed, hint=hint) from None
    if folder:
        hint = f"fab add_wheel {shlex.quote(typed.rstrip('/'))}/*.whl"
        raise UsageError("is a folder: name the wheels in it", where=typed, hint=hint)
    return path


class _Trust:
    """Whether to accept wheels that were logged without a SHA-256: by `--trust`, or an answer at the terminal."""

    def __init__(self, console: Console, given: bool) -> None:
        self._console = console
        self.given = given

    def ask(self, error: EnvfabError) -> bool:
        """Ask about one of them at a terminal, and return the answer; "all" also holds for later ones."""
        if self._console.as_json or not self._console.can_ask:
            return False
        self._console.print(str(error).splitlines()[0], "yellow")
        answer = self._console.ask("Log the SHA-256 of this file as its hash?", ("yes", "no", "all such files"))
        self.given = answer == "all"
        return answer in ("yes", "all")


def _take_in(wheelhouse: Wheelhouse, path: Path, trust: _Trust, check: FileCheck) -> list[Added]:
    """Add a wheel, or all wheels of a bundle, after `check`, which raises to refuse them; ask about one that was logged
    without a SHA-256. Raises `EnvfabError`."""
    from envfab.fetch.bundle import add_bundle, is_bundle
    from envfab.wheelhouse.add import UnknownHash

    def add(trusted: bool) -> list[Added]:
        if is_bundle(path):
            return add_bundle(path, wheelhouse, trust=trusted, check=partial(check.refuse, vouched=False))
        check.refuse([path], vouched=True)
        return [wheelhouse.add(path, trust=trusted)]

    try:
        return add(trust.given)
    except UnknownHash as error:
        if not trust.ask(error):
            raise
        return add(True)
