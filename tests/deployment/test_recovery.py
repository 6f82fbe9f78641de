"""Going back from an installer that died half-way, from what the virtualenv was left as and not from what it was."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze

# pip as it is, but where `strike` lies beside it: then it does what that says to the packages, once, and is killed
STRUCK = """
import os, pathlib, runpy, signal
packages = pathlib.Path(__file__).parent.parent
strike = packages / "pip" / "strike"
if strike.exists():
    text = strike.read_text()
    strike.unlink()
    exec(text)
    os.kill(os.getpid(), signal.SIGKILL)
runpy.run_path(str(packages / "pip" / "original.py"), run_name="__main__")
"""
FILES = {f"alpha/{name}.py": f"NAME = {name!r}\n" for name in ("__init__", "one", "two", "three")}
TAKEN_AWAY = "for name in ('one', 'two'): (packages / 'alpha' / f'{name}.py').unlink()"
RESTS = """
import shutil
shutil.copytree(packages / "alpha", packages / "~lpha")
shutil.copytree(packages / "alpha-1.9.dist-info", packages / "~lpha-1.9.dist-info")
shutil.copytree(packages / "alpha-1.9.dist-info", packages / "alpha-1.10.dist-info")
metadata = packages / "alpha-1.10.dist-info" / "METADATA"
metadata.write_text(metadata.read_text().replace("1.9", "1.10"))
"""


@pytest.fixture
def alpha(local: Workplace, make_virtualenv: VirtualenvMaker) -> Path:
    """A virtualenv on this machine with alpha 1.9 deployed, alpha 1.10 in the wheelhouse, and a pip that can be struck."""
    path = make_virtualenv("3.11", local.folder / "v")
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['alpha'])])")
    local.add_made("alpha", "1.9", files=FILES)
    assert local.fab("deploy", "--yes").returncode == 0
    local.add_made("alpha", "1.10", files=FILES)
    (packages,) = path.glob("lib/python*/site-packages")
    (packages / "pip" / "__main__.py").rename(packages / "pip" / "original.py")
    (packages / "pip" / "__main__.py").write_text(STRUCK)
    return path


def struck(path: Path, text: str) -> Path:
    """Let the next call of pip do what `text` says, and die; the folder of the packages."""
    (packages,) = path.glob("lib/python*/site-packages")
    (packages / "pip" / "strike").write_text(text)
    return packages


@pytest.mark.parametrize("options", [[], ["--reinstall", "alpha", "--only", "alpha"]], ids=["upgrade", "reinstall"])
def test_files_that_are_gone_come_back(local: Workplace, alpha: Path, options: list[str]) -> None:
    """The version being right is not enough: what the deployment touched is whole again before the journal is closed."""
    packages = struck(alpha, TAKEN_AWAY)
    assert local.statuses("deploy", "--yes", *options, status=1) == {f"localhost:{alpha}": "rolled-back"}
    assert freeze(alpha) == {"alpha": "1.9"}
    assert {path.name for path in (packages / "alpha").glob("*.py")} == {"__init__.py", "one.py", "two.py", "three.py"}
    assert not (alpha / ".envfab" / "journal.json").exists()


def test_rests_are_cleared_away(local: Workplace, alpha: Path) -> None:
    """What the installer left while it died is seen, though nothing of it was there when the plan was made."""
    packages = struck(alpha, RESTS)
    assert local.statuses("deploy", "--yes", status=1) == {f"localhost:{alpha}": "rolled-back"}
    assert sorted(path.name for path in packages.glob("*lpha*")) == ["alpha", "alpha-1.9.dist-info"]


def test_what_cannot_be_made_whole_stays_open(local: Workplace, alpha: Path) -> None:
    """An installer that dies again while it goes back: `failed`, and the next deployment repairs it."""
    packages = struck(alpha, f"{TAKEN_AWAY}\nstrike.write_text('pass')")
    done = local.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "going back failed" in done.stdout
    assert (alpha / ".envfab" / "journal.json").exists()
    assert local.fab("deploy", "--yes").returncode == 0
    assert freeze(alpha) == {"alpha": "1.10"}
    assert (packages / "alpha" / "one.py").exists()


def test_a_rollback_passes_over_what_changed_no_version(local: Workplace, alpha: Path) -> None:
    """Repairs lie between: `fab rollback` goes back to before the last deployment that brought another version."""
    assert local.fab("deploy", "--yes").returncode == 0
    for _ in range(2):
        assert local.fab("deploy", "--yes", "--reinstall", "alpha").returncode == 0
    done = local.fab("rollback", "--yes")
    assert done.returncode == 0, done.stderr
    assert freeze(alpha) == {"alpha": "1.9"}
    assert local.fab("rollback", "--yes").returncode == 0
    assert freeze(alpha) == {}
    assert "there is no deployment to roll back" in local.fab("rollback", "--yes").stdout


def test_who_is_at_work_is_not_called_interrupted(local: Workplace, make_virtualenv: VirtualenvMaker) -> None:
    """A plan that is made meanwhile tells who deploys; there is something to do until that is over."""
    path = make_virtualenv("3.11", local.folder / "v")
    hold = local.folder / "hold"
    local.fabfile(
        f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['alpha'],"
        f" check='while test -e {hold}; do sleep 0.05; done')])"
    )
    local.add_made("alpha", "1.0")
    hold.touch()
    deploying = local.start("deploy", "--yes", stderr=subprocess.PIPE)
    try:
        assert deploying.stderr is not None
        next(line for line in deploying.stderr if "checking" in line)
        plan = local.fab("plan", "--check")
        assert plan.returncode == 2
        assert "is deploying to it at this moment" in plan.stdout
        assert "interrupted" not in plan.stdout
        second = local.fab("deploy", "--yes")
        assert second.returncode == 1
        assert "another deployment is at work here" in second.stdout
        assert "--wait SECONDS" in second.stdout
    finally:
        hold.unlink()
        deploying.communicate(timeout=60)
    assert deploying.returncode == 0
    assert local.fab("plan", "--check").returncode == 0


def test_who_comes_in_between_is_not_written_over(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """Five virtualenvs of a host share its reload, and their agents its connection: meanwhile one is deployed to.

    Whoever did that filed the first deployment as interrupted. The first one finds that out, and touches nothing.
    """
    srv.chmod(0o777)
    admin = hosts.users.admin
    first = make_virtualenv("3.11", srv / "v0", owner=admin)
    made = [first, *(make_virtualenv("3.11", srv / f"v{number}", owner=admin) for number in range(1, 5))]
    listed = ", ".join(f"Virtualenv({str(path)!r}, packages=['alpha'], check='true')" for path in made)
    reload = f"touch {srv}/reloading; while test -e {srv}/hold; do sleep 0.05; done"
    workplace.fabfile(f"Host('web1', user={admin!r}, reload={reload!r}, reload_once=True, virtualenvs=[{listed}])")
    workplace.add_made("alpha", "1.0")
    other = Workplace(workplace.folder.parent / "other", hosts)
    other.fabfile(f"Host('web1', user={admin!r}, virtualenvs=[Virtualenv({str(first)!r}, packages=['alpha'])])")
    other.add_made("alpha", "2.0")
    (srv / "hold").touch()
    deploying = workplace.start("deploy", "--yes", "--json", stdout=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while not (srv / "reloading").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        done = other.fab("deploy", "--yes")
        assert done.returncode == 0, done.stdout
    finally:
        (srv / "hold").unlink()
        said, _ = deploying.communicate(timeout=60)
    assert deploying.returncode == 1
    ended = {one["path"]: (one["status"], one["error"]) for one in json.loads(said)["virtualenvs"]}
    assert [ended[str(path)][0] for path in made] == ["failed", *["deployed"] * 4]
    assert "another deployment came in between" in ended[str(first)][1]
    lines = (first / ".envfab" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["interrupted", "deployed"]
    assert freeze(first) == {"alpha": "2.0"}
    assert not (first / ".envfab" / "journal.json").exists()


# what pip leaves of a wheel whose dist-info comes first, where it is killed (or refuses, or is out of inodes) half-way
HALF_UNPACKED = """
info = packages / "beta-1.0.dist-info"
info.mkdir()
(info / "METADATA").write_text("Metadata-Version: 2.1\\nName: beta\\nVersion: 1.0\\n")
(info / "INSTALLER").write_text("pip\\n")
(packages / "beta.py").write_text(BETA)
"""
BETA = "VERSION = '1.0'\n" * 50


@pytest.mark.parametrize("cut", [len(BETA), 10], ids=["whole", "cut"])
def test_a_new_package_that_was_half_unpacked_goes(
    local: Workplace, make_virtualenv: VirtualenvMaker, cut: int
) -> None:
    """A new package without RECORD yet is neither there nor importable once the deployment counts as rolled back."""
    path = make_virtualenv("3.11", local.folder / "v")
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['beta'])])")
    local.add_made("beta", "1.0", files={"beta.py": BETA})
    (packages,) = path.glob("lib/python*/site-packages")
    (packages / "pip" / "__main__.py").rename(packages / "pip" / "original.py")
    (packages / "pip" / "__main__.py").write_text(STRUCK)
    struck(path, f"BETA = {BETA[:cut]!r}\n{HALF_UNPACKED}")
    assert local.statuses("deploy", "--yes", status=1) == {f"localhost:{path}": "rolled-back"}
    assert list(packages.glob("*beta*")) == []


def test_a_failed_deployment_that_stays_open_is_in_the_history(local: Workplace, alpha: Path) -> None:
    """With its error, told apart from an interrupted one, before and after the next deployment repairs it."""
    struck(alpha, f"{TAKEN_AWAY}\nstrike.write_text('pass')")
    assert local.fab("deploy", "--yes").returncode == 1
    error = "pip was killed by signal 9: it said nothing; going back failed: pip was killed"
    for _ in range(2):
        newest_first = local.json("history")["virtualenvs"][0]["deployments"]
        failed = next(one for one in newest_first if one["status"] != "deployed")
        assert failed["status"] == "failed"
        assert failed["error"].startswith(error), failed["error"]
        assert "failed at going back" in local.fab("history").stdout
        local.fab("deploy", "--yes")
    assert [one["status"] for one in newest_first] == ["deployed", "failed", "deployed"]


def test_a_deployment_is_in_the_history_from_its_journal_on(local: Workplace, make_virtualenv: VirtualenvMaker) -> None:
    """It is under way, and once whoever deployed was killed it was interrupted; it stays so in the history."""
    path = make_virtualenv("3.11", local.folder / "v")
    hold = local.folder / "hold"
    local.fabfile(
        f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['alpha'],"
        f" check='while test -e {hold}; do sleep 0.05; done')])"
    )
    local.add_made("alpha", "1.0")
    hold.touch()
    deploying = local.start("deploy", "--yes", stderr=subprocess.PIPE)
    try:
        assert deploying.stderr is not None
        next(line for line in deploying.stderr if "checking" in line)
        assert "under way at check" in local.fab("history").stdout
    finally:
        deploying.kill()
        deploying.communicate(timeout=30)
        hold.unlink()
    deadline = time.monotonic() + 20
    while "under way" in (shown := local.fab("history").stdout) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "interrupted at check" in shown
    assert "alpha   - → 1.0" in shown
    assert local.fab("deploy", "--yes").returncode == 0
    document = local.json("history")["virtualenvs"][0]
    assert [one["status"] for one in document["deployments"]] == ["deployed", "interrupted"]
