"""What uses a virtualenv goes on working while deployments change it: servers, shells, tools that people use by hand."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.collector.test_mod_wsgi import APACHE, MODULES, SERVER, SYSTEM_PYTHON
from tests.support.pythons import NOT_INSTALLED, find_python
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace

# the second module is imported by the first request
APPLICATION = """
import json, sys
from shop import VERSION
def application(environ, start_response):
    from shop.lazy import LAZY
    start_response("200 OK", [])
    return [json.dumps([VERSION, LAZY, sys.prefix]).encode()]
"""
COMMAND = "import sys\nfrom shop import VERSION\ndef main():\n    print(VERSION, sys.prefix)\nif __name__ == '__main__': main()\n"
GUNICORN = ("gunicorn==23.0.0", "packaging==25.0")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels: three releases of shop, a site, and what people install beside it."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("0.9", "1.0", "2.0"):
        files = {
            "shop/__init__.py": f"VERSION = {version!r}\n",
            "shop/lazy.py": f"LAZY = {version!r}\n",
            "shop/wsgi.py": APPLICATION,
            "shop/cli.py": COMMAND,
        }
        make_wheel(folder, "shop", version, files=files, entry_points={"shop-version": "shop.cli:main"})
    for version in ("1.0", "2.0"):
        make_wheel(folder, "extra", version, entry_points={"extra-run": "extra:main"})
    make_wheel(folder, "other", "1.0", requires=["extra"])
    return folder


@dataclass(frozen=True, slots=True)
class Site:
    """A virtualenv of this machine that is deployed to, and used meanwhile."""

    workplace: Workplace
    path: Path
    wheels: Path

    def configure(self, options: str = "") -> None:
        """Write the fabfile."""
        one = f"Virtualenv({str(self.path)!r}, packages=['shop'], {options})"
        self.workplace.fabfile(f"Host('localhost', virtualenvs=[{one}])")

    def fab(self, *arguments: str) -> str:
        """Run a task; what it printed."""
        done = self.workplace.fab(*arguments, "--yes")
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def deploy(self, version: str) -> str:
        """Deploy a release; what that printed."""
        (wheel,) = self.wheels.glob(f"shop-{version}-*")
        self.workplace.add(wheel)
        return self.fab("deploy")

    def run(self, *command: str, **variables: str) -> str:
        """What a program prints, which must end well."""
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.workplace.folder), **variables}
        done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def uv(self, command: str, *arguments: str) -> str:
        """What `uv pip` prints, which is used by hand."""
        source = ("--no-index", "--find-links", str(self.wheels)) if command == "install" else ()
        cache = str(self.workplace.folder / "uv")
        python = str(self.path / "bin" / "python")
        return self.run(
            find_uv_bin(), "pip", command, "-q", "--python", python, *source, *arguments, UV_CACHE_DIR=cache
        )

    def installed(self) -> dict[str, str]:
        """The versions of what the virtualenv has, by uv."""
        found = json.loads(self.uv("list", "--format", "json"))
        return {one["name"]: one["version"] for one in found if one["name"] in ("shop", "extra", "other")}

    @property
    def script(self) -> str:
        """What shop's own script prints."""
        return self.run(str(self.path / "bin" / "shop-version"))

    def is_at(self, version: str) -> bool:
        """Whether the script runs this release, out of the virtualenv's own path."""
        return self.script == f"{version} {self.path}\n"


def make_site(local: Workplace, path: Path, wheels: Path, options: str = "") -> Site:
    """A site whose virtualenv has shop 0.9 and extra 1.0, installed by uv, and no generations."""
    site = Site(local, path, wheels)
    site.configure(options)
    site.uv("install", "shop==0.9", "extra==1.0")
    return site


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, make_virtualenv: VirtualenvMaker, wheels: Path) -> Site:
    """A site at release 2.0, the second that was deployed. Tests leave it as it is."""
    folder = tmp_path_factory.mktemp("deployed")
    path = make_virtualenv.shared_python()
    site = make_site(Workplace(folder / "work"), make_virtualenv(path, folder / "v"), wheels)
    site.deploy("1.0")
    site.deploy("2.0")
    return site


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def wait_until_served(port: int, version: str, path: Path) -> None:
    """Until the site answers with this release, in all that it imports, out of the virtualenv's own path."""
    deadline, said = time.monotonic() + 30, None
    while said != [version, version, str(path)]:
        assert time.monotonic() < deadline, said
        time.sleep(0.05)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
                said = json.loads(answer.read())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            continue


@dataclass(frozen=True, slots=True)
class Gunicorn:
    """Gunicorn of the site's virtualenv, and the commands that steer it."""

    site: Site
    port: int

    @property
    def pid(self) -> Path:
        """Its master's number."""
        return self.site.workplace.folder / "pid"

    @property
    def start(self) -> str:
        """The command that starts it, and returns when it has its number."""
        program = shlex.quote(str(self.site.path / "bin" / "gunicorn"))
        listening = f"-D -p {self.pid} -w 1 -b 127.0.0.1:{self.port} --graceful-timeout 2"
        return f"cd / && {program} {listening} shop.wsgi && while ! test -s {self.pid}; do sleep 0.05; done"

    @property
    def stop(self) -> str:
        """The command that ends it, and returns when it has ended."""
        # nothing may ever ask how it ended: then its number stays, and only its command line goes
        return f"p=$(cat {self.pid}); kill $p; while grep -q . /proc/$p/cmdline 2>/dev/null; do sleep 0.05; done"

    @property
    def hang_up(self) -> str:
        """The command that lets it replace its workers."""
        return f"kill -HUP $(cat {self.pid})"

    def is_served(self, version: str) -> None:
        """Wait for a release."""
        wait_until_served(self.port, version, self.site.path)


@pytest.fixture
def gunicorn(local: Workplace, tmp_path: Path, make_virtualenv: VirtualenvMaker, wheels: Path) -> Iterator[Gunicorn]:
    """Gunicorn serves shop 0.9 out of a plain virtualenv."""
    path = make_virtualenv(make_virtualenv.shared_python(), tmp_path / "v")
    site = make_site(local, path, wheels)
    site.uv("install", *(str(make_virtualenv.fetched(one)) for one in GUNICORN))
    server = Gunicorn(site, free_port())
    site.run("sh", "-c", server.start)
    yield server
    if server.pid.exists():
        site.run("sh", "-c", server.stop)


@pytest.mark.parametrize("way", ["reload", "restart, pinned"])
def test_gunicorn_serves_what_was_deployed(gunicorn: Gunicorn, way: str) -> None:
    """After the first deployment, an upgrade and a rollback, by HUP; pinned by a restart."""
    reload = gunicorn.hang_up if way == "reload" else f"{gunicorn.stop}; {gunicorn.start}"
    gunicorn.site.configure(f"reload={reload!r}, pinned={way != 'reload'}")
    gunicorn.is_served("0.9")
    for version in ("1.0", "2.0"):
        told = gunicorn.site.deploy(version)
        gunicorn.is_served(version)
        assert ("still run" in told) == (way == "reload")
    gunicorn.site.fab("rollback")
    gunicorn.is_served("1.0")


def test_a_pinned_gunicorn_that_was_only_told_to_reload_is_named(gunicorn: Gunicorn) -> None:
    """Its workers are forked from a process that belongs to the generation before, and serve that; a restart helps."""
    gunicorn.site.configure(f"reload={gunicorn.stop + '; ' + gunicorn.start!r}, pinned=True")
    gunicorn.site.deploy("1.0")
    gunicorn.is_served("1.0")
    gunicorn.site.configure(f"reload={gunicorn.hang_up + '; sleep 1'!r}, pinned=True")
    told = gunicorn.site.deploy("2.0")
    assert "processes still run the previous generation: gunicorn[" in told
    gunicorn.is_served("1.0")
    assert "processes still run the previous generation: gunicorn[" in gunicorn.site.workplace.fab("plan").stdout
    gunicorn.site.run("sh", "-c", f"{gunicorn.stop}; {gunicorn.start}")
    gunicorn.is_served("2.0")
    assert "still run" not in gunicorn.site.workplace.fab("plan").stdout


def test_mod_wsgi_serves_what_was_deployed(local: Workplace, make_virtualenv: VirtualenvMaker, wheels: Path) -> None:
    """By `python-home`; it reloads when its script is touched."""
    if not APACHE.exists() or not (MODULES / "mod_wsgi.so").exists():
        pytest.skip("install apache2 and libapache2-mod-wsgi-py3")
    if find_python(f"{sys.version_info[0]}.{sys.version_info[1]}") != SYSTEM_PYTHON.resolve():
        pytest.skip(f"{NOT_INSTALLED}of the version that runs the tests for Debian's mod_wsgi")
    with tempfile.TemporaryDirectory(prefix="envfab-t-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        program = folder / "shop.wsgi"
        program.write_text("from shop.wsgi import application\n")
        path = make_virtualenv(SYSTEM_PYTHON, folder / "v")
        site = make_site(local, path, wheels, f"reload='touch {program}'")
        (folder / "httpd.conf").write_text(
            SERVER.format(folder=folder, port=port, modules=MODULES)
            + f"<Directory {folder}>\nRequire all granted\n</Directory>\n"
            f"WSGIDaemonProcess shop python-home={path} shutdown-timeout=1\nWSGIProcessGroup shop\nWSGIScriptAlias / {program}\n"
        )
        apache = subprocess.Popen([APACHE, "-f", folder / "httpd.conf", "-DFOREGROUND"], cwd="/")
        try:
            wait_until_served(port, "0.9", path)
            site.deploy("1.0")
            wait_until_served(port, "1.0", path)
            site.deploy("2.0")
            wait_until_served(port, "2.0", path)
            site.fab("rollback")
            wait_until_served(port, "1.0", path)
        finally:
            apache.terminate()
            apache.wait(timeout=20)


@pytest.mark.parametrize("shell", ["sh", "fish", "tcsh"])
def test_an_activated_shell_has_the_virtualenv(deployed: Site, tmp_path: Path, shell: str) -> None:
    """Its own path and not that of a generation, and its programs first in PATH."""
    if shutil.which(shell) is None:
        pytest.skip(f"install {shell}")
    script = {"sh": ". {}/bin/activate", "fish": "source {}/bin/activate.fish", "tcsh": "source {}/bin/activate.csh"}
    lines = [script[shell].format(deployed.path), "echo $VIRTUAL_ENV", "shop-version", "deactivate"]
    (tmp_path / "script").write_text("\n".join(["set prompt = x", *lines] if shell == "tcsh" else lines))
    options = ["-f"] if shell == "tcsh" else []
    said = deployed.run(shell, *options, str(tmp_path / "script"), TERM="xterm")
    assert said.splitlines()[:2] == [str(deployed.path), f"2.0 {deployed.path}"]


def test_a_job_that_names_its_interpreter_by_a_relative_path_runs(deployed: Site) -> None:
    """As in crontabs: `cd /srv/shop/venv && bin/python manage.py …`."""
    said = deployed.run("sh", "-c", f"cd {deployed.path} && bin/python -m shop.cli")
    assert said == f"2.0 {deployed.path}\n"


def test_a_service_that_sees_the_virtualenv_read_only_sees_deployments(deployed: Site) -> None:
    """As under `ProtectSystem=strict`, which mounts it for the service alone."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    path = deployed.path
    program = f"touch {path}/x && exit 1; while read line; do {path}/bin/shop-version; done"
    mount = f"mount --bind {path} {path} && mount -o remount,ro,bind {path}"
    command = ["unshare", "-m", "sh", "-c", f"{mount} && {{ {program}; }}"]
    service = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert service.stdin is not None
    assert service.stdout is not None
    try:
        for version, task in (("2.0", "rollback"), ("1.0", "deploy"), ("2.0", "")):
            service.stdin.write("\n")
            service.stdin.flush()
            assert service.stdout.readline() == f"{version} {path}\n"
            if task:
                deployed.fab(task)
    finally:
        service.communicate()


def test_processes_of_an_owner_are_named_to_who_deploys_by_sudo(
    workplace: Workplace, hosts: Hosts, srv: Path, make_virtualenv: VirtualenvMaker, wheels: Path
) -> None:
    """What is deployed is the owner's, and so are the processes; whoever logs in is somebody else."""
    owner = hosts.users.shop
    path = make_virtualenv(make_virtualenv.shared_python(), srv / "v", owner=owner)
    workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, user={owner!r}, packages=['shop'])])")
    program = "import sys; print(1, flush=True); sys.stdin.read()"
    command = [str(path / "bin" / "python"), "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=owner, cwd="/") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        for version in ("1.0", "2.0"):
            workplace.add(*wheels.glob(f"shop-{version}-*"))
            told = workplace.fab("deploy", "--yes").stdout
            assert f"1 process still runs the previous generation: python[{process.pid}]" in told
        process.stdin.close()
    assert {one.lstat().st_uid for one in (path / ".envfab").rglob("*")} == {path.stat().st_uid}


MAKERS = {
    "venv": ["{python}", "-m", "venv", "--without-pip", "{path}"],
    "venv --copies": ["{python}", "-m", "venv", "--without-pip", "--copies", "{path}"],
    "venv --system-site-packages": ["{python}", "-m", "venv", "--without-pip", "--system-site-packages", "{path}"],
    "virtualenv": [sys.executable, "-m", "virtualenv", "-q", "--no-pip", "--no-setuptools", "-p", "{python}", "{path}"],
    "uv": [find_uv_bin(), "venv", "-q", "-p", "{python}", "{path}"],
}


@pytest.mark.parametrize("maker", MAKERS)
def test_what_uv_did_by_hand_is_carried_over(
    local: Workplace, tmp_path: Path, make_virtualenv: VirtualenvMaker, wheels: Path, maker: str
) -> None:
    """In virtualenvs of each kind; what it removed stays away, and older generations keep what they had."""
    path, python = tmp_path / "v", str(make_virtualenv.shared_python())
    subprocess.run([word.format(python=python, path=path) for word in MAKERS[maker]], check=True)
    site = make_site(local, path, wheels)
    site.deploy("1.0")
    assert site.is_at("1.0")
    site.uv("install", "extra==2.0", "other")
    site.deploy("2.0")
    assert site.is_at("2.0")
    assert site.installed() == {"shop": "2.0", "extra": "2.0", "other": "1.0"}
    site.uv("check")
    site.uv("uninstall", "other")
    site.fab("rollback")
    assert site.is_at("1.0")
    assert site.installed() == {"shop": "1.0", "extra": "2.0", "other": "1.0"}
    assert (path / "bin" / "extra-run").read_text().splitlines()[0].removeprefix("#!").startswith(str(path))


def test_what_pip_did_by_hand_is_carried_over(
    local: Workplace, tmp_path: Path, make_virtualenv: VirtualenvMaker, wheels: Path
) -> None:
    """Installed, upgraded and removed; it lists what is there, and finds nothing wrong."""
    site = make_site(local, make_virtualenv(make_virtualenv.shared_python(), tmp_path / "v", pip=True), wheels)
    pip = (str(site.path / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
    site.deploy("1.0")
    site.run(*pip, "install", "-q", "--no-index", "--find-links", str(wheels), "extra==2.0", "other")
    site.deploy("2.0")
    assert "No broken requirements" in site.run(*pip, "check")
    site.run(*pip, "uninstall", "-q", "-y", "other")
    listed = json.loads(site.run(*pip, "list", "--format", "json"))
    found = {one["name"]: one["version"] for one in listed}
    assert found.items() >= {"shop": "2.0", "extra": "2.0"}.items()
    assert "other" not in found


def test_venv_upgrades_one_that_was_released(
    local: Workplace, tmp_path: Path, make_virtualenv: VirtualenvMaker, wheels: Path
) -> None:
    """It refuses links in the place of folders, and has changed nothing then; the next deployment makes generations again."""
    python = make_virtualenv.shared_python()
    site = make_site(local, make_virtualenv(python, tmp_path / "v"), wheels)
    site.deploy("1.0")
    upgrade = [str(python), "-m", "venv", "--upgrade", "--without-pip", str(site.path)]
    done = subprocess.run(upgrade, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Unable to create directory" in done.stdout + done.stderr
    assert site.is_at("1.0")
    site.fab("release_virtualenv")
    site.run(*upgrade)
    assert site.is_at("1.0")
    site.deploy("2.0")
    assert site.is_at("2.0")
    assert (site.path / "bin").is_symlink()
