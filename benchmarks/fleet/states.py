"""How hosts look: templates of homes that every host gets a copy of, and the proof of what a contender reached."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from benchmarks.fleet.contenders import BINARY, PYTHON
from benchmarks.fleet.errors import BenchmarkError
from benchmarks.fleet.hosts import UID, Host, Hosts, checked
from benchmarks.fleet.wheelhouse import Wheelhouse
from tests.support.pythons import copied_python, reachable_by_all

VIRTUALENV = "shop"
IMPORT = "import django, PIL._imaging; print(django.__version__)"


@dataclass(frozen=True, slots=True)
class States:
    """Templates by name below `folder`. They are made on the first host, and hold what its home holds."""

    hosts: Hosts
    folder: Path
    python: Path
    bare: dict[NormalizedName, str] = field(default_factory=dict)

    @classmethod
    def made(cls, hosts: Hosts) -> States:
        """With the template "empty": a virtualenv as `python -m venv` makes it."""
        folder = hosts.root / "templates"
        folder.mkdir()
        states = cls(hosts, folder, _shared_python(hosts.root))
        states.add_virtualenvs(VIRTUALENV)
        states.save("empty")
        states.bare.update(distributions(hosts.all[0].home / VIRTUALENV))
        return states

    def add_virtualenvs(self, *names: str) -> None:
        """Empty virtualenvs in the first host's home."""
        for name in names:
            self.hosts.run(self.hosts.all[0], f"{self.python} -m venv {self.hosts.home}/{name}")

    def save(self, name: str) -> None:
        """Keep the first host's home under a name, with times, links and all."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        checked("cp", "-a", str(self.hosts.all[0].home), str(self.folder / name))

    def restore(self, name: str, number: int | None = None) -> None:
        """Give hosts (the first `number`, or all) the home that was kept under a name, and an empty /tmp."""

        def restore(host: Host) -> None:
            tmp = host.folder / "tmp"
            checked("rm", "-rf", str(host.home), *(str(path) for path in tmp.iterdir()))
            checked("cp", "-a", str(self.folder / name), str(host.home))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(restore, self.hosts.all[:number]))

    def furnish(self, furniture: str, wheelhouse: Wheelhouse) -> None:
        """Put into the first host's home what a contender finds there."""
        home = self.hosts.all[0].home
        if furniture == BINARY:
            with zipfile.ZipFile(wheelhouse.wheel("uv")) as wheel:
                name = next(name for name in wheel.namelist() if name.endswith("/scripts/uv"))
                (home / "bin").mkdir()
                (home / "bin" / "uv").write_bytes(wheel.read(name))
            (home / "bin" / "uv").chmod(0o755)
        elif furniture == PYTHON:
            self.hosts.run(self.hosts.all[0], f"{self.python} -m venv --without-pip {self.hosts.home}/ansible")
            with zipfile.ZipFile(wheelhouse.wheel("packaging")) as wheel:
                wheel.extractall(site_packages(home / "ansible"))
        (home / "wheels").mkdir()
        checked("chown", "-R", f"{UID}:{UID}", str(home))

    def check(
        self,
        wanted: Mapping[NormalizedName, str],
        *,
        compiled: bool,
        virtualenv: str = VIRTUALENV,
        number: int | None = None,
    ) -> None:
        """Hosts must have exactly these versions, be able to import them, and have bytecode or not."""

        def check(host: Host) -> str:
            folder = host.home / virtualenv
            there = {name: version for name, version in distributions(folder).items() if name not in self.bare}
            if there != wanted:
                other = sorted(set(there.items()) ^ set(wanted.items()))
                return f"{host.name} has other packages than it should: {other}"
            python = self.hosts.home / virtualenv / "bin" / "python"
            said = self.hosts.look(host, str(python), "-I", "-B", "-c", IMPORT).strip()
            if said != wanted[canonicalize_name("Django")]:
                return f"{host.name} imports Django {said}"
            if has_bytecode(folder) != compiled:
                return f"{host.name} has {'no ' if compiled else ''}bytecode of Django"
            return ""

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            if wrong := [text for text in pool.map(check, self.hosts.all[:number]) if text]:
                raise BenchmarkError("; ".join(wrong))


def distributions(virtualenv: Path) -> dict[NormalizedName, str]:
    """What is installed, by the names of its folders."""
    stems = [path.name.removesuffix(".dist-info") for path in site_packages(virtualenv).glob("*.dist-info")]
    return {canonicalize_name(stem.rpartition("-")[0]): stem.rpartition("-")[2] for stem in stems}


def has_bytecode(virtualenv: Path) -> bool:
    """Whether most of Django is compiled; it comes with templates of modules that nobody can compile."""
    django = site_packages(virtualenv) / "django"
    sources, compiled = (sum(1 for _ in django.rglob(pattern)) for pattern in ("*.py", "*.pyc"))
    return compiled > 0.9 * sources


def site_packages(virtualenv: Path) -> Path:
    """Where a virtualenv's packages are."""
    return next((virtualenv / "lib").glob("python*/site-packages"))


def _shared_python(root: Path) -> Path:
    """An interpreter that the account of the hosts can run: this one, or a copy of it with its bytecode."""
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if reachable_by_all(python) and not python.resolve().is_relative_to("/tmp"):
        return python
    print("copying the interpreter to where the hosts can run it", flush=True)
    copied = copied_python(python, root)
    library = next((copied.parent.parent / "lib").glob("python*/os.py")).parent
    shutil.rmtree(library / "site-packages")
    (library / "site-packages").mkdir()
    # whatever cannot be compiled is an example of a syntax error
    checked("sh", "-c", f"{copied} -m compileall -q -j 0 {library} >/dev/null || true")
    return copied
