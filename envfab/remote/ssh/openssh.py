"""OpenSSH's own word on a host: `ssh -G`, about 10 ms of CPU a call."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from envfab.errors import Unreachable

# a Match exec may wait for a network
LIMIT = 30.0
# what ssh says beside the reason
_ASIDES = ("Pseudo-terminal will not be allocated", "terminating,")


def ask(
    program: str, files: Sequence[str], name: str, user: str | None = None, port: int | None = None
) -> dict[str, list[str]]:
    """What ssh would do for `name`, by keyword in lower case; raises `Unreachable` with ssh's reason to refuse.

    `files` are `-F FILE`, or nothing where ssh reads its usual ones.
    """
    login = ["-l", user] if user else []
    place = ["-p", str(port)] if port else []
    try:
        done = subprocess.run(
            [program, *files, "-G", *login, *place, "--", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(
            f"ssh -G did not answer within {LIMIT:g} s",
            where=name,
            hint=f"a Match exec in your SSH config may wait for something; try: ssh -G {name}",
        ) from None
    except OSError as error:
        raise Unreachable(f"cannot run {program}: {error.strerror}", where=name) from None
    if done.returncode:
        raise Unreachable(
            f"ssh refuses its configuration: {_reason(done.stderr)}", where=name, hint="correct your SSH config"
        )
    values: dict[str, list[str]] = defaultdict(list)
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        keyword, _, value = line.partition(" ")
        values[keyword.lower()].append(value.strip())
    return dict(values)


def _reason(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    said = [line for line in lines if not any(aside in line for aside in _ASIDES)]
    return said[0] if said else "it gives no reason"


@contextmanager
def usual_files(user_file: str, system_file: str) -> Iterator[list[str]]:
    """The arguments by which ssh reads these two files.

    ssh looks for the user's file in the home of the user database. Where HOME names another folder, both are given
    to it in a file that includes them.
    """
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    user = Path(user_file).expanduser()
    if user == home / ".ssh" / "config" and system_file == "/etc/ssh/ssh_config":
        yield []
        return
    with tempfile.NamedTemporaryFile("w", prefix="envfab-ssh-", encoding="utf-8") as both:
        both.write(f'Include "{user}"\nInclude "{system_file}"\n')
        both.flush()
        yield ["-F", both.name]
