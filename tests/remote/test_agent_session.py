"""Conversations with the agent, here and over SSH, as oneself and as somebody else."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from envfab.config.host import Host
from envfab.errors import Disconnected, Unreachable, Unusable, VirtualenvMissing
from envfab.remote import agent_sources
from envfab.remote.agent_session import OperationFailed, Session, start_agent
from envfab.remote.process import Silence, local_link
from envfab.remote.run_command import CommandResult, run_command
from envfab.remote.startup import Identity
from tests.remote.conftest import Connect, StartAgent
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker

AWKWARD = 'it\'s a "venv" $(touch x) `id` wow! back\\slash ü 😀'


@pytest.fixture(scope="module")
def here(pristine: Callable[[str], Path]) -> Path:
    """A virtualenv on this machine."""
    return pristine("3.11")


@pytest.fixture
def shared(make_virtualenv: VirtualenvMaker, hosts: Hosts, srv: Path) -> Path:
    """A virtualenv on the hosts that belongs to the shop."""
    return make_virtualenv("3.11", srv / "venv", owner=hosts.users.shop)


def command_lines() -> dict[int, bytes]:
    """The command line of every process on this machine."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found[int(file.parent.name)] = file.read_bytes()
    return found


def start(
    connect: Connect, host: str, path: Path, login: str, owner: str | None = None, password: str | None = None
) -> Session:
    """The agent in a virtualenv on a host, as `owner` where that is not who logs in."""
    link = connect().link(Host(host, user=login))
    where = f"{owner or login}@{host}:{path}"
    return start_agent(
        link.reserve(1),
        f"{path}/bin/python",
        str(path),
        where=where,
        identity=Identity(owner, password),
        modules=agent_sources.PROBE,
    )


@pytest.mark.parametrize("role", ["admin", "keeper", "noisy", "tcsh", "fish", "zsh"])
def test_an_agent_works_under_sudo_whoever_logs_in(
    hosts: Hosts, connect: Connect, make_virtualenv: VirtualenvMaker, srv: Path, role: str
) -> None:
    """With and without a password, past banners and talking start-up files, under csh and fish, at an odd path."""
    login = getattr(hosts.users, role)
    if not login:
        pytest.skip(f"{role} is not installed")
    path = make_virtualenv("3.11", srv / AWKWARD, owner=hosts.users.shop)
    password = hosts.users.password if role == "keeper" else None
    with start(connect, "web1", path, login, hosts.users.shop, password) as session:
        assert session.ask("probe")["executable"] == f"{path}/bin/python"
        session.load(agent_sources.DEPLOY)
        session.ask("lock", holder={})
    assert (path / ".envfab" / "lock").owner() == hosts.users.shop
    assert not list(hosts.users.homes.glob("*/x"))


@pytest.mark.parametrize("role", ["shop", "noisy", "tcsh", "fish", "zsh"])
def test_an_agent_works_without_sudo_too(
    hosts: Hosts, connect: Connect, make_virtualenv: VirtualenvMaker, srv: Path, role: str
) -> None:
    """Whoever logs in may be the owner."""
    login = getattr(hosts.users, role)
    if not login:
        pytest.skip(f"{role} is not installed")
    path = make_virtualenv("3.11", srv / AWKWARD, owner=login)
    with start(connect, "web1", path, login) as session:
        assert session.ask("probe")["own"] == []


def test_an_agent_works_as_somebody_else_on_this_machine(hosts: Hosts, shared: Path) -> None:
    """`localhost` needs no SSH, and sudo all the same."""
    with start_agent(
        local_link().reserve(1),
        f"{shared}/bin/python",
        str(shared),
        where="target",
        identity=Identity(hosts.users.shop),
        modules=agent_sources.PROBE,
    ) as session:
        session.load(agent_sources.DEPLOY)
        session.ask("lock", holder={})
    assert (shared / ".envfab" / "lock").owner() == hosts.users.shop


def test_an_owner_without_a_home_is_an_owner(
    hosts: Hosts, connect: Connect, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """Neither a missing home nor a missing login shell is in sudo's way."""
    path = make_virtualenv("3.11", srv / "venv", owner=hosts.users.homeless)
    with start(connect, "web1", path, hosts.users.admin, hosts.users.homeless) as session:
        assert session.ask("probe")["own"] == []


def test_a_wrong_sudo_password_is_one_clear_message(hosts: Hosts, connect: Connect, shared: Path) -> None:
    """It is tried once, not three times, and never shown."""
    with pytest.raises(Unreachable) as caught:
        start(connect, "web1", shared, hosts.users.keeper, hosts.users.shop, "wrong")
    target = f"{hosts.users.shop}@web1:{shared}"
    assert str(caught.value) == f"{target}: sudo refused the password for user {hosts.users.shop}"


def test_a_missing_sudo_password_says_how_to_give_one(hosts: Hosts, connect: Connect, shared: Path) -> None:
    """The message names the option."""
    with pytest.raises(Unreachable) as caught:
        start(connect, "web1", shared, hosts.users.keeper, hosts.users.shop)
    assert str(caught.value) == (
        f"{hosts.users.shop}@web1:{shared}: sudo asks for a password to become {hosts.users.shop}\n"
        "  run fab --prompt-for-sudo-password, or set sudo.password"
    )


def test_somebody_who_may_become_nobody_is_told_so(hosts: Hosts, connect: Connect, shared: Path) -> None:
    """Sudo's own words are passed on."""
    with pytest.raises(Unreachable, match=r"sudo to \S+-shop failed: \S+-guest is not in the sudoers file"):
        start(connect, "web1", shared, hosts.users.guest, hosts.users.shop, hosts.users.password)


def test_an_unknown_owner_is_sudo_s_complaint(hosts: Hosts, connect: Connect, shared: Path) -> None:
    """A user that the host does not have is named."""
    with pytest.raises(Unreachable, match=r"sudo to nobody-here failed: sudo: unknown user:? nobody-here"):
        start(connect, "web1", shared, hosts.users.admin, "nobody-here")


def test_a_program_under_sudo_cannot_ask_for_the_password(hosts: Hosts, connect: Connect, srv: Path) -> None:
    """An owner's program that prints sudo's prompt, found in the list of processes, gets nothing for it."""
    spy = srv / "venv" / "bin" / "python"
    spy.parent.mkdir(parents=True)
    spy.write_text(
        "#!/bin/sh\n"
        "for word in $(tr '\\0' ' ' < /proc/$PPID/cmdline); do case $word in envfab-*:) printf '%s' \"$word\";; esac; done\n"
        f"head -c 200 > {srv}/caught\n"
    )
    spy.chmod(0o755)
    srv.chmod(0o777)
    with pytest.raises(Unreachable):
        start(connect, "web1", srv / "venv", hosts.users.admin, hosts.users.shop, hosts.users.password)
    assert hosts.users.password.encode() not in (srv / "caught").read_bytes()
    srv.chmod(0o755)


def test_the_password_is_on_no_command_line_and_in_no_repr(hosts: Hosts, connect: Connect, shared: Path) -> None:
    """It travels through standard input alone."""
    identity = Identity(hosts.users.shop, hosts.users.password)
    assert hosts.users.password not in repr(identity)
    with start(connect, "web1", shared, hosts.users.keeper, hosts.users.shop, hosts.users.password):
        lines = list(command_lines().values())
    assert not any(hosts.users.password.encode() in line for line in lines)


def test_a_missing_virtualenv_says_how_to_make_it(agent: StartAgent, tmp_path: Path) -> None:
    """The message names the interpreter and the task."""
    path = tmp_path / "a venv"
    with pytest.raises(VirtualenvMissing) as caught:
        agent(path)
    assert str(caught.value) == f"{path}: {path}/bin/python does not exist\n  fab create_virtualenv makes it"


@pytest.mark.parametrize(
    ("status", "output", "said"), [(255, "sudo: it broke\n", "sudo: it broke"), (None, "", "exit status None")]
)
def test_what_a_second_look_could_not_find_out_is_not_called_missing(
    agent: StartAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int | None, output: str, said: str
) -> None:
    """Only `test` itself says that nothing is there: whatever else went wrong leaves that open."""
    path = tmp_path / "none"
    answer = CommandResult(status, output)
    monkeypatch.setattr("envfab.remote.agent_session.run_command", lambda *_args, **_options: answer)
    with pytest.raises(Unusable) as caught:
        agent(path)
    assert (
        str(caught.value) == f"{path}: {path}/bin/python did not start, and checking whether it exists failed: {said}"
    )


@pytest.mark.parametrize("lost", ["dangling", "removed"])
def test_a_virtualenv_that_lost_its_interpreter_is_not_called_missing(
    agent: StartAgent, tmp_path: Path, lost: str
) -> None:
    """A dangling link, or none any more: the virtualenv is there, and `--repair` is what helps."""
    path = tmp_path / "it's a venv"
    (path / "bin").mkdir(parents=True)
    if lost == "dangling":
        (path / "bin" / "python").symlink_to("/no/such/python")
    else:
        (path / "pyvenv.cfg").touch()
    with pytest.raises(Unusable) as caught:
        agent(path)
    assert str(caught.value) == (
        f"{path}: the virtualenv exists, but {path}/bin/python does not\n"
        "  repair the virtualenv: fab create_virtualenv --repair"
    )


def _interpreter(folder: Path, text: str, mode: int = 0o755) -> Path:
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(text)
    python.chmod(mode)
    return folder


def test_an_interpreter_that_cannot_be_run_is_not_called_missing(agent: StartAgent, tmp_path: Path) -> None:
    """No permission and no virtualenv are different troubles."""
    with pytest.raises(Unreachable, match=r"cannot run .*bin/python: .*Permission denied$"):
        agent(_interpreter(tmp_path, "", mode=0o644))


def test_an_interpreter_without_its_library_is_not_called_missing(agent: StartAgent, tmp_path: Path) -> None:
    """The loader's own complaint is passed on, although it too ends in `No such file or directory`."""
    complaint = "python: error while loading shared libraries: libpython3.8.so.1.0: cannot open shared object file"
    script = f"#!/bin/sh\necho '{complaint}: No such file or directory' >&2\nexit 127\n"
    with pytest.raises(Unreachable, match=r"bin/python did not start: python: error while loading shared libraries"):
        agent(_interpreter(tmp_path, script))


def test_an_interpreter_that_is_too_old_is_told_with_its_version(agent: StartAgent, tmp_path: Path) -> None:
    """The loader itself says which version it met; the message says which ones are managed."""
    script = (
        f"#!/bin/sh\nfor program; do :; done\n"
        f'exec {sys.executable} -c "import sys; sys.version_info = (3, 5, 2); $program"\n'
    )
    with pytest.raises(Unreachable) as caught:
        agent(_interpreter(tmp_path, script))
    assert str(caught.value) == (
        f"{tmp_path}: the interpreter is Python 3.5\n  envfab manages CPython 2.7 and 3.6 or newer"
    )


def test_an_interpreter_that_ends_without_a_word_has_a_start_up_file_that_ends_it(
    agent: StartAgent, tmp_path: Path
) -> None:
    """Whoever put it there by hand is told what to look for, and how to go back without an interpreter."""
    with pytest.raises(Unreachable, match=r"bin/python did not start: exit status 5\n") as caught:
        agent(_interpreter(tmp_path, "#!/bin/sh\nexit 5\n"))
    assert "a .pth file or sitecustomize.py among its packages may end it" in str(caught.value)
    assert f"ln -sfn generations/NUMBER {tmp_path}/.envfab/current" in str(caught.value)


def test_an_interpreter_that_fails_is_quoted(agent: StartAgent, tmp_path: Path) -> None:
    """What it said last is the reason."""
    script = "#!/bin/sh\necho 'Fatal Python error: no module named encodings' >&2\nexit 1\n"
    with pytest.raises(Unreachable, match=r"did not start: Fatal Python error: no module named encodings$"):
        agent(_interpreter(tmp_path, script))


def test_a_shim_that_finds_no_interpreter_is_quoted_by_its_reason(agent: StartAgent, tmp_path: Path) -> None:
    """pyenv's says what is not found first, and ends in the middle of its advice."""
    advice = "Note: See 'pyenv help global' for tips on allowing multiple\n      Python versions to be found at the same time."
    script = f"#!/bin/sh\ncat >&2 <<'END'\npyenv: python3.12: command not found\n\n{advice}\nEND\nexit 127\n"
    with pytest.raises(Unreachable, match=r"bin/python did not start: pyenv: python3\.12: command not found$"):
        agent(_interpreter(tmp_path, script))


def test_a_hostile_home_is_no_matter(hosts: Hosts, connect: Connect, shared: Path) -> None:
    """Modules in the home, PYTHON* settings, the C locale and umask 077 do not reach the agent."""
    home = hosts.users.home(hosts.users.blog)
    for name in ("json.py", "zlib.py", "os.py", "types.py", "sitecustomize.py"):
        (home / name).write_text("raise SystemExit('shadowed')\n")
    (home / ".bashrc").write_text(
        f"export PYTHONPATH={home} LC_ALL=C PYTHONSTARTUP=/x PYTHONHOME=/nonexistent; umask 077\n"
    )
    try:
        with start(connect, "web1", shared, hosts.users.blog) as session:
            assert session.ask("probe")["version"].startswith("3.11")
    finally:
        for file in (*home.glob("*.py"), home / ".bashrc"):
            file.unlink()


def test_a_killed_agent_is_a_lost_connection_with_its_target(here: Path, agent: StartAgent) -> None:
    """Nothing hangs, and the message says which virtualenv it was."""
    session = agent(here)
    start = os.fsencode(here / "bin" / "python")
    pid = next(pid for pid, line in command_lines().items() if line.startswith(start))
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(Disconnected, match=rf"^{here}: the connection ended$"):
        session.ask("probe")


def test_a_cut_connection_is_told_with_its_target(hosts: Hosts, connect: Connect, shared: Path) -> None:
    """A broken network looks the same as a dead agent, and ends a wait at once."""
    session = start(connect, "web1", shared, hosts.users.shop)
    hosts.cut()
    with pytest.raises(Disconnected, match=rf"^{hosts.users.shop}@web1:{shared}: the connection ended"):
        session.ask("probe")


def test_an_operation_that_takes_too_long_is_given_up(here: Path) -> None:
    """`command_timeout` ends a wait for an agent that says nothing."""
    starter = local_link()
    session = start_agent(
        starter,
        f"{here}/bin/python",
        str(here),
        where="target",
        identity=Identity(),
        modules=agent_sources.PROBE,
        timeout=0.2,
    )
    try:
        # the agent waits for ten bytes that never come, before it answers
        session.tell_file("probe", [], 10)
        with pytest.raises(Disconnected, match=r"^target: no answer within 0.2 s$"):
            session.settle()
    finally:
        session.close()


def test_a_crash_in_the_agent_is_one_line(here: Path, agent: StartAgent) -> None:
    """The other side's traceback is kept for whoever wants it, and the agent goes on."""
    session = agent(here, "lock")
    with pytest.raises(OperationFailed) as caught:
        session.ask("lock")
    assert str(caught.value) == f"{here}: the agent failed: KeyError: 'holder'"
    assert "Traceback" in caught.value.output
    assert session.ask("probe")["own"]


def test_what_became_of_what_was_told_comes_with_the_next_reply(here: Path, agent: StartAgent) -> None:
    """Also where it went wrong; and each later question gets its own answer."""
    session = agent(here)
    session.tell("probe")
    assert session.ask("probe")["own"]
    session.tell("shell")
    with pytest.raises(OperationFailed, match="KeyError: 'shell'"):
        session.ask("probe")
    session.load(["tags"])
    assert list(session.ask("tags")) == ["tags"]


def test_an_operation_that_nobody_knows_is_refused(here: Path, agent: StartAgent) -> None:
    """The agent executes nothing but the operations that it knows."""
    with pytest.raises(OperationFailed, match="KeyError: 'shell'"):
        agent(here).ask("shell")


def command(text: str, timeout: float | None = None) -> CommandResult:
    """Run a fabfile's text on this machine."""
    return run_command(local_link(), text, where="here", identity=Identity(), timeout=timeout)


def test_a_command_s_output_and_status_are_told() -> None:
    """Both outputs come in the order in which they were written, behind no word of ours."""
    assert command("echo one; echo two >&2; exit 3") == CommandResult(3, "one\ntwo\n")


def test_a_command_of_many_lines_is_one_text() -> None:
    """Comments, quotes and line breaks are the shell's own business."""
    assert command("# say it\nfor word in 'a b' c\ndo\n  echo \"$word\"\ndone\n").output == "a b\nc\n"


def test_a_command_that_does_not_end_is_given_up() -> None:
    """The time is for the whole command, also for one that keeps talking; what it said until then is kept."""
    began = time.monotonic()
    with pytest.raises(Silence, match=r"^here: the command did not end within 0\.3 s$") as caught:
        command("while :; do echo x; sleep 0.05; done", timeout=0.3)
    assert time.monotonic() - began < 3
    assert caught.value.output.startswith("x\nx\n")


def test_a_command_that_prints_without_a_pause_is_given_up() -> None:
    """There is always something to read, and no silence that could tell the time."""
    with pytest.raises(Disconnected, match=r"^here: the command did not end within 0\.3 s$"):
        command("exec yes", timeout=0.3)


@pytest.mark.parametrize("way", ["here", "ssh"])
def test_a_service_that_a_command_starts_is_not_waited_for(request: pytest.FixtureRequest, way: str) -> None:
    """A daemon that keeps the output open does not hold up a reload."""
    link = local_link()
    if way == "ssh":
        hosts, connect = request.getfixturevalue("hosts"), request.getfixturevalue("connect")
        link = connect().link(Host("web1", user=hosts.users.admin))
    began = time.monotonic()
    outcome = run_command(link.reserve(1), "sleep 20 & echo $!; exit 4", where="x", identity=Identity())
    os.kill(int(outcome.output), signal.SIGKILL)
    assert outcome.status == 4
    assert time.monotonic() - began < 8


def test_endless_output_is_kept_from_its_end() -> None:
    """A command that prints a lot takes no more memory than its end."""
    outcome = command("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last")
    assert outcome.output.endswith("x\nlast\n")
    assert len(outcome.output) <= 200_000


@pytest.mark.parametrize("role", ["keeper", "fish", "tcsh", "zsh", "noisy"])
def test_a_command_runs_as_somebody_else(hosts: Hosts, connect: Connect, role: str) -> None:
    """Through sh, whatever the login shell, with that user's home, and without the noise of the login."""
    login = getattr(hosts.users, role)
    if not login:
        pytest.skip(f"{role} is not installed")
    link = connect().link(Host("web1", user=login))
    outcome = run_command(
        link.reserve(1),
        'printf "%s " "$(id -un)" "$HOME" "!" "\\\\"; cat; exit 5',
        where="target",
        identity=Identity(hosts.users.shop, hosts.users.password),
    )
    assert outcome == CommandResult(5, f"{hosts.users.shop} {hosts.users.home(hosts.users.shop)} ! \\ ")


def test_a_command_without_sudo_is_told_as_such(hosts: Hosts, connect: Connect) -> None:
    """A wrong password is no exit status of the command."""
    link = connect().link(Host("web1", user=hosts.users.keeper))
    with pytest.raises(Unreachable, match=r"^target: sudo refused the password for user root$"):
        run_command(link.reserve(1), "true", where="target", identity=Identity("root", "wrong"))


def test_an_agent_that_is_stopped_is_given_up(here: Path, agent: StartAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, and so is the connection, but it gives no sign of life; nothing waits for it at the end either."""
    started = agent(here)
    monkeypatch.setattr("envfab.remote.agent_session.SILENCE", 0.5)
    start = os.fsencode(here / "bin" / "python")
    pid = next(pid for pid, line in command_lines().items() if line.startswith(start))
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(Disconnected, match=rf"^{here}: no sign of life for 0\.5 s$"):
        started.ask("probe")
    started.close()
    assert time.monotonic() - began < 5
    os.kill(pid, signal.SIGKILL)


def test_an_agent_that_takes_nothing_is_given_up(
    here: Path, agent: StartAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent to one that is stopped fills the pipe, and then waits, but not for ever."""
    started = agent(here)
    monkeypatch.setattr("envfab.remote.agent_session.SILENCE", 0.5)
    start = os.fsencode(here / "bin" / "python")
    pid = next(pid for pid, line in command_lines().items() if line.startswith(start))
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(Disconnected, match=rf"^{here}: the process read nothing within 0\.5 s$"):
        started.tell_file("store", [bytes(1 << 20)], 1 << 20)
    os.kill(pid, signal.SIGKILL)


def test_an_agent_whose_child_takes_long_tells_that_it_lives(
    make_virtualenv: VirtualenvMaker, tmp_path: Path, agent: StartAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long, as long as no `command_timeout` says otherwise."""
    path = make_virtualenv("3.11", tmp_path / "v")
    django = next(path.glob("lib/python*/site-packages")) / "django"
    django.mkdir()
    (django / "__init__.py").touch()
    (django / "__main__.py").write_text("import time\ntime.sleep(4.5)\nprint('done')\n")
    started = agent(path, *agent_sources.DJANGO)
    monkeypatch.setattr("envfab.remote.agent_session.SILENCE", 3.0)
    reply = started.ask("django_admin", settings="s", arguments=[], env={}, env_file=None, number=None)
    assert reply == {"output": "done\n"}
