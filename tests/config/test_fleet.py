"""What a fabfile says, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envfab import Command, DependencyTrack, Difio, Fleet, Host, Project, UsageStats, Virtualenv
from envfab.config.servers import secret
from envfab.config.wheel_source import SOURCE_HINT
from envfab.errors import ConfigurationError
from tests.support.fab import run_fab
from tests.support.wheels import make_wheel

PATH = "/srv/shop/venv"
COMMAND_HINT = "give a string, Command(text, user=…), a callable, or a list"
NO_SOURCE = f"must be the http or https address of a folder\n  {SOURCE_HINT}"
LIST_HINT = "say Command(['systemctl', 'reload', 'shop'], user='root')"
NO_STRINGS = "put it in brackets: ['…']"


def message_of(make: Any, **fields: Any) -> str:
    """What the error says, behind the file and line that it names first."""
    with pytest.raises(ConfigurationError) as caught:
        make(**fields)
    place, _, message = str(caught.value).partition(": ")
    assert place.startswith("test_fleet.py:")
    return message


@pytest.mark.parametrize(
    ("make", "fields", "message"),
    [
        (Command, {"text": " "}, "Command.text: must be text, not ' '\n  give a string that is not empty"),
        (Command, {"text": []}, f"Command.text: a list must begin with a program\n  {LIST_HINT}"),
        (Command, {"text": [" "]}, f"Command.text: a list must begin with a program\n  {LIST_HINT}"),
        (Command, {"text": ["id", 1]}, f"Command.text: 1 must be a string: a list is a program and its arguments\n  {LIST_HINT}"),
        (Command, {"text": ["-u", "root"]}, f"Command.text: '-u' is not a program\n  {LIST_HINT}"),
        (Command, {"text": ["A=b", "id"]}, f"Command.text: 'A=b' is not a program\n  {LIST_HINT}"),
        (Command, {"text": ["id -u"]}, f"Command.text: 'id -u' is a program with its arguments in one string\n  {LIST_HINT}"),
        (Command, {"text": ["id", "a\0b"]}, "Command.text: 'a\\x00b' cannot be an argument: it holds a NUL character"),
        (Command, {"text": "id\0"}, "Command.text: a command cannot hold a NUL character"),
        (Command, {"text": "true", "user": "-x"}, "Command.user: must be a user name, not '-x'"),
        (Project, {"settings": "shop/settings.py"}, "Project.settings: must be a dotted module name, not 'shop/settings.py'\n"
         "  say Project('shop.settings')"),
        (Project, {"settings": "shop.settings", "migrations": "safe"},
         "Project.migrations: must be 'expand-only' or 'any', not 'safe'\n"
         "  say migrations='expand-only' or 'any', or leave it out"),
        (Project, {"settings": "s", "user": "a b"}, "Project.user: must be a user name, not 'a b'"),
        (Project, {"settings": "s", "migrate": "no"}, "Project.migrate: must be True or False, not 'no'"),
        (Project, {"settings": "s", "database": ""}, "Project.database: must be text, not ''\n  give a string that is not empty"),
        (Project, {"settings": "s", "env_file": "env"}, "Project.env_file: must be a full path on the managed host, not 'env'"),
        (Project, {"settings": "s", "env": {"A": 1}}, "Project.env: must map names to strings, not {'A': 1}\n"
         "  say env={'NAME': 'value'}"),
        (Project, {"settings": "s", "env": {"A-B": "1"}}, "Project.env: 'A-B' cannot be the name of an environment variable"),
        (Project, {"settings": "s", "commands": "check"}, f"Project.commands: must be a list of strings, not 'check'\n  {NO_STRINGS}"),
        (Virtualenv, {"path": "venv"}, "Virtualenv.path: must be a full path, not 'venv'\n  start it with a slash: '/srv/shop/venv'"),
        (Virtualenv, {"path": "/srv/a\nb"}, "Virtualenv.path: must be a full path, not '/srv/a\\nb'\n"
         "  start it with a slash: '/srv/shop/venv'"),
        (Virtualenv, {"path": 1}, "Virtualenv.path: must be text, not 1\n  give a string that is not empty"),
        (Virtualenv, {"path": PATH, "user": "me:you"}, "Virtualenv.user: must be a user name, not 'me:you'"),
        (Virtualenv, {"path": PATH, "python": ""}, "Virtualenv.python: must be text, not ''\n  give a string that is not empty"),
        (Virtualenv, {"path": PATH, "requirements": 5}, "Virtualenv.requirements: must be a path, or a list of paths, not 5"),
        (Virtualenv, {"path": PATH, "requirements": [""]}, "Virtualenv.requirements: must be a path, or a list of paths, not ['']"),
        (Virtualenv, {"path": PATH, "packages": "django"}, f"Virtualenv.packages: must be a list of strings, not 'django'\n  {NO_STRINGS}"),
        (Virtualenv, {"path": PATH, "requirements": "pylock.toml", "groups": "web"},
         f"Virtualenv.groups: must be a list of strings, not 'web'\n  {NO_STRINGS}"),
        (Virtualenv, {"path": PATH, "extras": ["web"]},
         "Virtualenv.extras: needs a requirements file to choose from\n  name it as requirements=…"),
        (Virtualenv, {"path": PATH, "requirements": "a\0b"}, "Virtualenv.requirements: must be a path, or a list of paths, not 'a\\x00b'"),
        (Virtualenv, {"path": "/srv/a\u202eb"}, "Virtualenv.path: must be a full path, not '/srv/a\\u202eb'\n  start it with a slash: '/srv/shop/venv'"),
        (Fleet, {"wheels": "a\0b"}, "Fleet.wheels: must be a path, not 'a\\x00b'"),
        (Virtualenv, {"path": PATH, "packages": None}, f"Virtualenv.packages: must be a list of strings, not None\n  {NO_STRINGS}"),
        (Virtualenv, {"path": PATH, "packages": [""]}, f"Virtualenv.packages: must be a list of strings, not ['']\n  {NO_STRINGS}"),
        (Virtualenv, {"path": PATH, "system_site_packages": 1},
         "Virtualenv.system_site_packages: must be True or False, not 1"),
        (Virtualenv, {"path": PATH, "projects": ["shop"]}, "Virtualenv.projects: must hold only Project(…), not 'shop'"),
        (Virtualenv, {"path": PATH, "projects": "shop"}, "Virtualenv.projects: must be a list of Project(…), not 'shop'"),
        (Virtualenv, {"path": PATH, "before": None}, f"Virtualenv.before: must be a command, not None\n  {COMMAND_HINT}"),
        (Virtualenv, {"path": PATH, "reload": ["ok", [5]]}, f"Virtualenv.reload: must be a command, not 5\n  {COMMAND_HINT}"),
        (Virtualenv, {"path": PATH, "check": ["ok", " "]}, "Virtualenv.check: must not be an empty command"),
        (Host, {"name": ""}, "Host.name: must be text, not ''\n  give a string that is not empty"),
        (Host, {"name": "me@web1"}, "Host.name: must be a host name, not 'me@web1'\n"
         "  give the user as user=…, and port, address and jump hosts in your SSH config under a Host alias"),
        (Host, {"name": "-oProxyCommand=x"}, "Host.name: must be a host name, not '-oProxyCommand=x'\n"
         "  give the user as user=…, and port, address and jump hosts in your SSH config under a Host alias"),
        (Host, {"name": "web1", "user": "-r"}, "Host.user: must be a user name, not '-r'"),
        (Host, {"name": "web1", "groups": 5}, f"Host.groups: must be a list of strings, not 5\n  {NO_STRINGS}"),
        (Host, {"name": "web1", "virtualenvs": [[Virtualenv(PATH)]]}, f"Host.virtualenvs: must hold only Virtualenv(…), "
         f"not [{Virtualenv(PATH)!r}]\n  unpack an inner list with a star: *[…]"),
        (Host, {"name": "web1", "reload": 5}, f"Host.reload: must be a command, not 5\n  {COMMAND_HINT}"),
        (Host, {"name": "web1", "reload_once": "yes"}, "Host.reload_once: must be True or False, not 'yes'"),
        (Difio, {"url": "example.org"}, "Difio.url: must be an http or https URL, not 'example.org'"),
        (Difio, {"url": "https://e.org/", "user_id": "7"}, "Difio.user_id: must be a whole number, not '7'"),
        (Difio, {"url": "https://e.org/", "token": 7}, "Difio.token: must be text, not 7\n  give a string that is not empty"),
        (DependencyTrack, {"url": "e.org", "api_key": "k"}, "DependencyTrack.url: must be an http or https URL, not 'e.org'"),
        (DependencyTrack, {"url": "https://e.org"}, "DependencyTrack(…): missing a required argument: 'api_key'\n"
         "  it takes: url, api_key, project"),
        (DependencyTrack, {"url": "https://e.org", "api_key": None}, "DependencyTrack.api_key: must be text, not None\n"
         "  give a string that is not empty"),
        (DependencyTrack, {"url": "https://e.org", "api_key": "k", "project": " "}, "DependencyTrack.project: must be text, not ' '\n"
         "  give a string that is not empty"),
        (DependencyTrack, {"url": "https://me:pw@e.org/dt/api/v1/bom", "api_key": "k"},
         "DependencyTrack.url: must be the address of the server alone\n"
         "  leave out /api and what follows: https://deptrack.example.org"),
        (DependencyTrack, {"url": "https://e.org?key=k", "api_key": "k"}, "DependencyTrack.url: must be the address of the server alone\n"
         "  leave out /api and what follows: https://deptrack.example.org"),
        (UsageStats, {"url": "ftp://e.org/"}, "UsageStats.url: must be an http or https URL, not 'ftp://e.org/'"),
        (Fleet, {"wheels": 5}, "Fleet.wheels: must be a path, not 5"),
        (Fleet, {"advisories": 5}, "Fleet.advisories: must be a path, not 5"),
        (Fleet, {"release_log": ""}, "Fleet.release_log: must be a path, not ''"),
        (Fleet, {"accepted_findings": None}, "Fleet.accepted_findings: must be a path, not None"),
        (Fleet, {"hosts": "web1"}, "Fleet.hosts: must be a list of Host(…), not 'web1'"),
        (Fleet, {"registration": ["x"]}, "Fleet.registration: must hold only registration servers, such as Difio(…) or DependencyTrack(…), not 'x'"),
        (Fleet, {"usage_stats": "https://e.org/"}, "Fleet.usage_stats: must be UsageStats(url), not 'https://e.org/'"),
        (Fleet, {"wheel_source": 5}, f"Fleet.wheel_source: must be text, not int\n  {SOURCE_HINT}"),
        (Fleet, {"wheel_source": ""}, f"Fleet.wheel_source: {NO_SOURCE}"),
        (Fleet, {"wheel_source": "file:///srv/simple"}, f"Fleet.wheel_source: {NO_SOURCE}"),
        (Fleet, {"wheel_source": "https:///simple/"}, f"Fleet.wheel_source: {NO_SOURCE}"),
        (Fleet, {"wheel_source": "https://me:secret@h:x/simple/"}, f"Fleet.wheel_source: {NO_SOURCE}"),
        (Fleet, {"wheel_source": "https://h/simple/?a=b"}, f"Fleet.wheel_source: {NO_SOURCE}"),
        (Fleet, {"wheel_source": "https://h/simple/\n"}, f"Fleet.wheel_source: {NO_SOURCE}"),
        (Fleet, {"hosts": [Host("web1"), Host("web1")]}, "Fleet.hosts: two hosts are named 'web1'\n"
         "  list its virtualenvs in one Host(…)"),
        (Fleet, {"hosts": [Host("web1", virtualenvs=[Virtualenv(PATH), Virtualenv("//srv/shop//venv/")])]},
         "Fleet.hosts: web1:/srv/shop/venv is listed twice\n  remove one of the two"),
        (Host, {"nmae": "web1"}, "Host(…): missing a required argument: 'name'\n"
         "  it takes: name, user, groups, virtualenvs, reload, reload_once, ssh, drain, undrain, settle"),
        (Host, {"name": "web1", "venvs": []}, "Host(…): got an unexpected keyword argument 'venvs'; did you mean virtualenvs?\n"
         "  it takes: name, user, groups, virtualenvs, reload, reload_once, ssh, drain, undrain, settle"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_an_error(make: Any, fields: dict[str, Any], message: str) -> None:
    """Every field is checked when it is given, and the message names it."""
    assert message_of(make, **fields) == message


def test_an_empty_fleet_is_fine() -> None:
    """`Fleet()` alone means no hosts and a wheelhouse beside the file that makes it."""
    fleet = Fleet()
    assert (fleet.hosts, fleet.registration, fleet.usage_stats) == ((), (), None)
    assert fleet.at(fleet.wheels) == Path(__file__).parent / "wheels"
    assert fleet.at(fleet.release_log) == Path(__file__).parent / "release_log"


def test_the_source_of_wheels_is_asked_when_it_is_needed() -> None:
    """Nobody who prints a fleet sees its password, and a callable is called by a deployment alone."""
    written = Fleet(wheel_source="https://me:secret@h/simple/")
    assert written.source_of_wheels() == "https://me:secret@h/simple/"
    assert "secret" not in repr(written)
    assert Fleet().source_of_wheels() is None
    assert Fleet(wheel_source=lambda: "https://h/simple/\n").source_of_wheels() == "https://h/simple/"


def test_relative_paths_start_at_the_file_that_makes_the_fleet(tmp_path: Path) -> None:
    """Not at the working directory, nor at a file that imports the fleet."""
    code = compile("from envfab import Fleet\nfleet = Fleet()\n", str(tmp_path / "fleet.py"), "exec")
    (tmp_path / "fleet.py").write_text("", encoding="utf-8")
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    fleet = namespace["fleet"]
    assert fleet.at("wheels") == tmp_path / "wheels"
    assert fleet.at("/srv/wheels") == Path("/srv/wheels")
    assert fleet.at("~/wheels") == Path.home() / "wheels"


def test_requirements_files_are_found_where_they_lie(tmp_path: Path) -> None:
    """One file or several, as text or paths."""
    (tmp_path / "a.txt").touch()
    (tmp_path / "b.txt").touch()
    one, two = Virtualenv("/a", requirements="a.txt"), Virtualenv("/b", requirements=["a.txt", tmp_path / "b.txt"])
    fleet = Fleet(hosts=[Host("web1", virtualenvs=[one, two])], root=tmp_path)
    assert fleet.requirement_files(one) == (tmp_path / "a.txt",)
    assert fleet.requirement_files(two) == (tmp_path / "a.txt", tmp_path / "b.txt")


@pytest.mark.parametrize("path", ["/srv/shop/venv/", "//srv//shop/venv", "/srv/./shop/x/../venv"])
def test_paths_are_kept_in_their_normal_form(path: str) -> None:
    """Two spellings of one folder are one virtualenv."""
    assert Virtualenv(path).path == PATH


def test_single_things_need_no_brackets() -> None:
    """One group, project, virtualenv or command may stand alone, and a generator may give many."""
    virtualenv = Virtualenv(PATH, projects=Project("shop.settings"), packages=(name for name in ("a", "b")))  # type: ignore[arg-type]  # lenient at run time
    host = Host("web1", groups="web", virtualenvs=virtualenv, reload="true")  # type: ignore[arg-type]  # lenient at run time
    assert virtualenv.projects == (Project("shop.settings"),)
    assert virtualenv.packages == ("a", "b")
    assert host.groups == frozenset({"web"})
    assert host.virtualenvs == (virtualenv,)
    assert host.reload_commands(virtualenv) == (Command("true"),)


def test_configuration_is_frozen() -> None:
    """No field changes once it was checked."""
    with pytest.raises(AttributeError):
        Host("web1").name = "web2"  # type: ignore[misc]  # what is tested


def test_members_have_their_full_names_in_the_fabfiles_order() -> None:
    """The owner of a virtualenv is its own user, else who logs in; sudo is needed where they differ."""
    fleet = Fleet(
        hosts=[
            Host("web2", virtualenvs=[Virtualenv("/b", user="shop"), Virtualenv("/a")]),
            Host("web1", user="root", virtualenvs=[Virtualenv("/c", user="root")]),
        ]
    )
    members = fleet.members(lambda host: host.user or "me")
    assert [str(member.target) for member in members] == ["shop@web2:/b", "me@web2:/a", "root@web1:/c"]
    assert [member.sudo for member in members] == [True, False, False]


def test_this_machine_is_worked_on_without_ssh_unless_told() -> None:
    """`localhost` is local, and `ssh=True` forces a connection."""
    assert [Host("localhost").local, Host("localhost", ssh=True).local, Host("web1").local] == [True, False, False]


def test_secrets_are_not_shown() -> None:
    """What somebody prints of a fleet has no token and no API key."""
    servers: list[Difio | DependencyTrack] = [
        Difio("https://e.org/", token="s3cret"),
        DependencyTrack("https://e.org", api_key="s3cret", project="shop"),
    ]
    assert "s3cret" not in repr(Fleet(registration=servers))


def test_secrets_are_called_when_they_are_needed() -> None:
    """A secret may be text, a callable or nothing."""
    assert [secret("a"), secret(lambda: "b"), secret(None)] == ["a", "b", None]


def test_a_mistake_in_a_fabfile_ends_fab_without_a_traceback(tmp_path: Path) -> None:
    """An unknown keyword is told with its line, status 1, before anything else happens."""
    (tmp_path / "fabfile.py").write_text("from envfab import *\n\nhost = Host('web1', usr='me')\n", encoding="utf-8")
    result = run_fab(tmp_path, "--list")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "envfab: fabfile.py:3: Host(…): got an unexpected keyword argument 'usr'; did you mean user?\n"
        "  it takes: name, user, groups, virtualenvs, reload, reload_once, ssh, drain, undrain, settle\n"
    )


def test_a_collection_without_a_fleet_is_anchored_at_its_fabfile(tmp_path: Path) -> None:
    """`collection()` alone makes its wheelhouse beside the fabfile that calls it, not in the package."""
    (tmp_path / "fabfile.py").write_text("from envfab import collection\nns = collection()\n")
    wheel = make_wheel(tmp_path / "dist", "shop", "1.0")
    done = run_fab(tmp_path, "add_wheel", str(wheel))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "wheels" / wheel.name).exists()
