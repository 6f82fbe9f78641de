"""systemd timers that run a task of the fabfile: a service and a timer unit (systemd.service(5), systemd.timer(5)).

Those of root are the system's units, those of other users belong to the user's own service manager.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from envfab.errors import EnvfabError, UsageError
from envfab.registration.hooks.activation import Call
from envfab.util.atomic import write_file

DAILY = "*-*-* 04:37:00"
SYSTEM_UNITS = Path("/etc/systemd/system")
LIMIT = 60.0  # seconds that a program of systemd may take

SERVICE = """\
# Made by `fab {task}`; `fab {task} --remove` takes it away.
[Unit]
Description={description}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory={folder}
{variables}ExecStart={command}
"""
TIMER = """\
# Made by `fab {task}`; `fab {task} --remove` takes it away.
[Unit]
Description={description}

[Timer]
OnCalendar={schedule}
RandomizedDelaySec=5min
Persistent=true

[Install]
WantedBy=timers.target
"""


class TimerError(EnvfabError):
    """Raised if a timer cannot be made or removed."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer that makes `call`; `name` says which task it runs, `made_by` is the task that makes and removes it.

    `flags` are added to the call; a timer with others takes its place.
    """

    name: str
    call: Call
    made_by: str
    flags: Sequence[str] = ()

    @property
    def by_cron(self) -> str:
        """How cron does the same."""
        return "fab register_hook --cron" if self.name == "register" else f"add fab {self.name} --check by crontab -e"

    @property
    def unit(self) -> str:
        """The name of its units, without the suffix: one for each task, fabfile and virtualenv."""
        parts = "\0".join((self.call.folder, self.call.of, *self.call.command))
        return f"envfab-{self.name}-{hashlib.sha256(parts.encode()).hexdigest()[:8]}"


def install(timer: Timer, schedule: str) -> list[Path]:
    """Write the units and start the timer; return the files that changed, none if it was there like that.

    Raises `UsageError` for a `schedule` that systemd does not take, `TimerError` if systemd refuses, which leaves no
    unit behind.
    """
    _check_schedule(timer, schedule)
    folder = _folder()
    units = {
        folder / f"{timer.unit}.service": _service(timer),
        folder / f"{timer.unit}.timer": TIMER.format(
            task=timer.made_by, description=_specifier(_title(timer)), schedule=_specifier(schedule)
        ),
    }
    changed = [path for path, text in units.items() if not path.is_file() or path.read_bytes() != text.encode()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in changed:
            write_file(path, units[path].encode(), 0o644)
        if changed:
            _systemctl(timer, "daemon-reload")
        _systemctl(timer, "enable", "--now", "--quiet", f"{timer.unit}.timer")
    except (OSError, TimerError) as error:
        for path in units:
            with suppress(OSError):
                path.unlink()
        if isinstance(error, OSError):
            raise TimerError(f"cannot write the units: {error.strerror}", where=str(folder)) from None
        raise
    return changed


def remove(timer: Timer) -> list[Path]:
    """Stop the timer and remove its units; return the files that were removed. Raises `TimerError`."""
    there = [path for path in (_folder() / f"{timer.unit}{kind}" for kind in (".timer", ".service")) if path.exists()]
    if not there:
        return []
    _systemctl(timer, "disable", "--now", "--quiet", f"{timer.unit}.timer")
    try:
        for path in there:
            path.unlink()
    except OSError as error:
        raise TimerError(f"cannot be removed: {error.strerror}", where=str(error.filename)) from None
    _systemctl(timer, "daemon-reload")
    return there


def stays_when_logged_out(environment: Mapping[str, str]) -> bool:
    """Return whether the timer runs while its user is not logged in: systemd calls that lingering."""
    if os.geteuid() == 0:
        return True
    user = environment.get("USER") or str(os.geteuid())
    done = _run(["loginctl", "show-user", user, "--property=Linger"])
    return done.returncode == 0 and done.stdout.strip() == "Linger=yes"


def _folder() -> Path:
    if os.geteuid() == 0:
        return SYSTEM_UNITS
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".config") / "systemd" / "user"


def _service(timer: Timer) -> str:
    variables = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in timer.call.variables.items())
    return SERVICE.format(
        task=timer.made_by,
        description=_specifier(_title(timer)),
        folder=_specifier(timer.call.folder),
        variables=variables,
        command=_command_line([*timer.call.command, *timer.flags]),
    )


def _title(timer: Timer) -> str:
    return f"envfab {timer.name} with the fabfile in {timer.call.folder}"


def _specifier(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word as systemd.syntax(7) has it, in double quotes."""
    return '"' + _specifier(word.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _command_line(words: Sequence[str]) -> str:
    # systemd refuses some characters in the name of a program, and takes `$NAME` for a variable, in quotes, too
    through_shell = ["/bin/sh", "-c", 'exec "$0" "$@"', *words]
    return " ".join(_quoted(word).replace("$", "$$") for word in through_shell)


def _check_schedule(timer: Timer, schedule: str) -> None:
    """Raise `UsageError` if systemd does not take a schedule, or it could end the line."""
    hint = f"say '{DAILY}', hourly or daily: see systemd.time(7), and try: systemd-analyze calendar '{DAILY}'"
    if not schedule.strip() or re.search(r"[\x00-\x1f\x7f]", schedule):
        raise UsageError(f"{schedule!r} is not a schedule of systemd", hint=hint)
    done = _run(["systemd-analyze", "calendar", schedule], timer.by_cron)
    if done.returncode:
        raise UsageError(f"{schedule!r} is not a schedule of systemd", hint=hint)


def _systemctl(timer: Timer, *arguments: str) -> None:
    scope = [] if os.geteuid() == 0 else ["--user"]
    done = _run(["systemctl", *scope, *arguments], timer.by_cron)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        why = f": {said[-1]}" if said else f" ended with status {done.returncode}"
        what = f"systemctl {' '.join([*scope, *arguments])}{why}"
        raise TimerError(what, hint=f"if systemd does not run here, use cron: {timer.by_cron}")


def _run(command: Sequence[str], by_cron: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT,
            check=False,
        )
    except FileNotFoundError:
        raise TimerError(f"{command[0]} is not installed", hint=by_cron and f"use cron: {by_cron}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TimerError(f"{command[0]} cannot be run: {error}") from None
