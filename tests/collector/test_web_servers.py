"""The collector under gunicorn and uWSGI, behind nginx and below a prefix, as docs/collector.md sets it up."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from tests.collector.sending import form, registration_fields, report
from tests.support.ports import free_port
from tests.support.web_workers import BIN, gunicorn, web_server

PAGE = Path(__file__).parents[2] / "docs" / "collector.md"
TOKEN = "correct horse battery"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
WORKERS = 2
# what nginx needs beside the page's own location
NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""


def block(kind: str, containing: str) -> str:
    """The block of the page that contains a text."""
    blocks = re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [one for one in blocks if containing in one]
    return str(found)


def uwsgi(port: int) -> list[str | Path]:
    """The page's options, on another port and with fewer workers."""
    given: dict[str, str] = dict(re.findall(r"^([a-z-]+) = (\S+)$", block("ini", "[uwsgi]"), re.MULTILINE))
    given |= {"http-socket": f"127.0.0.1:{port}", "processes": str(WORKERS)}
    return [BIN / "uwsgi", *(f"--{name}={value}" if value != "true" else f"--{name}" for name, value in given.items())]


@pytest.fixture(params=["gunicorn", "uwsgi"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of the collector behind nginx, with its prefix."""
    name: str = request.param
    if not (BIN / name).exists():
        pytest.skip(f"pip install {name}")
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("install nginx")
    behind, port = free_port(), free_port()
    (tmp_path / "tokens").write_text(f"{TOKEN}\n")
    location = block("nginx", "location /envfab/").replace("127.0.0.1:8088", f"127.0.0.1:{behind}")
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=port, location=location))
    variables = {
        "ENVFAB_COLLECTOR_DATA": str(tmp_path / "data"),
        "ENVFAB_COLLECTOR_TOKEN_FILE": str(tmp_path / "tokens"),
        "ENVFAB_COLLECTOR_PROXIES": "1",
        "ENVFAB_COLLECTOR_ACCESS_LOG": "1",
    }
    with (
        web_server(gunicorn(behind, WORKERS) if name == "gunicorn" else uwsgi(behind), tmp_path, behind, **variables),
        web_server(
            [nginx, "-e", tmp_path / "nginx.log", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], tmp_path, port
        ),
    ):
        yield f"http://127.0.0.1:{port}/envfab"


def links(page: requests.Response) -> set[str]:
    """The addresses on this server that a page links to, loads, or sends forms to."""
    found = {urljoin(page.url, one) for one in re.findall(r'(?:href|src|action)="([^"]+)"', page.text)}
    return {one for one in found if urlsplit(one).netloc == urlsplit(page.url).netloc}


def test_everything_is_below_the_prefix(served: str) -> None:
    """Registrations, reports, pages and all that they link to, styles, and redirects; workers share what was stored."""
    body = form(registration_fields("u1", [("shop", "1.0")]))
    sent = requests.post(f"{served}/application/register/", data=body, headers=AUTHORIZED, timeout=60)
    assert sent.json()["exit_code"] == 0
    assert requests.post(f"{served}/reports/prog/", data=report(), timeout=60).text == "stored"
    assert requests.get(f"{served}/", timeout=60).status_code == 401
    with requests.Session() as session:
        session.headers.update(AUTHORIZED | {"Accept": "text/html"})
        page = session.get(f"{served}/", timeout=60)
        assert "shop" in page.text
        found = links(page) | links(session.get(f"{served}/applications/u1", timeout=60))
        assert len(found) > 5
        for address in found:
            assert address.startswith(f"{served}/"), address
            assert session.get(address, timeout=60).status_code == 200, address
        for _ in range(3 * WORKERS):
            assert len(session.get(f"{served}/api/applications", timeout=60).json()) == 1
        moved = session.get(f"{served}/packages", timeout=60)
        assert (moved.status_code, moved.url.startswith(f"{served}/packages")) == (200, True)
        assert (
            'envfab_collector_registrations_total{outcome="accepted"}'
            in session.get(f"{served}/metrics", timeout=60).text
        )
    assert requests.get(f"{served}/healthz", timeout=60).json() == {"status": "ok"}
