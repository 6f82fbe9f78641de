"""What a fabfile says: the fleet, its hosts, their virtualenvs, and what runs in them.

All of it is frozen and checked when it is made: what cannot be meant raises a
`ConfigurationError` that names the field. Nothing here contacts a host or imports Fabric.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union
from urllib.parse import urlsplit

from envfab.config.servers import Secret, Server, UsageStats
from envfab.config.validation import (
    check_files,
    check_instances,
    check_optional_text,
    check_strings,
    check_text,
    check_truth,
    check_user,
    configuration,
    error,
    folder_of_the_caller,
    is_path,
    put,
    wrong,
)
from envfab.errors import ConfigurationError, EnvfabError, FabfileFault
from envfab.util.paths import expand
from envfab.util.untrusted import one_line

CommandLike = Union[str, "Command", Callable[["Virtualenv"], Any], Sequence[Any]]
LOCAL = "localhost"
SOURCE_HINT = "give the address of what fab publish_index wrote: 'https://wheels.example.org/simple/'"


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A virtualenv as it is named on the command line: `owner@host:/full/path`."""

    owner: str
    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.owner}@{self.host}:{self.path}"


@configuration
class Command:
    """A command, and the user that runs it (default: the SSH user).

    Text is for a shell; a list is a program and its arguments, which run without one.
    """

    text: str | Sequence[str]
    user: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.text, (list, tuple)):
            _check_arguments(self)
        else:
            check_text(self, "text")
            if "\0" in self.text:
                wrong(self, "text", "a command cannot hold a NUL character")
        check_user(self, "user")

    @property
    def arguments(self) -> tuple[str, ...] | None:
        """The program and its arguments; None where it is text for a shell."""
        return None if isinstance(self.text, str) else tuple(self.text)

    @property
    def shown(self) -> str:
        """As one would type it."""
        return self.text if isinstance(self.text, str) else shlex.join(self.text)


@configuration
class Project:
    """A Django project that lives in a virtualenv.

    `env` and `env_file` (a file of `NAME=value` lines on the managed host) are all the environment that
    its commands get; `database` is a label: projects that share one migrate once a rollout.
    """

    settings: str
    user: str | None = None
    migrate: bool = True
    database: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    env_file: str | None = None
    commands: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_text(self, "settings")
        check_optional_text(self, "database", "env_file")
        check_user(self, "user")
        check_truth(self, "migrate")
        if not all(part.isidentifier() for part in self.settings.split(".")):
            wrong(self, "settings", f"{self.settings!r} is no dotted module name", "say Project('shop.settings')")
        if self.env_file is not None and not self.env_file.startswith("/"):
            wrong(self, "env_file", f"{self.env_file!r} is not a full path on the managed host")
        if not isinstance(self.env, Mapping) or not all(
            isinstance(key, str) and isinstance(value, str) for key, value in self.env.items()
        ):
            wrong(self, "env", f"{self.env!r} does not map names to strings", "say env={'NAME': 'value'}")
        for name in self.env:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII):
                wrong(self, "env", f"{name!r} is no name of an environment variable")
        put(self, "env", dict(self.env))
        check_strings(self, "commands")


@configuration
class Virtualenv:
    """A managed environment at a full path, with what it must satisfy and what runs in it.

    `groups` and `extras` choose among those of lock files (PEP 751) and of pyproject.toml files in `requirements`;
    `groups=None` is a lock file's default groups.
    """

    path: str
    user: str | None = None
    requirements: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = ()
    packages: Sequence[str] = ()
    python: str = "python3"
    system_site_packages: bool = False
    projects: Sequence[Project] = ()
    before: CommandLike = ()
    reload: CommandLike = ()
    check: CommandLike = ()
    groups: Sequence[str] | None = None
    extras: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_text(self, "path", "python")
        check_user(self, "user")
        check_truth(self, "system_site_packages")
        if not self.path.startswith("/") or one_line(self.path) != self.path.strip():
            wrong(self, "path", f"{self.path!r} is not a full path", "start it with a slash: '/srv/shop/venv'")
        put(self, "path", os.path.normpath("/" + self.path.lstrip("/")))
        check_files(self, "requirements")
        check_strings(self, "packages")
        check_strings(self, "extras")
        if self.groups is not None:
            check_strings(self, "groups")
        if (self.groups or self.extras) and not self.requirements:
            wrong(self, "groups" if self.groups else "extras", "chosen of no file", "name it as requirements=…")
        check_instances(self, "projects", Project)
        for name in ("before", "reload", "check"):
            _commands(self, name)

    def commands(self, name: str) -> tuple[Command, ...]:
        """The commands of the field `name` (`before`, `reload`, `check`), in order, callables called."""
        return tuple(flat_commands(getattr(self, name), self))


@configuration
class Host:
    """A machine reached by SSH, or this one, with its virtualenvs."""

    name: str
    user: str | None = None
    groups: Iterable[str] = ()
    virtualenvs: Sequence[Virtualenv] = ()
    reload: CommandLike = ()
    reload_once: bool = False
    ssh: bool | None = None

    def __post_init__(self) -> None:
        check_text(self, "name")
        check_user(self, "user")
        check_truth(self, "reload_once")
        if self.name.startswith("-") or any(character in self.name for character in "@:/, %*?[]\t\n"):
            wrong(
                self,
                "name",
                f"{self.name!r} is no host name",
                "give the user as user=…, and port, address and jump hosts in your SSH config under a Host alias",
            )
        if isinstance(self.groups, str):
            put(self, "groups", (self.groups,))
        check_strings(self, "groups")
        put(self, "groups", frozenset(self.groups))
        check_instances(self, "virtualenvs", Virtualenv)
        _commands(self, "reload")

    @property
    def local(self) -> bool:
        """Whether it is worked on without SSH."""
        return self.name == LOCAL and not self.ssh

    def reload_commands(self, virtualenv: Virtualenv) -> tuple[Command, ...]:
        """The host's own reload commands, for `virtualenv`."""
        return tuple(flat_commands(self.reload, virtualenv))


@dataclass(frozen=True, slots=True)
class Member:
    """A configured virtualenv of the fleet, with its host and its full name."""

    target: Target
    host: Host
    virtualenv: Virtualenv
    login: str

    @property
    def sudo(self) -> bool:
        """Whether the environment belongs to somebody else than the one who logs in."""
        return self.login != self.target.owner


@configuration
class Fleet:
    """All that a fabfile configures. Relative paths start at the folder of the file that makes it."""

    wheels: str | os.PathLike[str] = "wheels"
    release_log: str | os.PathLike[str] = "release_log"
    hosts: Sequence[Host] = ()
    registration: Sequence[Server] = ()
    usage_stats: UsageStats | None = None
    wheel_source: Secret = field(default=None, repr=False)
    root: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        for name in ("wheels", "release_log"):
            if not is_path(getattr(self, name)):
                wrong(self, name, f"{getattr(self, name)!r} is no path")
        put(self, "root", Path(self.root) if self.root is not None else folder_of_the_caller())
        check_instances(self, "hosts", Host)
        check_instances(
            self, "registration", Server, called="registration server, such as Difio(…) or DependencyTrack(…)"
        )
        if self.usage_stats is not None and not isinstance(self.usage_stats, UsageStats):
            wrong(self, "usage_stats", f"{self.usage_stats!r} is no UsageStats(url)")
        written = self.wheel_source is not None and not callable(self.wheel_source)
        if written and (problem := _no_source(self.wheel_source)):
            wrong(self, "wheel_source", problem, SOURCE_HINT)
        self._refuse_duplicates()
        for host in self.hosts:
            for virtualenv in host.virtualenvs:
                for file in self.requirement_files(virtualenv):
                    if not file.is_file():
                        raise error(
                            f"Virtualenv.requirements of {host.name}:{virtualenv.path}",
                            f"there is no requirements file {file}",
                            "relative paths start at the folder of the file that makes the Fleet",
                        )

    def _refuse_duplicates(self) -> None:
        hosts: set[str] = set()
        for host in self.hosts:
            if host.name in hosts:
                wrong(self, "hosts", f"there are two hosts named {host.name!r}", "list its virtualenvs in one Host(…)")
            hosts.add(host.name)
            paths: set[str] = set()
            for virtualenv in host.virtualenvs:
                if virtualenv.path in paths:
                    wrong(self, "hosts", f"{host.name}:{virtualenv.path} is listed twice", "remove one of the two")
                paths.add(virtualenv.path)

    def source_of_wheels(self) -> str | None:
        """The address of the package index that targets fetch wheels from, if there is one; asks a callable now."""
        if not callable(self.wheel_source):
            return self.wheel_source
        try:
            url = self.wheel_source()
        except Exception as failure:  # noqa: BLE001 - the fabfile's own code may raise anything
            # of others the message might hold what must not be shown
            why = f": {failure}" if isinstance(failure, (KeyError, OSError)) else ""
            raise ConfigurationError(
                f"it cannot be had: {type(failure).__name__}{why}", where="Fleet.wheel_source"
            ) from None
        url = url.strip() if isinstance(url, str) else url
        if problem := _no_source(url):
            raise ConfigurationError(problem, where="Fleet.wheel_source", hint=SOURCE_HINT)
        return url

    def at(self, path: str | os.PathLike[str]) -> Path:
        """A path of this fleet: relative ones start at the fabfile's folder, `~` is the user's home."""
        assert isinstance(self.root, Path)
        try:
            return self.root / expand(os.fspath(path))
        except ValueError as problem:
            raise error("Fleet", f"{os.fspath(path)!a}: {problem}") from None

    def requirement_files(self, virtualenv: Virtualenv) -> tuple[Path, ...]:
        """The requirements files of `virtualenv`, where they lie."""
        files = virtualenv.requirements
        assert isinstance(files, tuple)
        return tuple(self.at(file) for file in files)

    def members(self, login: Callable[[Host], str]) -> tuple[Member, ...]:
        """Every configured virtualenv, in the fabfile's order; `login` says who logs in to a host."""
        found = []
        for host in self.hosts:
            user = login(host)
            for virtualenv in host.virtualenvs:
                target = Target(virtualenv.user or user, host.name, virtualenv.path)
                found.append(Member(target, host, virtualenv, user))
        return tuple(found)


def flat_commands(spec: CommandLike, virtualenv: Virtualenv) -> Iterator[Command]:
    """The commands that `spec` stands for: strings, `Command`s, callables of the virtualenv, sequences of these."""
    if isinstance(spec, str):
        yield Command(spec)
    elif isinstance(spec, Command):
        yield spec
    elif callable(spec):
        yield from flat_commands(_called(spec, virtualenv), virtualenv)
    elif isinstance(spec, Sequence):
        for one in spec:
            yield from flat_commands(one, virtualenv)
    elif spec is not None:
        raise ConfigurationError(
            f"{spec!r} is no command",
            where=f"a command of {virtualenv.path}",
            hint="give a string, Command(text, user=…), a callable that takes the virtualenv, or a sequence of these",
        )


def _called(function: Callable[[Virtualenv], Any], virtualenv: Virtualenv) -> Any:
    try:
        return function(virtualenv)
    except EnvfabError:
        raise
    except Exception as error:
        raise FabfileFault(f"{type(error).__name__}: {error}") from error


def _no_source(url: object) -> str:
    """Why this is no address of a package index, without showing it, for it may hold a password; empty where it is."""
    if not isinstance(url, str):
        return f"it is no text but {type(url).__name__}"
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or re.search(r"[\x00-\x20\x7f]", url):
        return "it is no http or https address of a folder"
    return ""


def _check_arguments(command: Command) -> None:
    """A list of arguments: a program, and whatever texts it is given."""
    hint = "say Command(['systemctl', 'reload', 'shop'], user='root')"
    words = tuple(command.text)
    for word in words:
        if not isinstance(word, str):
            wrong(command, "text", f"{word!r} is not a string: a list is a program and its arguments", hint)
        if "\0" in word:
            wrong(command, "text", f"{word!r} cannot be an argument: it holds a NUL character")
    if not words or not words[0].strip() or words[0] != words[0].strip():
        wrong(command, "text", "a list must begin with a program", hint)
    if words[0].startswith("-") or "=" in words[0].partition("/")[0]:
        # sudo takes NAME=value for a variable
        wrong(command, "text", f"{words[0]!r} is not a program", hint)
    if len(words) == 1 and " " in words[0]:
        wrong(command, "text", f"{words[0]!r} is a program with its arguments in one string", hint)
    put(command, "text", words)


def _commands(owner: object, name: str) -> None:
    value = getattr(owner, name)
    _command(owner, name, value)
    put(owner, name, tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,))


def _command(owner: object, name: str, value: object) -> None:
    """Refuse what is no command, also deep inside; what a callable returns is seen when it is called."""
    if isinstance(value, str):
        if not value.strip():
            wrong(owner, name, "an empty command")
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for item in value:
            _command(owner, name, item)
    elif not isinstance(value, Command) and not callable(value):
        wrong(owner, name, f"{value!r} is no command", "give a string, Command(text, user=…), a callable, or a list")
