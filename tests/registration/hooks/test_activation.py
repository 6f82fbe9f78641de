"""Hooks in real virtualenvs, run by real shells."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.errors import RegistrationError
from envfab.registration.hooks import activation
from envfab.registration.hooks.activation import Call, global_hooks, with_block, without_block
from tests.support.virtualenvs import VirtualenvMaker

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
NAMES = ("a b", "it's", 'q"q', "$(touch owned)", "back\\slash", "100%", "ü")
RECORDER = """#!/bin/sh
printf '%s\\n' "$PWD" "$VIRTUAL_ENV" "${DIFIO_UUID-}" "$@" >> "${0%/*}/calls"
"""


@dataclass(frozen=True, slots=True)
class Hooked:
    """A virtualenv, and a program in the place of `fab` that writes down how it is called."""

    virtualenv: Path
    program: Path
    call: Call

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Contents and modes of what is in `bin`."""
        return {
            path.name: (path.read_bytes(), path.stat().st_mode)
            for path in (self.virtualenv / "bin").iterdir()
            if not path.is_symlink()
        }

    def calls(self, count: int = 1) -> list[str]:
        """What was written down, once `count` calls are there; gives others a moment to show up."""
        file = self.program.with_name("calls")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if file.exists() and file.read_text().count("--local\n") >= count:
                time.sleep(0.1)
                return file.read_text().splitlines()
            time.sleep(0.01)
        raise AssertionError("nothing was called")


@pytest.fixture
def hooked(tmp_path: Path, make_virtualenv: VirtualenvMaker) -> Hooked:
    """A virtualenv at a path that needs quoting."""
    virtualenv = make_virtualenv(PYTHON, tmp_path / "venvs" / "shop")
    program = _recorder(tmp_path / "it's bin", RECORDER)
    return Hooked(virtualenv, program, Call(str(tmp_path), [str(program), "register"]))


def _recorder(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    program = folder / "fab"
    program.write_text(text)
    program.chmod(0o755)
    return program


def shell(
    script: str, *arguments: object, program: str = "bash", env: Mapping[str, str] | None = None
) -> tuple[str, float]:
    """(what a shell prints on either stream, the seconds it took); it must succeed."""
    began = time.monotonic()
    done = subprocess.run(
        [program, "-c", script, program, *map(str, arguments)],
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, time.monotonic() - began


def test_activation_registers(hooked: Hooked) -> None:
    """Sourcing bin/activate calls `fab register --local` in the fabfile's folder, with the virtualenv active."""
    activation.install(hooked.virtualenv, hooked.call)
    shell('. "$1/bin/activate"', hooked.virtualenv)
    assert hooked.calls() == [hooked.call.folder, str(hooked.virtualenv), "", "register", "--local"]


def test_workon_registers_once(hooked: Hooked) -> None:
    """virtualenvwrapper sources bin/activate, then bin/postactivate: that is one registration, each time anew."""
    activation.install(hooked.virtualenv, hooked.call)
    workon = '. "$1/bin/activate"; . "$1/bin/postactivate"; '
    shell(workon + "deactivate; " + workon, hooked.virtualenv)
    assert hooked.calls(2).count("--local") == 2


def test_postactivate_alone_registers(hooked: Hooked) -> None:
    """Where it is run as a program, or sourced by somebody's own script."""
    activation.install(hooked.virtualenv, hooked.call)
    subprocess.run(
        [hooked.virtualenv / "bin" / "postactivate"],
        env={**os.environ, "VIRTUAL_ENV": str(hooked.virtualenv)},
        check=True,
    )
    shell('VIRTUAL_ENV=$1; . "$1/bin/postactivate"', hooked.virtualenv)
    assert hooked.calls(2).count("--local") == 2


@pytest.mark.parametrize("options", ["-eu", "-e -o pipefail"])
@pytest.mark.parametrize(
    "program",
    ["exit 1", "sleep 5", "echo noise; echo noise >&2; exit 3", None],
    ids=["fails", "hangs", "talks", "gone"],
)
def test_activation_is_quick_quiet_and_whole_whatever_happens(
    hooked: Hooked, program: str | None, options: str
) -> None:
    """Also for shells that end at the first error, and for whoever waits for their output to end."""
    activation.install(hooked.virtualenv, hooked.call)
    if program is None:
        hooked.program.unlink()
    else:
        hooked.program.write_text(f"#!/bin/sh\n{program}\n")
    said, took = shell(f'set {options}; . "$1/bin/activate" && echo "$VIRTUAL_ENV"', hooked.virtualenv)
    assert said == f"{hooked.virtualenv}\n"
    assert took < 2


def test_a_lost_fabfile_or_script_breaks_no_activation(hooked: Hooked, tmp_path: Path) -> None:
    """Neither a folder that is gone nor a deleted script is an error."""
    activation.install(hooked.virtualenv, Call(str(tmp_path / "gone"), hooked.call.command))
    assert shell('set -eu; . "$1/bin/activate"', hooked.virtualenv)[0] == ""
    (hooked.virtualenv / "bin" / activation.SCRIPT).unlink()
    assert shell('set -eu; . "$1/bin/activate"', hooked.virtualenv)[0] == ""


def test_a_home_that_cannot_be_written_breaks_nothing(hooked: Hooked) -> None:
    """The log is a convenience: without a home it registers all the same."""
    activation.install(hooked.virtualenv, hooked.call)
    shell('. "$1/bin/activate"', hooked.virtualenv, env={"XDG_STATE_HOME": "/proc/none", "HOME": "/proc/none"})
    assert hooked.calls()[-1] == "--local"


def test_what_goes_wrong_can_be_read_afterwards(hooked: Hooked, clean_environment: Path) -> None:
    """The last run's output is in the user's state folder."""
    hooked.program.write_text(RECORDER + "echo 'it failed' >&2\n")
    activation.install(hooked.virtualenv, hooked.call)
    shell('. "$1/bin/activate"', hooked.virtualenv)
    hooked.calls()
    assert (clean_environment / ".local/state/envfab/register_hook.log").read_text() == "it failed\n"


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_quoted(tmp_path: Path, make_virtualenv: VirtualenvMaker, name: str) -> None:
    """Paths and values reach the program as they are, whatever a shell would make of them."""
    virtualenv = make_virtualenv(PYTHON, tmp_path / "plain").rename(tmp_path / name)
    activate = virtualenv / "bin" / "activate"
    # the test is about the hook: an activate script of virtualenv's own quotes less
    activate.write_text("VIRTUAL_ENV=$1\nexport VIRTUAL_ENV\n")
    folder = tmp_path / f"{name} fab"
    program = _recorder(folder, RECORDER)
    activation.install(virtualenv, Call(str(folder), [str(program), name, "register"], {"DIFIO_UUID": name}))
    shell('. "$1/bin/activate"', virtualenv)
    lines = Hooked(virtualenv, program, Call("", [])).calls()
    assert lines == [str(folder), str(virtualenv), name, name, "register", "--local"]
    assert not list(tmp_path.rglob("owned"))


def test_variables_of_the_shell_outrank_those_of_the_hook(hooked: Hooked) -> None:
    """What was set when the hook was made is a default."""
    activation.install(hooked.virtualenv, Call(hooked.call.folder, hooked.call.command, {"DIFIO_UUID": "then"}))
    shell('. "$1/bin/activate"', hooked.virtualenv, env={"DIFIO_UUID": "now"})
    assert hooked.calls()[2] == "now"


def test_twice_changes_nothing(hooked: Hooked) -> None:
    """The second time says so, and touches no file."""
    changed = activation.install(hooked.virtualenv, hooked.call)
    assert [path.name for path in changed] == ["envfab-register", "postactivate", "activate"]
    before = hooked.files()
    times = {path: path.stat().st_mtime_ns for path in changed}
    assert activation.install(hooked.virtualenv, hooked.call) == []
    assert hooked.files() == before
    assert {path: path.stat().st_mtime_ns for path in changed} == times


def test_another_fabfile_takes_the_hook_over(hooked: Hooked, tmp_path: Path) -> None:
    """There is one hook; the last fabfile has it."""
    activation.install(hooked.virtualenv, hooked.call)
    changed = activation.install(hooked.virtualenv, Call(str(tmp_path / "other"), hooked.call.command))
    assert [path.name for path in changed] == ["envfab-register", "postactivate", "activate"]
    assert activation.remove(hooked.virtualenv / "bin")
    assert "envfab" not in (hooked.virtualenv / "bin" / "activate").read_text()


@pytest.mark.parametrize("own", [None, b"#!/bin/bash\necho hello\n", b"echo no line end", b""])
def test_removing_leaves_what_was_there(hooked: Hooked, own: bytes | None) -> None:
    """Contents and modes are the very same as before, and a second removal does nothing."""
    if own is not None:
        (hooked.virtualenv / "bin" / "postactivate").write_bytes(own)
    before = hooked.files()
    activation.install(hooked.virtualenv, hooked.call)
    assert activation.remove(hooked.virtualenv / "bin")
    assert hooked.files() == before
    assert activation.remove(hooked.virtualenv / "bin") == []


def test_what_a_user_adds_to_the_hook_stays(hooked: Hooked) -> None:
    """A file that the hook made and somebody went on with is kept when the hook goes."""
    activation.install(hooked.virtualenv, hooked.call)
    postactivate = hooked.virtualenv / "bin" / "postactivate"
    with postactivate.open("a") as file:
        file.write("echo mine\n")
    activation.install(hooked.virtualenv, hooked.call)
    activation.remove(hooked.virtualenv / "bin")
    assert postactivate.read_text() == "#!/bin/sh\necho mine\n"


def test_a_users_own_hook_still_runs(hooked: Hooked) -> None:
    """What was in postactivate is run as before."""
    (hooked.virtualenv / "bin" / "postactivate").write_text("echo mine")
    activation.install(hooked.virtualenv, hooked.call)
    said, _ = shell('. "$1/bin/activate"; . "$1/bin/postactivate"', hooked.virtualenv)
    assert said == "mine\n"


def test_a_linked_hook_stays_a_link(hooked: Hooked, tmp_path: Path) -> None:
    """Users keep such files in a repository of their own."""
    kept = tmp_path / "dotfile"
    kept.write_text("echo mine\n")
    link = hooked.virtualenv / "bin" / "postactivate"
    link.symlink_to(kept)
    activation.install(hooked.virtualenv, hooked.call)
    assert link.is_symlink()
    assert "envfab register_hook" in kept.read_text()
    activation.remove(hooked.virtualenv / "bin")
    assert kept.read_text() == "echo mine\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to another user needs root")
def test_files_keep_their_owners(hooked: Hooked) -> None:
    """Somebody who hooks into another's virtualenv does not take its files away."""
    activate = hooked.virtualenv / "bin" / "activate"
    os.chown(activate, 12345, 23456)
    activation.install(hooked.virtualenv, hooked.call)
    assert (activate.stat().st_uid, activate.stat().st_gid) == (12345, 23456)


def test_the_global_hook_serves_every_virtualenv(hooked: Hooked, tmp_path: Path) -> None:
    """virtualenvwrapper sources it after any activation; where a virtualenv has its own hook it steps back."""
    hooks = tmp_path / "work on"
    hooks.mkdir()
    (hooks / "postactivate").write_text("#!/bin/bash\n# mine\n")
    assert activation.install_for_all(hooks, hooked.call)
    workon = (
        '. "$1/bin/activate"; . "$2/postactivate"; if [ -f "$1/bin/postactivate" ]; then . "$1/bin/postactivate"; fi'
    )
    shell(f"set -eu; {workon}", hooked.virtualenv, hooks)
    assert hooked.calls().count("--local") == 1
    activation.install(hooked.virtualenv, hooked.call)
    shell(f"set -eu; {workon}", hooked.virtualenv, hooks)
    assert hooked.calls(2).count("--local") == 2
    assert activation.install_for_all(hooks, hooked.call) == []
    activation.remove(hooks)
    assert [path.name for path in hooks.iterdir()] == ["postactivate"]
    assert (hooks / "postactivate").read_text() == "#!/bin/bash\n# mine\n"


def test_where_the_global_hooks_are() -> None:
    """As virtualenvwrapper finds them."""
    assert global_hooks({"VIRTUALENVWRAPPER_HOOK_DIR": "/h", "WORKON_HOME": "/w"}) == Path("/h")
    assert global_hooks({"WORKON_HOME": "/w"}) == Path("/w")
    assert global_hooks({}) == Path.home() / ".virtualenvs"


def test_other_shells_take_it_too(hooked: Hooked) -> None:
    """sh, whatever it is here, and zsh where there is one."""
    activation.install(hooked.virtualenv, hooked.call)
    for program in filter(shutil.which, ("sh", "dash", "zsh")):
        said, _ = shell('set -eu; . "$1/bin/activate"; . "$1/bin/postactivate"', hooked.virtualenv, program=program)
        assert said == ""


def test_a_script_with_a_password_is_its_owners_alone(hooked: Hooked) -> None:
    """An address may hold one; other scripts can be run by everybody who activates."""
    script = hooked.virtualenv / "bin" / activation.SCRIPT
    activation.install(hooked.virtualenv, Call("/", ["fab"], {"DIFIO_URL": "https://example.org/"}))
    assert script.stat().st_mode & 0o777 == 0o755
    activation.install(hooked.virtualenv, Call("/", ["fab"], {"DIFIO_URL": "https://me:pw@example.org/"}))
    assert script.stat().st_mode & 0o777 == 0o700


def test_what_is_no_virtualenv_is_refused(tmp_path: Path) -> None:
    """The message names the folder."""
    with pytest.raises(RegistrationError, match=f"^{re.escape(str(tmp_path))}: bin/activate does not exist"):
        activation.install(tmp_path, Call("/", ["fab"]))
    with pytest.raises(RegistrationError, match="the folder of hooks does not exist"):
        activation.install_for_all(tmp_path / "gone", Call("/", ["fab"]))


def test_a_damaged_block_is_not_guessed_at(hooked: Hooked) -> None:
    """The message names the file and says what to do; nothing is changed."""
    postactivate = hooked.virtualenv / "bin" / "postactivate"
    postactivate.write_text("# >>> envfab register_hook >>>\nhalf\n")
    with pytest.raises(RegistrationError) as caught:
        activation.install(hooked.virtualenv, hooked.call)
    assert str(caught.value) == (
        f"{postactivate}: the end of its register_hook block is missing\n  remove the block by hand"
    )


def test_a_line_break_is_refused() -> None:
    """No quoting brings it safely through a crontab."""
    with pytest.raises(RegistrationError, match="cannot hold a line break"):
        Call("/a\nb", ["fab"])


lines = st.text(st.sampled_from("ab\n#> \r"), max_size=30).map(str.encode)


@given(st.none() | lines, lines, lines)
def test_a_block_comes_and_goes_without_a_trace(content: bytes | None, first: bytes, second: bytes) -> None:
    """Whatever the file was, and however often the block is changed in between."""
    block, other = (f"{text.hex()}\n" for text in (first, second))
    once = with_block(content, block)
    assert with_block(once, block) == once
    assert without_block(with_block(once, other)) == content
    if content is not None:
        assert without_block(content) == content
