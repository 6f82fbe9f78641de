"""Many host names that lead to one sshd, and an sshd that accepts few logins at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.support.sshd import Hosts, another_sshd


def crowd(hosts: Hosts, file: Path, *lines: str) -> Hosts:
    """The same hosts, with as many more as one likes: crowd1, crowd2, …; `lines` are options of these."""
    # the first value of an option wins
    options = [*lines, "HostName 127.0.0.1", f"Port {hosts.port}", f"User {hosts.users.admin}"]
    entry = "Host crowd*\n" + "".join(f"    {option}\n" for option in options)
    file.write_text(f"{entry}\n{hosts.config.read_text()}")
    return replace(hosts, config=file)


@contextmanager
def busy(hosts: Hosts, folder: Path, startups: str) -> Iterator[Hosts]:
    """Crowd hosts whose sshd has `MaxStartups startups`."""
    folder.mkdir()
    with another_sshd(hosts, folder, f"MaxStartups {startups}") as port:
        yield crowd(hosts, folder / "ssh_config", f"Port {port}", f"HostKeyAlias [127.0.0.1]:{hosts.port}")
