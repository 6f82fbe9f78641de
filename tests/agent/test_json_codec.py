"""JSON by the C halves of the module: the same texts and values, by every interpreter that is managed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import envfab.agent
from tests.agent.test_protocol import RawAgent
from tests.support.virtualenvs import VirtualenvMaker

CODEC = Path(envfab.agent.__file__).with_name("json_codec.py")
COMPARED = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]
space = {"__name__": "codec"}
PREPARED
exec(compile(open(FILE, "rb").read(), FILE, "exec"), space)
for text in (u"", u" ", u"{", u"[1,]", u"nul", u"1 2", u'{"a"}', u'"', u"{'a': 1}", u'{"a": "b', u"5 {torn"):
    try:
        space["loads"](text)
    except ValueError:
        continue
    raise SystemExit("took %r" % text)
import json
own = space["loads"] is not json.loads and space["dumps"] is not json.dumps
values = [
    None, True, False, 0, -5, 10 ** 20, 1.5, float("inf"), u"", u"h\\xe4\\u20ac\\U0001f600\\"\\\\/\\n\\x00\\x7f\\u2028",
    [], {}, [[]], {u"a": {u"b": [1, 2.5, None, False]}, u"": u""}, list(range(1000)),
]
for value in values:
    assert space["dumps"](value) == json.dumps(value), value
    for text in (json.dumps(value), json.dumps(value, indent=2), " %s\\n" % json.dumps(value)):
        found = space["loads"](text if isinstance(text, type(u"")) else text.decode("ascii"))
        assert found == value and type(found) is type(json.loads(text)), value
for value in (object(), {1, 2}, b"\\xff"):
    try:
        space["dumps"](value)
    except (TypeError, ValueError):
        continue
    raise SystemExit("wrote %r" % value)
print("its halves" if own else "json")
"""


def compared(virtualenv: Path, prepared: str = "") -> str:
    """Compare the codec with `json` in the virtualenv's interpreter, and tell which one did the work."""
    code = COMPARED.replace("FILE", repr(str(CODEC))).replace("PREPARED", prepared)
    done = subprocess.run(
        [f"{virtualenv}/bin/python", "-E", "-s", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_is_json_without_the_module(version: str, pristine: Callable[[str], Path]) -> None:
    """What is written and read is what `json` writes and reads, errors included."""
    assert compared(pristine(version)) == "its halves"


def test_the_module_is_not_loaded(pristine: Callable[[str], Path]) -> None:
    """That is what it is for: with all that `json` brings along it takes a third of an agent's start."""
    code = f"import sys; exec(open({str(CODEC)!r}).read()); print(sorted({{'json', 're', 'enum'}} & set(sys.modules)))"
    done = subprocess.run(
        [f"{pristine('3.11')}/bin/python", "-E", "-s", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_look_at_a_virtualenv_loads_no_json(tmp_path: Path, make_virtualenv: VirtualenvMaker) -> None:
    """Neither where nothing was deployed yet, nor where there is a history to look at."""
    path = make_virtualenv("3.11", tmp_path / "v")
    for history in (None, '{"format": 1, "deployment": "d"}\n'):
        if history is not None:
            (path / ".envfab").mkdir()
            (path / ".envfab" / "history.jsonl").write_text(history)
        agent = RawAgent(path / "bin" / "python")
        agent.load("import sys\nOPERATIONS = {'loaded': lambda *given: {'loaded': sorted(sys.modules)}}\n")
        assert (agent.ask("probe", path=str(path))["ok"]["last"] is None) == (history is None)
        assert not {"json", "re", "enum"} & set(agent.ask("loaded")["ok"]["loaded"])
        assert agent.end() == 0


@pytest.mark.parametrize(
    "prepared",
    [
        "sys.modules['_json'] = None",
        "import json, _json; _json.make_encoder = lambda *few: None",
        "import _json; del _json.make_scanner",
    ],
    ids=["no halves", "other halves", "half of them"],
)
def test_is_json_where_there_are_no_such_halves(pristine: Callable[[str], Path], prepared: str) -> None:
    """Another implementation of Python, or a later one that changed what nobody promised: the module does it."""
    assert compared(pristine("3.11"), prepared) == "json"
