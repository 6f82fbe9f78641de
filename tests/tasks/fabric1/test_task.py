"""Fabric 1's task arguments under the real `fab`, with tasks that print what they were given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.fab import run_fab, run_program

TASKS = '''
import json, sys
import fabric
from invoke import Collection
from envfab.errors import WheelhouseError
from envfab.tasks.fabric1.task import Task, command_line_hosts

def tell(task, **given):
    print(json.dumps([task, given]))

@fabric.task(klass=Task, positional_words="name", iterable=["name", "only"], help={"name": "a target"})
def deploy(c, name=(), only=(), yes=False, migrate=True, limit=0):
    """Deploy."""
    tell("deploy", name=name, only=only, yes=yes, migrate=migrate, limit=limit, hosts=command_line_hosts())

@fabric.task(klass=Task, positional_words="file", trailing_words=True, iterable=["file"])
def add_wheel(c, file=(), json=False):
    """Add."""
    tell("add_wheel", file=file, json=json)

@fabric.task(klass=Task)
def broken(c):
    """Fail."""
    raise WheelhouseError("it burns", where="wheels", hint="call somebody")

@fabric.task
def tag(c, label=""):
    """Tag."""
    tell("tag", label=label)

@fabric.task
def shout(c, word):
    """Shout."""
    tell("shout", word=word)

@fabric.task
def where(c):
    """Say where."""
    tell("where", host=getattr(c, "host", None))

@fabric.task(hosts=["c"])
def connected(c):
    """Deploy from a task that has its own host."""
    deploy(c)

@fabric.task
def indirect(c):
    """Deploy from a task of the user's."""
    deploy(c, name=["x"])
'''
FLAT = TASKS + "ns = Collection(deploy, add_wheel, broken, tag, shout, where, indirect, connected)\n"
ELSEWHERE = TASKS + (
    "from fabric.main import Fab\nfrom fabric import Config, Executor\n"
    "ns = Collection(deploy)\n"
    "if __name__ == '__main__':\n"
    "    Fab(namespace=ns, version='1', executor_class=Executor, config_class=Config).run()\n"
)
NESTED = TASKS + (
    "ns = Collection(tag, shout)\n"
    "mine = Collection('mine', tag)\n"
    "mine.add_task(shout, name='deploy')\n"
    "ns.add_collection(mine)\n"
    "ns.add_collection(Collection(deploy, add_wheel), name='env')\n"
)
NOTHING: dict[str, Any] = {"name": [], "only": [], "yes": False, "migrate": True, "limit": 0, "hosts": []}


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A folder whose fabfile has tasks of ours beside a user's own."""
    (tmp_path / "fabfile.py").write_text(FLAT, encoding="utf-8")
    return tmp_path


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    """A folder whose fabfile has tasks of ours in a collection of their own."""
    (tmp_path / "fabfile.py").write_text(NESTED, encoding="utf-8")
    return tmp_path


def told(folder: Path, *arguments: str) -> list[Any]:
    """What the tasks printed, once `fab` has ended well."""
    result = run_fab(folder, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


def refused(folder: Path, *arguments: str) -> str:
    """What `fab` says on stderr as it ends with status 1, nothing run."""
    result = run_fab(folder, *arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert "Traceback" not in result.stderr
    return result.stderr


class TestCalls:
    def test_names_and_keywords_reach_the_task(self, flat: Path) -> None:
        """Fabric 1's spelling gives what the native one does."""
        expected = [["deploy", NOTHING | {"name": ["u@h:/p q", "-ü"], "yes": True, "migrate": False, "limit": 3}]]
        assert told(flat, "deploy:u@h:/p q,-ü,yes=true,migrate=no,limit=3") == expected
        assert told(flat, "deploy", "--yes", "--no-migrate", "--limit=3", "--name", "u@h:/p q", "--name=-ü") == expected

    def test_several_tasks_share_a_command_line(self, flat: Path) -> None:
        """Calls of ours, of the user's and files follow one another; a user's values are not touched."""
        line = "tag --label deploy:v2 add_wheel a.whl dist/b.whl --json deploy:x shout deploy:y"
        assert told(flat, *line.split()) == [
            ["tag", {"label": "deploy:v2"}],
            ["add_wheel", {"file": ["a.whl", "dist/b.whl"], "json": True}],
            ["deploy", NOTHING | {"name": ["x"]}],
            ["shout", {"word": "deploy:y"}],
        ]

    def test_nested_tasks_are_called_by_their_full_name(self, nested: Path) -> None:
        """A collection inside the user's works; a user's task of the same name elsewhere is not ours."""
        assert told(nested, "env.deploy:web1", "env.add_wheel", "a.whl", "mine.deploy", "deploy:x") == [
            ["deploy", NOTHING | {"name": ["web1"]}],
            ["add_wheel", {"file": ["a.whl"], "json": False}],
            ["shout", {"word": "deploy:x"}],
        ]
        assert "No idea what 'mine.deploy:x' is!" in refused(nested, "mine.deploy:x")

    def test_without_names_nothing_is_made_up(self, flat: Path) -> None:
        """A bare task gets its defaults."""
        assert told(flat, "deploy") == [["deploy", NOTHING]]

    def test_names_are_kept_with_underscores(self, flat: Path) -> None:
        """Where a user turned dashed names off, both spellings work too."""
        (flat / "fabric.yaml").write_text("tasks:\n  auto_dash_names: false\n", encoding="utf-8")
        assert told(flat, "add-wheel:a.whl", "add_wheel", "b.whl") == [
            ["add_wheel", {"file": ["a.whl"], "json": False}],
            ["add_wheel", {"file": ["b.whl"], "json": False}],
        ]


class TestHosts:
    def test_a_task_of_ours_runs_once(self, flat: Path) -> None:
        """`-H a,b` is one rollout for ours, and still one run a host for the user's own."""
        assert told(flat, "-H", "a,b", "deploy:x", "where", "deploy") == [
            ["deploy", NOTHING | {"name": ["x"], "hosts": ["a", "b"]}],
            ["where", {"host": "a"}],
            ["where", {"host": "b"}],
            ["deploy", NOTHING | {"hosts": ["a", "b"]}],
        ]

    def test_a_host_given_twice_changes_nothing(self, flat: Path) -> None:
        """Also where `-H` repeats itself, and stands behind the task, it runs once."""
        assert told(flat, "deploy", "-H", "a,a") == [["deploy", NOTHING | {"hosts": ["a", "a"]}]]

    def test_a_task_of_ours_called_by_the_users_runs_once(self, flat: Path) -> None:
        """A user's task that calls ours runs on every host, ours on the first one's turn."""
        assert told(flat, "-H", "a,b", "indirect") == [["deploy", NOTHING | {"name": ["x"], "hosts": ["a", "b"]}]]

    def test_an_empty_host_is_not_no_host(self, flat: Path) -> None:
        """`-H "$HOST"` with HOST unset arrives as an empty name, which `select` refuses."""
        assert told(flat, "-H", "", "deploy") == [["deploy", NOTHING | {"hosts": [""]}]]

    def test_a_connection_of_somebody_elses_is_refused(self, flat: Path) -> None:
        """A user's task with a host of its own that calls ours does not deploy to the whole fleet by mistake."""
        assert refused(flat, "connected") == (
            "envfab: deploy works on the fleet, not on the connection to c\n"
            "  use fab -H, or call it with a plain Context and give it the name\n"
        )

    def test_another_program_takes_flags_and_no_hosts(self, tmp_path: Path) -> None:
        """A program made of Fabric's class runs our tasks, and its `-H`, which we cannot see, is refused."""
        (tmp_path / "mine.py").write_text(ELSEWHERE, encoding="utf-8")
        result = run_program("python", tmp_path, "mine.py", "deploy", "--name", "web1")
        assert json.loads(result.stdout) == ["deploy", NOTHING | {"name": ["web1"]}]
        result = run_program("python", tmp_path, "mine.py", "-H", "a,b", "deploy")
        assert (result.returncode, result.stdout) == (1, "")
        assert "deploy works on the fleet, not on the connection to a" in result.stderr


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ("deploy:", "envfab: 'deploy:': the name is empty\n  is a shell variable unset?\n"),
            (
                "tag deploy --name --yes",
                "envfab: 'deploy': --name needs a value\n  is a shell variable unset?\n",
            ),
            ("deploy:a --name b", "envfab: 'deploy:a': --name gives another value\n  give it once\n"),
            (
                "tag deploy:a,ys=1",
                "envfab: 'deploy:a,ys=1': deploy has no argument 'ys', did you mean yes?\n"
                "  its arguments are: name, only, yes, migrate, limit; a plain = is written \\=\n",
            ),
            ("deploy --limit=many", "envfab: 'deploy': --limit must be a number, not 'many'\n"),
            ("deploy -- uptime", "envfab: deploy takes nothing after --\n"),
            ("-H a deploy -- uptime", "envfab: deploy takes nothing after --\n"),
            ("-R deploy", "envfab: -R/--dry has no effect on deploy: fab plan shows what would be done\n"),
            ("deploy --dry", "envfab: -R/--dry has no effect on deploy: fab plan shows what would be done\n"),
            ("broken", "envfab: wheels: it burns\n  call somebody\n"),
        ],
    )
    def test_an_error_is_two_lines_and_nothing_runs(self, flat: Path, arguments: str, message: str) -> None:
        """Status 1, no traceback, no task run: not even one that stands before the mistake."""
        assert refused(flat, *arguments.split()) == message

    @pytest.mark.parametrize("arguments", ["deploy", "deploy:x", "add_wheel a.whl"])
    def test_invoke_is_told_apart(self, flat: Path, arguments: str) -> None:
        """Under `inv`, which knows nothing of SSH, our tasks say what to type."""
        result = run_program("inv", flat, "-c", "fabfile", *arguments.split())
        name = arguments.replace("_", "-").split()[0].split(":")[0]
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == f"envfab: {name} can only be run by fab\n  say fab {name}\n"

    def test_a_users_own_tasks_work_under_invoke(self, flat: Path) -> None:
        """Only ours need `fab`."""
        assert run_program("inv", flat, "-c", "fabfile", "tag").stdout == '["tag", {"label": ""}]\n'

    def test_calling_ours_from_a_task_under_invoke_is_an_error(self, flat: Path) -> None:
        """There is no way around it through a user's task."""
        result = run_program("inv", flat, "-c", "fabfile", "indirect")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == "envfab: deploy can only be run by fab: say fab deploy\n"


class TestConfiguration:
    @pytest.mark.parametrize(
        ("file", "message"),
        [
            ("other.py", "envfab: other.py: -f must name a configuration file, not a fabfile\n  say fab -c other\n"),
            ("../my tasks.py", "not a fabfile\n  say fab -c 'my tasks'\n"),
            (
                "nosuch.yaml",
                "envfab: nosuch.yaml: there is no such file\n"
                "  -f names a configuration file, such as fabric.yaml; fab -c NAME uses another fabfile\n",
            ),
            (".", "envfab: .: there is no such file\n"),
            ("notes.txt", "envfab: notes.txt: -f must name a file that ends in .yaml, .yml, .json\n"),
            ("five.yaml", "envfab: envfab: must be a mapping of settings, not 5\n"),
        ],
    )
    def test_what_fabric_would_not_read_is_refused(self, flat: Path, file: str, message: str) -> None:
        """Fabric 1's `-f fabfile` would run the default fabfile, and other mistakes end in a traceback."""
        for name, content in (("other.py", FLAT), ("notes.txt", "x"), ("five.yaml", "envfab: 5\n")):
            (flat / name).write_text(content, encoding="utf-8")
        assert message in refused(flat, "-f", file, "deploy")

    def test_a_configuration_file_is_read(self, flat: Path) -> None:
        """What `-f` is for goes on working; the user's own tasks, and listing, are not our business."""
        (flat / "good.yaml").write_text("envfab: {parallel: 3}\n", encoding="utf-8")
        assert told(flat, "-f", "good.yaml", "deploy") == [["deploy", NOTHING]]
        assert told(flat, "-f", "nosuch.yaml", "tag") == [["tag", {"label": ""}]]
        assert run_fab(flat, "-f", "nosuch.py", "--list").returncode == 0

    @pytest.mark.parametrize("value", ["5", "[]", ""])
    def test_settings_that_are_none_are_our_error(self, flat: Path, value: str) -> None:
        """A fabric.yaml whose `envfab` is no mapping is told of in two lines."""
        (flat / "fabric.yaml").write_text(f"envfab: {value}\n", encoding="utf-8")
        assert "must be a mapping of settings" in refused(flat, "deploy")


class TestFabricsOwn:
    def test_list_shows_all_tasks(self, nested: Path) -> None:
        """`--list` has every task with its summary."""
        listed = run_fab(nested, "--list").stdout.split()
        assert {"env.deploy", "Deploy.", "env.add-wheel", "Add.", "tag", "mine.deploy"} <= set(listed)

    @pytest.mark.parametrize(
        "arguments", ["--help deploy", "--help deploy:web1", "deploy --help", "deploy:web1 --help", "deploy:web1 -h"]
    )
    def test_help_shows_the_flags_with_their_texts(self, flat: Path, arguments: str) -> None:
        """Help works before and behind a call, with arguments and without."""
        result = run_fab(flat, *arguments.split())
        assert result.returncode == 0
        assert "Usage: fab [--core-opts] deploy [--options]" in result.stdout
        assert "-n, --name" in result.stdout
        assert "a target" in result.stdout

    def test_help_takes_a_name_with_underscores(self, flat: Path) -> None:
        """`fab --help add_wheel` is about the task that is spelled add-wheel."""
        assert "add-wheel [--options]" in run_fab(flat, "--help", "add_wheel").stdout

    @pytest.mark.parametrize("typed", ["deploy:web1 --", "deploy : web1 --", "deploy --"])
    def test_completion_offers_our_flags(self, flat: Path, typed: str) -> None:
        """Behind colon arguments the task's flags are completed, also where bash broke the word."""
        completed = run_fab(flat, "--complete", "--", "fab", *typed.split())
        assert (completed.returncode, completed.stderr) == (0, "")
        assert {"--name", "--yes", "--no-migrate"} <= set(completed.stdout.split())

    def test_completion_offers_task_names(self, flat: Path) -> None:
        """What is no flag completes to the names of tasks."""
        assert {"add-wheel", "deploy", "tag"} <= set(run_fab(flat, "--complete", "--", "fab", "d").stdout.split())

    def test_completion_offers_names_with_underscores(self, nested: Path) -> None:
        """Where the word to complete holds an underscore; names of the user's own tasks stay as they are."""
        for typed in ("add_", "env.add_wh"):
            offered = run_fab(nested, "--complete", "--", "fab", typed)
            assert (offered.returncode, offered.stderr) == (0, "")
            assert {"env.add_wheel", "env.deploy", "tag", "mine.tag"} <= set(offered.stdout.split())
            assert "env.add-wheel" not in offered.stdout.split()

    def test_completion_inside_a_quote_offers_nothing(self, flat: Path) -> None:
        """A word that is not finished is no traceback in the middle of the line."""
        offered = run_fab(flat, "--complete", "--", "fab add_wheel 'dist/a_")
        assert (offered.returncode, offered.stdout, offered.stderr) == (0, "", "")

    def test_an_unknown_task_is_fabrics_error(self, flat: Path) -> None:
        """What is not ours is left to Fabric, also with a colon."""
        assert refused(flat, "deplyo:web1") == "No idea what 'deplyo:web1' is!\n"
