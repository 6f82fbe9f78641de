"""SSH hosts on loopback that share nothing but the kernel: each has an sshd, a home and a /tmp of its own.

A host is a process namespace with a mount namespace: in every one of them `root/host` is another folder, so all
hosts have the same paths, and a virtualenv that was made on one is right on all. Its sshd is the first process there,
which inherits every orphan; what sshd and its ended children have used is what the host has used. The account exists
in those namespaces only, and all of it lies on a tmpfs and is gone when the process that made it is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet import processes
from benchmarks.fleet.errors import BenchmarkError

SHM = Path("/dev/shm")
PREFIX = "envfab-bench-"
USER, UID = "shop", 54321
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
NEEDED = ("sshd", "ssh", "ssh-keygen", "unshare", "nsenter", "setpriv", "mount")
PACKAGES = "openssh-server, openssh-client, util-linux"
SETTINGS = ("alternatives", "ld.so.*", "localtime", "nsswitch.conf", "os-release", "profile", "python3*")
"""What the hosts have below /etc of the machine's own."""
PATIENCE = 30


@dataclass(frozen=True, slots=True)
class Host:
    """One of them: the process that holds its namespaces, its sshd, and where its files are seen from outside."""

    name: str
    holder: subprocess.Popen[bytes]
    sshd: int
    folder: Path

    @property
    def home(self) -> Path:
        """The home of the account, from outside."""
        return self.folder / "home"


@dataclass(frozen=True, slots=True)
class Hosts:
    """All hosts; `root` holds them, and has room for the controller's files too."""

    root: Path
    all: tuple[Host, ...]
    config: Path

    @property
    def names(self) -> tuple[str, ...]:
        """web1, web2, …"""
        return tuple(host.name for host in self.all)

    @property
    def home(self) -> Path:
        """The home of the account as it is called on every host."""
        return self.root / "host" / "home"

    @property
    def holders(self) -> frozenset[int]:
        """The processes below which all is the hosts', not the controller's."""
        return frozenset(host.holder.pid for host in self.all)

    def run(self, host: Host, script: str) -> str:
        """What a shell script prints that runs on a host, by way of SSH."""
        return checked("ssh", "-F", str(self.config), host.name, script)

    def look(self, host: Host, *words: str) -> str:
        """What a command prints that runs on a host without SSH, so that it is in no figure."""
        return checked("nsenter", f"--target={host.sshd}", "--mount", "--pid", "--", *words)

    def cpu_seconds(self) -> float:
        """CPU time of all hosts so far; whole only while no session is open."""
        return sum(processes.cpu_seconds(host.sshd) for host in self.all)

    def wait_until_idle(self) -> None:
        """Wait until the last session of every host has ended; end what stays."""
        deadline = time.monotonic() + PATIENCE
        while busy := self._busy():
            if time.monotonic() > deadline:
                raise BenchmarkError(f"sessions on {', '.join(busy)} have not ended after {PATIENCE} seconds")
            time.sleep(0.02)

    def _busy(self) -> list[str]:
        tree = processes.children()
        for host in self.all:
            if host.holder.poll() is not None:
                raise BenchmarkError(f"the sshd of {host.name} has ended: {_log(host.folder).read_text()}")
        return [host.name for host in self.all if tree.get(host.sshd)]


def missing() -> str:
    """Why there can be no such hosts on this machine, in one line; empty where there can."""
    if os.geteuid() != 0:
        return "the hosts need root: each is an sshd with a mount namespace of its own"
    if lacking := [name for name in NEEDED if not which(name)]:
        return f"the hosts need {', '.join(lacking)}: install {PACKAGES}"
    if not SHM.is_dir():
        return f"the hosts live on a tmpfs, and there is no {SHM}"
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "the hosts need namespaces: `unshare --mount --pid --fork true` fails here"


@contextmanager
def running_hosts(number: int) -> Iterator[Hosts]:
    """So many hosts, from the first key to the last trace."""
    if reason := missing():
        raise BenchmarkError(reason)
    _remove_what_killed_runs_left()
    with ExitStack() as cleanup:
        root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=SHM))
        cleanup.callback(shutil.rmtree, root, ignore_errors=True)
        root.chmod(0o755)
        (root / "host").mkdir()
        etc = root / "etc"
        etc.mkdir()
        _write_settings(root)
        if not Path("/run/sshd").exists():
            Path("/run/sshd").mkdir(mode=0o755)
            cleanup.callback(Path("/run/sshd").rmdir)
        _make_key(etc / "login")
        port = _free_port(number)
        started = [_start(root, index, port) for index in range(1, number + 1)]
        for _name, holder in started:
            cleanup.callback(_stop, holder)
        known_hosts = [f"[127.0.1.{index}]:{port} {_public(etc / f'web{index}')}\n" for index in range(1, number + 1)]
        (etc / "known_hosts").write_text("".join(known_hosts))
        config = etc / "ssh_config"
        config.write_text(_client_config(etc, number, port))
        _wait_for_greetings(root, number, port)
        tree = processes.children()
        hosts = [Host(name, holder, tree[holder.pid][0], root / "hosts" / name) for name, holder in started]
        yield Hosts(root, tuple(hosts), config)


def which(name: str) -> str:
    """The full path of a program, also of an administrator's; empty if there is none."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}") or ""


def checked(*words: str) -> str:
    """What a command prints; raises with what it said where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise BenchmarkError(f"`{shlex.join(words)}` ended with {done.returncode}: {said}")
    return done.stdout


def _write_settings(root: Path) -> None:
    """The hosts' /etc: accounts with one that is on the hosts alone, and little more.

    All of /etc, since a file that is bound over a single one is lost as soon as somebody replaces what lies below.
    """
    settings = root / "settings"
    settings.mkdir()
    for pattern in SETTINGS:
        for path in Path("/etc").glob(pattern):
            checked("cp", "-a", str(path), str(settings))
    account = f"{USER}:*:{UID}:{UID}::{root / 'host' / 'home'}:/bin/sh\n"
    (settings / "passwd").write_text(Path("/etc/passwd").read_text() + account)
    (settings / "group").write_text(Path("/etc/group").read_text() + f"{USER}:*:{UID}:\n")


def _start(root: Path, index: int, port: int) -> tuple[str, subprocess.Popen[bytes]]:
    """Start one host; the process that is returned takes all of it along when it ends, or when this one does."""
    name, etc = f"web{index}", root / "etc"
    folder = root / "hosts" / name
    for part, mode in (("home", 0o755), ("tmp", 0o1777)):
        (folder / part).mkdir(parents=True)
        (folder / part).chmod(mode)
    os.chown(folder / "home", UID, UID)
    _make_key(etc / name)
    config = etc / f"{name}.sshd"
    config.write_text(_server_config(etc, name, index, port))
    mounts = ((folder, root / "host"), (folder / "tmp", "/tmp"), (root / "settings", "/etc"))
    script = [f"mount --bind {source} {target}" for source, target in mounts]
    script.append(f"exec {which('sshd')} -D -f {config} -E {_log(folder)}")
    with _log(folder).open("ab") as log:
        holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "sh", "-e", "-c", "\n".join(script)],
            stdin=subprocess.DEVNULL, stderr=log, start_new_session=True, cwd="/",
            env={"PATH": f"/usr/local/bin:/usr/bin:/bin:{SBIN}", "LANG": "C.UTF-8"},
        )  # fmt: skip
    return name, holder


def _server_config(etc: Path, name: str, index: int, port: int) -> str:
    """OpenSSH's own defaults, save where things are."""
    return (
        f"ListenAddress 127.0.1.{index}:{port}\n"
        f"HostKey {etc}/{name}\n"
        f"AuthorizedKeysFile {etc}/login.pub\n"
        # the file lies below /dev/shm, into which everybody may write
        "StrictModes no\n"
        "PasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
        "Subsystem sftp internal-sftp\n"
        "PidFile none\n"
        f"AllowUsers {USER}\n"
    )


def _client_config(etc: Path, number: int, port: int) -> str:
    """What ~/.ssh/config would say of these hosts."""
    lines = [f"Host web{index}\n    HostName 127.0.1.{index}\n" for index in range(1, number + 1)]
    return "".join(lines) + (
        "Host *\n"
        f"    Port {port}\n"
        f"    User {USER}\n"
        f"    IdentityFile {etc}/login\n"
        "    IdentitiesOnly yes\n"
        "    BatchMode yes\n"
        "    StrictHostKeyChecking yes\n"
        f"    UserKnownHostsFile {etc}/known_hosts\n"
        "    GlobalKnownHostsFile /dev/null\n"
    )


def _free_port(number: int) -> int:
    """A port that is free on all addresses of the hosts."""
    for port in range(20022, 32000, 7):
        with ExitStack() as sockets, suppress(OSError):
            for index in range(1, number + 1):
                sockets.enter_context(socket.socket()).bind((f"127.0.1.{index}", port))
            return port
    raise BenchmarkError("there is no port that is free on 127.0.1.1 and its neighbours")


def _wait_for_greetings(root: Path, number: int, port: int) -> None:
    """Wait until every sshd answers."""
    deadline = time.monotonic() + PATIENCE

    def greets(index: int) -> bool:
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection((f"127.0.1.{index}", port), timeout=5) as connection:
                if connection.recv(4) == b"SSH-":
                    return True
            time.sleep(0.05)
        return False

    with ThreadPoolExecutor(8) as pool:
        silent = [index for index, there in enumerate(pool.map(greets, range(1, number + 1)), 1) if not there]
    if silent:
        said = _log(root / "hosts" / f"web{silent[0]}").read_text().strip()
        raise BenchmarkError(f"web{silent[0]} does not answer on port {port} after {PATIENCE} seconds; it said: {said}")


def _log(folder: Path) -> Path:
    """What a host's processes had to say of themselves."""
    return folder / "sshd.log"


def _make_key(path: Path) -> None:
    checked("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path))


def _public(key: Path) -> str:
    return " ".join(key.with_name(f"{key.name}.pub").read_text().split()[:2])


def _stop(holder: subprocess.Popen[bytes]) -> None:
    """End a host's first process, with which all others there end, and then the one that waits for it."""
    for pid in processes.children().get(holder.pid, []):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    try:
        holder.wait(timeout=5)
    except subprocess.TimeoutExpired:
        holder.kill()
        holder.wait()


def _remove_what_killed_runs_left() -> None:
    """Folders of benchmarks that were killed; the kernel has ended their hosts with them."""
    for folder in SHM.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)
