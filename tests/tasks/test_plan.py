"""`fab plan`, by the real program on this machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fab import run_fab
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel, sha256
from tests.support.workplace import Workplace

DEPLOYED = "Host('localhost', virtualenvs=[Virtualenv({venv!r}, {what})])"


@pytest.fixture(scope="module")
def shop(make_virtualenv: VirtualenvMaker, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A virtualenv with shop 1.0 and its dependency, of which a newer wheel came into the wheelhouse afterwards."""
    workplace = Workplace(tmp_path_factory.mktemp("upgrading") / "work")
    venv = make_virtualenv("3.11", workplace.folder / "venv")
    workplace.file("shop.txt", "--index-url https://me:secret@e.org/\nshop==1.0\n")
    workplace.fabfile(DEPLOYED.format(venv=str(venv), what="requirements='shop.txt'"))
    made = [make_wheel(workplace.folder / "made", "shop", "1.0", requires=["dep>=1", "other"])]
    made += [make_wheel(workplace.folder / "made", name, "1.0") for name in ("dep", "other")]
    workplace.add(*made)
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stderr + done.stdout
    workplace.add(make_wheel(workplace.folder / "made", "dep", "2.0"))
    return workplace


def test_what_is_newer_is_told_and_taken(shop: Workplace) -> None:
    """The plan is current and names the command; that command, as printed, takes it; the history carries it."""
    told = shop.fab("plan")
    assert told.returncode == 0
    line = "newer versions available: dep 2.0 (1.0 is installed); fab deploy --upgrade dep takes it"
    assert line in told.stdout
    assert "1 current" in told.stdout
    assert "warning: shop.txt: ignored: --index-url (line 1)" in told.stdout
    assert "secret" not in told.stdout
    for spelled in (["plan", "--upgrade"], ["plan:upgrade=dep"], ["plan:upgrade=true"], ["plan", "--upgrade=dep"]):
        document = shop.json(*spelled)
        (virtualenv,) = document["virtualenvs"]
        assert [(one["name"], one["version"]) for one in virtualenv["actions"]] == [("dep", "2.0")]
        assert virtualenv["upgrade"] == (["dep"] if "dep" in spelled[-1] else ["*"])
    saved = shop.folder / "saved.json"
    assert shop.fab("plan", "--upgrade", "--out", str(saved)).returncode == 0
    assert json.loads(saved.read_text())["virtualenvs"][0]["upgrade"] == ["*"]
    assert (
        "--plan cannot be combined with options that change the plan"
        in shop.fab("deploy", "--plan", str(saved), "--upgrade", "--yes").stderr
    )
    assert shop.fab("deploy", "--plan", str(saved), "--yes").returncode == 0
    (virtualenv,) = shop.json("history")["virtualenvs"]
    assert virtualenv["deployments"][0]["upgrade"] == ["*"]
    assert "\n      --upgrade\n      dep   1.0 → 2.0" in shop.fab("history", "--limit", "1").stdout
    assert shop.statuses("plan", "--upgrade") == {f"localhost:{shop.folder / 'venv'}": "current"}


def test_a_name_that_nobody_knows_is_refused(shop: Workplace) -> None:
    """In a short line, with what to do."""
    done = shop.fab("plan", "--upgrade", "depp")
    assert done.returncode == 1
    assert "--upgrade depp: it is neither required nor installed" in done.stderr


def test_locks_and_groups_are_planned(shop: Workplace, tmp_path: Path) -> None:
    """A lock as PDM writes it, and a pyproject.toml's groups, by what the fabfile chooses."""
    work = Workplace(tmp_path)
    wheel = shop.folder / "made" / "dep-2.0-py3-none-any.whl"
    work.file("pyproject.toml", '[dependency-groups]\nweb = ["dep", {include-group = "more"}]\nmore = ["other"]\n')
    work.file(
        "pylock.toml",
        'lock-version = "1.0"\ncreated-by = "pdm"\ndefault-groups = ["default"]\n[[packages]]\nname = "dep"\n'
        'version = "2.0"\nmarker = "\'default\' in dependency_groups"\n'
        f'wheels = [{{name = "{wheel.name}", url = "https://e.org/x", hashes = {{sha256 = "{sha256(wheel)}"}}}}]\n',
    )
    work.fabfile("")
    work.add(wheel, shop.folder / "made" / "other-1.0-py3-none-any.whl")
    venv = str(shop.folder / "venv")
    planned = {}
    for what in ("requirements='pylock.toml'", "requirements='pyproject.toml', groups=['web']"):
        work.fabfile(DEPLOYED.format(venv=venv, what=what))
        assert work.fab("deploy", "--only", "dep", "--yes").returncode == 0
        (virtualenv,) = work.json("plan", "--prune", "--force")["virtualenvs"]
        planned[what] = [(one["action"], one["name"]) for one in virtualenv["actions"]]
    assert list(planned.values()) == [[("remove", "other"), ("remove", "shop")], [("remove", "shop")]]
    work.fabfile(DEPLOYED.format(venv=venv, what="requirements='pylock.toml', groups=[]"))
    blocked = work.fab("plan", "--prune")
    assert blocked.returncode == 1
    assert "pylock.toml: none of its 1 package applies to this target" in blocked.stdout


def test_bad_lines_of_all_files_are_told_in_one_run(shop: Workplace, tmp_path: Path) -> None:
    """Of several virtualenvs too, and before any host is contacted."""
    work = Workplace(tmp_path)
    work.file("a.txt", "x=1\ny=2\n-e .\n")
    work.file("b.txt", "z=1\n-r a.txt\nx @ https://e.org/\n")
    venv = str(shop.folder / "venv")
    work.fabfile(
        f"Host('localhost', virtualenvs=[Virtualenv({venv!r}, requirements='a.txt'),"
        f" Virtualenv({venv + '2'!r}, requirements='b.txt')])"
    )
    done = work.fab("plan")
    assert done.returncode == 1
    places = [line.removeprefix("envfab: ").partition(" ")[0] for line in done.stderr.splitlines() if line[0] != " "]
    assert places == ["a.txt:1:", "a.txt:2:", "a.txt:3:", "b.txt:1:", "b.txt:3:"]


def test_a_wheel_that_is_not_logged_is_told_with_the_command(shop: Workplace, tmp_path: Path) -> None:
    """In the headline by its number, and where it would be needed with its path; the command is as it works."""
    work = Workplace(tmp_path)
    work.fabfile(DEPLOYED.format(venv=str(shop.folder / "venv"), what="packages=['dep', 'stray']"))
    work.add(shop.folder / "made" / "dep-2.0-py3-none-any.whl")
    make_wheel(work.folder / "wheels", "stray", "1.0", requires=["nowhere"])
    told = work.fab("plan")
    assert told.returncode == 1
    assert "1 wheel of 1 project, 1 not logged" in told.stdout
    assert "is in the wheelhouse but not logged: fab add_wheel wheels/stray-1.0-py3-none-any.whl" in told.stdout
    assert "nowhere   stray 1.0" in told.stdout
    assert work.fab("add_wheel", "wheels/stray-1.0-py3-none-any.whl").returncode == 0
    assert "not logged" not in work.fab("plan").stdout


def test_a_saved_plan_says_where_it_went(installed: Workplace) -> None:
    """On standard error, where standard output is for JSON."""
    line = "saved to my plan.json, for fab deploy --plan 'my plan.json'"
    assert installed.fab("plan", "--out", "my plan.json").stdout.splitlines()[-1] == line
    done = installed.fab("plan", "--out", "my plan.json", "--json")
    assert line in done.stderr
    assert line not in done.stdout


def test_a_plan_tells_of_packages_that_another_python_left(
    installed: Workplace, make_virtualenv: VirtualenvMaker
) -> None:
    """`bin/python` was exchanged for another minor version; deploying as the line says, it is told no more."""
    path = installed.folder / "venv"
    python = path / "bin" / "python"
    python.unlink()
    python.symlink_to(make_virtualenv.python("3.12"))
    said = "1 package is in lib/python3.11, which bin/python (Python 3.12) does not use"
    assert said in installed.fab("plan").stdout
    pip = make_virtualenv("3.12", installed.folder / "other") / "lib/python3.12/site-packages"
    shutil.copytree(pip, path / "lib/python3.12/site-packages", dirs_exist_ok=True)
    assert said in installed.fab("deploy", "--yes").stdout
    assert said not in installed.fab("plan").stdout
    assert list(path.glob("lib/python3.12/site-packages/shop.py"))


def test_files_that_two_packages_have_are_told_once(tmp_path: Path, make_virtualenv: VirtualenvMaker) -> None:
    """By the plan, which names both and the winner; the deployment tells only what no wheel of the wheelhouse has."""
    local = Workplace(tmp_path / "work")
    venv = make_virtualenv("3.11", tmp_path / "venv")
    local.fabfile(DEPLOYED.format(venv=str(venv), what="packages=['Alpha']"))
    same = {"shared/__init__.py": ""}
    alpha = local.add_made("Alpha", "1.0", files={**same, "shared/util.py": "A = 1\n", "shared/own.py": ""})
    assert local.fab("deploy", "--yes").returncode == 0
    local.add_made("beta", "1.0", files={**same, "shared/util.py": "A = 2\n"})
    local.fabfile(DEPLOYED.format(venv=str(venv), what="packages=['Alpha', 'beta']"))
    warning = "shared/util.py differs between Alpha and beta: the file of beta will be installed"
    (planned,) = local.json("plan")["virtualenvs"]
    assert planned["warnings"] == [warning]
    saved = local.folder / "saved.json"
    assert f"    warning: {warning}\n" in local.fab("plan", "--out", str(saved)).stdout
    alpha.unlink()
    told = local.fab("deploy", "--plan", str(saved), "--yes")
    assert told.returncode == 0, told.stderr
    assert (told.stdout + told.stderr).count("shared/util.py") == 1
    assert local.json("plan")["virtualenvs"][0]["warnings"] == []
    assert (venv / "lib/python3.11/site-packages/shared/util.py").read_text() == "A = 2\n"


def test_of_what_is_not_in_the_wheelhouse_the_deployment_tells(
    tmp_path: Path, make_virtualenv: VirtualenvMaker
) -> None:
    """Nothing can be known of it before."""
    local = Workplace(tmp_path / "work")
    venv = make_virtualenv("3.11", tmp_path / "venv", pip=True)
    wheel = make_wheel(tmp_path, "alpha", "1.0", files={"shared.py": "A = 1\n"})
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "-q", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    local.fabfile(DEPLOYED.format(venv=str(venv), what="packages=['beta']"))
    local.add_made("beta", "1.0", files={"shared.py": "A = 2\n"})
    assert local.json("plan")["virtualenvs"][0]["warnings"] == []
    told = local.fab("deploy", "--yes")
    assert told.returncode == 0
    assert "shared.py" in told.stderr


def test_verbose_tells_the_size_of_the_store(shop: Workplace) -> None:
    """In a line, and in JSON; without it nothing is asked for it."""
    line = re.compile(r"^root@localhost: store of \d wheels, 0\.0 MB$", re.MULTILINE)
    assert line.search(shop.fab("plan", "-v").stdout)
    assert line.search(shop.fab("plan:verbose=true").stdout)
    assert not line.search(shop.fab("plan").stdout)
    (store,) = shop.json("plan", "--verbose")["stores"]
    assert (store["host"], store["user"], store["error"]) == ("localhost", "root", None)
    assert store["bytes"] > 100
    assert "stores" not in shop.json("plan")


def test_verbose_tells_where_bytecode_is_compiled(installed: Workplace, make_virtualenv: VirtualenvMaker) -> None:
    """For each kind of interpreter that gets wheels: by which program, or on each host."""
    older = make_virtualenv("3.8", installed.folder / "older")
    installed.fabfile(
        f"Host('localhost', virtualenvs=[Virtualenv({str(installed.folder / 'venv')!r}, packages=['shop==1.0']),"
        f" Virtualenv({str(older)!r}, packages=['shop'])])"
    )
    here, there = (
        "is compiled on this machine by ",
        "is compiled on each host, since this machine has no such interpreter",
    )
    told = installed.fab("plan", "-v").stdout
    # only where something is installed; where 3.8 is found on PATH or by pyenv, it compiles here
    assert "bytecode for CPython 3.11" not in told
    assert f"bytecode for CPython 3.8 {here}" in told or f"bytecode for CPython 3.8 {there}" in told
    env = {"PATH": "/usr/sbin:/sbin", "PYENV_ROOT": "/nonexistent"}
    told = run_fab(installed.folder, "plan", "-v", env=env).stdout
    assert f"bytecode for CPython 3.8 {there}" in told
    (one,) = json.loads(run_fab(installed.folder, "plan", "-v", "--json", env=env).stdout)["compilers"]
    assert one == {"python": "CPython 3.8", "program": None}
    told = installed.fab("plan", "-v", "--reinstall", "shop").stdout
    assert f"bytecode for CPython 3.11 {here}{sys.executable}" in told
