"""Virtualenvs that envfab 1 deployed to, in place, are taken over, whatever state it left them in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze

FILES = {f"alpha/{name}.py": f"NAME = {name!r}\n" for name in ("__init__", "one", "two")}


@pytest.fixture
def alpha(local: Workplace, make_virtualenv: VirtualenvMaker) -> Path:
    """A plain virtualenv with alpha 1.9 installed in place and a history of envfab 1; alpha 1.10 is in the wheelhouse."""
    path = make_virtualenv("3.11", local.folder / "v")
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['alpha'])])")
    local.add_made("alpha", "1.9", files=FILES)
    assert local.fab("deploy", "--yes").returncode == 0
    assert local.fab("release_virtualenv", "--yes").returncode == 0
    history = path / ".envfab" / "history.jsonl"
    history.write_text("".join(json.dumps(as_envfab_1_wrote(line)) + "\n" for line in history.read_text().splitlines()))
    (path / ".envfab" / "wheels").mkdir()
    (path / ".envfab" / "wheels" / ("0" * 64 + ".alpha-1.9-py3-none-any.whl")).touch()
    local.add_made("alpha", "1.10", files=FILES)
    return path


def as_envfab_1_wrote(line: str, **changed: Any) -> dict[str, Any]:
    """A record without what came with generations."""
    record = json.loads(line)
    return {key: record[key] for key in record if key not in ("generation", "previous", "lingering")} | changed


def test_a_virtualenv_of_envfab_1_gets_its_generations(local: Workplace, alpha: Path) -> None:
    """The plan says so; what it kept to go back to is not needed any more; a rollback leads to what was there."""
    plan = local.fab("plan")
    assert "move into .envfab" in plan.stdout
    assert local.fab("deploy", "--yes").returncode == 0
    assert freeze(alpha) == {"alpha": "1.10"}
    assert not (alpha / ".envfab" / "wheels").exists()
    assert "move into .envfab" not in local.fab("plan").stdout
    assert local.fab("rollback", "--yes").returncode == 0
    assert freeze(alpha) == {"alpha": "1.9"}
    assert local.fab("rollback", "--yes").returncode == 0
    assert freeze(alpha) == {}


def test_what_envfab_1_left_half_done_is_repaired(local: Workplace, alpha: Path) -> None:
    """Its installer was killed: files of alpha are gone, and rests lie about; the next deployment makes it whole."""
    (packages,) = alpha.glob("lib/python*/site-packages")
    (packages / "alpha" / "one.py").unlink()
    (packages / "~lpha").mkdir()
    last = (alpha / ".envfab" / "history.jsonl").read_text().splitlines()[-1]
    journal = as_envfab_1_wrote(last, step="install", status=None, ended=None, deployment="20261101-120000-aaaa.1")
    (alpha / ".envfab" / "journal.json").write_text(json.dumps(journal))
    (local.folder / "wheels" / "alpha-1.10-py3-none-any.whl").unlink()
    plan = local.fab("plan")
    assert "was interrupted at install" in plan.stdout
    done = local.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert freeze(alpha) == {"alpha": "1.9"}
    assert (packages / "alpha" / "one.py").is_file()
    assert not list(packages.glob("~*"))
    assert not (alpha / ".envfab" / "journal.json").exists()
    statuses = [json.loads(line)["status"] for line in (alpha / ".envfab" / "history.jsonl").read_text().splitlines()]
    assert statuses == ["deployed", "interrupted", "deployed"]
