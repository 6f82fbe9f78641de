"""The collector under Apache's mod_wsgi, set up by the very lines of docs/collector.md."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

import envfab
from tests.collector.sending import form, registration_fields
from tests.support.pythons import NOT_INSTALLED, find_python
from tests.support.virtualenvs import VirtualenvMaker

PAGE = Path(__file__).parents[2] / "docs" / "collector.md"
MODULES = Path("/usr/lib/apache2/modules")
APACHE = Path("/usr/sbin/apache2")
SYSTEM_PYTHON = Path("/usr/bin/python3")
# what a web server that does nothing else needs, before the page's own lines
SERVER = """
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/pid
ErrorLog {folder}/error.log
User www-data
Group www-data
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
WSGISocketPrefix {folder}/wsgi
"""
TOKEN = "correct horse"


def block(kind: str) -> str:
    """The page's lines of a kind about mod_wsgi."""
    section = PAGE.read_text(encoding="utf-8").partition("### mod_wsgi")[2]
    found = re.search(rf"```{kind}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def furnish(virtualenv: Path) -> None:
    """Put envfab, and what the tests run with, into a virtualenv that another user can read."""
    (packages,) = virtualenv.glob("lib/python*/site-packages")
    ours = Path(sysconfig.get_path("purelib"))
    skip = shutil.ignore_patterns(
        "pip*", "uv*", "mypy*", "ruff*", "tests", "*.pth", "envfab*", "pytest*", "hypothesis*"
    )
    shutil.copytree(ours, packages, dirs_exist_ok=True, ignore=skip)
    shutil.copytree(Path(envfab.__file__).parent, packages / "envfab", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture
def served(make_virtualenv: VirtualenvMaker) -> Iterator[str]:
    """The address of Apache with the page's configuration, below a folder in the place of /srv and /etc."""
    if not APACHE.exists() or not (MODULES / "mod_wsgi.so").exists():
        pytest.skip("install apache2 and libapache2-mod-wsgi-py3")
    if find_python(f"{sys.version_info[0]}.{sys.version_info[1]}") != SYSTEM_PYTHON.resolve():
        pytest.skip(f"{NOT_INSTALLED}of the version that runs the tests for Debian's mod_wsgi")
    with tempfile.TemporaryDirectory(prefix="envfab-t-") as name, socket.create_server(("127.0.0.1", 0)) as taken:
        folder, port = Path(name), taken.getsockname()[1]
        taken.close()
        (folder / "collector" / "data").mkdir(parents=True)
        furnish(make_virtualenv(SYSTEM_PYTHON, folder / "collector" / "venv"))
        (folder / "tokens").write_text(f"{TOKEN}\n")
        there = {"/srv/collector": f"{folder}/collector", "/etc/collector/tokens": f"{folder}/tokens"}
        texts = {kind: block(kind) for kind in ("python", "apache")}
        for old, new in there.items():
            texts = {kind: text.replace(old, new) for kind, text in texts.items()}
        (folder / "collector" / "application.wsgi").write_text(texts["python"])
        allow = f"<Directory {folder}/collector>\nRequire all granted\n</Directory>\n"
        (folder / "httpd.conf").write_text(
            SERVER.format(folder=folder, port=port, modules=MODULES) + allow + texts["apache"]
        )
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                shutil.chown(path, "www-data", "www-data")
        folder.chmod(0o755)
        apache = subprocess.Popen([APACHE, "-f", folder / "httpd.conf", "-DFOREGROUND"], cwd="/")
        try:
            yield f"http://127.0.0.1:{port}"
            print((folder / "error.log").read_text())  # shown beside a failure
        finally:
            apache.terminate()
            apache.wait(timeout=20)


def test_the_documented_configuration_serves_pages_and_takes_registrations(served: str) -> None:
    """With the token that Apache passes on, and not without."""
    deadline = time.monotonic() + 30
    while True:
        try:
            # the first request loads the program
            answer = requests.get(f"{served}/api/applications", timeout=90)
            break
        except requests.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert answer.status_code == 401
    authorized = {"Authorization": f"Bearer {TOKEN}"}
    assert requests.get(f"{served}/api/applications", headers=authorized, timeout=90).json() == []
    body = form(registration_fields("u1", [("shop", "1.0")]))
    sent = requests.post(f"{served}/application/register/", data=body, headers=authorized, timeout=90)
    assert sent.json()["exit_code"] == 0
    assert "shop" in requests.get(f"{served}/packages", auth=("me", TOKEN), timeout=90).text
