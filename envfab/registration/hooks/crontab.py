"""The line in the user's crontab that registers the fleet."""

from __future__ import annotations

import re
import shlex
import subprocess

from envfab.errors import RegistrationError, UsageError
from envfab.registration.hooks.activation import Call

DAILY = "37 4 * * *"
LONGEST_LINE = 990  # cron takes 998 characters
_SCHEDULE = re.compile(r"@[a-z]+|[0-9*/,A-Za-z-]+(?: +[0-9*/,A-Za-z-]+){4}")


def entry(call: Call, schedule: str) -> str:
    """The crontab line of a call; raises `UsageError` where cron could not read it.

    cron mails what fails, and nothing else. A percent sign is a line break to cron unless it is escaped.
    """
    if not _SCHEDULE.fullmatch(schedule):
        raise UsageError(
            f"{schedule!r} is not a schedule of crontab(5)", hint=f"say '{DAILY}' (every day at 4:37) or @daily"
        )
    variables = [f"{name}={shlex.quote(value)}" for name, value in call.variables.items()]
    command = " ".join([*variables, *(shlex.quote(word) for word in call.command)])
    shell = f"cd {shlex.quote(call.folder)} && {command} >/dev/null {_mark(call)}"
    line = f"{schedule} " + shell.replace("%", r"\%")
    if len(line) > LONGEST_LINE:
        raise UsageError("the crontab line would be longer than cron reads", where=call.folder)
    return line


def install(call: Call, schedule: str) -> bool:
    """Put the line into the crontab, in place of an earlier one of the same fleet; returns whether anything changed.

    Raises `UsageError` for a wrong schedule, and `RegistrationError` where the crontab cannot be changed.
    """
    line = entry(call, schedule)
    return _change(_read(), call, line)


def remove(call: Call) -> bool:
    """Remove the line; returns whether there was one. Raises `RegistrationError`."""
    return _change(_read(), call, None)


def changed(text: str, call: Call, line: str | None) -> str:
    """A crontab with (or, for None, without) the line of a call, all other lines untouched."""
    ending = _mark(call).replace("%", r"\%")
    lines = text.splitlines(keepends=True)
    places = [number for number, old in enumerate(lines) if old.rstrip("\r\n").endswith(ending)]
    kept = [old for number, old in enumerate(lines) if number not in places]
    if line is not None:
        if kept and not kept[-1].endswith("\n"):
            kept[-1] += "\n"
        kept.insert(places[0] if places else len(kept), f"{line}\n")
    return "".join(kept)


def _mark(call: Call) -> str:
    """A shell comment that tells our line from others', and one fleet's from another's."""
    of = f" of {call.of}" if call.of else ""
    return f"# envfab register_hook: {call.command[-1]}{of} in {call.folder}"


def _change(old: str, call: Call, line: str | None) -> bool:
    new = changed(old, call, line)
    if new == old:
        return False
    # a crontab without lines is removed: it was created for ours, or was empty
    _run(["crontab", "-"], new) if new else _run(["crontab", "-r"])
    return True


def _read() -> str:
    done = _run(["crontab", "-l"], check=False)
    if done.returncode == 0:
        return done.stdout
    if "no crontab" in done.stderr.lower() or "no such file" in done.stderr.lower():
        return ""
    raise _failed("cannot be read", done.stderr)


def _run(command: list[str], text: str = "", *, check: bool = True) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=30,
            check=False,
        )
    except FileNotFoundError:
        raise RegistrationError("the crontab program is not installed", hint="install cron, or use a timer") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistrationError(f"crontab cannot be run: {error}") from None
    if check and done.returncode:
        raise _failed("cannot be changed", done.stderr)
    return done


def _failed(what: str, said: str) -> RegistrationError:
    lines = said.strip().splitlines()
    return RegistrationError(f"the crontab {what}" + (f": {lines[-1]}" if lines else ""))
