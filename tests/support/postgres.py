"""A private PostgreSQL server in a temporary folder, on a Unix socket, as a user that is not root."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.sshd import Unavailable

OWNER = "postgres"  # Debian's package makes it; only where root runs the tests


class Postgres:
    """A running server that makes databases: schemas, really, since a database is hundreds of files."""

    def __init__(self, folder: Path, user: str) -> None:
        self._folder = folder
        self._user = user
        self._numbers = itertools.count(1)

    def make_database(self) -> str:
        """The URL of a new, empty database."""
        import psycopg

        name = f"collector_{next(self._numbers)}"
        with psycopg.connect(host=str(self._folder), user=self._user, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"postgresql://{self._user}@/postgres?host={self._folder}&options=-csearch_path%3D{name}"


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server for the time of the context; raises `Unavailable` where PostgreSQL is not installed."""
    programs = _programs()
    user = OWNER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0 and not any(one.pw_name == OWNER for one in pwd.getpwall()):
        raise Unavailable(f"PostgreSQL runs under no root, and there is no user {OWNER}")
    folder = Path(tempfile.mkdtemp(prefix="envfab-pg-", dir="/tmp"))  # the path of a socket must be short
    as_user = {"user": user} if os.geteuid() == 0 else {}
    shutil.chown(folder, user)
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [programs / program, *arguments],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            **as_user,  # type: ignore[call-overload]  # one of its many arguments
        )
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        run("initdb", "-D", str(data), "-A", "trust", "-U", user, "--no-sync", "-E", "UTF8")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield Postgres(folder, user)
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """The folder of the newest installed PostgreSQL's programs; Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise Unavailable("PostgreSQL is not installed (Debian: postgresql)")
    return found[-1].parent if found else Path(str(on_path)).parent
