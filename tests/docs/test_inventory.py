"""The fabfiles of docs/inventory.md, run as they stand there."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.support.fab import run_fab

PAGE = Path(__file__).parents[2] / "docs" / "inventory.md"
ANSIBLE = {
    "_meta": {"hostvars": {"web1": {"ansible_user": "admin"}, "web2": {}}},
    "all": {"children": ["ungrouped", "web"]},
    "web": {"hosts": ["web1", "web2"]},
    "eu": {"hosts": ["web1"]},
}
FILES = {
    "ansible": {"inventory.json": json.dumps(ANSIBLE)},
    "terraform": {"bin/terraform": '#!/bin/sh\n[ "$*" = "output -json web_hosts" ] && echo \'["web1", "web2"]\'\n'},
    "csv": {
        "hosts.csv": "host,user,path,requirements\nweb1,shop,/srv/shop,shop.txt\nweb2,shop,/srv/shop,shop.txt\nweb1,news,/srv/news,news.txt\n"
    },
}
TARGETS = {
    "ansible": ["admin@web1:/srv/shop/venv %eu %web", "@web2:/srv/shop/venv %web"],
    "terraform": ["@web1:/srv/shop/venv %web", "@web2:/srv/shop/venv %web"],
    "csv": ["shop@web1:/srv/shop", "news@web1:/srv/news", "shop@web2:/srv/shop"],
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_example_lists_the_hosts_of_the_inventory(tmp_path: Path, name: str) -> None:
    """`fab targets` names every virtualenv, with its groups and users."""
    (fabfile,) = re.findall(rf"<!-- {name} -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "bin").mkdir()
    for file, content in {**FILES[name], "fabfile.py": fabfile}.items():
        (tmp_path / file).write_text(content)
        (tmp_path / file).chmod(0o755)
    done = run_fab(tmp_path, "targets", env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(TARGETS[name])
    assert all(expected in line for expected, line in zip(TARGETS[name], lines, strict=True))
