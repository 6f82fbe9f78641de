"""Going back, and who is at work meanwhile."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace, freeze


@pytest.fixture
def alpha(local: Workplace, make_virtualenv: VirtualenvMaker) -> Path:
    """A virtualenv on this machine with alpha 1.9 deployed, and alpha 1.10 in the wheelhouse."""
    path = make_virtualenv("3.11", local.folder / "v", pip=True)
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['alpha'])])")
    local.add_made("alpha", "1.9")
    assert local.fab("deploy", "--yes").returncode == 0
    local.add_made("alpha", "1.10")
    return path


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


def cut_off(alpha: Path, step: str, **changed: Any) -> None:
    """Let the last deployment in a virtualenv's history be one that was cut off at a step."""
    history = alpha / ".envfab" / "history.jsonl"
    *lines, last = history.read_text().splitlines()
    history.write_text("".join(f"{line}\n" for line in lines))
    record = json.loads(last) | {"step": step, "ended": None, "status": None} | changed
    (alpha / ".envfab" / "journal.json").write_text(json.dumps(record))


def test_a_rollback_of_a_first_deployment_that_was_cut_off_leaves_the_virtualenv_plain(
    local: Workplace, make_virtualenv: VirtualenvMaker
) -> None:
    """Its folders were not exchanged yet, and so there is nothing to switch back to."""
    path = make_virtualenv("3.11", local.folder / "v")
    local.fabfile(
        f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['alpha'], before='kill -9 $PPID')])"
    )
    local.add_made("alpha", "1.9")
    with local.start("deploy", "--yes") as killed:
        assert killed.wait() == -9
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['alpha'])])")
    done = local.fab("rollback", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (path / ".envfab" / "journal.json").exists()
    assert not (path / "bin").is_symlink()
    assert not (path / ".envfab" / "current").is_symlink()


def test_what_was_installed_by_hand_after_a_deployment_was_cut_off_comes_back(local: Workplace, alpha: Path) -> None:
    """Before its switch the packages were as before: what is there now is what a failure leads back to."""
    assert local.fab("deploy", "--yes").returncode == 0
    cut_off(alpha, "migrate", generation=7)
    (site,) = alpha.glob("lib/python*/site-packages")
    by_hand = site / "hand-1.0.dist-info"
    by_hand.mkdir()
    (by_hand / "METADATA").write_text("Metadata-Version: 2.1\nName: hand\nVersion: 1.0\n")
    (by_hand / "RECORD").write_text("")
    local.add_made("alpha", "1.11")
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(alpha)!r}, packages=['alpha'], check='false')])",
                  settings="'check_retries': 0")  # fmt: skip
    done = local.fab("deploy", "--yes")
    assert "1 failed (as it was before)" in done.stdout, done.stdout + done.stderr
    assert freeze(alpha) == {"alpha": "1.10", "hand": "1.0"}


@pytest.mark.parametrize("task", ["deploy", "rollback"])
def test_data_files_of_a_deployment_that_was_cut_off_go(
    local: Workplace, make_virtualenv: VirtualenvMaker, task: str
) -> None:
    """They come just before the switch: the generation that stays current is not given those of the other one."""
    path = make_virtualenv("3.11", local.folder / "v")
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(path)!r}, packages=['data'])])")
    for version in ("1.0", "2.0"):
        kept = f"data-{version}.data/data/etc"
        files = {f"{kept}/conf": version, f"{kept}/only-{version}": "", "data.py": f"VERSION = {version!r}\n"}
        local.add_made("data", version, files=files)
        assert local.fab("deploy", "--yes").returncode == 0
    (path / "etc" / ".envfab.new").touch()
    # as the switch left it that brought the data files of 2, and was cut off
    cut_off(path, "switch")
    current = path / ".envfab" / "current"
    current.unlink()
    current.symlink_to("generations/1")
    if task == "deploy":
        assert local.fab("deploy", "--yes").returncode == 0
        assert sorted(file.name for file in (path / "etc").iterdir()) == ["conf", "only-2.0"]
        assert (path / "etc" / "conf").read_text() == "2.0"
    done = local.fab("rollback", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert freeze(path) == {"data": "1.0"}
    assert sorted(file.name for file in (path / "etc").iterdir()) == ["conf", "only-1.0"]
    assert (path / "etc" / "conf").read_text() == "1.0"


def test_a_rollback_leads_back_to_what_did_not_go_together(local: Workplace, alpha: Path) -> None:
    """It was no better then; a deployment that repaired it can be taken back."""
    local.add_made("gamma", "1.0", requires=["beta"])
    local.add_made("beta", "1.0")
    (gamma,) = (local.folder / "made").glob("gamma*")
    by_hand = [str(alpha / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", str(gamma)]
    subprocess.run(by_hand, check=True)
    local.fabfile(f"Host('localhost', virtualenvs=[Virtualenv({str(alpha)!r}, packages=['beta'])])")
    assert local.fab("deploy", "--yes").returncode == 0
    done = local.fab("rollback", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "beta" not in freeze(alpha)


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
        assert "is deploying to it now" in plan.stdout
        assert "interrupted" not in plan.stdout
        second = local.fab("deploy", "--yes")
        assert second.returncode == 1
        assert "another deployment is under way" in second.stdout
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
    assert "another deployment began while this one waited" in ended[str(first)][1]
    lines = (first / ".envfab" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["interrupted", "deployed"]
    assert freeze(first) == {"alpha": "2.0"}
    assert not (first / ".envfab" / "journal.json").exists()


def test_a_failed_deployment_that_stays_open_is_in_the_history(local: Workplace, alpha: Path) -> None:
    """With its error, told apart from an interrupted one, before and after the next deployment finishes it."""
    fabfile = local.folder / "fabfile.py"
    whole = fabfile.read_text()
    lost = f"rm -r {alpha}/.envfab/generations/1; false"
    fabfile.write_text(whole.replace("packages=['alpha']", f"packages=['alpha'], reload={lost!r}"))
    done = local.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "recovery failed: generation 1 is gone" in done.stdout
    assert (alpha / ".envfab" / "journal.json").exists()
    fabfile.write_text(whole)
    for _ in range(2):
        newest_first = local.json("history")["virtualenvs"][0]["deployments"]
        failed = next(one for one in newest_first if one["status"] != "deployed")
        assert failed["status"] == "failed"
        assert "recovery failed: generation 1 is gone" in failed["error"]
        assert "failed at reload" in local.fab("history").stdout
        local.fab("deploy", "--yes")
    assert [one["status"] for one in newest_first] == ["deployed", "failed", "deployed"]
    assert freeze(alpha) == {"alpha": "1.10"}


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


def test_what_is_installed_by_hand_during_a_deployment_ends_it_before_the_switch(
    local: Workplace, alpha: Path, tmp_path: Path
) -> None:
    """The journal is closed, since nothing is left to repair; the next deployment keeps what was installed."""
    hand = make_wheel(tmp_path, "hand", "1.0")
    before = f"{alpha}/bin/python -m pip install --quiet --no-index {hand}"
    fleet = f"Host('localhost', virtualenvs=[Virtualenv({str(alpha)!r}, packages=['alpha']%s)])"
    local.fabfile(fleet % f", before={before!r}")
    done = local.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "1 failed (as it was before)" in done.stdout
    assert "packages were installed or removed by hand during the deployment; deploy again" in done.stdout
    assert not (alpha / ".envfab" / "journal.json").exists()
    local.fabfile(fleet % "")
    assert local.fab("deploy", "--yes").returncode == 0
    assert set(map(str, (alpha / "lib/python3.11/site-packages").glob("*-1.*.dist-info"))) == {
        f"{alpha}/lib/python3.11/site-packages/{name}.dist-info" for name in ("alpha-1.10", "hand-1.0")
    }
