"""pyinfra: one look at `pip freeze` decides; the wheels that it lacks are put there, and one call of pip installs them.

Names are spelled as `pip freeze` does, since pyinfra compares them as they are written.
"""

import os
from pathlib import Path

from pyinfra import host
from pyinfra.facts.pip import PipPackages
from pyinfra.operations import files, pip

PIP = f"{os.environ['BENCH_VIRTUALENVS']}/bin/pip"
THERE = f"{os.environ['BENCH_HOME']}/wheels"
WHEELS = Path(os.environ["BENCH_WHEELS"])
PINS = [line for line in Path(os.environ["BENCH_REQUIREMENTS"]).read_text().split("\n") if "==" in line]

installed = {name.lower(): versions for name, versions in host.get_fact(PipPackages, pip=PIP).items()}

for name, version in (pin.split("==") for pin in PINS):
    if version in installed.get(name.lower(), ()):
        continue
    wheel = next(WHEELS.glob(f"{name.replace('-', '_').lower()}-{version}-*.whl"))
    files.put(name=f"Wheel of {name}", src=str(wheel), dest=f"{THERE}/{wheel.name}")

pip.packages(
    name="Install what is lacking",
    packages=PINS,
    pip=PIP,
    extra_install_args=f"--no-index --no-deps --find-links {THERE}",
)
