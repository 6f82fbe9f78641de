"""`fab register_hook`, by the real program."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests.support.crontab import FakeCrontab
from tests.support.fab import run_fab
from tests.support.registration_server import RecordingServer
from tests.tasks.registration import fabfile, localhost


def test_a_hook_of_a_virtualenv_that_is_gone_can_be_removed(tmp_path: Path) -> None:
    """There is nothing to change in it, and no error."""
    fabfile(tmp_path / "work", "", "Difio('http://127.0.0.1:9/')")
    done = run_fab(tmp_path / "work", "register_hook", "--remove", env={"VIRTUAL_ENV": str(tmp_path / "gone")})
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing to change\n", "")


def activate(virtualenv: Path, home: Path, *, path: str = "") -> subprocess.CompletedProcess[str]:
    """Source bin/activate in a bash of its own that ends at the first error."""
    return subprocess.run(
        ["bash", "-euc", '. "$1/bin/activate"; echo "$VIRTUAL_ENV"', "bash", str(virtualenv)],
        env={"HOME": str(home), "PATH": path or os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def eventually(server: RecordingServer, count: int) -> None:
    """Wait for registrations that come from the background."""
    end = time.monotonic() + 20
    while len(server.requests) < count:
        assert time.monotonic() < end, "nothing was registered"
        time.sleep(0.02)


def test_activation_registers_by_itself(tmp_path: Path, shop: Path, server: RecordingServer) -> None:
    """From the hook in a nested namespace to the server, with what was configured when it was made."""
    end = "import invoke\nns = invoke.Collection()\nns.add_collection(collection(fleet), name='env')\n"
    work = tmp_path / "our work"
    fabfile(work, end=end)
    before = (shop / "bin/activate").read_bytes()
    env = {"VIRTUAL_ENV": str(shop), "DIFIO_URL": server.url, "DIFIO_USER_ID": "7", "DIFIO_UUID": "it's mine"}
    done = run_fab(work, "env.register_hook", env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "changed", f"{shop}/bin/envfab-register", "changed", f"{shop}/bin/postactivate", "changed", f"{shop}/bin/activate",
    ]  # fmt: skip
    assert run_fab(work, "env.register_hook", env=env).stdout == "nothing to change\n"
    active = activate(shop, tmp_path)
    assert (active.returncode, active.stdout, active.stderr) == (0, f"{shop}\n", "")
    eventually(server, 1)
    assert (server.requests[0].data["app_uuid"], server.requests[0].data["user_id"]) == ("it's mine", 7)
    assert server.requests[0].installed == {"Typing_Extensions": "4.12.2"}
    done = run_fab(work, "env.register_hook", "--remove", env={"VIRTUAL_ENV": str(shop)})
    assert done.returncode == 0, done.stderr
    assert (shop / "bin/activate").read_bytes() == before
    assert not (shop / "bin/postactivate").exists()
    assert not (shop / "bin/envfab-register").exists()


def test_activation_does_not_wait_for_a_slow_server(tmp_path: Path, shop: Path, server: RecordingServer) -> None:
    """The shell goes on at once while the server is still silent."""
    server.answer = server.slow
    fabfile(tmp_path / "work", "", f"Difio({server.url!r})")
    run_fab(tmp_path / "work", "register_hook", env={"VIRTUAL_ENV": str(shop)})
    began = time.monotonic()
    active = activate(shop, tmp_path)
    took = time.monotonic() - began
    assert (active.returncode, active.stdout, active.stderr) == (0, f"{shop}\n", "")
    assert took < 2
    eventually(server, 1)


def test_the_global_hook(tmp_path: Path, shop: Path, server: RecordingServer) -> None:
    """`--workon` hooks into virtualenvwrapper's folder; what describes one virtualenv is not written there."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    fabfile(tmp_path / "work", "", f"Difio({server.url!r})")
    env = {"WORKON_HOME": str(hooks), "DIFIO_UUID": "one for all", "DIFIO_USER_ID": "7"}
    assert run_fab(tmp_path / "work", "register_hook", "--workon", env=env).returncode == 0
    subprocess.run(
        ["bash", "-euc", '. "$1/bin/activate"; . "$2/postactivate"', "bash", str(shop), str(hooks)],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        check=True,
    )
    eventually(server, 1)
    assert server.requests[0].data["app_uuid"] != "one for all"
    assert server.requests[0].data["user_id"] == 7
    assert run_fab(tmp_path / "work", "register_hook", "--workon", "--remove", env=env).returncode == 0
    assert not list(hooks.iterdir())


def test_cron_registers_the_fleet(tmp_path: Path, shop: Path, server: RecordingServer) -> None:
    """The line in the crontab, run as cron does, registers the fleet from the fabfile's folder."""
    cron = FakeCrontab(tmp_path / "cron")
    cron.text = "0 1 * * * mine\n"
    env = {"PATH": f"{cron.folder}:{os.environ['PATH']}"}
    work = tmp_path / "100% ours"
    fabfile(work, localhost(shop), f"Difio({server.url!r})")
    config = tmp_path / "ssh config"
    config.write_text("")
    arguments = ("-S", str(config), "register_hook", "--cron", "--schedule", "@hourly")
    assert run_fab(work, *arguments, env=env).stdout == "the crontab was changed\n"
    assert run_fab(work, *arguments, env=env).stdout == "the crontab needs no change\n"
    assert cron.writes == 1
    mine, ours = cron.text.splitlines()
    assert mine == "0 1 * * * mine"
    assert ours.startswith("@hourly cd ")
    assert f"-S '{config}' register >/dev/null" in ours
    command = ours.removeprefix("@hourly ").replace(r"\%", "%")
    subprocess.run(["/bin/sh", "-c", command], env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True)
    assert server.names() == ["shop"]
    assert run_fab(work, "register_hook", "--cron", "--remove", env=env).stdout == "the crontab was changed\n"
    assert cron.text == "0 1 * * * mine\n"


def test_cron_registers_a_virtualenv_without_a_fleet(tmp_path: Path, shop: Path, server: RecordingServer) -> None:
    """A collection without hosts means the active virtualenv here too, with all its variables."""
    cron = FakeCrontab(tmp_path / "cron")
    env = {"PATH": f"{cron.folder}:{os.environ['PATH']}", "VIRTUAL_ENV": str(shop)}
    variables = {"DIFIO_URL": server.url, "DIFIO_APP_NAME": "my shop"}
    fabfile(tmp_path / "work")
    done = run_fab(tmp_path / "work", "register_hook", "--cron", env=env | variables)
    assert (done.returncode, done.stderr) == (0, "")
    command = cron.text.split(" ", 5)[5]
    subprocess.run(["/bin/sh", "-c", command], env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True)
    assert server.names() == ["my shop"]
    assert run_fab(tmp_path / "work", "register_hook", "--cron", "--remove", env=env).returncode == 0
    assert not cron.exists
