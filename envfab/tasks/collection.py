"""All tasks for one fleet, as an Invoke collection of its own."""

from __future__ import annotations

from invoke.collection import Collection

from envfab.fleet import Fleet
from envfab.settings import defaults
from envfab.tasks import collecting, deploying, registering, supplying, undoing, virtualenvs, wheels


def build(fleet: Fleet) -> Collection:
    """A new collection: two of them share nothing that can be changed."""
    made = Collection()
    for group in (wheels, supplying, virtualenvs, deploying, undoing, registering, collecting):
        for one in group.tasks(fleet):
            made.add_task(one)
    made.configure({"envfab": defaults()})
    return made
