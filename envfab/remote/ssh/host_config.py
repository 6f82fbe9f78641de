"""The SSH configuration of one host, from the values that OpenSSH or Paramiko read."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# in the order in which OpenSSH offers them if no IdentityFile is configured
DEFAULT_IDENTITIES = tuple(f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk"))
_DEFAULT_IDENTITY = re.compile(r"~/\.ssh/id_(rsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss|dsa|mldsa\w*)")
DEFAULT_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
DEFAULT_GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
ALGORITHMS = ("ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms")
# ssh -G prints these words for those that a configuration has
_STRICTNESS = {"true": "yes", "false": "no", "off": "no"}
_TOKEN = re.compile(r"%(.)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

Values = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class HostConfig:
    """How to reach a host, log in and check its key; None is "not configured".

    `identity_files` are in the order in which they are offered; `algorithms` are by OpenSSH's keywords, in lower case.
    `connect_timeout` is in seconds.
    """

    name: str
    hostname: str
    port: int | None = None
    user: str | None = None
    identity_files: tuple[Path, ...] = ()
    default_identities: bool = False
    certificate_files: tuple[Path, ...] = ()
    identities_only: bool = False
    identity_agent: str | None = None
    public_keys: bool = True
    proxy_jump: str | None = None
    proxy_command: str | None = None
    user_known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = ()
    host_key_alias: str | None = None
    strict_host_keys: str = "ask"
    connect_timeout: float | None = None
    algorithms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def host_config(name: str, values: Values) -> HostConfig:
    """Make the configuration of a host from `values` by keyword, as `ssh -G` prints them.

    Raises `ValueError` for an invalid value.
    """

    def one(keyword: str) -> str | None:
        found = values.get(keyword)
        return None if not found or found[0].lower() == "none" else found[0]

    # lower case before tokens are expanded, as ssh does
    hostname, alias = (one("hostname") or name).lower(), (one("hostkeyalias") or "").lower() or None
    port, user = one("port"), one("user")
    expand = expander(name, hostname, int(port) if port else 22, user, alias, one("proxyjump"))
    identities = tuple(dict.fromkeys(values.get("identityfile", ()))) or DEFAULT_IDENTITIES
    return HostConfig(
        name,
        hostname,
        int(port) if port else None,
        user,
        tuple(_path(expand(file)) for file in identities if file.lower() != "none"),
        all(_DEFAULT_IDENTITY.fullmatch(file) for file in identities),
        tuple(_path(expand(file)) for file in values.get("certificatefile", ()) if file.lower() != "none"),
        identities_only=_true(one("identitiesonly")),
        identity_agent=_agent(values.get("identityagent"), expand),
        public_keys=_true(one("pubkeyauthentication") or "yes"),
        proxy_jump=one("proxyjump") if "proxyjump" not in values else values["proxyjump"][0],
        proxy_command=values["proxycommand"][0] if values.get("proxycommand") else None,
        user_known_hosts=_files(values.get("userknownhostsfile") or DEFAULT_KNOWN_HOSTS, expand),
        global_known_hosts=_files(values.get("globalknownhostsfile") or DEFAULT_GLOBAL_KNOWN_HOSTS, expand),
        host_key_alias=alias,
        strict_host_keys=_STRICTNESS.get(strict := (one("stricthostkeychecking") or "ask").lower(), strict),
        connect_timeout=float(seconds) if (seconds := one("connecttimeout")) else None,
        algorithms={keyword: tuple(values[keyword][0].split(",")) for keyword in ALGORITHMS if values.get(keyword)},
    )


def expander(
    name: str, hostname: str, port: int, user: str | None, alias: str | None = None, jump: str | None = None
) -> Callable[[str], str]:
    """Return a function that expands ssh_config(5)'s tokens and `${VARIABLES}`; it raises `ValueError` if unknown."""
    here = socket.gethostname()
    tokens = {
        "%": "%",
        "d": str(Path.home()),
        "h": hostname,
        "i": str(os.getuid()),
        "j": jump or "",
        "k": alias or name,
        "L": here.partition(".")[0],
        "l": here,
        "n": name,
        "p": str(port),
        "r": user or getpass.getuser(),
        "u": getpass.getuser(),
    }

    def replace(found: re.Match[str]) -> str:
        token, variable = found[1], found[2]
        if token is None:
            if variable not in os.environ:
                raise ValueError(f"the environment variable {variable} is not set")
            return os.environ[variable]
        if token not in tokens:
            raise ValueError(f"unknown token %{token}")
        return tokens[token]

    return lambda text: _TOKEN.sub(replace, text)


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _true(text: str | None) -> bool:
    return text is not None and text.lower() not in ("no", "false")


def _agent(values: Sequence[str] | None, expand: Callable[[str], str]) -> str | None:
    """The agent's socket: None for that of the environment (`SSH_AUTH_SOCK`), empty for no agent at all."""
    if not values or values[0] == "SSH_AUTH_SOCK":
        return None
    if values[0].lower() == "none":
        return ""
    if values[0].startswith("$") and not values[0].startswith("${"):
        return os.environ.get(values[0][1:], "")
    return str(_path(expand(values[0])))


def _files(values: Sequence[str], expand: Callable[[str], str]) -> tuple[Path, ...]:
    """The files in a list. OpenSSH and Paramiko drop quotes, so a name with a space looks like two names."""
    words = [word for value in values for word in (shlex.split(value) if '"' in value else value.split())]
    files = []
    while words:
        ends = (end for end in range(len(words), 1, -1) if _path(expand(" ".join(words[:end]))).exists())
        end = next(ends, 1)
        text = " ".join(words[:end])
        if text.lower() != "none":
            files.append(_path(expand(text)))
        del words[:end]
    return tuple(files)


def expand_tokens(command: str, expand: Callable[[str], str]) -> str:
    """Expand a command's tokens; its `${VARIABLES}` are left to the shell that runs it."""
    return "${".join(expand(part) for part in command.split("${"))
