"""What a site feels of a deployment: processes start and import it without pause while its packages change.

    python -m benchmarks.unfelt [--deployments 5] [--starts 300] [--ways envfab pinned pip uv pyinfra ansible]

A virtualenv of this machine goes from Django 5.1 to 5.2 and back. Beside that, processes start as the workers of a web
server do: they set Django up, with its admin, and import all modules of a package of our own, of which each says of
which release it is. A start that ends with an error has failed; one that saw modules of both releases is mixed. The
first deployment of envfab, which gives the virtualenv its generations, is told by itself. Writes `results/unfelt.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fleet import wheelhouse
from tests.support.wheels import make_wheel

DJANGO = {"1": "Django==5.1.*", "2": "Django==5.2.*"}
MODULES = 150
AT_ONCE = 2
WAYS = ("envfab", "pinned", "pip", "uv", "pyinfra", "ansible")
RESULTS = Path(__file__).with_name("results")
PROGRAM = f"""
import importlib, django
from django.conf import settings
apps = ('contenttypes', 'auth', 'sessions', 'messages', 'admin')
settings.configure(INSTALLED_APPS=['django.contrib.' + name for name in apps])
django.setup()
import django.contrib.admin.sites, django.contrib.auth.views, django.views.generic
seen = {{importlib.import_module('release.m%d' % number).RELEASE for number in range({MODULES})}}
seen.add({{'5.1': '1', '5.2': '2'}}[django.__version__[:3]])
print('mixed' if len(seen) > 1 else 'ok')
"""
FABFILE = """from envfab import Fleet, Host, Virtualenv, collection

virtualenv = Virtualenv({path!r}, packages={packages}, pinned={pinned}, reload={reload!r})
ns = collection(Fleet(hosts=[Host("localhost", virtualenvs=[virtualenv])]))
"""


class Beside:
    """Something done again and again beside deployments, by so many threads; `counts` has how often it ended how."""

    def __init__(self, at_once: int, once: Callable[[], str]) -> None:
        self.counts: Counter[str] = Counter()
        self._once = once
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._go_on) for _ in range(at_once)]

    def begin(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Begin nothing new, and wait for what is under way."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self) -> None:
        while not self._over.is_set():
            self.counts[self._once()] += 1


@dataclass
class Starts:
    """How a process ends that is started with an interpreter."""

    python: Path
    errors: list[str] = field(default_factory=list)

    def once(self) -> str:
        """Start one: "ok", "mixed" or "failed"."""
        try:
            done = subprocess.run([self.python, "-c", PROGRAM], capture_output=True, text=True, check=False)
            word = done.stdout.strip() if done.returncode == 0 else "failed"
            said = done.stderr
        except OSError as error:
            word, said = "failed", str(error)
        if word == "failed":
            self.errors.append((said.strip().splitlines() or ["it said nothing"])[-1])
        return word


class Site:
    """A virtualenv, and the wheels that it goes back and forth between."""

    def __init__(self, root: Path, more: Sequence[str] = (), *, templates: bool = False) -> None:
        """With `more` packages, which stay as they are; with a template beside each module."""
        self.root = root
        self.wheels = root / "wheels"
        self.path = root / "v"
        self.requirements: dict[str, list[str]] = {}
        for release, django in DJANGO.items():
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(self.wheels), django, *more]
            subprocess.run(command, check=True)
            files = {f"release/m{number}.py": f"RELEASE = {release!r}\n" for number in range(MODULES)}
            if templates:
                files |= {f"release/templates/t{number}.html": release for number in range(MODULES)}
            files["release/__init__.py"] = f"RELEASE = {release!r}\n"
            make_wheel(self.wheels, "release", f"{release}.0", files=files)
            self.requirements[release] = [django, f"release=={release}.0", *more]

    def make(self) -> None:
        """The virtualenv anew, with the first release in it, by pip."""
        shutil.rmtree(self.path, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(self.path)], check=True)
        self.by_pip("1")

    def by_pip(self, release: str) -> None:
        """Change it in place with its own pip."""
        self._install([str(self.path / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"], release)

    def by_uv(self, release: str) -> None:
        """Change it in place with uv, which compiles as pip does."""
        python = ["--python", str(self.path / "bin" / "python"), "--compile-bytecode"]
        self._install([str(Path(sys.executable).with_name("uv")), "pip"], release, *python)

    def by_pyinfra(self, release: str) -> None:
        """Change it in place with pyinfra's operation for pip."""
        arguments = {
            "packages": self.requirements[release],
            "virtualenv": str(self.path),
            "extra_install_args": f"--no-index --find-links {self.wheels}",
        }
        deploy = self.root / "deploy.py"
        deploy.write_text(f"from pyinfra.operations import pip\n\npip.packages(**{arguments!r})\n")
        program = wheelhouse.installed("pyinfra") / "pyinfra"
        subprocess.run([program, "-y", "@local", deploy], cwd=self.root, check=True, capture_output=True)

    def by_ansible(self, release: str) -> None:
        """Change it in place with Ansible's module for pip."""
        arguments = {
            "name": self.requirements[release],
            "virtualenv": str(self.path),
            "extra_args": f"--no-index --find-links {self.wheels}",
        }
        program = wheelhouse.installed("ansible") / "ansible"
        command = [str(program), "localhost", "--connection", "local", "--module-name", "pip"]
        subprocess.run([*command, "--args", json.dumps(arguments)], cwd=self.root, check=True, capture_output=True)

    @property
    def peers(self) -> dict[str, Callable[[str], None]]:
        """What else changes virtualenvs, by name."""
        return {"pip": self.by_pip, "uv": self.by_uv, "pyinfra": self.by_pyinfra, "ansible": self.by_ansible}

    def _install(self, program: list[str], release: str, *options: str) -> None:
        source = ["--no-index", "--find-links", str(self.wheels), "--quiet"]
        subprocess.run([*program, "install", *source, *options, *self.requirements[release]], check=True)

    def by_envfab(self, release: str, *, pinned: bool = False, reload: str = "") -> None:
        """Deploy it."""
        place = self.root / "project"
        place.mkdir(exist_ok=True)
        packages = self.requirements[release]
        text = FABFILE.format(path=str(self.path), packages=packages, pinned=pinned, reload=reload)
        (place / "fabfile.py").write_text(text)
        fab = str(Path(sys.executable).with_name("fab"))
        if not (place / "release_log").exists():
            wheels = [str(wheel) for wheel in sorted(self.wheels.glob("*.whl"))]
            subprocess.run([fab, "add_wheel", *wheels], cwd=place, check=True, capture_output=True)
        done = subprocess.run([fab, "deploy", "--yes"], cwd=place, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)


def measure(site: Site, change: Callable[[str], None], deployments: int, least: int) -> Mapping[str, object]:
    """Go back and forth beside starts, so many times, and until there were so many starts."""
    starts = Starts(site.path / "bin" / "python")
    seconds: list[float] = []
    beside = Beside(AT_ONCE, starts.once)
    beside.begin()
    try:
        while len(seconds) < deployments or sum(beside.counts.values()) < least:
            began = time.perf_counter()
            change("2" if len(seconds) % 2 == 0 else "1")
            seconds.append(time.perf_counter() - began)
    finally:
        beside.end()
    counts = beside.counts
    return {
        "deployments": len(seconds),
        "seconds": round(sum(seconds) / len(seconds), 2),
        "starts": sum(counts.values()),
        "failed": counts["failed"],
        "mixed": counts["mixed"],
        "errors": Counter(starts.errors).most_common(3),
    }


def main() -> None:
    """Measure each way, and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--deployments", type=int, default=5)
    parser.add_argument("--starts", type=int, default=300)
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    options = parser.parse_args()
    rows: dict[str, Mapping[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        site = Site(Path(folder))
        ways: dict[str, Callable[[str], None]] = {
            "envfab": site.by_envfab,
            "pinned": lambda release: site.by_envfab(release, pinned=True),
            **site.peers,
        }
        for name in options.ways:
            site.make()
            if name in ("envfab", "pinned"):
                rows[f"{name}, the first deployment"] = measure(site, ways[name], 1, 0)
                ways[name]("1")
            rows[name] = measure(site, ways[name], options.deployments, options.starts)
    for name, row in rows.items():
        print(f"{name:<30} " + "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    RESULTS.mkdir(exist_ok=True)
    figures = {name: {key: row[key] for key in row if key != "errors"} for name, row in rows.items()}
    (RESULTS / "unfelt.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
