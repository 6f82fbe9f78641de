"""The hosts that other tests work on are what those tests take them for."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.leftovers import files_of
from tests.support.sshd import ALIASES, Hosts


def test_every_alias_lets_its_user_in_by_key(hosts: Hosts) -> None:
    """The system's own ssh logs in to every alias, each as the user that the configuration names."""
    expected = dict.fromkeys((*hosts.names, "jump", "inner1", "inner2"), hosts.users.admin)
    expected |= {
        name: getattr(hosts.users, name) for name in ("noisy", "tcsh", "fish", "zsh") if getattr(hosts.users, name)
    }
    running = {
        name: subprocess.Popen(hosts.command(name, "id", "-un"), stdout=subprocess.PIPE, text=True) for name in expected
    }
    answers = {name: process.communicate(timeout=60)[0].splitlines()[-1:] for name, process in running.items()}
    assert answers == {name: [user] for name, user in expected.items()}
    assert set(ALIASES) | set(hosts.names) >= set(expected)


@pytest.mark.parametrize("role", ["shop", "blog", "keeper", "guest"])
def test_owners_can_log_in_too(hosts: Hosts, role: str) -> None:
    """Every user with a login shell is let in on any host."""
    user = getattr(hosts.users, role)
    assert hosts.run("web2", "id", "-un", user=user).stdout == f"{user}\n"


def test_users_without_a_login_are_kept_out(hosts: Hosts) -> None:
    """The project user and the one without a home cannot log in."""
    for user in (hosts.users.www, hosts.users.homeless):
        assert hosts.run("web1", "true", user=user).returncode == 255


def test_the_admin_becomes_anybody_without_a_password(hosts: Hosts) -> None:
    """Sudo asks the admin nothing, for owners with and without a home."""
    for user in (hosts.users.shop, hosts.users.homeless, "root"):
        done = hosts.run("web1", "sudo", "-n", "-H", "-u", user, "id", "-un")
        assert done.stdout == f"{user}\n", done.stderr


def test_the_keeper_needs_the_password(hosts: Hosts) -> None:
    """Sudo wants the known password of the keeper, and takes no other."""
    sudo = ("sudo", "-S", "-k", "-p", "''", "-u", hosts.users.shop, "id", "-un")
    keeper = hosts.users.keeper
    assert hosts.run("web1", *sudo, user=keeper, input=f"{hosts.users.password}\n").stdout == f"{hosts.users.shop}\n"
    assert hosts.run("web1", *sudo, user=keeper, input="wrong\n").returncode == 1
    assert hosts.run("web1", "sudo", "-n", "true", user=keeper).returncode == 1


def test_the_guest_becomes_nobody(hosts: Hosts) -> None:
    """A right password does not help who has no rule."""
    done = hosts.run(
        "web1", "sudo", "-S", "-p", "''", "true", user=hosts.users.guest, input=f"{hosts.users.password}\n"
    )
    assert done.returncode == 1
    assert "not in the sudoers file" in done.stderr


@pytest.mark.parametrize("shell", ["tcsh", "fish", "zsh"])
def test_login_shells_are_what_they_are_called(hosts: Hosts, shell: str) -> None:
    """The users named after shells run commands through them (and zsh in its own place, if it is the last)."""
    if not getattr(hosts.users, shell):
        pytest.skip(f"{shell} is not installed")
    parent = hosts.run(shell, "ps", "-o", "comm=", "-p", "$fish_pid" if shell == "fish" else "$$", "; true")
    assert parent.stdout == f"{shell}\n", parent.stderr


def test_the_noisy_user_prints_on_both_streams(hosts: Hosts) -> None:
    """Start-up files and the banner speak before the command does."""
    done = hosts.run("noisy", "echo", "word")
    assert done.stdout.splitlines()[0].startswith(".bashrc: welcome")
    assert done.stdout.splitlines()[-1] == "word"
    assert "disk almost full" in done.stderr
    assert "Authorised staff only." in done.stderr


def test_sessions_on_one_connection_are_limited_to_ten(hosts: Hosts, tmp_path: Path) -> None:
    """The daemon keeps its default MaxSessions: the eleventh channel of a connection is refused."""
    ssh = [*hosts.command("web3")[:-1], "-o", f"ControlPath={tmp_path}/control"]
    master = subprocess.Popen([*ssh, "-M", "-N", "web3"])
    try:
        while not (tmp_path / "control").exists():
            assert master.poll() is None
        sleepers = [subprocess.Popen([*ssh, "web3", "echo up; sleep 60"], stdout=subprocess.PIPE) for _ in range(10)]
        assert all(sleeper.stdout is not None and sleeper.stdout.readline() == b"up\n" for sleeper in sleepers)
        eleventh = subprocess.run([*ssh, "web3", "true"], capture_output=True, text=True, timeout=60, check=False)
        assert "Session open refused by peer" in eleventh.stderr
    finally:
        master.terminate()
        master.wait(timeout=60)
    for sleeper in sleepers:
        sleeper.communicate(timeout=60)


def test_a_connection_can_be_cut(hosts: Hosts) -> None:
    """Cutting ends the sessions under way and leaves the hosts up."""
    process = subprocess.Popen(hosts.command("web4", "echo up; sleep 60"), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    hosts.cut()
    assert process.wait(timeout=60) == 255
    process.stdout.close()
    assert hosts.run("web4", "echo", "again").stdout == "again\n"


def test_files_left_on_a_host_are_seen(hosts: Hosts) -> None:
    """A file in a home, or wherever users may come to in a common temporary folder, is a leftover until it is gone."""
    uids, homes, admin = hosts.users.uids, hosts.users.homes, hosts.users.admin
    before = files_of(uids, homes)
    home, common = hosts.users.home(admin) / "left", Path(f"/tmp/{admin}-left")
    nested = Path(f"/var/tmp/{admin}-left/closed/left")
    hosts.run("web1", f"touch {home} {common}; mkdir -m 700 -p {nested.parent.parent} {nested.parent}; touch {nested}")
    left = {str(path) for path in (home, common, nested.parent.parent, nested.parent, nested)}
    after = files_of(uids, homes, apart_from=[home, nested.parent])
    assert after - before == left - {str(nested.parent), str(nested)}
    assert files_of(uids, homes) - before == left
    hosts.run("web1", f"rm -r {home} {common} {nested.parent.parent}")
    assert files_of(uids, homes) == before


def test_folders_where_no_user_can_leave_a_file_are_passed_over(hosts: Hosts) -> None:
    """Most files of a machine that runs tests are in such folders: to look at each of them takes a minute."""
    files = {mode: Path(tempfile.mkdtemp(dir="/var/tmp")) / "file" for mode in (0o700, 0o755, 0o777)}
    try:
        for mode, file in files.items():
            file.touch()
            shutil.chown(file, hosts.users.admin)
            file.parent.chmod(mode)
        found = files_of(hosts.users.uids, hosts.users.homes)
    finally:
        for file in files.values():
            shutil.rmtree(file.parent)
    assert [mode for mode, file in files.items() if str(file) in found] == [0o777]
