"""This repository's own fleet: one virtualenv on this machine, with the small Django site of examples/.

`make demo` fills its wheelhouse (in `.demo/`) and deploys into it; afterwards `.venv/bin/fab plan`, `fab deploy`, …
work here too.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from envfab import Difio, Fleet, Host, Project, Virtualenv, collection

DEMO = Path(__file__).resolve().parent / ".demo"

fleet = Fleet(
    # Your own fleet would have "wheels" and "release_log" beside its fabfile; here they stay out of the checkout.
    wheels=".demo/wheels",
    release_log=".demo/release_log",
    hosts=[
        Host(
            "localhost",
            virtualenvs=[
                Virtualenv(
                    str(DEMO / "venv"),
                    python=sys.executable,
                    requirements="examples/requirements.txt",
                    projects=[Project("demo_site.settings", env={"DEMO_SITE_DATABASE": str(DEMO / "site.sqlite3")})],
                    # For a site behind a web server this would be `systemctl reload …`.
                    reload=f"touch {shlex.quote(str(DEMO / 'reloaded'))}",
                )
            ],
        )
    ],
    # `fab collector`, as the demo starts it
    registration=[Difio("http://127.0.0.1:8088/application/register/")],
)
ns = collection(fleet)
