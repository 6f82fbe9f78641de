"""A fleet to copy: save it as `fabfile.py` in a folder of its own, and change what is not yours.

    fab targets                  the virtualenvs described below, as the names that tasks take
    fab add_wheel:dist/shop-2.1-py3-none-any.whl
    fab plan                     what `fab deploy` would do, and nothing else
    fab deploy:%staging          deploy to a group; `fab deploy:web1`, `fab deploy:shop@` (an owner), `fab deploy`
    fab deploy:'web*',yes=true   without the question, for scripts

Relative paths start at the folder of this file. Nothing here connects to anything: that is what tasks do.
"""

from __future__ import annotations

import os

from envfab import Command, Difio, Fleet, Host, Project, UsageStats, Virtualenv, collection

# A virtualenv is written once and used on as many hosts as there are.
SHOP = Virtualenv(
    "/srv/shop/venv",
    # Who owns it. If that is not who logs in, everything in it is done through sudo as this user.
    user="shop",
    # What `fab create_virtualenv` makes it with.
    python="python3.11",
    # What must be installed: a requirements file of pip's kind (pins, ranges, hashes, -r, -c) …
    requirements="requirements/shop.txt",
    # a lock file (pylock.toml) or a pyproject.toml serves, too: groups=["web"], extras=["postgres"] choose of them …
    # … and, or instead, requirements in line.
    packages=["gunicorn>=22"],
    # The Django projects in it. After an installation each is migrated and gets its commands.
    projects=[
        Project(
            "shop.settings",
            # Who runs its commands; the owner unless said otherwise.
            user="www-data",
            # A label of your choice: projects with the same one share a database, and migrate it once a rollout.
            database="shop",
            # sudo clears the environment, so name what the settings need: here, or in a file on the host.
            env={"DJANGO_LOG_LEVEL": "WARNING"},
            env_file="/etc/shop/env",
            commands=["collectstatic --noinput"],
        )
    ],
    # Commands on the host, run by who logs in unless they name a user: before an installation …
    # (Text is for a shell. A list is a program and its arguments, for which sudo needs a rule for just that command.)
    before=Command(["systemctl", "stop", "shop-worker"], user="root"),
    # … after it (here once for every virtualenv; hosts can have one for all) …
    reload=Command(["systemctl", "start", "shop-worker"], user="root"),
    # … and the proof, tried several times: if it fails, the packages go back to what they were.
    check="curl -fsS http://localhost:8000/health",
)


def restart(virtualenv: Virtualenv) -> Command:
    """A command that depends on the virtualenv: the unit is called like the folder above it."""
    return Command(["systemctl", "restart", virtualenv.path.split("/")[-2]], user="root")


fleet = Fleet(
    # The wheelhouse: the folder of wheels, and the log of what came in and where it went. `fab add_wheel` makes them.
    wheels="wheels",
    release_log="release_log",
    # Let hosts fetch wheels from where `fab publish_index` published them, instead of being sent them from here:
    # wheel_source="https://wheels.example.org/simple/",
    hosts=[
        # Names go through your SSH config: ports, addresses, keys and jump hosts belong there.
        Host(
            "staging",
            user="admin",
            groups={"staging"},
            # After all virtualenvs of this host, once, if any of them changed.
            reload=Command(["systemctl", "reload", "apache2"], user="root"),
            reload_once=True,
            virtualenvs=[
                SHOP,
                Virtualenv("/srv/wiki/venv", user="wiki", packages=["wiki-site~=1.4"], reload=restart),
            ],
        ),
        # A host is Python: eight alike are one line.
        *[Host(f"web{number}", user="admin", groups={"prod", "web"}, virtualenvs=[SHOP]) for number in range(1, 9)],
        # This machine, without SSH (ssh=True would use it). Virtualenvs without `user` belong to who logs in.
        Host(
            "localhost", virtualenvs=[Virtualenv("/home/me/venvs/tools", requirements=["tools.txt", "more-tools.txt"])]
        ),
    ],
    # Servers that are told which packages run where, after each deployment and by `fab register`; none by default.
    # Secrets may be callables, asked only when they are needed, so that none is written here.
    registration=[
        Difio(
            "https://inventory.example.org/application/register/",
            user_id=7,
            token=lambda: os.environ["INVENTORY_TOKEN"],
        ),
        # Dependency-Track gets bills of materials (pip install 'envfab[sbom]'); "shop" is a project that it has.
        # DependencyTrack("https://deptrack.example.org", api_key=lambda: os.environ["DEPTRACK_KEY"], project="shop"),
    ],
    # Where anonymous statistics of envfab's own use may go. Nothing is sent before `fab stats_enable`.
    usage_stats=UsageStats("https://stats.example.org/"),
)

# The tasks: `fab deploy`, … To keep them apart from your own, build a namespace and add them under a name:
#     ns = invoke.Collection(your_task); ns.add_collection(collection(fleet), name="env")      fab env.deploy
ns = collection(fleet)

# Settings; a fabric.yaml beside this file (envfab: {parallel: 5}) or FABRIC_ENVFAB_PARALLEL=5 outrank them.
ns.configure({"envfab": {"parallel": 10, "keep": 5}})
