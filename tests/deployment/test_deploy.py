"""`fab deploy` from end to end: real sshd, real pip, several users."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

from tests.support.leftovers import files_of
from tests.support.sshd import Hosts
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace, freeze


def three_hosts(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> list[Path]:
    """Virtualenvs of user shop on web1, web2, web3, and a wheelhouse with shop 1.0 and what it needs."""
    paths = [make_virtualenv("3.11", srv / f"v{number}", owner=hosts.users.shop) for number in (1, 2, 3)]
    listed = ", ".join(
        f"Host('web{number}', virtualenvs=[Virtualenv({str(path)!r}, user={hosts.users.shop!r}, requirements='shop.txt')])"
        for number, path in enumerate(paths, 1)
    )
    workplace.file("shop.txt", "shop  # the shop\n")
    workplace.fabfile(listed)
    workplace.add_made("Shop", "1.0", requires=["basket>=1"])
    workplace.add_made("basket", "1.2")
    return paths


def test_brings_virtualenvs_of_another_user_on_several_hosts_in_step(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """A deployment installs what is required, leaves `current` behind, and logs what came where."""
    paths = three_hosts(workplace, hosts, make_virtualenv, srv)
    assert workplace.fab("plan", "--check").returncode == 2
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "3 deployed" in done.stdout
    for path in paths:
        assert freeze(path) == {"basket": "1.2", "Shop": "1.0"}
        assert (path / "lib/python3.11/site-packages/shop.py").owner() == hosts.users.shop
    assert workplace.fab("plan", "--check").returncode == 0
    assert workplace.log.count("install: ") == 6
    assert f"install: {hosts.users.shop}@web1:{paths[0]}: shop-1.0-py3-none-any.whl at 20" in workplace.log


def test_leaves_nothing_on_the_host_but_its_folders(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """Outside the virtualenv only the owner's wheel cache remains; a plan leaves nothing at all."""
    paths = three_hosts(workplace, hosts, make_virtualenv, srv)
    before = files_of(hosts.users.uids, hosts.users.homes, apart_from=paths)
    workplace.fab("plan")
    assert files_of(hosts.users.uids, hosts.users.homes, apart_from=paths) == before
    workplace.fab("deploy", "--yes")
    new = files_of(hosts.users.uids, hosts.users.homes, apart_from=paths) - before
    cache = str(hosts.users.home(hosts.users.shop) / ".cache")
    assert [name for name in new if not name.startswith(cache)] == []
    assert {entry.name for entry in (paths[0] / ".envfab").iterdir()} == {
        "lock",
        "history.jsonl",
        "current",
        "generations",
    }


def test_sends_only_what_the_owner_s_cache_lacks(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """Three hosts of one machine share the owner's cache here: each wheel is sent once for all of them or less."""
    three_hosts(workplace, hosts, make_virtualenv, srv)
    workplace.fab("deploy:web1", "--yes")
    done = workplace.fab("deploy", "--yes")
    assert "2 deployed" in done.stdout
    assert "sending" not in done.stderr


def test_one_that_fails_leaves_the_others_alone(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """Failed, missing, blocked and deployed virtualenvs stand side by side, each with its reason; exit 1."""
    users = hosts.users
    good, bad, old = (make_virtualenv("3.11", srv / name, owner=users.shop) for name in ("good", "bad", "old"))
    workplace.fabfile(
        f"Host('web1', virtualenvs=[Virtualenv({str(good)!r}, user={users.shop!r}, packages=['shop'])]),"
        f"Host('web2', virtualenvs=[Virtualenv({str(bad)!r}, user={users.shop!r}, packages=['shop'],"
        " before='echo the disk of the shop is on fire; exit 7')]),"
        f"Host('web3', virtualenvs=[Virtualenv({str(old)!r}, user={users.shop!r}, packages=['nosuch'])]),"
        f"Host('web4', virtualenvs=[Virtualenv('/srv/nowhere', user={users.shop!r}, packages=['shop'])]),"
    )
    workplace.add_made("shop", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert "1 deployed, 1 failed (as it was before), 1 blocked, 1 missing" in done.stdout
    assert "the before command 'echo the disk of the shop is on fire; exit 7' ended with status 7" in done.stdout
    assert "| the disk of the shop is on fire" in done.stdout
    assert "completed: lock, upload, begin" in done.stdout
    assert "/srv/nowhere/bin/python does not exist" in done.stdout
    assert freeze(good) == {"shop": "1.0"}
    assert freeze(bad) == {}
    assert f"error: {users.shop}@web2:{bad}: the before command" in workplace.log


def test_commands_run_in_order_as_the_user_they_name(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """before, install, reload, check: as the SSH user unless they say otherwise; nothing of it where all is current."""
    users = hosts.users
    path = make_virtualenv("3.11", srv / "v", owner=users.shop, pip=True)
    told = srv / "told"
    told.touch()
    told.chmod(0o666)
    say = f'echo "$(id -un) {{}} $({path}/bin/python -m pip freeze | tr "\\n" " ")" >> {told}'
    workplace.fabfile(
        f"Host('web1', reload={say.format('host-reload')!r}, virtualenvs=[Virtualenv({str(path)!r}, user={users.shop!r},"
        f" packages=['shop'], before=Command({say.format('before')!r}, user='root'),"
        f" reload=[lambda virtualenv: Command({say.format('reload')!r}, user=virtualenv.user)], check={say.format('check')!r})])"
    )
    workplace.add_made("shop", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stderr + done.stdout
    assert [line.strip() for line in told.read_text().splitlines()] == [
        "root before",
        f"{users.shop} reload shop==1.0",
        f"{users.admin} host-reload shop==1.0",
        f"{users.admin} check shop==1.0",
    ]
    workplace.fab("deploy", "--yes")
    assert len(told.read_text().splitlines()) == 4


def test_a_host_reloads_once_where_it_says_so(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """With `reload_once` the host reloads after its last virtualenv and before any check."""
    users = hosts.users
    paths = [make_virtualenv("3.11", srv / f"v{number}", owner=users.shop) for number in range(6)]
    told = srv / "told"
    told.touch()
    told.chmod(0o666)
    listed = ", ".join(
        f"Virtualenv({str(path)!r}, user={users.shop!r}, packages=['shop'], check='echo check >> {told}')"
        for path in paths
    )
    workplace.fabfile(f"Host('web1', reload='echo reload >> {told}', reload_once=True, virtualenvs=[{listed}])")
    workplace.add_made("shop", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stderr + done.stdout
    assert told.read_text().split() == ["reload"] + ["check"] * 6


def test_a_failing_check_rolls_back_after_its_tries(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """The check is tried again, within its tries, and then the packages go back."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.admin)
    tries = srv / "tries"
    tries.touch()
    tries.chmod(0o666)
    workplace.fabfile(
        f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'], check='echo ill | tee -a {tries}; exit 1')])",
        settings="'check_retries': 1",
    )
    workplace.add_made("shop", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "ended with status 1 (2 tries)" in done.stdout
    assert "| ill" in done.stdout
    assert tries.read_text().split() == ["ill", "ill"]
    assert "1 failed (as it was before)" in done.stdout
    assert freeze(path) == {}


def test_a_locked_virtualenv_is_left_alone(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """A second comer learns who is at work, from where and since when."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.admin)
    workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'])])")
    workplace.add_made("shop", "1.0")
    (path / ".envfab").mkdir()
    with (path / ".envfab" / "lock").open("w") as lock:
        json.dump({"who": "anna", "from": "laptop", "since": "2026-11-20T18:42:00+00:00"}, lock)
        lock.flush()
        for changed in (path / ".envfab", path / ".envfab" / "lock"):
            changed.chmod(0o777)
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = workplace.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "another deployment is under way: anna from laptop, since 2026-11-20T18:42:00+00:00" in done.stdout
    assert "1 locked" in done.stdout
    assert freeze(path) == {}


def test_without_a_terminal_nothing_is_contacted(workplace: Workplace, hosts: Hosts) -> None:
    """Where nobody can answer and nobody said --yes, the run ends before any host is contacted."""
    workplace.fabfile("Host('web1', virtualenvs=[Virtualenv('/srv/v')])")
    offset = hosts.log.stat().st_size
    done = workplace.fab("deploy")
    assert done.returncode == 1
    assert done.stderr == (
        "envfab: not a terminal, so deploy cannot ask\n  pass --yes\n"
    )  # fmt: skip
    assert "Connection from" not in hosts.log_since(offset)


def test_a_question_covers_virtualenvs_with_the_same_plan(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """At a terminal alike plans are shown once; `n` leaves one out, `a` takes all the others."""
    paths = three_hosts(workplace, hosts, make_virtualenv, srv)
    with workplace.at_terminal("deploy") as terminal:
        shown = terminal.expect(
            f"Deploy to {hosts.users.shop}@web1:{paths[0]}?  [y]es  [n]o  [a]ll 3 with this plan  [q]uit"
        )
        assert shown.count("+ Shop") == 1
        assert "the same for 2 more" in shown
        terminal.send("n")
        terminal.expect(f"Deploy to {hosts.users.shop}@web2:{paths[1]}?")
        terminal.send("a")
        assert terminal.finish() == 0
    assert "1 skipped, 2 deployed" in terminal.shown
    assert [freeze(path) for path in paths] == [{}, *[{"basket": "1.2", "Shop": "1.0"}] * 2]


def test_quit_deploys_nothing(workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path) -> None:
    """`q` at the second question undoes the first answer, too: nothing was begun."""
    paths = three_hosts(workplace, hosts, make_virtualenv, srv)
    with workplace.at_terminal("deploy") as terminal:
        terminal.expect("[q]uit")
        terminal.send("y")
        terminal.expect("[q]uit")
        terminal.send("q")
        assert terminal.finish() == 1
    assert [freeze(path) for path in paths] == [{}, {}, {}]


def test_a_virtualenv_that_changed_while_the_question_waited_is_asked_about_again(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """Under the lock the fingerprint differs: there is a new plan, and a new question."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.admin, pip=True)
    workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop', 'basket'])])")
    workplace.add_made("shop", "1.0")
    basket = workplace.add_made("basket", "1.0")
    with workplace.at_terminal("deploy") as terminal:
        terminal.expect("[q]uit")
        (srv / basket.name).write_bytes(basket.read_bytes())
        done = hosts.run("web1", f"{path}/bin/python -m pip install --no-index -q --find-links {srv} basket")
        assert done.returncode == 0, done.stderr
        terminal.send("y")
        terminal.expect("changed while you were asked; its plan is now:")
        again = terminal.expect("Deploy that?")
        assert "+ shop" in again
        assert "basket" not in again
        terminal.send("y")
        assert terminal.finish() == 0, terminal.shown
    assert freeze(path) == {"basket": "1.0", "shop": "1.0"}


def test_json_has_one_document_on_standard_output(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """`deploy --json` prints the plan and what became of it; words for people go to standard error."""
    paths = three_hosts(workplace, hosts, make_virtualenv, srv)
    document = workplace.json("deploy:web1", "--yes")
    assert document["format"] == 1
    (one,) = document["virtualenvs"]
    assert one["status"] == "deployed"
    assert one["deployment"] == f"{document['rollout']}.1"
    assert one["target"] == f"{hosts.users.shop}@web1:{paths[0]}"
    assert [(action["action"], action["name"], action["version"]) for action in one["actions"]] == [
        ("install", "basket", "1.2"),
        ("install", "Shop", "1.0"),
    ]
    assert one["actions"][1]["reason"] == "shop.txt:1"
    assert one["actions"][0]["required_by"] == ["Shop"]


def test_only_names_leave_all_others_as_they_are(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """`--only basket` brings basket up to date and leaves the shop behind."""
    path = three_hosts(workplace, hosts, make_virtualenv, srv)[0]
    workplace.fab("deploy:web1", "--yes")
    workplace.add_made("Shop", "1.1", requires=["basket"])
    workplace.add_made("basket", "1.3")
    done = workplace.fab("deploy:web1,only=basket,yes=true")
    assert done.returncode == 0, done.stderr
    assert freeze(path) == {"basket": "1.3", "Shop": "1.0"}


def test_prune_removes_what_nothing_requires(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """What no requirement reaches goes with `--prune`, and only then."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.admin)
    workplace.file("r.txt", "shop\nbasket\n")
    workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, requirements='r.txt')])")
    workplace.add_made("shop", "1.0")
    workplace.add_made("basket", "1.0")
    workplace.fab("deploy", "--yes")
    workplace.file("r.txt", "shop\n")
    assert workplace.statuses("plan") == {f"web1:{path}": "current"}
    done = workplace.fab("deploy", "--prune", "--yes")
    assert done.returncode == 0, done.stderr
    assert freeze(path) == {"shop": "1.0"}


def test_a_bystander_that_would_break_blocks_unless_forced(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """An installed package outside the requirements that needs the old version blocks; `--force` goes ahead."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.admin)
    workplace.file("r.txt", "bystander\n")
    workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, requirements='r.txt')])")
    workplace.add_made("bystander", "1.0", requires=["basket<2"])
    workplace.add_made("basket", "1.0")
    workplace.fab("deploy", "--yes")
    workplace.file("r.txt", "basket\n")
    workplace.add_made("basket", "2.0")
    blocked = workplace.fab("deploy", "--yes")
    assert blocked.returncode == 1
    assert "bystander" in blocked.stdout
    assert workplace.fab("deploy", "--yes", "--force").returncode == 0
    assert freeze(path) == {"basket": "2.0", "bystander": "1.0"}


def test_what_root_left_in_a_virtualenv_is_in_nobodys_way(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """Bytecode that root's Python wrote there: it is deployed to all the same, and what stays of it is named."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.shop)
    workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, {hosts.users.shop!r}, packages=['shop'])])")
    workplace.add_made("shop", "1.0")
    (path / "lib/python3.11/site-packages/by_root/__pycache__").mkdir(parents=True)
    (path / "lib/python3.11/site-packages/by_root/__pycache__/x.cpython-311.pyc").touch()
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "since it has files of other users or mounts: unmount those first, then remove it as root" in done.stderr
    assert freeze(path) == {"shop": "1.0"}
    assert workplace.fab("deploy", "--yes", "--reinstall", "shop").returncode == 0


def test_a_virtualenv_needs_no_pip(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """Nothing but the agent installs; a saved plan is carried out as well."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.admin)
    workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, packages=['shop'])])")
    workplace.add_made("shop", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {entry.name for entry in (path / "lib/python3.11/site-packages").glob("*.dist-info")} == {
        "shop-1.0.dist-info"
    }
    assert workplace.fab("rollback", "--yes").returncode == 0
    assert list((path / "lib/python3.11/site-packages").glob("*.dist-info")) == []
    assert workplace.fab("plan", "--out", "saved.json").returncode == 0
    done = workplace.fab("deploy", "--plan", "saved.json", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr


def test_pip_replaces_itself(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path, pip_wheel: Path
) -> None:
    """A plan may bring another pip, like any package."""
    path = make_virtualenv("3.11", srv / "v", owner=hosts.users.admin)
    for name in (path / "lib/python3.11/site-packages").glob("pip-*.dist-info/METADATA"):
        name.write_text(name.read_text().replace("\nVersion: ", "\nVersion: 0.", 1))
    workplace.fabfile(f"Host('web1', virtualenvs=[Virtualenv({str(path)!r}, packages=['pip', 'shop'])])")
    workplace.add(pip_wheel)
    workplace.add_made("shop", "1.0")
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert workplace.statuses("plan") == {f"web1:{path}": "current"}


def test_a_wheel_that_changed_since_it_was_logged_is_refused(
    workplace: Workplace, hosts: Hosts, make_virtualenv: VirtualenvMaker, srv: Path
) -> None:
    """Somebody put another file under a logged name: whoever needs it is blocked, and nothing is sent."""
    path = three_hosts(workplace, hosts, make_virtualenv, srv)[0]
    wheel = make_wheel(workplace.folder / "other", "basket", "1.2", files={"basket.py": "import evil\n"})
    (workplace.folder / "wheels" / wheel.name).write_bytes(wheel.read_bytes())
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 1
    assert "changed on disk after it was logged: basket-1.2-py3-none-any.whl" in done.stdout
    assert "sending" not in done.stderr
    assert freeze(path) == {}
