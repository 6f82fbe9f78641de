"""A fleet to copy: save it as `fabfile.py` in a new folder, and adapt it.

    fab targets                  the virtualenvs described below, as the names that tasks take
    fab add_wheel:dist/shop-2.1-py3-none-any.whl
    fab plan                     what `fab deploy` would do, and nothing else
    fab deploy:%staging          deploy to a group; `fab deploy:web1`, `fab deploy:shop@` (an owner), `fab deploy`
    fab deploy:'web*',yes=true   without the question, for scripts

Relative paths start at the folder of this file. Nothing here connects to anything: that is what tasks do.
"""

from __future__ import annotations

import os

from envfab import Command, Difio, Fleet, Host, Project, UsageStats, Virtualenv, Webhook, collection

# A virtualenv is written once and used on as many hosts as there are.
SHOP = Virtualenv(
    "/srv/shop/venv",
    # The owner. If another user logs in, everything in the virtualenv is done as the owner, by sudo.
    user="shop",
    # The interpreter that `fab create_virtualenv` makes it with.
    python="python3.11",
    # What must be installed: a requirements file of pip's kind (pins, ranges, hashes, -r, -c) …
    requirements="requirements/shop.txt",
    # or a lock file (pylock.toml), or a pyproject.toml: groups=["web"] and extras=["postgres"] choose from them …
    # … and, or instead, requirements here.
    packages=["gunicorn>=22"],
    # The Django projects in it. After an installation each is migrated and gets its commands.
    projects=[
        Project(
            "shop.settings",
            # The user who runs its commands; the owner by default.
            user="www-data",
            # A label of your choice: projects with the same one share a database, which is migrated once per rollout.
            database="shop",
            # Migrations that break older code are refused always, or never ("any"); if this is left out, while other
            # virtualenvs of the database run such code.
            migrations="expand-only",
            # sudo clears the environment, so name what the settings need: here, or in a file on the host.
            env={"DJANGO_LOG_LEVEL": "WARNING"},
            env_file="/etc/shop/env",
            commands=["collectstatic --noinput"],
        )
    ],
    # Commands on the host, run by the user who logs in unless they name another: before an installation …
    # (Text is run by a shell. A list is a program and its arguments: sudo needs a rule for just that command.)
    before=Command(["systemctl", "stop", "shop-worker"], user="root"),
    # … after it (here once for every virtualenv; hosts can have one for all) …
    reload=Command(["systemctl", "start", "shop-worker"], user="root"),
    # … and a check, tried several times: if it fails, the packages go back to what they were.
    check="curl -fsS http://localhost:8000/health",
)


def restart(virtualenv: Virtualenv) -> Command:
    """A command that depends on the virtualenv: the unit has the name of the folder above it."""
    return Command.systemctl("restart", virtualenv.path.split("/")[-2])


fleet = Fleet(
    # The wheelhouse: the folder of wheels, and the log of what was added and installed. `fab add_wheel` makes both.
    wheels="wheels",
    release_log="release_log",
    # Hosts can fetch wheels from an index that `fab publish_index` wrote, instead of getting them from here:
    # wheel_source="https://wheels.example.org/simple/",
    hosts=[
        # Names go through your SSH config: ports, addresses, keys and jump hosts belong there.
        Host(
            "staging",
            user="admin",
            groups={"staging"},
            # After all virtualenvs of this host, once, if any of them changed.
            reload=Command.systemctl("reload", "apache2"),
            reload_once=True,
            virtualenvs=[
                SHOP,
                Virtualenv("/srv/wiki/venv", user="wiki", packages=["wiki-site~=1.4"], reload=restart),
            ],
        ),
        # This is Python: eight equal hosts are one line.
        *[Host(f"web{number}", user="admin", groups={"prod", "web"}, virtualenvs=[SHOP]) for number in range(1, 9)],
        # This machine, without SSH (ssh=True would use it). Virtualenvs without `user` belong to the user who logs in.
        Host(
            "localhost", virtualenvs=[Virtualenv("/home/me/venvs/tools", requirements=["tools.txt", "more-tools.txt"])]
        ),
    ],
    # Servers that get the package lists, after each deployment and by `fab register`; none by default.
    # Secrets may be callables, called only when needed, so that no secret is written here.
    registration=[
        Difio(
            "https://inventory.example.org/application/register/",
            user_id=7,
            token=lambda: os.environ["INVENTORY_TOKEN"],
        ),
        # Dependency-Track gets bills of materials (pip install '.[sbom]' in a checkout of envfab);
        # "shop" is an existing project there.
        # DependencyTrack("https://deptrack.example.org", api_key=lambda: os.environ["DEPTRACK_KEY"], project="shop"),
    ],
    # What is told what happens in rollouts: web servers, chats, and commands of this machine, Exec("./notify");
    # A collector is told whole rollouts: Collector("https://inventory.example.org", token=lambda: …).
    events=[
        Webhook(lambda: os.environ["SLACK_URL"], format="slack", kinds=["rollout.begun", "rollout.failed"]),
    ],
    # The server for statistics of envfab's own use. Nothing is sent before `fab stats_enable`.
    usage_stats=UsageStats("https://stats.example.org/"),
)

# The tasks: `fab deploy`, … To keep them apart from your own, build a namespace and add them under a name:
#     ns = invoke.Collection(your_task); ns.add_collection(collection(fleet), name="env")      fab env.deploy
ns = collection(fleet)

# Settings; a fabric.yaml beside this file (envfab: {parallel: 5}) or FABRIC_ENVFAB_PARALLEL=5 override them.
ns.configure({"envfab": {"parallel": 10, "keep": 5}})
