"""What a user gets wrong is told in one or two lines, exit 1, before anybody is contacted and with nothing changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fab import run_fab
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze


@pytest.fixture
def workplace(tmp_path: Path, hosts: Hosts) -> Workplace:
    """A user's folder with one virtualenv on a real SSH host, which nobody is to contact."""
    made = Workplace(tmp_path / "work", hosts)
    made.file("r.txt", "six\n")
    made.fabfile("Host('web1', virtualenvs=[Virtualenv('/srv/v', requirements='r.txt')])")
    return made


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"r.txt": "six\nDjango >> 5\n"}, "r.txt:2: "),
        ({"r.txt": "six\n\n# a comment\nhttps://example.org/six.whl\n"}, "r.txt:4: "),
        ({"r.txt": "-e .\n"}, "r.txt:1: "),
        ({"r.txt": "six\n-r more.txt\n"}, "r.txt:2: "),
        ({"r.txt": "-r more.txt\n", "more.txt": "six\n-r r.txt\n"}, "more.txt:2: "),
        ({"r.txt": "--pre\n"}, "r.txt:1: "),
        ({"r.txt": "-r a\0b.txt\n"}, "r.txt:1: a\ufffdb.txt cannot be read: it cannot be the name of a file"),
        ({"r.txt": "-r /dev/zero\n"}, "r.txt:1: /dev/zero cannot be read: it is not a regular file"),
        ({"r.txt": f"six=={'1' * 5000}\n"}, "r.txt:1: 'six==1111"),
    ],
)
def test_a_requirements_file_that_cannot_be_meant(
    workplace: Workplace, hosts: Hosts, files: dict[str, str], says: str
) -> None:
    """File and line are named, for malformed lines, URLs, editables, missing files and circles."""
    for name, content in files.items():
        workplace.file(name, content)
    offset = hosts.log.stat().st_size
    for command in ("plan", "deploy"):
        done = workplace.fab(command, *(["--yes"] if command == "deploy" else []))
        lines = done.stderr.splitlines()
        assert done.returncode == 1
        assert lines[0].startswith(f"envfab: {says}"), done.stderr
        assert len(lines) <= 2
    assert "Connection from" not in hosts.log_since(offset)


@pytest.mark.parametrize(
    "arguments",
    [
        ("deploy:web1", "--name", "web2"),
        ("deploy:web1,nonsense=1",),
        ("deploy:",),
        ("plan:web1,web9",),
        ("plan", "--batch", "2"),
        ("deploy:web1,batch=many",),
        ("deploy", "--only", "nosuch", "--prune", "--yes"),
    ],
)
def test_a_command_line_that_cannot_be_meant(workplace: Workplace, hosts: Hosts, arguments: tuple[str, ...]) -> None:
    """Names that disagree, unknown arguments, empty names, wrong settings: exit 1, no traceback, no contact."""
    offset = hosts.log.stat().st_size
    done = workplace.fab(*arguments)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
    assert "Connection from" not in hosts.log_since(offset)


SETTINGS = (
    "the settings are: parallel, jump_parallel, processes, batch, max_failures, keep, check_retries, check_timeout, host_keys, compile,"
    " store_days, umask, connect_timeout, command_timeout, compilers, log_rollouts, log_megabytes, older_than, older_than_except, own, provenance"
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("history --limit 0", "--limit: must be a whole number of at least 1, not 0"),
        ("history --limit=-3", "--limit: must be a whole number of at least 1, not -3"),
        ("deploy --yes --wait=-1", "--wait: must be a whole number of at least 0, not -1"),
        ("rollback --yes --wait=-1", "--wait: must be a whole number of at least 0, not -1"),
        ("deploy --yes --batch x", "--batch: must be a number of virtualenvs, or a percentage like 25%, not 'x'"),
        ("deploy --yes --max-failures 0", "--max-failures: must be a whole number from 1 up, not '0'"),
        (
            "plan --only six==1.16.0",
            "--only: must be the name of a package, not 'six==1.16.0'\n"
            "  say --only six; versions belong in the requirements",
        ),
        ("plan --only=", "'plan': --only is empty\n  is a shell variable unset?"),
        (
            "deploy --yes --reinstall six[extra]",
            "--reinstall: must be the name of a package, not 'six[extra]'\n"
            "  say --reinstall six; versions belong in the requirements",
        ),
        ("collector --keep-days x", "--keep-days: must be a whole number from 1 up, not 'x'"),
        (
            "FABRIC_ENVFAB_MAX_FAILURE=1 plan",
            f"FABRIC_ENVFAB_MAX_FAILURE: unknown setting; did you mean FABRIC_ENVFAB_MAX_FAILURES?\n  {SETTINGS}",
        ),
    ],
)
def test_a_value_that_cannot_be_meant_names_where_it_was_said(tmp_path: Path, arguments: str, message: str) -> None:
    """The flag as it was typed, or the variable, whatever setting it stands for; nothing is looked at."""
    local = Workplace(tmp_path / "work")
    local.fabfile("Host('localhost', virtualenvs=[Virtualenv('/nosuch/v', packages=['six'])])")
    words = arguments.split()
    variables = dict(word.split("=") for word in words if word.startswith("FABRIC_"))
    done = run_fab(local.folder, *(word for word in words if word.partition("=")[0] not in variables), env=variables)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"envfab: {message}\n")


@pytest.mark.parametrize(("given", "kind"), [("[Host('web1')]", "list"), ("Fleet", "type"), ("'web1'", "str")])
def test_tasks_are_made_for_a_fleet(tmp_path: Path, given: str, kind: str) -> None:
    """Anything else is an error in the fabfile's line, not a traceback."""
    (tmp_path / "fabfile.py").write_text(f"from envfab import *\nns = collection({given})\n")
    done = run_fab(tmp_path, "--list")
    assert done.returncode == 1
    assert done.stderr == (
        f"envfab: fabfile.py:2: collection: takes a Fleet, not a {kind}\n  say collection(Fleet(hosts=[…]))\n"
    )


def test_a_corrupt_wheel_in_the_wheelhouse_harms_only_who_needs_it(
    tmp_path: Path, make_virtualenv: VirtualenvMaker
) -> None:
    """A wheel that is cut short is left out with a warning, or blocks who cannot do without it."""
    local = Workplace(tmp_path / "work")
    first, second = (make_virtualenv("3.11", tmp_path / name) for name in ("first", "second"))
    local.fabfile(
        f"Host('localhost', virtualenvs=[Virtualenv({str(first)!r}, packages=['shop']),"
        f" Virtualenv({str(second)!r}, packages=['basket'])])"
    )
    wheel = local.add_made("shop", "1.0")
    local.add_made("basket", "1.0")
    there = local.folder / "wheels" / wheel.name
    there.write_bytes(there.read_bytes()[:100])
    done = local.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert "1 blocked, 1 deployed" in done.stdout
    assert wheel.name in done.stdout
    assert (freeze(first), freeze(second)) == ({}, {"basket": "1.0"})
