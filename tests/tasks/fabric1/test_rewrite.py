from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fabric
import fabric.main
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from invoke.collection import Collection
from invoke.exceptions import ParseError
from invoke.parser.parser import Parser

from envfab.errors import UsageError
from envfab.tasks.fabric1.rewrite import for_completion, rewrite
from envfab.tasks.fabric1.task import Task, describe
from tests.tasks.fabric1.spelling import escape


@fabric.task(klass=Task, positional_words="name", iterable=["name", "only"], optional=["why"], aliases=["roll_out"])  # type: ignore[untyped-decorator]
def deploy(
    c: Any,
    name: Sequence[str] = (),
    only: Sequence[str] = (),
    yes: bool = False,
    migrate: bool = True,
    batch: str = "",
    limit: int = 0,
    check_timeout: float = 1.5,
    why: str = "",
) -> None:
    """A task of ours with an argument of every kind."""


@fabric.task(klass=Task, positional_words="file", trailing_words=True, iterable=["file"])  # type: ignore[untyped-decorator]
def add_wheel(c: Any, file: Sequence[str] = (), json: bool = False) -> None:
    """A task of ours that takes files."""


@fabric.task(klass=Task, positional_words="release")  # type: ignore[untyped-decorator]
def yank_wheel(c: Any, release: str, reason: str = "") -> None:
    """A task of ours with a required argument."""


@fabric.task(klass=Task)  # type: ignore[untyped-decorator]
def wheels(c: Any) -> None:
    """A task of ours without arguments."""


@fabric.task(optional=["sign"], iterable=["remote"])  # type: ignore[untyped-decorator]
def tag(
    c: Any, label: str = "", sign: str | None = None, remote: Sequence[str] | None = None, push: bool = True
) -> None:
    """A task of somebody else's, with flags."""


@fabric.task  # type: ignore[untyped-decorator]
def pos(c: Any, first: str, second: str) -> None:
    """A task of somebody else's, with positional arguments."""


def tree() -> Collection:
    mine = Collection("mine")
    mine.add_task(pos, name="deploy")
    return Collection(
        deploy,
        add_wheel,
        yank_wheel,
        wheels,
        tag,
        pos,
        mine,
        Collection("env", deploy, add_wheel),
        Collection("x", wheels),
    )


CORE = fabric.main.program.initial_context
SHAPES = describe(tree(), CORE)


def rewritten(*tokens: str) -> list[str]:
    return list(rewrite(tokens, SHAPES).tokens)


def parsed(tokens: Sequence[str]) -> list[tuple[str | None, dict[str, Any]]]:
    """What Invoke's own parser makes of tokens."""
    result = Parser(initial=CORE, contexts=tree().to_contexts()).parse_argv(list(tokens))
    return [(context.name, context.as_kwargs) for context in result[1:]]


class TestRewriting:
    @pytest.mark.parametrize(
        ("tokens", "expected"),
        [
            ("deploy", "deploy"),
            ("deploy:web1", "deploy --name=web1"),
            ("deploy:a,b", "deploy --name=a --name=b"),
            ("deploy:web1,yes=true", "deploy --name=web1 --yes"),
            ("deploy:yes=No", "deploy"),
            ("deploy:migrate=0", "deploy --no-migrate"),
            ("deploy:migrate=1", "deploy --migrate"),
            ("deploy:check_timeout=2", "deploy --check-timeout=2"),
            ("deploy:check-timeout=2", "deploy --check-timeout=2"),
            ("deploy:name=a,b", "deploy --name=b --name=a"),
            ("deploy:only=a,only=b", "deploy --only=a --only=b"),
            ("deploy:-x", "deploy --name=-x"),
            ("deploy:web1 --yes", "deploy --name=web1 --yes"),
            ("deploy:web1 --name web1", "deploy --name web1"),
            ("deploy:batch=3 --batch 3", "deploy --batch 3"),
            ("deploy:yes=1 -y", "deploy -y"),
            ("deploy:web1 wheels", "deploy --name=web1 wheels"),
            ("roll_out:web1", "roll-out --name=web1"),
            ("add_wheel:a.whl", "add-wheel --file=a.whl"),
            ("add_wheel a.whl b.whl", "add-wheel --file=a.whl --file=b.whl"),
            ("add_wheel a.whl --json b.whl deploy c", "error"),
            ("add_wheel a.whl --json b.whl deploy:c", "add-wheel --file=a.whl --json --file=b.whl deploy --name=c"),
            ("add_wheel a.whl tag", "add-wheel --file=a.whl tag"),
            ("add_wheel --file a.whl b.whl", "add-wheel --file a.whl --file=b.whl"),
            ("add_wheel:a.whl b.whl", "add-wheel --file=a.whl --file=b.whl"),
            ("env.add_wheel:a.whl", "env.add-wheel --file=a.whl"),
            ("env.deploy:web1", "env.deploy --name=web1"),
            ("yank_wheel:shop==2.1,reason=bad", "yank-wheel --release=shop==2.1 --reason=bad"),
            ("yank_wheel shop==2.1", "yank-wheel shop==2.1"),
            ("yank-wheel deploy:web1", "yank-wheel deploy:web1"),
            ("mine.deploy:web1", "mine.deploy:web1"),
            ("mine.deploy one deploy:two", "mine.deploy one deploy:two"),
            ("pos one two deploy:three", "pos one two deploy --name=three"),
            ("tag --label deploy:v2", "tag --label deploy:v2"),
            ("tag --label=deploy:v2 deploy:x", "tag --label=deploy:v2 deploy --name=x"),
            ("tag -l deploy:v2 deploy:x", "tag -l deploy:v2 deploy --name=x"),
            ("tag -ldeploy:v2 deploy:x", "tag -ldeploy:v2 deploy --name=x"),
            (
                "tag --remote deploy:a --remote deploy:b deploy:x",
                "tag --remote deploy:a --remote deploy:b deploy --name=x",
            ),
            ("tag --push deploy:x", "tag --push deploy --name=x"),
            ("tag --no-push deploy:x", "tag --no-push deploy --name=x"),
            ("tag --sign deploy:x", "tag --sign deploy:x"),
            ("tag -pl deploy:x", "tag -pl deploy:x"),
            ("tag --label -zr deploy:x", "tag --label -zr deploy --name=x"),
            ("add_wheel --jsn deploy:x", "add-wheel --jsn deploy --name=x"),
            ("tag --sign -pl deploy:x", "tag --sign -pl deploy:x"),
            ("tag -lxH deploy:x", "tag -lxH deploy --name=x"),
            ("tag --help deploy:x", "tag --help deploy --name=x"),
            ("tag --hosts deploy:x deploy:y", "tag --hosts deploy:x deploy --name=y"),
            ("tag -e deploy:x", "tag -e deploy --name=x"),
            ("tag -H a deploy:x", "tag -H a deploy --name=x"),
            ("deploy:x --help", "deploy --name=x --help"),
            ("deploy:x -T deploy:y deploy:z", "deploy --name=x -T deploy:y deploy --name=z"),
            ("unknown deploy:x", "unknown deploy --name=x"),
            ("unknown:x", "unknown:x"),
            ("tag:x", "tag:x"),
            ("wheels", "wheels"),
        ],
    )
    def test_only_calls_of_ours_change(self, tokens: str, expected: str) -> None:
        """Our calls are spelled with flags; other tasks, their values and the program's flags stay as typed."""
        if expected == "error":
            with pytest.raises(UsageError):
                rewritten(*tokens.split())
        else:
            assert rewritten(*tokens.split()) == expected.split()

    def test_the_calls_are_told(self) -> None:
        """Which of our tasks run is known, by the collection's own names."""
        assert rewrite(["roll_out:a", "tag", "env.add_wheel", "x.whl"], SHAPES).called == ("roll-out", "env.add-wheel")

    @pytest.mark.parametrize("text", ["with space", "Ünïcøde/☃", "a=b", "-dash", "--name", "*"])
    def test_any_text_survives(self, text: str) -> None:
        """Spaces, dashes, equals signs and other alphabets reach the task as they were typed."""
        if text == "--name":
            with pytest.raises(UsageError, match="'--name' is a flag of deploy, not a value"):
                rewritten(f"deploy:{text}")
        else:
            assert parsed(rewritten(f"deploy:{escape(text)}"))[0][1]["name"] == [text]

    @pytest.mark.parametrize(
        ("tokens", "message"),
        [
            ("deploy:", "'deploy:': the name is empty\n  is a shell variable unset?"),
            ("deploy:a --name b", "'deploy:a': --name gives another value\n  give it once"),
            ("deploy:batch=1 --batch=2", "'deploy:batch=1': --batch gives another value\n  give it once"),
            ("deploy:yes=no --yes", "'deploy:yes=no': --yes gives another value\n  give it once"),
            ("deploy:migrate=yes --no-migrate", "'deploy:migrate=yes': --migrate gives another value\n  give it once"),
            ("deploy --batch=1 --batch=wheels", "'deploy': --batch is given twice"),
            ("deploy:yes=1,yes=1", "'deploy:yes=1,yes=1': yes is given twice"),
            ("deploy:yes=sure", "'deploy:yes=sure': yes must be true or false, not sure"),
            ("deploy:limit=x", "'deploy:limit=x': --limit must be a number, not 'x'"),
            ("deploy --limit x", "'deploy': --limit must be a number, not 'x'"),
            ("deploy --check-timeout=x", "'deploy': --check-timeout must be a number, not 'x'"),
            ("deploy:--yes", "'deploy:--yes': '--yes' is a flag of deploy, not a value"),
            ("deploy:-n", "'deploy:-n': '-n' is a flag of deploy, not a value"),
            ("deploy:--no-migrate", "'deploy:--no-migrate': '--no-migrate' is a flag of deploy, not a value"),
            ("deploy --name", "'deploy': --name needs a value\n  is a shell variable unset?"),
            ("deploy --name --yes", "'deploy': --name needs a value\n  is a shell variable unset?"),
            ("deploy --name a --name --only b", "'deploy': --name needs a value\n  is a shell variable unset?"),
            ("deploy --name= --yes", "'deploy': --name is empty\n  is a shell variable unset?"),
            ("deploy web1", "'deploy': 'web1' is not a task\n  names come after a colon: deploy:web1"),
            ("yank_wheel:a,b", "'yank_wheel:a,b': yank-wheel takes only one release"),
            ("yank_wheel:a,release=b", "'yank_wheel:a,release=b': release is given twice"),
            ("wheels:a", "'wheels:a': wheels takes no names\n  it takes no arguments"),
            (
                "add_wheel:a.whl,jsn=1",
                "'add_wheel:a.whl,jsn=1': add-wheel has no argument 'jsn', did you mean json?\n"
                "  its arguments are: file, json; a plain = is written \\=",
            ),
        ],
    )
    def test_what_cannot_be_meant_is_an_error(self, tokens: str, message: str) -> None:
        """The message repeats the call, says what is wrong with it and what to do."""
        with pytest.raises(UsageError) as caught:
            rewritten(*tokens.split())
        assert str(caught.value) == message

    def test_an_empty_file_is_an_error(self) -> None:
        """`fab add_wheel "$FILE"` with FILE unset is told as such."""
        with pytest.raises(UsageError, match="the name is empty"):
            rewritten("add_wheel", "")


# fmt: off
VOCABULARY = [
    "deploy", "deploy:web1", "deploy:a,yes=1", "roll-out", "roll_out:a", "env.deploy", "env.deploy:b", "add-wheel",
    "add_wheel", "add_wheel:c", "yank-wheel", "yank_wheel:d", "wheels", "x.wheels", "tag", "pos", "mine.deploy",
    "mine.deploy:e", "one", "two", "a.whl", "true", "--name", "--name=x", "-n", "--only", "-o", "--yes", "-y",
    "--migrate", "--no-migrate", "--batch", "-b", "-b=3", "--limit=3", "--limit", "--why", "--why=z", "--file",
    "--file=q", "-f", "--json", "--release", "--reason", "--label", "--label=deploy:v", "-l", "-ldeploy:v", "--sign",
    "--sign=s", "-s", "--remote", "-r", "--push", "--no-push", "-p", "-pl", "--first", "--second", "-H", "--hosts",
    "--hosts=h", "-e", "-T", "-T=3", "-i", "--help", "-h", "--list", "--echo", "-",
]
# fmt: on
TOKENS = st.lists(st.sampled_from(VOCABULARY), max_size=8)


@st.composite
def native_calls(draw: st.DrawFn) -> list[str]:
    """Calls in Fabric's own spelling, most of which its parser takes, with values that look like calls and flags."""
    tokens = []
    for name in draw(st.lists(st.sampled_from([*SHAPES.tasks]), max_size=3)):
        shape = SHAPES.tasks[name]
        tokens += [name, *(draw(st.sampled_from(VOCABULARY)) for _ in shape.positionals())]
        known = [*shape.flags, *shape.inverse, "-e", "-H", "--hosts", "--command-timeout"]
        for spelling in draw(st.lists(st.sampled_from(known), max_size=3)):
            flag = shape.flags.get(spelling) or shape.inverse.get(spelling) or SHAPES.core.flags[spelling]
            value = draw(st.sampled_from(["3"] if flag.kind in (int, float) else VOCABULARY))
            if not flag.takes_value or (flag.optional and draw(st.booleans())):
                tokens.append(spelling)
            elif draw(st.booleans()):
                tokens.append(f"{spelling}={value}")
            else:
                tokens += [spelling, value]
    return tokens


class TestAgainstInvoke:
    @given(native_calls())
    @example(["tag", "--sign", "--push", "deploy:web1"])
    @example(["tag", "--label=x", "--label=pos", "deploy:web1", "deploy:web2"])
    @example(["wheels", "-T", "3", "pos", "one", "two", "-T", "pos", "deploy", "deploy:web1"])
    @example(["tag", "--sign", "--sign", "yank-wheel", "deploy:web1"])
    @example(["pos", "deploy:web1", "--second", "add_wheel"])
    @example(["tag", "--hosts", "deploy:web1", "tag", "-ldeploy:v"])
    def test_what_invoke_understands_is_left_alone(self, tokens: list[str]) -> None:
        """A command line that Fabric's own parser accepts is not changed, whatever its values look like."""
        try:
            parsed(tokens)
        except (ParseError, ValueError):
            return
        refusal, result = "", tokens
        try:
            result = rewritten(*tokens)
        except UsageError as error:
            refusal = str(error)
        # What Invoke would pass over, or take for a task: a list without a value, an empty name, a flag given twice.
        assert not refusal or re.search("needs a value|is empty|is given twice", refusal)
        assert result == tokens

    @given(TOKENS)
    def test_rewriting_twice_is_rewriting_once(self, tokens: list[str]) -> None:
        """What has been rewritten needs nothing more."""
        try:
            once = rewritten(*tokens)
        except UsageError:
            return
        assert rewritten(*once) == once

    @given(
        st.lists(st.text(min_size=1, max_size=6).filter(lambda text: text.strip()), max_size=3),
        st.lists(st.text("ab-=,", min_size=1), max_size=2),
        st.booleans() | st.none(),
        st.booleans() | st.none(),
        st.integers(0, 99) | st.none(),
    )
    def test_arguments_reach_the_task(
        self, names: list[str], only: list[str], yes: bool | None, migrate: bool | None, limit: int | None
    ) -> None:
        """What the colon spelling says is what Fabric's parser hands to the task."""
        assume(not any(text.endswith("\\") or "\\," in text or "\\=" in text for text in names))
        assume(not any(text in SHAPES.tasks["deploy"].flags for text in (*names, *only)))
        keywords = {"yes": yes, "migrate": migrate, "limit": limit}
        pieces = [
            *map(escape, names),
            *(f"only={escape(text)}" for text in only if not text.startswith("=")),
            *(f"{key}={value}" for key, value in keywords.items() if value is not None),
        ]
        token = "deploy:" + ",".join(pieces) if pieces else "deploy"
        [(task, given_to_it)] = parsed(rewritten(token))
        assert task == "deploy"
        assert given_to_it["name"] == names
        assert given_to_it["only"] == [text for text in only if not text.startswith("=")]
        assert given_to_it["yes"] is bool(yes)
        assert given_to_it["migrate"] is (migrate is not False)
        assert given_to_it["limit"] == (limit or 0)


class TestFabric1Hosts:
    @pytest.mark.parametrize(
        ("typed", "instead"),
        [
            ("deploy:host=web1", "deploy:web1"),
            ("deploy:hosts=web1;web2,yes=1", "deploy:web1,web2"),
            ("deploy:role=prod", "deploy:%prod"),
            ("deploy:roles=a;b", "deploy:%a,%b"),
        ],
    )
    def test_its_own_arguments_are_names_here(self, typed: str, instead: str) -> None:
        """Hosts and roles, which Fabric 1 took in every task, are told to be names."""
        with pytest.raises(UsageError) as caught:
            rewritten(typed)
        assert str(caught.value).endswith(f"=\n  say {instead}")

    def test_tasks_without_names_know_no_such_argument(self) -> None:
        """Where a task takes files, `host=` is an argument that it has not."""
        with pytest.raises(UsageError, match="has no argument 'host'"):
            rewritten("add_wheel:host=web1")


class TestCompletion:
    @pytest.mark.parametrize(
        ("tokens", "expected"),
        [
            ("fab deploy:web1 --y", "fab deploy --y"),
            ("fab deploy : web1 --y", "fab deploy --y"),
            ("fab deploy : web1 , web2 --yes --", "fab deploy --yes --"),
            ("fab add_wheel a.whl --", "fab add-wheel --"),
            ("fab deploy:web1 tag a --l", "fab deploy tag a --l"),
            ("fab tag a --l", "fab tag a --l"),
            ("fab", "fab"),
            ("", ""),
        ],
    )
    def test_the_flags_of_our_calls_can_be_completed(self, tokens: str, expected: str) -> None:
        """What our calls are given is taken away, also where a shell broke it at the colon."""
        assert for_completion(tokens.split(), SHAPES) == expected.split()


def documented() -> list[tuple[str, str]]:
    """The examples of the guide: what is typed, and what it means."""
    guide = Path(__file__).parents[3] / "docs" / "coming-from-fabric-1.md"
    rows = re.findall(r"^\| `fab ([^`]+)` \| `fab ([^`]+)` \|$", guide.read_text(encoding="utf-8"), re.MULTILINE)
    return [(typed, meant) for typed, meant in rows if "*" not in typed]


@pytest.mark.parametrize(("typed", "meant"), documented())
def test_the_guide_is_right(typed: str, meant: str) -> None:
    """Each example of docs/coming-from-fabric-1.md means what stands beside it."""
    assert parsed(rewritten(*typed.split())) == parsed(meant.split())


def test_the_guide_has_examples() -> None:
    """The test above reads them from the guide's first table."""
    assert len(documented()) == 6


@fabric.task(klass=Task, positional_words="name", iterable=["name", "upgrade"], optional=["upgrade"])  # type: ignore[untyped-decorator]
def plan(c: Any, name: Sequence[str] = (), upgrade: Sequence[str] = (), json: bool = False) -> None:
    """A task of ours with a list whose flag may stand alone."""


@pytest.mark.parametrize(
    ("tokens", "name", "upgrade"),
    [
        (["plan", "--upgrade"], [], ["true"]),
        (["plan", "--upgrade", "--json"], [], ["true"]),
        (["plan:web1", "--upgrade", "--json"], ["web1"], ["true"]),
        (["plan", "--upgrade", "dep", "--upgrade=other"], [], ["dep", "other"]),
        (["plan", "--upgrade", "dep", "--upgrade"], [], ["dep", "true"]),
        (["plan:web1,upgrade=dep,upgrade=other"], ["web1"], ["dep", "other"]),
        (["plan:web1,upgrade=true"], ["web1"], ["true"]),
        (["plan:upgrade=dep", "wheels"], [], ["dep"]),
        (["plan", "--upgrade", "--name", "web1", "wheels"], ["web1"], ["true"]),
    ],
)
def test_a_lists_flag_may_stand_alone(tokens: Sequence[str], name: Sequence[str], upgrade: Sequence[str]) -> None:
    """Invoke drops such a flag without a word, so that `--upgrade` would do nothing."""
    program = Collection(plan, wheels)
    shapes = describe(program, fabric.main.program.initial_context)
    contexts = Parser(contexts=program.to_contexts()).parse_argv(list(rewrite(tokens, shapes).tokens))
    assert (contexts[0].args["name"].value, contexts[0].args["upgrade"].value) == (name, upgrade)
