"""sudo is tested while planning: for whom a plan's commands and projects need, before anything is touched."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.sshd import SUDOERS, Hosts
from tests.support.users import PREFIX
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze

Rules = Callable[..., None]


@pytest.fixture
def rules() -> Iterator[Rules]:
    """Writes a file of sudo rules, looked through by visudo before sudo can see it."""
    file, draft = SUDOERS / f"{PREFIX}{os.getpid()}-rules", SUDOERS / f".{PREFIX}{os.getpid()}-rules.draft"

    def write(*lines: str) -> None:
        draft.write_text("".join(f"{line}\n" for line in lines))
        draft.chmod(0o440)
        subprocess.run(["visudo", "-c", "-q", "-f", str(draft)], check=True)
        draft.rename(file)

    yield write
    for path in (file, draft):
        path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def virtualenv(make_virtualenv: VirtualenvMaker, _running_hosts: Hosts) -> Path:
    """A virtualenv of the blog's owner, who has no password, and whom no rule names."""
    return make_virtualenv(
        "3.11", _running_hosts.srv / f"privileges{time.monotonic_ns()}", owner=_running_hosts.users.blog, pip=True
    )


@pytest.fixture
def place(workplace: Workplace, hosts: Hosts, virtualenv: Path) -> Callable[..., Workplace]:
    """A workplace whose one virtualenv is to get a package, with these commands."""

    def make(options: str, login: str | None = None, host_options: str = "") -> Workplace:
        user = login or hosts.users.blog
        workplace.fabfile(
            f"Host('web1', user={user!r}, {host_options} virtualenvs=[Virtualenv({str(virtualenv)!r},"
            f" user={hosts.users.blog!r}, packages=['shop'], {options})])"
        )
        workplace.add_made("shop", "1.0")
        return workplace

    return make


def blocked(place: Workplace) -> str:
    """What `deploy` says of a plan that is blocked, in one line; nothing is done."""
    done = place.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "1 blocked" in done.stdout, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def test_a_command_that_sudo_does_not_allow_blocks_the_plan(
    place: Callable[..., Workplace], hosts: Hosts, virtualenv: Path
) -> None:
    """Before anything is touched; `plan` says so too, and who has no password is not told to give one."""
    blog = hosts.users.blog
    made = place("before='touch /tmp/never', reload=Command('id', user='root')")
    said = blocked(made)
    assert f"the reload command 'id': sudo asks for a password to become root, and {blog} has no password" in said
    assert f"allow it without a password, in sudoers: {blog} ALL=(root) NOPASSWD: ALL" in said
    assert "--prompt-for" not in said
    assert "1 blocked" in made.fab("plan").stdout
    assert freeze(virtualenv) == {}
    assert not (virtualenv / ".envfab" / "journal.json").exists()


def test_a_rule_for_one_command_does_not_allow_a_shell_and_the_advice_says_what_it_allows(
    place: Callable[..., Workplace], hosts: Hosts, rules: Rules
) -> None:
    """The same command as a list is what such a rule is for."""
    rules(f"{hosts.users.blog} ALL=(root) NOPASSWD: /usr/bin/id -u")
    said = blocked(place("reload=Command('/usr/bin/id -u', user='root')"))
    assert f"sudo does not allow {hosts.users.blog} to run a shell as root" in said
    assert "it allows (root) NOPASSWD: /usr/bin/id -u: give such a command as a list" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("before=Command(['id', '-u'], user='root')", "the before command 'id -u': "),
        ("check=Command(['id', '-u'], user='root')", "the check command 'id -u': "),
        ("projects=[Project('shop.settings', user='www-data')]", "the project shop.settings: "),
        ("reload=lambda virtualenv: Command(['id', '-u'], user='root')", "the reload command 'id -u': "),
        ("reload=lambda virtualenv: virtualenv.nonsense", "cannot compute the reload command: AttributeError: "),
    ],
)
def test_whatever_needs_another_user_is_tested(place: Callable[..., Workplace], options: str, said: str) -> None:
    """Commands of every field, and projects; a callable that fails blocks its own plan alone."""
    assert said in blocked(place(options))


def test_the_host_s_own_reload_is_tested(place: Callable[..., Workplace]) -> None:
    """It comes after the migration, so it is most needed."""
    assert "the reload command 'id': " in blocked(place("", host_options="reload=Command('id', user='root'),"))


def test_a_command_as_a_list_runs_by_the_rule_for_just_that(
    place: Callable[..., Workplace], hosts: Hosts, rules: Rules, virtualenv: Path, srv: Path
) -> None:
    """With its arguments as they are, and no shell between; the plan shows it."""
    told = srv / "it's $HOME; told"
    rules(f"{hosts.users.blog} ALL=(root) NOPASSWD: /usr/bin/touch")
    made = place(f"reload=Command(['touch', {str(told)!r}], user='root')")
    assert "reload: touch '/" in made.fab("plan").stdout
    done = made.fab("deploy", "--yes")
    assert "1 deployed" in done.stdout, done.stdout + done.stderr
    assert told.owner() == "root"
    assert made.fab("rollback", "--yes").returncode == 0
    assert freeze(virtualenv) == {}


def test_another_command_than_the_rule_s_blocks_with_a_line_for_sudoers_that_works(
    place: Callable[..., Workplace], hosts: Hosts, rules: Rules
) -> None:
    """Also where only the arguments differ, and whatever characters they have."""
    blog = hosts.users.blog
    rules(f"{blog} ALL=(root) NOPASSWD: /usr/bin/printf x")
    made = place("reload=Command(['/usr/bin/printf', 'a b=c:d,e*', '!'], user='root')")
    said = blocked(made)
    assert f"sudo does not allow {blog} to run \"/usr/bin/printf 'a b=c:d,e*' '!'\" as root" in said
    rules(f"{blog} ALL=(root) NOPASSWD: {said.rpartition('NOPASSWD: ')[2].partition(' 1 blocked')[0]}")
    assert "1 with changes" in made.fab("plan").stdout


def test_a_rule_that_wants_a_password_blocks_without_one(
    place: Callable[..., Workplace], hosts: Hosts, rules: Rules
) -> None:
    """That it allows the command at all is not enough."""
    rules(
        f"{hosts.users.blog} ALL=(root) NOPASSWD: /usr/bin/id -u",
        f"{hosts.users.blog} ALL=(root) PASSWD: /usr/bin/id -g",
    )
    said = blocked(place("reload=Command(['/usr/bin/id', '-g'], user='root')"))
    assert "sudo asks for a password to run '/usr/bin/id -g' as root, and " in said
    assert f"allow it without a password, in sudoers: {hosts.users.blog} ALL=(root) NOPASSWD: /usr/bin/id -g" in said
    assert "--prompt-for" not in said


def test_a_password_is_given_to_sudo_and_to_no_program(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """The command reads nothing, and its rule may be for it alone; a wrong password blocks the plan."""
    users = hosts.users
    path, told = make_virtualenv("3.11", srv / "v", owner=users.keeper), srv / "told"
    script = srv / "greedy"
    script.write_text(f'#!/bin/sh\nread -r line\necho "$line|$#|$(id -un)" > {told}\n')
    script.chmod(0o755)
    workplace.fabfile(
        f"Host('web1', user={users.keeper!r}, virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'],"
        f" reload=Command([{str(script)!r}, 'a b', ''], user='root'))])"
    )
    workplace.add_made("shop", "1.0")
    without = workplace.fab("plan").stdout
    assert (
        f"sudo asks for a password to run '{script}" in without.replace('"', "'")
        or "sudo asks for a password" in without
    )
    assert "fab --prompt-for-sudo-password" in without
    (workplace.folder / "fabric.yaml").write_text("sudo:\n  password: wrong\n")
    assert "sudo refused the password for user root" in workplace.fab("plan").stdout
    (workplace.folder / "fabric.yaml").write_text(f"sudo:\n  password: {users.password}\n")
    done = workplace.fab("deploy", "--yes")
    assert "1 deployed" in done.stdout, done.stdout + done.stderr
    assert told.read_text() == "|2|root\n"


def test_nothing_is_asked_of_sudo_where_nothing_is_to_be_done(place: Callable[..., Workplace]) -> None:
    """A plan that changes nothing runs no command."""
    made = place("reload=Command('id', user='root')")
    made.fabfile(
        (made.folder / "fabfile.py")
        .read_text()
        .partition("hosts=[")[2]
        .partition("])\nns")[0]
        .replace("'shop'", "'pip'")
    )
    assert "1 current" in made.fab("plan").stdout


def test_a_server_with_one_session_is_deployed_to_command_by_command(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """`MaxSessions 1`: its virtualenvs one after the other, and the agent makes room for each command."""
    shop = hosts.users.shop
    paths, told = [make_virtualenv("3.11", srv / name, owner=shop, pip=True) for name in ("a", "b")], srv / "told"
    told.touch()
    told.chmod(0o666)
    listed = ", ".join(
        f"Virtualenv({str(path)!r}, user={shop!r}, packages=['shop'], before=Command('echo before >> {told}', user='root'),"
        f" reload='echo reload >> {told}', check='true')"
        for path in paths
    )
    workplace.fabfile(f"Host('single', virtualenvs=[{listed}])")
    workplace.add_made("shop", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert "2 deployed" in done.stdout, done.stdout + done.stderr
    assert told.read_text().split() == ["before", "reload"] * 2
    assert [freeze(path) for path in paths] == [{"shop": "1.0"}] * 2


def test_the_rules_that_are_printed_are_those_that_deployments_need(
    place: Callable[..., Workplace], hosts: Hosts, rules: Rules
) -> None:
    """visudo and sudo take them, with them the plan is not blocked, and without any one of them it is."""
    users = hosts.users
    made = place(
        "before=['true', Command(['id', '-u', 'a,b:c=d'], user='root')], reload=Command.systemctl('restart', 'shop@1.service'),"
        f" check=Command(['/usr/bin/id'], user='root'), projects=[Project('shop.settings', user={users.www!r})]",
    )
    done = made.fab("targets", "--sudoers")
    assert done.returncode == 0, done.stderr
    title, *lines = done.stdout.splitlines()
    assert title == "# web1: write these by visudo -f /etc/sudoers.d/envfab"
    assert f"{users.blog} ALL=(root) NOPASSWD: /usr/bin/systemctl restart shop@1.service" in lines
    assert made.json("targets", "--sudoers") == {"format": 1, "hosts": [{"host": "web1", "rules": lines}]}
    rules(*lines)
    assert set(made.statuses("plan").values()) == {"changes"}
    for missing in lines:
        rules(*(line for line in lines if line != missing))
        assert set(made.statuses("plan", status=1).values()) == {"blocked"}


def test_what_needs_no_rule_gets_none_and_hosts_that_need_the_same_are_named_together(workplace: Workplace) -> None:
    """A shell as another user covers that user's programs; a host that does not answer still has its rules."""
    shell = "reload=[Command('id; id', user='root'), Command(['/bin/id'], user='root')]"
    workplace.fabfile(
        "Host('web1', user='me', virtualenvs=[Virtualenv('/srv/a', reload='true')]),"
        + "".join(f" Host('w{number}', user='me', virtualenvs=[Virtualenv('/srv/a', {shell})])," for number in (1, 2))
        + " Host('nowhere.invalid', user='me', virtualenvs=[Virtualenv('/srv/a', user='shop',"
        " reload=Command(['thing', 'x'], user='root'))]),"
        " Host('web2', user='me', virtualenvs=[Virtualenv('/srv/a')], drain=Command(['/bin/lb', 'out'], user='lb', on='web3'),"
        " undrain=Command('/bin/lb in', on='web3')), Host('web3', user='you')"
    )
    done = workplace.fab("targets", "--sudoers")
    assert done.stdout == (
        "# web1, web2: no rule is needed\n\n"
        "# w1, w2: write these by visudo -f /etc/sudoers.d/envfab\nme ALL=(root) NOPASSWD: ALL\n\n"
        "# nowhere.invalid: write these by visudo -f /etc/sudoers.d/envfab\nme ALL=(shop) NOPASSWD: ALL\n"
        "me ALL=(root) NOPASSWD: /full/path/of/thing x\n\n"
        "# web3: write these by visudo -f /etc/sudoers.d/envfab\nyou ALL=(lb) NOPASSWD: /bin/lb out\n"
    )
    assert "warning: nowhere.invalid: " in done.stderr
