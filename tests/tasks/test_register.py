"""`fab register`, by the real program."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.dependency_track import KEY, problem, running_dependency_track
from tests.support.fab import run_fab
from tests.support.registration_server import RecordingServer, Reply
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.tasks.registration import PYTHON, SUCCESS, fabfile, localhost


def version_of(virtualenv: Path) -> str:
    """The version of its interpreter, as that tells it."""
    done = subprocess.run([virtualenv / "bin" / "python", "-V"], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def node() -> str:
    """What this machine calls itself."""
    return os.uname().nodename


def test_the_fleet_is_registered(tmp_path: Path, shop: Path, server: RecordingServer) -> None:
    """Each chosen virtualenv is one form with the documented fields, and one line of what the server said."""
    wiki = tmp_path / "wiki"
    fabfile(
        tmp_path / "work",
        localhost(shop, wiki),
        f"Difio({server.url!r}, user_id=7, token=lambda: os.environ['TOKEN'])",
    )
    done = run_fab(tmp_path / "work", f"register::{shop}", env={"TOKEN": "t0ken", "DIFIO_APP_NAME": "not for fleets"})
    assert (done.returncode, done.stdout, done.stderr) == (0, SUCCESS, "")
    (request,) = server.requests
    uuid = request.data["app_uuid"]
    assert request.data == {
        "user_id": 7,
        "app_name": "shop",
        "app_uuid": uuid,
        "app_type": f"python-{version_of(shop)}",
        "app_url": f"http://{node()}",
        "app_vendor": 1000,
        "pkg_type": 0,
        "installed": [{"n": "Typing_Extensions", "v": "4.12.2"}],
    }
    assert request.headers["authorization"] == "Bearer t0ken"
    run_fab(tmp_path / "work", f"register::{shop}", env={"TOKEN": "t0ken"})
    assert server.requests[1].data["app_uuid"] == uuid


def test_local_is_the_active_virtualenv(tmp_path: Path, shop: Path, server: RecordingServer) -> None:
    """With `--local`, and where there are no hosts; the variables describe it, as they did for the original agent."""
    variables = {
        "VIRTUAL_ENV": f"{shop}/",
        "DIFIO_URL": server.url,
        "DIFIO_USER_ID": "12",
        "DIFIO_UUID": "APP-UUID",
        "DIFIO_APP_NAME": "my shop",
        "DIFIO_APP_URL": "https://shop.example.org",
        "DIFIO_VIRTUALENV_VERSION": "20.29",
    }
    fabfile(tmp_path / "work")
    fabfile(tmp_path / "fleet", localhost(tmp_path / "other"), "Difio('http://127.0.0.1:9/', token='hush')")
    for folder, arguments in (("work", ["register"]), ("fleet", ["register", "--local"])):
        done = run_fab(tmp_path / folder, *arguments, env=variables)
        assert (done.returncode, done.stdout, done.stderr) == (0, SUCCESS, "")
    first, second = server.requests
    assert first.data == second.data
    assert first.data["app_type"].startswith(f"python-{PYTHON}.")
    assert {name: first.data[name] for name in ("user_id", "app_uuid", "app_name", "app_url")} == {
        "user_id": 12,
        "app_uuid": "APP-UUID",
        "app_name": "my shop",
        "app_url": "https://shop.example.org",
    }
    assert first.installed == {"Typing_Extensions": "4.12.2", "virtualenv": "20.29"}
    assert "authorization" not in second.headers


def test_local_has_the_uuid_of_the_fleets_target(tmp_path: Path, shop: Path, server: RecordingServer) -> None:
    """A virtualenv is one application, however it is registered."""
    fabfile(tmp_path / "work", localhost(shop), f"Difio({server.url!r})")
    run_fab(tmp_path / "work", "register")
    run_fab(tmp_path / "work", "register", "--local", env={"VIRTUAL_ENV": str(shop)})
    assert len({request.data["app_uuid"] for request in server.requests}) == 1
    assert len(server.requests) == 2


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.12"])
def test_it_is_read_by_its_own_interpreter(
    tmp_path: Path, make_virtualenv: VirtualenvMaker, server: RecordingServer, version: str
) -> None:
    """Whatever Python runs fab, type and packages are the virtualenv's; of the system's only virtualenv is named."""
    virtualenv = make_virtualenv(version, tmp_path / "shop", system_site_packages=True, pip=True)
    fabfile(tmp_path / "work", "", f"Difio({server.url!r})")
    done = run_fab(tmp_path / "work", "register", env={"VIRTUAL_ENV": str(virtualenv)})
    assert done.returncode == 0, done.stderr
    (request,) = server.requests
    assert request.data["app_type"].startswith(f"python-{version}.")
    assert request.installed.keys() - {"virtualenv"} == {"pip"}


@pytest.mark.parametrize(("codes", "status"), [((3,), 3), ((0, 3), 3), ((3, 3), 3), ((3, 4), 1), ((0, 0), 0)])
def test_the_exit_status_is_the_servers(
    tmp_path: Path, shop: Path, server: RecordingServer, codes: tuple[int, ...], status: int
) -> None:
    """Where several servers disagree about what is wrong it is 1."""
    answers = dict(enumerate(codes))
    server.answer = lambda request: Reply(
        json.dumps({"message": "said", "exit_code": answers[int(request.path[-1])]}).encode()
    )
    servers = ", ".join(f"Difio({server.url + str(number)!r})" for number in answers)
    fabfile(tmp_path / "work", localhost(shop), servers)
    done = run_fab(tmp_path / "work", "register")
    assert (done.returncode, done.stdout) == (status, "Difio: said\n" * len(codes))


def test_both_kinds_of_servers_are_named(tmp_path: Path, shop: Path, server: RecordingServer) -> None:
    """Each answer says whose it is; the document is the target's own, and the key is nowhere to be read."""
    with running_dependency_track() as track:
        track.polls = 1
        key = "lambda: open('../key').read()"
        fabfile(
            tmp_path / "work", localhost(shop), f"Difio({server.url!r}), DependencyTrack({track.url!r}, api_key={key})"
        )
        (tmp_path / "key").write_text(f"{KEY}\n")
        done = run_fab(tmp_path / "work", "register")
        name = f"{getpass.getuser()}@{node()}:{shop}"
        said = f"{SUCCESS}Dependency-Track: 1 package of {name}\n"
        assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
        assert list(track.projects) == [name]
        assert track.projects[name].components == {"Typing_Extensions": "4.12.2"}
        assert {"CPython", "OpenSSL"} <= {one["name"] for one in track.projects[name].bom["components"]}
        assert len(track.questions) == 2
        done = run_fab(tmp_path / "work", "register", "--json")
        first, second = json.loads(done.stdout)["registrations"]
        assert (first["kind"], first["processed"]) == ("Difio", None)
        assert second == {
            "target": f"{getpass.getuser()}@localhost:{shop}", "server": track.url, "kind": "Dependency-Track",
            "uuid": None, "name": name, "packages": 1, "status": "registered", "exit_code": 0,
            "message": f"1 package of {name}", "processed": True, "error": None,
        }  # fmt: skip
        assert KEY not in done.stdout + done.stderr


def test_what_dependency_track_refuses_fails_with_its_reasons(tmp_path: Path, shop: Path) -> None:
    """Exit 1; a lack of permissions says which ones are needed."""
    with running_dependency_track() as track:
        fabfile(tmp_path / "work", localhost(shop), f"DependencyTrack({track.url!r}, {KEY!r})")
        track.answer = lambda _: problem(400, "The uploaded BOM is invalid", "Schema validation failed", ["$.x: no"])
        done = run_fab(tmp_path / "work", "register")
        assert done.returncode == 1
        assert "The uploaded BOM is invalid (400): Schema validation failed; $.x: no" in done.stdout
        track.answer = lambda _: None
        track.may_create = False
        done = run_fab(tmp_path / "work", "register")
        assert done.returncode == 1
        assert "permission to create project." in done.stderr
        assert "needs the permissions BOM_UPLOAD and PROJECT_CREATION_UPLOAD" in done.stderr
        assert KEY not in done.stdout + done.stderr


def test_anything_but_an_answer_fails(tmp_path: Path, shop: Path, server: RecordingServer) -> None:
    """What came is shown on standard error, exit 1, and no secret; the next run makes up for it."""
    server.answer = lambda _: Reply(b"<html>Bad gateway", 502, {"Content-Type": "text/html"})
    url = server.url.replace("//", "//me:s3cret@")
    fabfile(tmp_path / "work", localhost(shop), f"Difio({url!r}, token='t0ken')")
    done = run_fab(tmp_path / "work", "register")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{server.url}: Communication failed: HTTP 502, text/html - <html>Bad gateway" in done.stderr
    assert "s3cret" not in done.stderr
    assert "t0ken" not in done.stderr
    assert "Traceback" not in done.stderr


def test_what_was_missed_is_made_up_for_beside_the_result(
    tmp_path: Path, shop: Path, make_virtualenv: VirtualenvMaker, server: RecordingServer
) -> None:
    """Standard output, JSON and the exit status are about what was asked for."""
    wiki = make_virtualenv(PYTHON, tmp_path / "wiki")
    fabfile(tmp_path / "work", localhost(shop, wiki), f"Difio({server.url!r})")
    server.answer = lambda _: Reply(status=503)
    assert run_fab(tmp_path / "work", "register").returncode == 1
    server.answer = lambda request: Reply(
        json.dumps(
            {"message": request.data["app_name"], "exit_code": 3 * (request.data["app_name"] == "shop")}
        ).encode()
    )
    done = run_fab(tmp_path / "work", f"register::{wiki}", "--json")
    assert done.returncode == 0, done.stderr
    assert [one["name"] for one in json.loads(done.stdout)["registrations"]] == ["wiki"]
    assert "Difio: wiki\n" in done.stderr
    assert f"sent an earlier failed registration: {getpass.getuser()}@localhost:{shop}: shop\n" in done.stderr
    assert sorted(server.names()) == ["shop", "shop", "wiki", "wiki"]


def test_a_server_that_is_down_fails(tmp_path: Path, shop: Path) -> None:
    """In one line, exit 1."""
    fabfile(tmp_path / "work", localhost(shop), "Difio('http://127.0.0.1:9/')")
    done = run_fab(tmp_path / "work", "register")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].endswith("http://127.0.0.1:9/: Communication failed: nothing listens there")


def test_what_cannot_be_reached_fails_the_run_and_no_other(tmp_path: Path, shop: Path, server: RecordingServer) -> None:
    """The rest is registered; the JSON document tells all."""
    fabfile(tmp_path / "work", localhost(tmp_path / "gone", shop), f"Difio({server.url!r})")
    done = run_fab(tmp_path / "work", "register", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["format"] == 1
    good, bad = document["registrations"]
    assert (good["status"], good["name"], good["packages"], good["exit_code"]) == ("registered", "shop", 1, 0)
    assert good["server"] == server.url
    assert (bad["status"], bad["target"].partition(":")[2]) == ("missing", str(tmp_path / "gone"))
    assert "bin/python does not exist" in bad["error"]
    assert server.names() == ["shop"]


@pytest.mark.parametrize(
    ("arguments", "env", "message"),
    [
        (["register"], {}, "no registration server is configured\n  say Fleet(registration=[Difio(URL)])"),
        (["register"], {"DIFIO_URL": "x"}, "DIFIO_URL: must be an http or https URL"),
        (
            ["register"],
            {"DIFIO_URL": "http://x/", "DIFIO_USER_ID": "me"},
            "DIFIO_USER_ID: must be a whole number, not 'me'",
        ),
        (["register", "--local"], {"DIFIO_URL": "http://x/"}, "no virtualenv is active: VIRTUAL_ENV is not set"),
        (["register:web1", "--local"], {"DIFIO_URL": "http://x/"}, "--local cannot be combined with names"),
        (["register:web7"], {"DIFIO_URL": "http://x/"}, "'web7' matches no virtualenv"),
        (["register_hook"], {}, "no registration server is configured"),
        (["register_hook"], {"DIFIO_URL": "http://x/"}, "no virtualenv is active"),
        (["register_hook", "--workon", "--cron"], {"DIFIO_URL": "http://x/"}, "exclude each other"),
        (
            ["register_hook", "--cron"],
            {"DIFIO_URL": "http://me:pw@x/"},
            "DIFIO_URL: other users of this machine could read its password",
        ),
        (["register_hook", "--cron", "--schedule", "soon"], {"DIFIO_URL": "http://x/"}, "'soon' is not a schedule"),
    ],
)
def test_what_cannot_be_meant_is_told_in_a_line(
    tmp_path: Path, arguments: list[str], env: dict[str, str], message: str
) -> None:
    """Exit 1, what is wrong and what to do, before anything is contacted."""
    fabfile(tmp_path / "work", "Host('web1', virtualenvs=[Virtualenv('/srv/shop')])")
    done = run_fab(tmp_path / "work", *arguments, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_over_ssh_with_sudo(
    tmp_path: Path, hosts: Hosts, srv: Path, make_virtualenv: VirtualenvMaker, server: RecordingServer
) -> None:
    """Many virtualenvs of one host, whoever owns them, are as many applications of the managing side's server."""
    owner = hosts.users.shop
    paths = [srv / f"venv{number}" for number in range(10)]
    for path in paths:
        make_virtualenv(PYTHON, path, owner=owner, pip=True)
    virtualenvs = ", ".join(f"Virtualenv({str(path)!r}, user={owner!r})" for path in paths)
    fabfile(
        tmp_path / "work",
        f"*[Host(name, virtualenvs=[{virtualenvs}]) for name in ('web1', 'web2')]",
        f"Difio({server.url!r}, user_id=7)",
    )
    done = run_fab(tmp_path / "work", "-S", str(hosts.config), "register")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines(keepends=True)
    assert lines[1::2] == [SUCCESS] * 20
    assert lines[::2] == [f"{owner}@{host}:{path}\n" for host in ("web1", "web2") for path in paths]
    assert sorted(server.names()) == sorted([path.name for path in paths] * 2)
    assert len({request.data["app_uuid"] for request in server.requests}) == 20
    assert all(list(request.installed) == ["pip"] for request in server.requests)
