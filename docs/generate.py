"""Write what the documentation shows of the code itself: task reference, picture of a plan, rooms and their imports.

python docs/generate.py            write docs/tasks.md and docs/plan.svg, and the rooms in docs/architecture.md
python docs/generate.py --check    exit with 1 where they are not what the code says
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.tags import Tag
from packaging.version import Version
from rich.console import Console
from rich.text import Text

import envfab
from envfab import Fleet, Host, Virtualenv, collection
from envfab.config.target import Member
from envfab.deployment.proposal import Proposal
from envfab.models.distribution import Distribution
from envfab.models.interpreter import Interpreter
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements, parse
from envfab.planning.plan import Status
from envfab.planning.planner import plan
from envfab.tasks.output.console import format_question
from envfab.tasks.output.plans import alike, show_group
from envfab.tasks.output.wheelhouse import wheelhouse_line
from envfab.wheelhouse.wheelhouse import Wheelhouse

DOCS = Path(__file__).resolve().parent
# Where it was imported from: a checkout, or what a wheel installed.
PACKAGE = Path(envfab.__file__).parent
sys.path.insert(0, str(DOCS.parent))

INTRODUCTION = """# The tasks

Written by `make docs` from the tasks themselves; `fab --help TASK` shows the same.

Names with underscores and dashes are the same (`add_wheel`, `add-wheel`). Arguments can be written in Fabric 1's way,
`fab deploy:web1,yes=true`, or in Fabric 3's, `fab deploy --name web1 --yes`.
Exit status: 0 done; 1 failed, blocked, unreachable or missing; 2 where a check found something.
"""


def reference() -> str:
    """The text of docs/tasks.md."""
    made = collection()
    parts = [INTRODUCTION]
    for context in sorted(made.to_contexts(), key=lambda context: str(context.name)):
        task = made[str(context.name)]
        parts.append(f"\n## {str(context.name).replace('-', '_')}\n\n{(task.__doc__ or '').strip()}\n")
        rows = [f"| `{flags}` | {text} |" for flags, text in context.help_tuples()]
        if rows:
            parts.append("\n".join(["\n| argument | meaning |", "| --- | --- |", *rows]) + "\n")
    return "".join(parts)


def picture() -> str:
    """The text of docs/plan.svg: real plans of made-up virtualenvs, shown by the code that shows all plans."""
    with tempfile.TemporaryDirectory() as folder:
        console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, highlight=False)
        for text in _shown(Path(folder)):
            console.print(text)
        drawn = console.export_svg(title="fab deploy", unique_id="plan")
    # fonts from elsewhere would not load where there is no network, and tell others who reads
    return re.sub(r"\s*@font-face \{.*?\}(?=\s)", "", drawn, flags=re.DOTALL)


def _shown(folder: Path) -> Iterator[Text]:
    wheelhouse = _wheelhouse(folder)
    yield Text("$ fab deploy:'web*'", "bold")
    line = wheelhouse_line(wheelhouse)
    yield Text("wheelhouse  wheels · " + line.partition(" · ")[2], "dim")
    proposals = [_proposal(f"web{number}", wheelhouse) for number in range(1, 10)]
    for group in alike(proposals):
        yield show_group(group)
    waiting = sum(proposal.plan.status is Status.CHANGES for proposal in proposals)
    answers = ("yes", "no", f"all {waiting} with this plan", "quit")
    question = format_question(f"Deploy to {proposals[0].plan.target}?", answers)
    yield Text(question, "bold")


def _wheelhouse(folder: Path) -> Wheelhouse:
    from tests.support.wheels import make_wheel

    wheelhouse = Wheelhouse(folder / "wheels", folder / "release_log", cache=folder)
    newest = [
        make_wheel(folder, "Django", "5.2.19", requires=["asgiref>=3.8.1,<4", "sqlparse>=0.3.1"]),
        make_wheel(folder, "asgiref", "3.13.0"),
        make_wheel(folder, "sqlparse", "0.5.3"),
        make_wheel(folder, "whitenoise", "6.9.0"),
        make_wheel(folder, "pillow", "13.0.0", tags=["cp311-cp311-manylinux_2_17_x86_64"]),
        make_wheel(folder, "shop", "2.1", requires=["Django>=5.2", "pillow>=13"]),
    ]
    for wheel in newest:
        wheelhouse.add(wheel)
    return wheelhouse


def _proposal(host: str, wheelhouse: Wheelhouse) -> Proposal:
    old = host == "web9"
    member = _member(host)
    probe = _probe(member, "3.8.18" if old else "3.11.7")
    requirements = _requirements()
    return Proposal(member, requirements, plan(probe, requirements, wheelhouse), probe=probe)


def _member(host: str) -> Member:
    fleet = Fleet(hosts=[Host(host, user="admin", virtualenvs=[Virtualenv("/srv/shop/venv", user="shop")])], root=DOCS)
    return fleet.members(lambda _host: "admin")[0]


def _requirements() -> Requirements:
    lines = "shop\nwhitenoise\npillow>=13\n"
    return parse(["requirements/shop.txt"], lambda _name: lines)


def _probe(member: Member, version: str) -> Probe:
    short = version.rpartition(".")[0]
    python = "cp" + short.replace(".", "")
    tags = (Tag(python, python, "manylinux_2_17_x86_64"), Tag("py3", "none", "any"))
    markers = {
        "implementation_name": "cpython", "implementation_version": version, "os_name": "posix",
        "platform_machine": "x86_64", "platform_python_implementation": "CPython", "platform_release": "6.1",
        "platform_system": "Linux", "platform_version": "#1", "python_full_version": version,
        "python_version": short, "sys_platform": "linux",
    }  # fmt: skip
    there = [
        Distribution.build("shop", "2.0", ("Django>=5.1", "pillow")),
        Distribution.build("Django", "5.1.15", ("asgiref>=3.8.1", "sqlparse>=0.3.1")),
        Distribution.build("asgiref", "3.8.1"),
        Distribution.build("sqlparse", "0.5.3"),
        Distribution.build("pillow", "12.1.0"),
        Distribution.build("pip", "26.3"),
    ]
    return Probe(
        target=member.target,
        interpreter=Interpreter(Version(version), "CPython", markers, tags),
        distributions={one.name: one for one in there},
        outside={},
        leftovers=(),
        duplicates=(),
        journal=None,
        fingerprint="",
    )


def architecture() -> str:
    """The text of docs/architecture.md, with what it shows of the code between its marks brought up to date."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for mark, content in (("imports", _imports()), ("rooms", _rooms())):
        begin, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}"
    return text


def _imports() -> str:
    """Which room imports which, as a Mermaid graph: an arrow for each pair, but to errors, util and config."""
    arrows = sorted({(_room(file), to) for file in _modules() for to in _imported(file)})
    lines = [f"    {one} --> {to}" for one, to in arrows if one != to and to not in ("errors", "util", "config")]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def _rooms() -> str:
    """Every room with the first sentence of each of its modules."""
    parts = []
    for room in sorted({_room(file) for file in _modules()} - {"errors"}):
        files = [file for file in _modules() if _room(file) == room]
        about = next(file for file in files if file.name == "__init__.py" and file.parent.name == room)
        parts.append(f"### {room}/\n\n{_sentence(about)}\n\n| module | what it is |\n| --- | --- |")
        for file in files:
            name = file.relative_to(PACKAGE / room).with_suffix("").as_posix()
            if file.name != "__init__.py":
                parts.append(f"| `{name}` | {_sentence(file)} |")
        parts.append("")
    return "\n".join(parts).rstrip()


def _modules() -> list[Path]:
    found = (file for file in PACKAGE.rglob("*.py") if file.parent != PACKAGE or file.stem == "errors")
    return sorted(found, key=lambda file: file.relative_to(PACKAGE).as_posix())


def _room(file: Path) -> str:
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("envfab."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.ImportFrom) and node.module == "envfab" and node.level == 0:
            yield from (name.name for name in node.names if (PACKAGE / name.name).is_dir())


def _sentence(file: Path) -> str:
    """The first paragraph of a module's docstring, on one line."""
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(said.partition("\n\n")[0].split()).replace("|", "\\|")


def main(arguments: Sequence[str]) -> int:
    """Write the files, or compare them."""
    wrong = []
    written = (("tasks.md", reference()), ("plan.svg", picture()), ("architecture.md", architecture()))
    for name, content in written:
        file = DOCS / name
        if arguments == ["--check"]:
            if not file.exists() or file.read_text(encoding="utf-8") != content:
                wrong.append(f"docs/{name} is not what the code says: run make docs")
        else:
            file.write_text(content, encoding="utf-8")
    for line in wrong:
        sys.stderr.write(line + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
