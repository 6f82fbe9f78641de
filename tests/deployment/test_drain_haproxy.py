"""A site of four hosts behind a real haproxy: nobody who visits it notices deployments, since hosts are drained."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import haproxy
from tests.support.haproxy import Visitor, balancing
from tests.support.ports import free_port
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace

# starts slowly, as a real site does
SERVER = """
import http.server, os, sys, time
time.sleep(0.3)
import shop

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(shop.VERSION.encode())
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
open(sys.argv[2], "w").write(str(os.getpid()))
server.serve_forever()
"""
RESTART = (
    "pid=$(cat {pid} 2>/dev/null) && kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.02; done; rm -f {pid};"
    " nohup {venv}/bin/python {server} {port} {pid} >/dev/null 2>&1 </dev/null &"
    " until test -s {pid}; do sleep 0.02; done"
)
ROLLOUTS = 5


class Site:
    """Four hosts with a virtualenv and a web server each."""

    def __init__(self, workplace: Workplace, srv: Path, paths: list[Path]) -> None:
        self.workplace = workplace
        self.srv = srv
        self.servers = [(f"web{number}", free_port()) for number in range(1, len(paths) + 1)]
        self.paths = paths

    def configure(self, version: str, admin: Path | None) -> None:
        """Write the fabfile; without the balancer's `admin` socket, hosts are not taken out of service."""
        hosts = []
        for (name, port), path in zip(self.servers, self.paths, strict=True):
            pid = self.srv / f"{name}.pid"
            reload = RESTART.format(pid=pid, venv=path, server=self.srv / "server.py", port=port)
            check = f"{path}/bin/python -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/')\""
            drains = ""
            if admin is not None:
                command = (
                    "Command([{python!r}, {ask!r}, {admin!r}, 'set server web/{name} state {state}'], on='localhost')"
                )
                out, back = (
                    command.format(
                        python=sys.executable, ask=str(self.srv / "ask.py"), admin=str(admin), name=name, state=state
                    )
                    for state in ("drain", "ready")
                )
                drains = f"drain={out}, undrain={back}, settle=0.2, "
            hosts.append(
                f"Host({name!r}, {drains}virtualenvs=[Virtualenv({str(path)!r}, packages=['shop=={version}'],"
                f" reload={reload!r}, check={check!r})])"
            )
        self.workplace.fabfile(", ".join(hosts))

    def deploy(self) -> None:
        """Deploy to two hosts, then to the others."""
        done = self.workplace.fab("deploy", "--yes", "--batch", "2")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "4 deployed" in done.stdout

    def stop(self) -> None:
        """Stop the web servers."""
        for file in self.srv.glob("web*.pid"):
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(file.read_text()), signal.SIGTERM)


@pytest.fixture
def site(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> Iterator[Site]:
    """The site, running, with two versions to choose from."""
    if haproxy.PROGRAM is None:
        pytest.skip("haproxy is not installed")
    srv.chmod(0o777)
    (srv / "server.py").write_text(SERVER)
    (srv / "ask.py").write_text(haproxy.ASK)
    made = Site(
        workplace, srv, [make_virtualenv("3.11", srv / f"v{number}", owner=hosts.users.admin) for number in range(4)]
    )
    made.configure("1.0", None)
    for version in ("1.0", "2.0"):
        workplace.add_made("shop", version, files={"shop.py": f"VERSION = {version!r}\n"})
    try:
        made.deploy()
        yield made
    finally:
        made.stop()


def test_nobody_notices_twenty_deployments(site: Site, tmp_path: Path) -> None:
    """No request fails while all hosts are deployed to five times; without draining some do, so the test can fail."""
    with balancing(tmp_path, site.servers) as (url, admin):
        until_it_answers(url)
        with Visitor(url) as visitor:
            for number in range(ROLLOUTS):
                site.configure(("2.0", "1.0")[number % 2], admin)
                site.deploy()
        assert visitor.failures == 0, visitor.answers
        assert min(visitor.answers["1.0"], visitor.answers["2.0"]) > 50
        site.configure("1.0", None)
        with Visitor(url) as visitor:
            site.deploy()
        assert visitor.failures > 0


def until_it_answers(url: str) -> None:
    """Until the balancer knows its servers."""
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
