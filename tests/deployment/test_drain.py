"""Hosts are taken out of service before their virtualenvs are switched, and are put back whatever happens."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze, wait_for


class Service:
    """Two virtualenvs each on two hosts, whose commands write what happens into a file."""

    def __init__(self, workplace: Workplace, srv: Path, paths: list[Path]) -> None:
        self.workplace = workplace
        self.srv = srv
        self.paths = paths

    def configure(self, drain: str = "drain", undrain: str = "undrain", **more: str) -> None:
        """Write the fabfile; a command fails while there is a file of its name and its host's."""
        hosts = []
        for number in (1, 2):
            name = f"web{number}"
            words = {"drain": self.line(drain, name), "undrain": self.line(undrain, name)}
            drains = "".join(f"{key}={value!r}, " for key, value in words.items() if value)
            virtualenvs = ", ".join(
                f"Virtualenv({str(path)!r}, packages=['shop'], reload={self.line('reload', name)!r},"
                f" check={self.line('check', name)!r}, before={self.line('before', name)!r})"
                for path in self.paths[2 * number - 2 : 2 * number]
            )
            options = more.get(name, "settle=0, ") if drains else ""
            hosts.append(f"Host({name!r}, {drains}{options}virtualenvs=[{virtualenvs}])")
        self.workplace.fabfile(", ".join(hosts), settings="'check_retries': 0")

    def line(self, what: str, host: str) -> str:
        """A command that writes that it ran, waits while it is to hold, and fails if it is to."""
        if not what:
            return ""
        hold = f"while test -e {self.srv}/hold-{what}-{host}; do sleep 0.05; done"
        return f"echo {what} {host} >> {self.srv}/told; {hold}; test ! -e {self.srv}/fail-{what}-{host}"

    def told(self, host: str) -> list[str]:
        """What happened on a host, in order; it is forgotten then."""
        file = self.srv / "told"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.partition(" ")[0] for line in lines if line.endswith(f" {host}")]

    def forget(self) -> None:
        """Forget what happened."""
        (self.srv / "told").unlink(missing_ok=True)

    @property
    def notes(self) -> list[Path]:
        """The notes of hosts that may be out of service."""
        return [note for path in self.paths for note in path.glob(".envfab/drained.json")]

    def deploy(self, *flags: str, status: int = 0) -> str:
        """Deploy; return what was printed."""
        done = self.workplace.fab("deploy", "--yes", *flags)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def service(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> Service:
    """The service, whose virtualenvs are to get a package."""
    srv.chmod(0o777)
    paths = [make_virtualenv("3.11", srv / f"v{number}", owner=hosts.users.admin) for number in range(4)]
    found = Service(workplace, srv, paths)
    found.configure()
    workplace.add_made("shop", "1.0")
    return found


def test_a_host_is_out_of_service_from_its_first_switch_to_its_last_check(service: Service) -> None:
    """Once for both of its virtualenvs; what comes before the switch comes before it, and the plan shows it."""
    assert "drain: echo drain web1" in service.workplace.fab("plan").stdout
    printed = service.deploy()
    assert (
        "web1, web2 are all taken out of service at the same time: deploy --batch, or the setting batch, leaves some of them in"
        in printed
    )
    for host in ("web1", "web2"):
        told = service.told(host)
        assert told[0] == "before"
        assert told[-1] == "undrain"
        assert (told.count("drain"), told.count("undrain")) == (1, 1)
        assert told.index("drain") < told.index("reload")
        assert told.count("check") == 2
    assert service.notes == []
    assert [freeze(path) for path in service.paths] == [{"shop": "1.0"}] * 4
    service.forget()
    assert "4 current" in service.deploy()
    assert service.told("web1") == []


def test_with_a_batch_the_others_serve(service: Service) -> None:
    """The second host is taken out after the first was put back, and nothing warns."""
    printed = service.deploy("--batch", "2")
    assert "at the same time" not in printed
    lines = [line for line in (service.srv / "told").read_text().splitlines() if "drain" in line]
    assert lines == ["drain web1", "undrain web1", "drain web2", "undrain web2"]


def test_a_host_that_cannot_be_taken_out_is_left_out_and_put_back(service: Service) -> None:
    """Nothing is switched there, and its half-done drain is taken back; the others go on."""
    (service.srv / "fail-drain-web1").touch()
    printed = service.deploy(status=1)
    assert "2 failed (as it was before), 2 deployed" in printed
    assert "the drain command 'echo drain web1" in printed
    assert "web1 could not be taken out of service: the drain command" in printed
    assert [freeze(path) for path in service.paths] == [{}, {}, {"shop": "1.0"}, {"shop": "1.0"}]
    assert service.told("web1").count("drain") == 1
    assert service.told("web1")[-1] == "undrain"
    assert "reload" not in service.told("web1")
    assert service.notes == []


def test_after_a_failure_the_host_is_put_back(service: Service) -> None:
    """When both of its virtualenvs are as they were."""
    (service.srv / "fail-check-web1").touch()
    assert "2 failed (as it was before), 2 deployed" in service.deploy(status=1)
    told = service.told("web1")
    assert (told[-1], told.count("undrain")) == ("undrain", 1)
    assert service.notes == []


def test_after_ctrl_c_the_host_is_put_back(service: Service) -> None:
    """What is under way is finished first; a host that was not begun stays in service."""
    (service.srv / "hold-drain-web1").touch()
    with service.workplace.at_terminal("deploy", "--yes", "--batch", "2") as terminal:
        wait_for(service.srv / "told")
        terminal.expect("drain: echo drain web1")
        terminal.interrupt()
        terminal.expect("those under way are finished")
        (service.srv / "hold-drain-web1").unlink()
        assert terminal.finish() == 1, terminal.shown
    assert service.told("web1")[-1] == "undrain"
    assert service.told("web2") == []
    assert service.notes == []


def test_a_host_that_is_not_put_back_is_told_and_the_next_run_puts_it_back(service: Service) -> None:
    """Exit 1, though all was deployed; the plan is not `current` until then, and says by whom it was taken out."""
    (service.srv / "fail-undrain-web1").touch()
    printed = service.deploy(status=1)
    assert "web1 may still be out of service: the undrain command 'echo undrain web1" in printed
    assert " deploy puts it back\n" in printed
    assert "4 deployed" in printed
    assert [note.parents[1] for note in service.notes] == service.paths[:2]
    plan = service.workplace.fab("plan")
    assert "web1 may still be out of service, taken out by " in plan.stdout
    assert "2 with changes, 2 current" in plan.stdout
    (document,) = [service.workplace.json("deploy", "--yes", status=1)]
    assert [one["host"] for one in document["out_of_service"]] == ["web1"]
    (service.srv / "fail-undrain-web1").unlink()
    service.forget()
    assert "2 deployed, 2 current" in service.deploy()
    assert service.told("web1")[-1] == "undrain"
    assert service.notes == []


@pytest.mark.parametrize("held", ["drain", "reload", "undrain"])
def test_after_a_kill_the_next_run_puts_the_host_back(service: Service, held: str) -> None:
    """At whatever moment this side dies, also where no journal is open any more."""
    (service.srv / f"hold-{held}-web1").touch()
    running = service.workplace.start("deploy", "--yes", "--batch", "2")
    try:
        wait_for_line(service, held)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    (service.srv / f"hold-{held}-web1").unlink()
    assert service.notes
    assert "web1 may still be out of service" in service.workplace.fab("plan").stdout
    service.forget()
    service.deploy("--wait", "20")
    assert service.told("web1")[-1] == "undrain"
    assert service.notes == []
    assert [freeze(path) for path in service.paths] == [{"shop": "1.0"}] * 4


def wait_for_line(service: Service, what: str) -> None:
    """Until a command of web1 runs."""
    wait_for(service.srv / "told")
    while what not in service.told("web1"):
        pass


def test_a_rollback_takes_hosts_out_as_well(service: Service) -> None:
    """It switches, too."""
    service.deploy()
    service.forget()
    done = service.workplace.fab("rollback", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    told = service.told("web1")
    assert (told[0], told[-1]) == ("before", "undrain")
    assert (told.count("drain"), told.count("undrain")) == (1, 1)


def test_a_fabfile_that_no_longer_says_how_is_told_so_once(service: Service) -> None:
    """The note goes, with a warning; the plan is `current` again."""
    (service.srv / "fail-undrain-web1").touch()
    service.deploy(status=1)
    service.configure(drain="", undrain="")
    printed = service.deploy()
    assert "web1 may still be out of service, and the fabfile no longer says how to put it back" in printed
    assert service.notes == []
    assert set(service.workplace.statuses("plan").values()) == {"current"}


def test_another_host_may_run_the_commands(service: Service, hosts: Hosts) -> None:
    """As the user that the command names; this machine is `localhost`."""
    who = f"(id -un; echo $SSH_CONNECTION) >> {service.srv}/who"
    service.configure(drain="", undrain="")
    (service.srv / "who").touch()
    (service.srv / "who").chmod(0o666)
    text = (service.workplace.folder / "fabfile.py").read_text()
    text = text.replace(
        "Host('web1', ",
        f"Host('web1', drain=[Command({who!r}, user={hosts.users.shop!r}, on='web3'), Command(['touch', '{service.srv}/here'],"
        f" on='localhost')], undrain=Command({who!r}, on='web3'), settle=0, ",
    )
    (service.workplace.folder / "fabfile.py").write_text(text)
    assert "on web3" in service.workplace.fab("plan").stdout
    service.deploy()
    lines = (service.srv / "who").read_text().splitlines()
    assert (lines[0], lines[2]) == (hosts.users.shop, hosts.users.admin)
    assert lines[3].split()[2] == "127.0.0.3"
    assert (service.srv / "here").exists()


def test_a_host_settles_before_it_is_switched(service: Service) -> None:
    """The wait is told, and is in the log."""
    service.configure(web1="settle=0.7, ")
    began = service.workplace.json("deploy", "--yes")
    steps = {one["host"]: one["seconds"] for one in began["virtualenvs"]}
    assert steps["web1"] > 0.7
    shown = service.workplace.fab("history", "--rollout", began["rollout"]).stdout
    assert "drain" in shown


def test_a_command_that_hangs_is_named(service: Service) -> None:
    """After `command_timeout` the host counts as not put back."""
    fabfile = service.workplace.folder / "fabfile.py"
    fabfile.write_text(fabfile.read_text().replace("'check_retries': 0", "'check_retries': 0, 'command_timeout': 1"))
    (service.srv / "hold-undrain-web1").touch()
    printed = service.deploy(status=1)
    assert "web1 may still be out of service: the undrain command 'echo undrain web1" in printed
    assert "did not end within 1 s" in printed
    assert [note.parents[1] for note in service.notes] == service.paths[:2]


def cut_off(service: Service, *flags: str) -> None:
    """Kill a deployment of the first host while its host is put back, when all is deployed."""
    (service.srv / "hold-undrain-web1").touch()
    running = service.workplace.start("deploy", "--yes", "--batch", "2", *flags)
    try:
        wait_for_line(service, "undrain")
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    (service.srv / "hold-undrain-web1").unlink()
    service.forget()


def test_a_blocked_plan_says_that_its_host_is_still_out(service: Service) -> None:
    """And that it will be put back once nothing blocks the plan; the next deployment after that does it."""
    cut_off(service)
    (service.paths[0] / ".envfab" / "journal.json").write_text('{"format": 99}')
    fabfile = service.workplace.folder / "fabfile.py"
    text = fabfile.read_text()
    fabfile.write_text(text.replace("packages=['shop']", "packages=['shop', 'missing']"))
    document = service.workplace.json("deploy", "--yes", status=1)
    ours = [one for one in document["virtualenvs"] if one["host"] == "web1"]
    assert [one["status"] for one in ours] == ["blocked"] * 2
    assert all("deploy puts it back once nothing blocks it" in str(one) for one in ours), ours
    fabfile.write_text(text)
    (service.paths[0] / ".envfab" / "journal.json").unlink()
    service.deploy()
    assert service.told("web1")[-1] == "undrain"
    assert service.notes == []


def test_a_saved_plan_that_was_carried_out_puts_the_host_back(service: Service) -> None:
    """Whoever runs the same command again, after it was cut off, ends what it began."""
    assert service.workplace.fab("plan", "--out", "plan.json").returncode == 0
    cut_off(service, "--plan", "plan.json")
    assert service.notes
    printed = service.deploy("--plan", "plan.json")
    assert "web1 may still be out of service" in printed
    assert service.told("web1")[-1] == "undrain"
    assert service.notes == []
    service.forget()
    assert "4 current" in service.deploy("--plan", "plan.json")


def test_the_note_of_another_run_stays(service: Service) -> None:
    """It has taken the host out since, and puts it back itself."""
    (service.srv / "hold-undrain-web1").touch()
    running = service.workplace.start("deploy", "--yes")
    try:
        wait_for_line(service, "undrain")
        note = service.paths[0] / ".envfab" / "drained.json"
        note.write_text(note.read_text().replace('"deployment": "', '"deployment": "other-'))
        (service.srv / "hold-undrain-web1").unlink()
        assert running.wait(60) == 0
    finally:
        running.kill()
        running.wait()
    assert service.notes == [note]
