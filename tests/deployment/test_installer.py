"""Which installer a deployment takes, and deployments by uv from end to end."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from envfab.deployment.installer import OWN_PIP, choose
from envfab.planning.plan import Missing
from envfab.planning.planner import plan
from tests.planning.catalogue import DictCatalogue, probe, requirements
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace, freeze

SHOP = {"shop/__init__.py": "SHOP = 1\n", "shop/views.py": "VIEW = 1\n"}


def virtualenvs(workplace: Workplace, settings: str, owner: str, *paths: Path) -> None:
    """A fleet of virtualenvs on web1 that want shop."""
    listed = ", ".join(f"Virtualenv({str(path)!r}, user={owner!r}, packages=['shop'])" for path in paths)
    workplace.fabfile(f"Host('web1', virtualenvs=[{listed}])", settings)


def site_packages(path: Path) -> Path:
    """Where a virtualenv's packages lie."""
    return next(path.glob("lib/python*/site-packages"))


def test_auto_takes_uv_where_it_fits_and_pip_elsewhere(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path, uv_wheel: Path
) -> None:
    """One deployment of a Python that uv knows, also without pip, and of one that is too old for it; each plan says which."""
    owner = hosts.users.shop
    bare = make_virtualenv("3.13", srv / "bare", owner=owner, pip=False)
    new = make_virtualenv("3.8", srv / "new", owner=owner)
    old = make_virtualenv("3.7", srv / "old", owner=owner)
    virtualenvs(workplace, "'installer': 'auto'", owner, bare, new, old)
    workplace.add_made("shop", "1.0", files=SHOP)
    assert {one.get("installer") for one in workplace.json("plan", "--name", f":{new}")["virtualenvs"]} == {"pip"}
    workplace.add(uv_wheel)
    planned = {one["path"]: one["installer"] for one in workplace.json("plan")["virtualenvs"]}
    version = uv_wheel.name.split("-")[1]
    assert planned == {str(bare): f"uv {version}", str(new): f"uv {version}", str(old): "pip"}
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"CPython 3.13.0 · 0 packages · uv {version}" in done.stdout
    written = [
        (site_packages(path) / "shop-1.0.dist-info" / "INSTALLER").read_text().strip() for path in (bare, new, old)
    ]
    assert written == ["uv", "uv", "pip"]
    assert freeze(new) == freeze(old) == {"shop": "1.0"}
    assert {path.owner() for path in site_packages(bare).rglob("*")} == {owner}
    assert workplace.fab("plan", "--check").returncode == 0
    assert workplace.fab("rollback", "--yes").returncode == 0
    assert [path.name for path in site_packages(bare).glob("shop*")] == []
    assert freeze(new) == freeze(old) == {}


def test_uv_where_the_wheelhouse_has_none_or_the_python_is_too_old(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path, uv_wheel: Path
) -> None:
    """Whoever asks for uv and nothing else gets a blocked plan that says why."""
    new = make_virtualenv("3.8", srv / "new", owner=hosts.users.shop)
    old = make_virtualenv("3.7", srv / "old", owner=hosts.users.shop)
    virtualenvs(workplace, "'installer': 'uv'", hosts.users.shop, new, old)
    workplace.add_made("shop", "1.0")
    assert workplace.statuses("plan", status=1) == {f"web1:{new}": "blocked", f"web1:{old}": "blocked"}
    shown = workplace.fab("plan").stdout
    assert "the wheelhouse has no uv wheel that fits it" in shown
    assert "uv needs CPython 3.8 or newer" in shown
    workplace.add(uv_wheel)
    assert workplace.statuses("plan", status=1) == {f"web1:{new}": "changes", f"web1:{old}": "blocked"}


def test_auto_leaves_what_has_no_list_of_files_to_pip(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path, uv_wheel: Path
) -> None:
    """An old egg-info is replaced by pip, which knows how."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.shop)
    virtualenvs(workplace, "'installer': 'auto'", hosts.users.shop, path)
    egg = site_packages(path) / "shop-0.9-py3.11.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Metadata-Version: 1.1\nName: shop\nVersion: 0.9\n")
    workplace.add(uv_wheel)
    workplace.add_made("shop", "1.0")
    assert [one["installer"] for one in workplace.json("plan")["virtualenvs"]] == ["pip"]


def test_what_was_changed_by_hand_in_one_virtualenv_is_mended_in_the_next(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path, uv_wheel: Path
) -> None:
    """The change shows in all that share the file; a deployment sees it, unpacks the wheel again, and says so."""
    owner = hosts.users.shop
    one, two = make_virtualenv("3.11", srv / "one", owner=owner), make_virtualenv("3.11", srv / "two", owner=owner)
    virtualenvs(workplace, "'installer': 'uv'", owner, one, two)
    workplace.add(uv_wheel)
    workplace.add_made("shop", "1.0", files=SHOP)
    assert workplace.fab("deploy", "--yes", "--name", f":{one}").returncode == 0
    (site_packages(one) / "shop" / "views.py").write_text("VIEW = 2\n")
    done = workplace.fab("deploy", "--yes", "--name", f":{two}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unpacking again, for files are not as RECORD says: shop" in done.stdout + done.stderr
    python = str(two / "bin" / "python")
    said = subprocess.run(
        [python, "-c", "import shop.views as v; print(v.VIEW)"], capture_output=True, text=True, check=True
    )
    assert said.stdout == "1\n"


def test_a_failed_deployment_by_uv_goes_back_by_uv(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path, uv_wheel: Path
) -> None:
    """Without any pip, too; and a saved plan is carried out with the installer of its day."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.shop, pip=False)
    virtualenvs(workplace, "'installer': 'uv'", hosts.users.shop, path)
    workplace.add(uv_wheel)
    workplace.add_made("shop", "1.0", files=SHOP, requires=["basket"])
    workplace.add_made("basket", "1.0")
    assert workplace.fab("plan", "--out", "saved.json").returncode == 0
    done = workplace.fab("deploy", "--plan", "saved.json", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    workplace.add(make_wheel(workplace.folder / "made", "shop", "2.0", requires=["basket>=2"]))
    workplace.add_made("basket", "2.0", files={"basket/__init__.py": ""})
    text = (workplace.folder / "fabfile.py").read_text()
    (workplace.folder / "fabfile.py").write_text(text.replace("packages=['shop']", "packages=['shop'], check='false'"))
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "rolled-back" in done.stdout
    there = {path.name for path in site_packages(path).glob("*.dist-info")}
    assert there == {"shop-1.0.dist-info", "basket-1.0.dist-info"}
    assert workplace.statuses("plan") == {f"web1:{path}": "changes"}


@pytest.mark.parametrize(("pip", "refused"), [("24.0", False), ("24.1", True), ("26.3", True)])
def test_a_pip_that_would_refuse_a_wheel_blocks_the_plan(pip: str, refused: bool) -> None:
    """Since 24.1 pip installs no wheel whose Requires-Dist it cannot read; that is known before anything is touched."""
    catalogue = DictCatalogue()
    catalogue.add("old==1.0", ["pytz (>dev)"])
    catalogue.add("pytz==2024.1")
    there = replace(probe(f"pip=={pip}"), pip=pip)
    made = plan(there, requirements("old"), catalogue)
    assert made.warnings == ("old 1.0: its Requires-Dist 'pytz (>dev)' is read as 'pytz (>0.0.0dev)'",)
    found = choose("pip", made.actions, there, catalogue)
    if not refused:
        assert found == OWN_PIP
        return
    assert isinstance(found, Missing)
    assert (found.requirement, found.required_by) == ("old==1.0", "requirements.txt:1")
    assert found.why.startswith(f"pip {pip}, which would install it, refuses wheels with such a Requires-Dist\n")
