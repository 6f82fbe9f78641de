"""Unix users for the tests: each plays a role, and is gone afterwards."""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path

PREFIX = "envfab-t-"
BASH = "/bin/bash"
NO_LOGIN = "/usr/sbin/nologin"
NO_HOME = Path("/nonexistent")


@dataclass(frozen=True, slots=True)
class Users:
    """The names of the test users by role, and what else is to be known of them.

    `tcsh`, `fish` and `zsh` log in with the shell of that name; where it is not installed, the name is empty.
    """

    admin: str
    """Logs in, and may become anybody without a password."""
    keeper: str
    """Logs in, and may become anybody with `password`."""
    guest: str
    """Logs in, has `password`, and may become nobody."""
    shop: str
    """Owns virtualenvs; can log in as well."""
    blog: str
    """Owns others."""
    www: str
    """Runs Django projects; no login shell."""
    homeless: str
    """Owns virtualenvs; has no home and no login shell."""
    noisy: str
    """Like admin; start-up files print, and sshd shows a banner."""
    tcsh: str
    """Like admin, with tcsh as the login shell."""
    fish: str
    """Like admin, with fish as the login shell."""
    zsh: str
    """Like admin, with zsh as the login shell."""
    single: str
    """Like admin; sshd allows one session a connection."""
    password: str
    homes: Path

    @property
    def all(self) -> tuple[str, ...]:
        """Every user there is."""
        names = [getattr(self, field.name) for field in fields(self) if field.name not in ("password", "homes")]
        return tuple(name for name in names if name)

    @property
    def with_login(self) -> tuple[str, ...]:
        """Those whom sshd lets in."""
        return tuple(name for name in self.all if name not in (self.www, self.homeless))

    @property
    def sudo_without_password(self) -> tuple[str, ...]:
        """Those who may become anybody, just so."""
        return tuple(name for name in (self.admin, self.noisy, self.tcsh, self.fish, self.zsh, self.single) if name)

    @property
    def uids(self) -> tuple[int, ...]:
        """The numbers of all of them."""
        return tuple(pwd.getpwnam(name).pw_uid for name in self.all)

    def home(self, user: str) -> Path:
        """The home directory of one of them."""
        return Path(pwd.getpwnam(user).pw_dir)


@contextmanager
def made_users(homes: Path, public_key: str) -> Iterator[Users]:
    """The test users, with homes in `homes`, open to `public_key`; made one after another, removed at the end."""
    prefix = f"{PREFIX}{os.getpid()}-"
    shells = {name: shutil.which(name) for name in ("tcsh", "fish", "zsh")}
    roles = [field.name for field in fields(Users) if field.name not in ("password", "homes")]
    names = {role: f"{prefix}{role}" if shells.get(role, BASH) else "" for role in roles}
    users = Users(**names, password=f"pass word {secrets.token_hex(6)}", homes=homes)
    try:
        with one_at_a_time():
            for role, name in names.items():
                if name in (users.www, users.homeless):
                    _add(name, homes / "www" if name == users.www else NO_HOME, NO_LOGIN)
                elif name:
                    _add(name, homes / role, shells.get(role) or BASH)
                    _open_to(users, name, public_key)
            for name in (users.keeper, users.guest):
                _run("chpasswd", input=f"{name}:{users.password}\n")
        _make_noisy(users)
        yield users
    finally:
        with one_at_a_time():
            remove_users(prefix)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Test sessions that run side by side change the user database in turn; useradd itself would wait by seconds."""
    descriptor = os.open("/etc", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_users(prefix: str) -> None:
    """Remove every user whose name begins with `prefix`, and what sudo remembers of them; homes stay."""
    for entry in pwd.getpwall():
        if entry.pw_name.startswith(prefix) and prefix.startswith(PREFIX):
            _run("userdel", "--force", entry.pw_name, check=False)
            for memory in ("/run/sudo/ts", "/var/lib/sudo/lectured"):
                for name in (entry.pw_name, str(entry.pw_uid)):
                    with suppress(OSError):
                        Path(memory, name).unlink()


def _add(name: str, home: Path, shell: str) -> None:
    """A user whose password is one that nobody can give (`!`, useradd's own, would lock the key out too)."""
    make_home = "--no-create-home" if home == NO_HOME else "--create-home"
    _run("useradd", "--home-dir", str(home), make_home, "--shell", shell, "--password", "*", "--user-group", name)
    if home != NO_HOME:
        home.chmod(0o755)


def _open_to(users: Users, name: str, public_key: str) -> None:
    folder = users.home(name) / ".ssh"
    folder.mkdir(mode=0o700)
    keys = folder / "authorized_keys"
    keys.write_text(public_key)
    for path in (folder, keys):
        shutil.chown(path, name, name)


def _make_noisy(users: Users) -> None:
    """Start-up files that talk on both streams, whether anybody sits at a terminal or not."""
    home = users.home(users.noisy)
    for file in (".bashrc", ".profile"):
        (home / file).write_text(f'echo "{file}: welcome {{}} $USER"\necho "{file}: disk almost full" >&2\n')
        shutil.chown(home / file, users.noisy, users.noisy)


def _run(*words: str, input: str = "", check: bool = True) -> None:
    # Administrators' programs are not on every PATH.
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
    subprocess.run(words, input=input, capture_output=True, text=True, env=environment, check=check)
