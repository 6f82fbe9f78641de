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

    def __init__(self, folder: Path, user: str, *, durable: bool = False) -> None:
        self._folder = folder
        self._fsync = "on" if durable else "off"
        self._user = user
        self._programs = _programs()
        self._numbers = itertools.count(1)

    def make_database(self) -> str:
        """The URL of a new, empty database."""
        import psycopg

        name = f"collector_{next(self._numbers)}"
        with psycopg.connect(host=str(self._folder), user=self._user, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"postgresql://{self._user}@/postgres?host={self._folder}&options=-csearch_path%3D{name}"

    def make_files(self) -> None:
        """Make what the server keeps its databases in."""
        self._run("initdb", "-D", self._data, "-A", "trust", "-U", self._user, "--no-sync", "-E", "UTF8")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self._folder} -c fsync={self._fsync}"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def crash(self) -> None:
        """End it as a kill does: what it was at is cut off, and recovered by the next start."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        as_user = {"user": self._user} if os.geteuid() == 0 else {}
        done = subprocess.run(
            [self._programs / program, *arguments],
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            **as_user,  # type: ignore[call-overload]  # one of its many arguments
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """A server for the time of the context; raises `Unavailable` where PostgreSQL is not installed.

    Only a `durable` one waits for the disk.
    """
    user = OWNER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0 and not any(one.pw_name == OWNER for one in pwd.getpwall()):
        raise Unavailable(f"PostgreSQL runs under no root, and there is no user {OWNER}")
    folder = Path(tempfile.mkdtemp(prefix="envfab-pg-", dir="/tmp"))  # the path of a socket must be short
    shutil.chown(folder, user)
    try:
        server = Postgres(folder, user, durable=durable)
        server.make_files()
        server.start()
        try:
            yield server
        finally:
            server.crash()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """The folder of the newest installed PostgreSQL's programs; Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise Unavailable("PostgreSQL is not installed (Debian: postgresql)")
    return found[-1].parent if found else Path(str(on_path)).parent
