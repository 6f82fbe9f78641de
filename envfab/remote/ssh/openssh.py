"""OpenSSH's own evaluation of its configuration for a host: `ssh -G`, which takes about 10 ms of CPU."""

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

# seconds; a Match exec may wait for a network
LIMIT = 30.0
# messages of ssh that are not the reason of its failure
_ASIDES = ("Pseudo-terminal will not be allocated", "terminating,")


def ask(
    program: str, files: Sequence[str], name: str, user: str | None = None, port: int | None = None
) -> dict[str, list[str]]:
    """Return ssh's values for the host `name`, by keyword in lower case.

    `files` are the arguments `-F FILE`, or empty if ssh shall read its usual files. Raises `Unreachable`, with ssh's
    reason, if ssh fails.
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
            f"ssh rejects its configuration: {_reason(done.stderr)}", where=name, hint="correct your SSH config"
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
    """Yield the arguments with which ssh reads these two files.

    ssh looks for the user's file in the home folder of the user database. If HOME is another folder, ssh gets a
    temporary file that includes both.
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
