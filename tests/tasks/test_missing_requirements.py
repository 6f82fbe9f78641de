"""A requirements file that does not exist: it is the concern of plans for the virtualenvs that name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.requirements_files import read_requirements
from envfab.errors import RequirementsError
from tests.support.workplace import Workplace


def test_the_file_and_whose_it_is_are_named(tmp_path: Path) -> None:
    """As it was looked for; other virtualenvs' requirements are read."""
    (tmp_path / "fine.txt").write_text("shop\n")
    hosts = [
        Host("web1", virtualenvs=[Virtualenv("/srv/a", requirements="shop.txt")]),
        Host("web2", virtualenvs=[Virtualenv("/srv/b", requirements="fine.txt")]),
    ]
    members = Fleet(hosts=hosts, root=tmp_path).members(lambda _host: "shop")
    fleet = Fleet(hosts=hosts, root=tmp_path)
    with pytest.raises(RequirementsError) as told:
        read_requirements(fleet, members)
    assert str(told.value) == (
        f"Virtualenv.requirements of web1:/srv/a: the requirements file {tmp_path}/shop.txt does not exist\n"
        "  relative paths start at the folder of the file that makes the Fleet"
    )
    assert len(read_requirements(fleet, members[1:])) == 1


def test_tasks_that_read_no_requirements_work(installed: Workplace) -> None:
    """History and rollback above all: a file that is missing must not keep one from going back."""
    (installed.folder / "shop.txt").unlink()
    refused = installed.fab("plan")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("envfab: Virtualenv.requirements of localhost:")
    assert "the requirements file" in refused.stderr
    for task in (["history"], ["targets"], ["rollback", "--yes"], ["clean"]):
        done = installed.fab(*task)
        assert done.returncode == 0, (task, done.stderr)
