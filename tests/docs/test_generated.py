"""What the documentation shows of the code is what the code says today."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import envfab

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_written_of_the_code_is_up_to_date() -> None:
    """The task reference, the picture of a plan and the rooms are what `make docs` would write."""
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_task_is_told_of_in_the_readme() -> None:
    """README.md names every task there is."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = {name.replace("-", "_") for name in envfab.collection().task_names}
    assert {name for name in names if not re.search(rf"\b{name}\b", readme)} == set()


def test_every_argument_says_what_it_means() -> None:
    """On the page of tasks, which has what `--help` prints."""
    found = re.findall(
        r"^\| (`[^|]+`) \| *([^|]*?) *\|$", (ROOT / "docs/tasks.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(found) > 50
    assert [name for name, meaning in found if not meaning] == []


def test_links_of_the_documentation_lead_somewhere() -> None:
    """Every relative link in README.md and docs/ names a file that is there."""
    broken = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not (page.parent / link).exists():
                broken.append(f"{page.name}: {link}")
    assert broken == []


def test_files_that_the_documentation_names_are_there() -> None:
    """A module that was moved has taken its name in the pages along."""
    pages = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]
    named = {
        (page.name, name)
        for page in pages
        for name in re.findall(r"`((?:envfab|tests)/[\w/]+\.\w+)`", page.read_text())
    }
    assert len(named) > 3
    places = {"envfab": Path(envfab.__file__).parents[1], "tests": ROOT}
    assert {(page, name) for page, name in named if not (places[name.split("/")[0]] / name).exists()} == set()


def test_modules_that_the_pages_for_developers_name_are_there() -> None:
    """Also where they are named without the folder of the package and the ending: `planning/plan`."""
    package = Path(envfab.__file__).parent
    rooms = {folder.name for folder in package.iterdir() if folder.is_dir()}
    pages = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "docs" / "architecture.md"]
    named = {
        (page.name, f"{room}/{module}")
        for page in pages
        for room, module in re.findall(r"`(\w+)/([\w/]*\w)`", page.read_text())
        if room in rooms
    }
    assert len(named) > 20
    gone = {name for name in named if not (package / name[1]).is_dir() and not (package / f"{name[1]}.py").exists()}
    assert gone == set()
