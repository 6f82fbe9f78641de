"""Fabric 1's task arguments (`fab deploy:web1,yes=true`) on Fabric 3.

Fabric 3 knows only flags. Before it parses the tasks' tokens it asks every task for its arguments, and at
the first such question to a `Task` of ours the collection is complete and `program.core.unparsed` still
holds the tokens as typed: there they are rewritten to `deploy --name=web1 --yes`. Everything else about
the command line stays Fabric's. What is rewritten, and how, is in `tokens` and `rewrite`.
"""

from __future__ import annotations

import copy
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import fabric
import fabric.main
import invoke.collection
import invoke.main
import invoke.tasks
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext

from envfab.config.fleet import Fleet
from envfab.errors import EnvfabError, UsageError
from envfab.tasks.fabric1.rewrite import for_completion, rewrite
from envfab.tasks.fabric1.ssh_files import take_over
from envfab.tasks.fabric1.tokens import Flag, Shape, Shapes, dashed
from envfab.tasks.shared.command_line import Speech
from envfab.tasks.shared.own_tasks import left_out
from envfab.util.paths import user_path
from envfab.util.untrusted import harmless

# arguments that have a short flag, too
SHORT = {"verbose": "v"}
CONFIGURATIONS = (".yaml", ".yml", ".json")


class Task(fabric.Task):  # type: ignore[misc]  # Fabric has no types
    """A task that also understands Fabric 1's arguments, and runs once for all hosts that `-H` names.

    `positional_words` names the argument that the words after a colon give (`name`, `file`);
    with `trailing_words` it takes the bare tokens after the task, too: `fab add_wheel dist/*.whl`.
    """

    def __init__(
        self, *args: Any, positional_words: str | None = None, trailing_words: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.positional_words = positional_words
        self.trailing_words = trailing_words
        # a function, which Fabric's copies of a namespace share: by its fleet a task is known wherever it stands
        self.fleet: Callable[[], Fleet] | None = None

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """The task's arguments; the first question for them is the moment to rewrite the command line."""
        _meet_the_command_line()
        return _arguments(self, ignore_unknown_help)

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        """Invoke's options of an argument; `()` as the default of a list, which Invoke takes for a type, works."""
        made: dict[str, Any] = super().arg_opts(name, None if default == () else default, taken_names)
        made["names"] = [*made["names"], *SHORT.get(name, ())]
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task; an `EnvfabError` ends `fab` with its message and status 1 (`Exit`)."""
        context = args[0]
        if not isinstance(getattr(context, "config", None), fabric.Config):
            raise Exit(f"envfab: {self.name} can only be run by fab: say fab {self.name}", code=1)
        if context.config.run.dry:
            raise Exit(f"envfab: -R/--dry has no effect on {self.name}: fab plan shows what would be done", code=1)
        if isinstance(context, fabric.Connection):
            hosts = command_line_hosts()
            if not hosts:
                what = f"{self.name} works on the fleet, not on the connection to {context.original_host}"
                raise Exit(
                    f"envfab: {what}\n  use fab -H, or call it with a plain Context and give it the name", code=1
                )
            if self.times_called % len(hosts):
                self.times_called += 1
                return None
        try:
            return super().__call__(*args, **kwargs)
        except EnvfabError as error:
            raise Exit(f"envfab: {harmless(self._spoken(str(error)))}", code=1) from None
        except BrokenPipeError:
            # the reader of a pipe has gone (`fab plan --json | head`); Python would complain once more at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Exit(code=1) from None

    def _spoken(self, message: str) -> str:
        """A message with its commands as they are called in this fabfile."""
        return Speech(self.fleet())(message) if self.fleet is not None else message


def command_line_hosts() -> tuple[str, ...]:
    """Return the hosts of `fab -H`, to which a task limits itself; `select` refuses those that the fleet does not
    have."""
    core = getattr(fabric.main.program, "core", None)
    value = core[0].args.hosts.value if core else None
    return () if value is None else tuple(host.strip() for host in value.split(","))


class _Tokens(list[str]):
    """Tokens that have been rewritten: every task asks, the first one does it."""


def _meet_the_command_line() -> None:
    program = _running_program()
    if program is None or isinstance(program.core.unparsed, _Tokens):
        return
    core = program.core
    help_wanted = core[0].args.help.value
    if core.unparsed or core.remainder or help_wanted:
        shapes = _described(program)
        _meet_tokens(program, core, shapes)
        if core[0].args.complete.value:
            _complete(core, shapes)
        if isinstance(help_wanted, str) and (named := shapes.named(help_wanted)):
            core[0].args.help.value = named[0]


def _described(program: Any) -> Shapes:
    """What the running program's tokens can mean; an error ends `fab` before anything runs."""
    shapes = describe(program.collection, program.initial_context)
    given = program.core[0].args
    if "collection" not in given:
        # a user's own program, whose tasks come from elsewhere
        return shapes
    name = given.collection.value or program.config.tasks.collection_name
    try:
        return replace(shapes, left_out=left_out(name, program.collection))
    except UsageError as error:
        raise ParseError(f"envfab: {error}") from None


def _meet_tokens(program: Any, core: Any, shapes: Shapes) -> None:
    """Put the rewritten tokens where Fabric will parse them; an error ends `fab` before anything runs."""
    try:
        result = rewrite(core.unparsed, shapes)
        if result.called and not isinstance(program, fabric.main.Fab):
            raise UsageError(f"{result.called[0]} can only be run by fab", hint=f"say fab {result.called[0]}")
        if result.called and core.remainder:
            raise UsageError(f"{result.called[0]} takes nothing after --")
        if result.called:
            _check_configuration(core[0].args.config.value, program.config)
            take_over(program.config, needed_by_others=bool(result.others))
    except UsageError as error:
        raise ParseError(f"envfab: {error}") from None
    core.unparsed = _Tokens(result.tokens)


def _check_configuration(file: str | None, config: fabric.Config) -> None:
    """Raise `UsageError` for what Fabric ignores or answers with a traceback: a `-f` that it cannot read, and an
    `envfab` that is not a mapping. In Fabric 1, `-f` named the fabfile."""
    said = [config]
    if file is not None:
        _check_file(file)
        said.append(fabric.Config(lazy=True, runtime_path=file))
        said[-1].load_runtime()
    for one in said:
        settings = one.get("envfab", {})
        if not hasattr(settings, "keys"):
            hint = "in fabric.yaml, settings go below it: envfab: {parallel: 5}"
            raise UsageError(f"must be a mapping of settings, not {settings!r}", where="envfab", hint=hint)


def _check_file(file: str) -> None:
    place = user_path(file, "-f")
    if place.suffix == ".py":
        name = shlex.quote(place.stem)
        raise UsageError("-f must name a configuration file, not a fabfile", where=file, hint=f"say fab -c {name}")
    if not place.is_file():
        hint = "-f names a configuration file, such as fabric.yaml; fab -c NAME uses another fabfile"
        raise UsageError("there is no such file", where=file, hint=hint)
    if place.suffix not in CONFIGURATIONS:
        raise UsageError(f"-f must name a file that ends in {', '.join(CONFIGURATIONS)}", where=file)


def _complete(core: Any, shapes: Shapes) -> None:
    """Have the line that the shell wants completed in words that Invoke's completion understands."""
    try:
        tokens = shlex.split(core.remainder)
    except ValueError:
        # A quote is still open, which Invoke would not survive.
        raise Exit from None
    if tokens and "_" in tokens[-1] and not tokens[-1].startswith("-"):
        # Invoke would list names with dashes, of which none begins like this word.
        names = (one.replace("-", "_") if shape.ours else one for one, shape in shapes.tasks.items())
        sys.stdout.write("".join(f"{name}\n" for name in names))
        raise Exit
    core.remainder = shlex.join(for_completion(tokens, shapes))


def _running_program() -> Any:
    """The program that is about to parse its tasks; None where there is no command line (say, in a test)."""
    for program in (fabric.main.program, invoke.main.program):
        if hasattr(program, "core") and hasattr(program, "collection"):
            return program
    return None


def _arguments(task: invoke.tasks.Task[Any], ignore_unknown_help: bool | None) -> list[Argument]:
    """A task's arguments, asked of a copy: `get_arguments` uses up the help texts."""
    twin = copy.copy(task)
    twin.help = dict(task.help)
    ask = super(Task, twin).get_arguments if isinstance(twin, Task) else twin.get_arguments
    return list(ask(ignore_unknown_help=ignore_unknown_help))


def describe(collection: invoke.collection.Collection, core: ParserContext) -> Shapes:
    """What Fabric's parser will know: the program's own flags, and every task by all its names."""
    tasks = {}
    for name, aliases in collection.task_names.items():
        task = collection[name]
        context = ParserContext(name=name, aliases=aliases, args=_arguments(task, True))
        shape = _shape(context, task if isinstance(task, Task) else None)
        tasks.update(dict.fromkeys((name, *aliases), shape))
    return Shapes(_shape(core, None), tasks)


def _shape(context: ParserContext, task: Task | None) -> Shape:
    arguments = {spelling: _flag(argument) for spelling, argument in context.flags.items()}
    spellings = arguments | {alias: arguments[to] for alias, to in context.flags.aliases.items()}
    return Shape(
        context.name or "",
        spellings,
        {inverse: arguments[to] for inverse, to in context.inverse_flags.items()},
        ours=task is not None,
        words=dashed(task.positional_words) if task and task.positional_words else None,
        trailing=task is not None and task.trailing_words,
    )


def _flag(argument: Argument) -> Flag:
    return Flag(
        argument.names[0],
        bool if argument.incrementable else argument.kind,
        argument.optional,
        argument.positional and argument.value is None,
        argument.default,
    )
