"""Real SSH hosts for the tests: OpenSSH's `sshd` on loopback, with users and sudo rules of its own.

One process plays many hosts. They differ by address (`web1` is 127.0.0.1, `web2` 127.0.0.2, …) and share
a port, the host keys and the users. All of it lies in one folder and is gone afterwards.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.users import PREFIX, Users, made_users, one_at_a_time, remove_users

SUDOERS = Path("/etc/sudoers.d")
HOSTS = 16
"""How many aliases web1, web2, … there are; sshd listens on 16 sockets at most."""

ALIASES: Mapping[str, Mapping[str, str]] = {
    "jump": {"HostName": "127.0.0.1"},
    "inner1": {"HostName": "127.0.0.2", "ProxyJump": "jump"},
    "inner2": {"HostName": "127.0.0.3", "ProxyJump": "jump"},
    "noisy": {"HostName": "127.0.0.4", "User": "noisy"},
    "tcsh": {"HostName": "127.0.0.5", "User": "tcsh"},
    "fish": {"HostName": "127.0.0.6", "User": "fish"},
    "zsh": {"HostName": "127.0.0.7", "User": "zsh"},
    "single": {"HostName": "127.0.0.8", "User": "single"},
}
"""Aliases beside web1, web2, …; `User` is a role, `admin` where there is none."""


class Unavailable(Exception):
    """A part that real hosts need is not on this machine."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Hosts that can be logged in to, and all that a test needs to know of them.

    `config` goes to `fab -S`; `key` opens every account that has a shell; `users` are the accounts by role.
    """

    folder: Path
    config: Path
    key: Path
    known_hosts: Path
    log: Path
    port: int
    users: Users
    listener: int

    @property
    def names(self) -> tuple[str, ...]:
        """The aliases web1, web2, …"""
        return tuple(f"web{number}" for number in range(1, HOSTS + 1))

    @property
    def srv(self) -> Path:
        """A folder that every user can look into, made for tests' virtualenvs."""
        return self.folder / "srv"

    def command(self, alias: str, *words: str, user: str | None = None) -> list[str]:
        """The command line by which the system's own `ssh` runs `words` on `alias`."""
        login = ["-l", user] if user else []
        return ["ssh", "-F", str(self.config), "-o", "BatchMode=yes", *login, alias, *words]

    def run(
        self, alias: str, *words: str, user: str | None = None, input: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """What `words` say on `alias`, by way of the system's own `ssh`."""
        return subprocess.run(
            self.command(alias, *words, user=user), input=input, capture_output=True, text=True, timeout=60, check=False
        )

    def sessions(self) -> list[int]:
        """The processes that serve connections."""
        return [pid for pid in _descendants(self.listener) if _name_of(pid).startswith("sshd")]

    def cut(self) -> None:
        """Cut every connection, as a broken network does; the hosts stay up for new ones."""
        for pid in self.sessions():
            _kill(pid)

    def log_since(self, offset: int) -> str:
        """What sshd has written to its log after the first `offset` bytes."""
        with self.log.open("rb") as stream:
            stream.seek(offset)
            return stream.read().decode(errors="replace")


def missing_parts() -> str:
    """Why there can be no real hosts on this machine; empty where there can."""
    if os.geteuid() != 0:
        return "real SSH hosts need root, to make users and to let them log in"
    lacking = [
        name for name in ("sshd", "ssh", "ssh-keygen", "sudo", "visudo", "useradd", "chpasswd") if not _which(name)
    ]
    return (
        f"real SSH hosts need {', '.join(lacking)}: install openssh-server, openssh-client and sudo" if lacking else ""
    )


@contextmanager
def running_hosts() -> Iterator[Hosts]:
    """Real hosts, from first login to last trace: users, keys, sudo rules and the daemon itself."""
    if reason := missing_parts():
        raise Unavailable(reason)
    _remove_what_killed_sessions_left()
    with ExitStack() as cleanup:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        for name in ("etc", "home", "srv"):
            (folder / name).mkdir(mode=0o755)
        etc = folder / "etc"
        for kind in ("ed25519", "rsa", "ecdsa"):
            _make_key(etc / f"host_{kind}", kind)
        key = etc / "id_ed25519"
        _make_key(key, "ed25519")
        users = cleanup.enter_context(made_users(folder / "home", key.with_suffix(".pub").read_text()))
        cleanup.callback(_finish_processes_of, users.uids)
        cleanup.enter_context(_sudo_rules(users))
        log = etc / "sshd.log"
        process, port = _start_sshd(etc, log, users)
        cleanup.callback(_stop, process)
        known_hosts = etc / "known_hosts"
        known_hosts.write_text(_known_hosts(etc, port))
        config = etc / "ssh_config"
        config.write_text(_client_config(port, key, known_hosts, users))
        yield Hosts(folder, config, key, known_hosts, log, port, users, process.pid)


def _start_sshd(etc: Path, log: Path, users: Users) -> tuple[subprocess.Popen[bytes], int]:
    """A daemon that answers on every address, and its port; another port where somebody was faster."""
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    sshd = _which("sshd")
    (etc / "banner").write_text("Authorised staff only.\nEverything is recorded.\n")
    for _attempt in range(5):
        port = free_port()
        config = etc / "sshd_config"
        config.write_text(_server_config(etc, port, users))
        _run(sshd, "-t", "-f", str(config))
        # Left alone by a Ctrl-C in the terminal (the tests still talk to it while they clean up), but not
        # outliving a test session that is killed.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", sshd, "-D", "-f", str(config), "-E", str(log)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        if answers(process, f"127.0.0.{HOSTS}", port):
            return process, port
        _stop(process)
    raise Unavailable(f"sshd does not start; its log says: {log.read_text() if log.exists() else 'nothing'}")


@contextmanager
def another_sshd(hosts: Hosts, folder: Path, *lines: str) -> Iterator[int]:
    """One more daemon for the same users, with other settings instead of those of its name. Yields its port."""
    others = {line.split()[0] for line in lines}
    text = (hosts.folder / "etc" / "sshd_config").read_text()
    same = "".join(line for line in text.splitlines(True) if line.split()[0] not in others)
    for _attempt in range(5):
        port = free_port()
        config = folder / "sshd_config"
        moved = same.replace(f":{hosts.port}\n", f":{port}\n")
        config.write_text("".join(f"{line}\n" for line in lines) + moved)
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", _which("sshd"), "-D", "-f", str(config), "-E", str(folder / "log")],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            if answers(process, "127.0.0.1", port):
                yield port
                return
        finally:
            _stop(process)
    raise Unavailable(f"sshd does not start; its log says: {(folder / 'log').read_text()}")


def _server_config(etc: Path, port: int, users: Users) -> str:
    """The daemon's settings: Debian's defaults, save what one process for sixteen hosts must have otherwise."""
    listen = "".join(f"ListenAddress 127.0.0.{number}:{port}\n" for number in range(1, HOSTS + 1))
    keys = "".join(f"HostKey {etc}/host_{kind}\n" for kind in ("ed25519", "rsa", "ecdsa"))
    # Newer daemons shut out an address after failed logins: here it would be the address of every test.
    penalties = "PerSourcePenalties no\n" if "persourcepenalties" in _effective_settings() else ""
    return (
        f"{listen}{keys}{penalties}"
        "PidFile none\n"
        "LogLevel VERBOSE\n"
        "PasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
        "AcceptEnv LANG LC_*\n"
        "Subsystem sftp internal-sftp\n"
        # A limit on logins under way in the whole process, which stands for sixteen machines.
        "MaxStartups 160\n"
        f"AllowUsers {' '.join(users.with_login)}\n"
        f"Match User {users.noisy}\n"
        f"    Banner {etc}/banner\n"
        f"Match User {users.single}\n"
        "    MaxSessions 1\n"
    )


def _client_config(port: int, key: Path, known_hosts: Path, users: Users) -> str:
    """What the user's ~/.ssh/config would say about these hosts."""
    web = {f"web{number}": {"HostName": f"127.0.0.{number}"} for number in range(1, HOSTS + 1)}
    lines = []
    for alias, options in {**web, **ALIASES}.items():
        user = getattr(users, options.get("User", "admin"))
        if user:
            lines.append(f"Host {alias}")
            lines += [f"    {name} {value}" for name, value in options.items() if name != "User"]
            lines += [f"    User {user}", f"    Port {port}", ""]
    lines += [
        "Host *",
        f"    IdentityFile {key}",
        "    IdentitiesOnly yes",
        f"    UserKnownHostsFile {known_hosts}",
        "    GlobalKnownHostsFile /dev/null",
        "",
    ]
    return "\n".join(lines)


def _known_hosts(etc: Path, port: int) -> str:
    """A line for every address and key."""
    publics = [" ".join((etc / f"host_{kind}.pub").read_text().split()[:2]) for kind in ("ed25519", "rsa", "ecdsa")]
    return "".join(f"[127.0.0.{number}]:{port} {public}\n" for number in range(1, HOSTS + 1) for public in publics)


@contextmanager
def _sudo_rules(users: Users) -> Iterator[None]:
    """A sudoers file of our own, looked through by visudo before sudo can see it."""
    rules = "".join(f"{user} ALL=(ALL:ALL) NOPASSWD: ALL\n" for user in users.sudo_without_password)
    rules += f"{users.keeper} ALL=(ALL:ALL) ALL\n"
    file = SUDOERS / f"{PREFIX}{os.getpid()}"
    draft = SUDOERS / f".{PREFIX}{os.getpid()}.draft"  # sudo passes over names with a dot
    try:
        draft.write_text(rules)
        draft.chmod(0o440)
        _run(_which("visudo"), "-c", "-q", "-f", str(draft))
        draft.rename(file)
        yield
    finally:
        draft.unlink(missing_ok=True)
        file.unlink(missing_ok=True)


def _remove_what_killed_sessions_left() -> None:
    """Users, rules and folders of test sessions that ended without cleaning up."""
    with one_at_a_time():
        stale = {pid for pid in _pids_in_names() if pid == os.getpid() or not Path(f"/proc/{pid}").exists()}
        for pid in stale:
            for rules in SUDOERS.glob(f"{PREFIX}{pid}*"):
                if rules.name in (f"{PREFIX}{pid}", f"{PREFIX}{pid}-rules"):
                    rules.unlink(missing_ok=True)
            remove_users(f"{PREFIX}{pid}-")
            if pid != os.getpid():
                for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}{pid}-*"):
                    shutil.rmtree(folder, ignore_errors=True)


def _pids_in_names() -> set[int]:
    """The process ids that names of users, rules and folders on this machine carry."""
    names = [line.partition(":")[0] for line in Path("/etc/passwd").read_text().splitlines()]
    names += os.listdir(SUDOERS) + os.listdir(tempfile.gettempdir())
    parts = [name.removeprefix(PREFIX).partition("-")[0] for name in names if name.startswith(PREFIX)]
    return {int(part) for part in parts if part.isdigit()}


def _make_key(path: Path, kind: str) -> None:
    _run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"{PREFIX}{kind}", "-f", str(path))


def free_port() -> int:
    """A port that is free on every address that the hosts use."""
    while True:
        port = 20000 + secrets.randbelow(12000)  # below the range that outgoing connections take theirs from
        with ExitStack() as sockets:
            try:
                for number in range(1, HOSTS + 1):
                    sockets.enter_context(socket.socket()).bind((f"127.0.0.{number}", port))
            except OSError:
                continue
            return port


def answers(process: subprocess.Popen[bytes], address: str, port: int) -> bool:
    """Whether the daemon greets on that address within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection((address, port), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the daemon and all that its sessions started."""
    descendants = _descendants(process.pid)
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in descendants:
        _kill(pid)


def _finish_processes_of(uids: Iterable[int]) -> None:
    """End what runs as one of our users; the users exist for these tests alone."""
    wanted = set(uids)
    for _round in range(3):
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and entry.stat().st_uid in wanted:
                    _kill(int(entry.name))


def _descendants(pid: int) -> list[int]:
    """The children of a process, their children, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        new = children.get(queue.pop(), [])
        found += new
        queue += new
    return found


def _name_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _effective_settings() -> str:
    """All settings that the installed daemon knows, with their defaults."""
    return _run(_which("sshd"), "-T", "-f", "/dev/null", "-h", "/dev/null", check=False)


def _which(name: str) -> str:
    """The program's full path, also where an administrator's folders are not on PATH; empty if there is none."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin") or ""


def _run(*words: str, check: bool = True) -> str:
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if check and done.returncode:
        raise Unavailable(f"{words[0]} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
