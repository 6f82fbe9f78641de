"""The user's SSH configuration, as OpenSSH understands it.

Where Paramiko may read a configuration differently, OpenSSH is asked (`ssh -G`), once for all hosts that the same lines
apply to. A simple configuration starts no process. Without an `ssh` program, Paramiko's reading is used.
"""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shutil
import threading
from collections.abc import Hashable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import paramiko
from paramiko import SSHConfig

from envfab.errors import EnvfabError, Unreachable
from envfab.remote.ssh import openssh
from envfab.remote.ssh.config_text import ConfigText, Line
from envfab.remote.ssh.host_config import HostConfig, expander, host_config
from envfab.remote.ssh.keywords import KEYWORDS, PLAIN

SYSTEM_FILE = "/etc/ssh/ssh_config"
# keywords whose tokens `ssh -G` does not expand
_EXPANDED_HERE = frozenset(("proxycommand", "identityfile", "certificatefile", "hostname"))
_HOSTNAME = re.compile(r"(?:[A-Za-z0-9._:-]|%h|%%)+")

Login = tuple[str, "str | None", "int | None"]


class SSHConfigError(EnvfabError):
    """Raised if the SSH configuration cannot be used for any host."""


class SSHConfiguration:
    """The SSH configuration of each host. Thread-safe.

    `file` replaces the user's and the system's file, as `ssh -F` does; `load` says whether those two are read.
    """

    def __init__(
        self,
        file: str | None = None,
        *,
        user_file: str = "~/.ssh/config",
        system_file: str = SYSTEM_FILE,
        load: bool = True,
        program: str | None = None,
    ) -> None:
        self._file = file
        self._user_file = user_file
        self._system_file = system_file
        self._load = load or file is not None
        self._program = program if program is not None else shutil.which("ssh")
        self._lock = threading.Lock()
        self._found: dict[Login, HostConfig | Unreachable] = {}
        self._answers: dict[Hashable, dict[str, list[str]]] = {}
        self._text: ConfigText | None = None
        self._paramiko: SSHConfig | None = None
        self._for_paramiko_alone: list[str] = []

    @classmethod
    def of(cls, config: Any) -> SSHConfiguration:
        """Return the SSH config that Fabric's `config` names (`-S`, `ssh_config_path`), or that of the usual files."""
        return cls(
            config.ssh_config_path or config._runtime_ssh_path,
            user_file=config._user_ssh_path,
            system_file=config._system_ssh_path,
            load=bool(config.load_ssh_configs),
        )

    def lookup(self, name: str, user: str | None = None, port: int | None = None) -> HostConfig:
        """Return the configuration of a host for a login as `user` at `port`; None for either is "as configured".

        Raises `Unreachable` if the configuration cannot be used for the host.
        """
        key = (name, user, port)
        with self._lock:
            if key not in self._found:
                try:
                    self._found[key] = self._look_up(name, user, port)
                except Unreachable as error:
                    self._found[key] = error
            found = self._found[key]
        if isinstance(found, Unreachable):
            raise found
        return found

    def refuse_if_useless(self, logins: Iterable[tuple[str, str | None]]) -> None:
        """Raise `SSHConfigError` if the configuration cannot be used for any of these hosts, for the same reason."""
        refusals = []
        for name, user in logins:
            try:
                self.lookup(name, user)
            except Unreachable as refused:
                refusals.append(refused)
            else:
                return
        if len({refused.what for refused in refusals}) == 1:
            raise SSHConfigError(refusals[0].what, hint=refusals[0].hint)

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about what Paramiko may have read differently from ssh, for lack of an `ssh` program."""
        return tuple(dict.fromkeys(self._for_paramiko_alone))

    def _look_up(self, name: str, user: str | None, port: int | None) -> HostConfig:
        try:
            return self._resolved(name, user, port)
        except (ValueError, RuntimeError, KeyError, paramiko.SSHException) as error:
            # a variable that is not set, the home of an unknown user, or what Paramiko cannot parse
            raise Unreachable(
                f"invalid SSH configuration: {str(error) or type(error).__name__}",
                where=name,
                hint="correct your SSH config for this host",
            ) from None

    def _resolved(self, name: str, user: str | None, port: int | None) -> HostConfig:
        if name.startswith("-") or not name.strip():
            raise ValueError(f"{name!r} is not a host name")
        text = self._read()
        lines = list(text.applied(name))
        odd = _odd(text, lines)
        if odd and self._program:
            return host_config(name, self._ask(name, user, port, text, lines))
        if odd:
            self._for_paramiko_alone.append(
                f"there is no ssh program, so Paramiko reads your SSH config, and it does not understand {odd}"
            )
        values = self._read_by_paramiko(name, user, port)
        if not odd and (commands := [line.value for line in lines if line.keyword == "proxycommand"]):
            # Paramiko has expanded %h to the address as it is written, not in lower case as ssh does
            values["proxycommand"] = commands[:1]
        return host_config(name, values)

    # -- by OpenSSH

    def _ask(
        self, name: str, user: str | None, port: int | None, text: ConfigText, lines: Sequence[Line]
    ) -> dict[str, list[str]]:
        hostnames = [line for line in lines if line.keyword == "hostname"]
        if not _shareable(text, lines):
            return self._answer(name, user, port, lines)
        key = (user, port, tuple(_as_ssh_sees(line) for line in lines if line.keyword != "hostname"))
        if key not in self._answers:
            self._answers[key] = self._answer(name, user, port, lines)
        written = hostnames[0].value.strip() if hostnames else name
        return self._answers[key] | {"hostname": [expander(name, name, port or 22, user)(written)]}

    def _answer(self, name: str, user: str | None, port: int | None, lines: Sequence[Line]) -> dict[str, list[str]]:
        assert self._program is not None
        usual = openssh.usual_files(self._user_file, self._system_file)
        with nullcontext(["-F", os.path.expanduser(self._file)]) if self._file else usual as files:
            values = openssh.ask(self._program, files, name, user, port)
        # ssh fills in defaults, which must not override Fabric's settings; its home folder is not always HOME
        home = pwd.getpwuid(os.getuid()).pw_dir
        defaults = {
            "userknownhostsfile": f"{home}/.ssh/known_hosts {home}/.ssh/known_hosts2",
            "port": None if port else "22",
            "user": None if user else getpass.getuser(),
        }
        said = {line.keyword for line in lines}
        for keyword, value in defaults.items():
            if keyword not in said and values.get(keyword) == [value]:
                del values[keyword]
        if said & {"proxyjump", "proxycommand"} and not values.keys() & {"proxyjump", "proxycommand"}:
            # `none` also turns off Fabric's gateway
            values["proxyjump"] = ["none"]
        return values

    # -- by Paramiko

    def _read_by_paramiko(self, name: str, user: str | None, port: int | None) -> dict[str, list[str]]:
        if self._paramiko is None:
            self._paramiko = self._parsed()
        found = self._paramiko.lookup(name)
        values = {key: [value] if isinstance(value, str) else value for key, value in found.items() if value}
        if "proxycommand" in found and not found["proxycommand"]:
            values["proxycommand"] = ["none"]
        if user is not None:
            values["user"] = [user]
        if port is not None:
            values["port"] = [str(port)]
        return values

    def _parsed(self) -> SSHConfig:
        """The part of the files that Paramiko can read: without Match blocks whose criteria it takes for a match."""
        text = self._read()
        made = SSHConfig()
        blocks: list[str] = []
        conditions: object = ()
        for line in text.lines:
            if line.included or len(line.conditions) > 1 or not all(map(_known_to_paramiko, line.conditions)):
                continue
            if line.conditions != conditions:
                conditions = line.conditions
                blocks += [f"{one.keyword} {' '.join(map(_quoted, one.words))}" for one in line.conditions] or [
                    "Host *"
                ]
            blocks.append(f"{line.keyword} {line.value}")
        made.parse(blocks)
        return made

    # -- the files

    def _read(self) -> ConfigText:
        if self._text is None:
            self._text = ConfigText()
            users = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh"
            if self._file is not None:
                self._text.read(Path(self._file).expanduser(), users)
            elif self._load:
                self._text.read(Path(self._user_file).expanduser(), users)
                self._text.read(Path(self._system_file), Path(self._system_file).parent)
        return self._text


def _odd(text: ConfigText, lines: Sequence[Line]) -> str:
    """The first of a host's lines that Paramiko may read differently from OpenSSH; empty if there is none."""
    if text.opaque:
        return text.opaque[0]
    if strange := next((one for one in text.conditions if not one.plain), None):
        return f"{strange.keyword.capitalize()} {' '.join(strange.words)}"
    if unknown := next((line for line in text.lines if line.keyword not in KEYWORDS), None):
        return f"{unknown.keyword} ({unknown.place})"
    for line in lines:
        if line.included:
            return f"Include (of {line.file})"
        plain = PLAIN.get(line.keyword)
        # for ssh, the first of the two counts
        if line.keyword == "proxycommand" and any(one.keyword == "proxyjump" for one in lines):
            return f"ProxyCommand beside ProxyJump ({line.place})"
        if line.keyword in PLAIN and not (plain and plain.fullmatch(line.value)):
            return f"{line.keyword} {line.value} ({line.place})"
    return ""


def _shareable(text: ConfigText, lines: Sequence[Line]) -> bool:
    """Whether ssh gives the same answer, except for the address, for all hosts that exactly these lines apply to."""
    if text.opaque or not all(one.keyword == "host" or one.same_for_all_hosts for one in text.conditions):
        return False
    for line in lines:
        if line.keyword == "hostname" and not _HOSTNAME.fullmatch(line.value):
            return False
        if line.keyword.startswith("canonical"):
            return False
        if "%" in line.value and line.keyword not in _EXPANDED_HERE:
            return False
    return True


def _as_ssh_sees(line: Line) -> Hashable:
    """The parts of a line that ssh's answer depends on, given that its Host blocks apply."""
    matches = tuple(condition.words for condition in line.conditions if condition.keyword == "match")
    return (line.keyword, line.value, matches)


def _known_to_paramiko(condition: Any) -> bool:
    if condition.keyword == "host":
        return True
    words = [word.lstrip("!").lower() for word in condition.words]
    return words == ["all"] or (bool(words) and words[0] in ("host", "originalhost", "user", "localuser"))


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word
