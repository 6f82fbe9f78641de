"""A host with Debian's newest CPython: a folder with Debian testing in it, and an `sshd` of its own that runs inside.

The folder is made once a machine, in about half a minute, and kept: CACHE. Remove it to have a newer one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.once import made_once
from tests.support.sshd import Unavailable, answers, free_port

CACHE = Path("/var/cache/envfab-tests")
SUITE = "testing"
PACKAGES = "python3,openssh-server,bash,coreutils,dash"
PASSWD = "root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"


@dataclass(frozen=True, slots=True)
class NewerHost:
    """`root` is the host's root folder, seen from outside; `config` goes to `fab -S`, where the host is `newer`."""

    root: Path
    config: Path

    def run(self, *command: str) -> str:
        """What a command says inside."""
        return subprocess.run(
            ["chroot", str(self.root), *command], capture_output=True, text=True, check=True, cwd="/"
        ).stdout


@contextmanager
def running_newer_host(folder: Path) -> Iterator[NewerHost]:
    """The host, with its daemon; `folder` is for what is needed outside."""
    if os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        raise Unavailable("Debian testing in a folder needs root and mmdebstrap")
    root = CACHE / SUITE
    CACHE.mkdir(exist_ok=True)
    with made_once(root) as missing:
        if missing:
            _unpack(root)
    inside = Path(tempfile.mkdtemp(dir=root / "root"))
    key, host_key, config = folder / "id", inside / "host_key", folder / "ssh_config"
    for path in (key, host_key):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    shutil.copy(key.with_suffix(".pub"), inside / "keys")
    port = free_port()
    seen = Path("/", inside.relative_to(root))
    (inside / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {seen}/host_key\nAuthorizedKeysFile {seen}/keys\n"
        "StrictModes no\nPidFile none\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    known = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {known}\n")
    config.write_text(
        f"Host newer\n    HostName 127.0.0.1\n    Port {port}\n    User root\n    IdentityFile {key}\n"
        f"    UserKnownHostsFile {folder / 'known_hosts'}\n"
    )
    daemon = ["setpriv", "--pdeathsig", "TERM", "chroot", str(root), "/usr/sbin/sshd", "-D", "-e"]
    with (folder / "sshd.log").open("w") as log:
        process = subprocess.Popen(
            [*daemon, "-f", f"{seen}/sshd_config"],
            stdin=subprocess.DEVNULL,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
        try:
            if not answers(process, "127.0.0.1", port):
                raise Unavailable(f"sshd does not start: {(folder / 'sshd.log').read_text()}")
            yield NewerHost(root, config)
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(inside)


def _unpack(root: Path) -> None:
    """Unpack the packages, from the mirror that apt is set up with; no package's own scripts run, which take longest."""
    known = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(LABEL)|$(SITE)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    mirrors = [site for label, _, site in (line.partition("|") for line in known.splitlines()) if label == "Debian"]
    if not mirrors:
        raise Unavailable("apt knows no mirror of Debian")
    # a mirror may be one of some day in the past
    options = ['--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=APT::Install-Recommends "false"']
    command = ["mmdebstrap", "--quiet", *options, "--variant=extract", f"--include={PACKAGES}"]
    done = subprocess.run(
        [*command, SUITE, str(root), mirrors[0]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"mmdebstrap: {done.stderr}")
    (root / "etc" / "passwd").write_text(PASSWD)
    (root / "etc" / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (root / "etc" / "shadow").write_text("root:*:20000:0:99999:7:::\nsshd:*:20000:0:99999:7:::\n")
    (root / "run" / "sshd").mkdir(exist_ok=True)
