"""Removal of what nothing needs, at the end of a deployment: data files, generations, trees of the store."""

from __future__ import absolute_import

import os

from . import store
from .deployed import facts_of
from .files import MEMORY
from .new_inventory import NewInventory
from .layout import GENERATIONS, Layout, current, numbers
from .lingering import lingering, started_at
from .pin import pinned_since
from .folder_removal import remove_condemned, remove_tree
from .switch import DISPLACED, withdraw

# folder in which envfab 1 kept wheels for rollbacks
KEPT_BY_ENVFAB_1 = "wheels"


def tidy(agent, request, body):
    """Remove data files, generations and trees of the store that nothing needs, at the end of a deployment.

    In the answer, `lingering` are the processes that still run an older generation, `left` paths that cannot be removed,
    `digest` is that of the current generation, None if it is not known.

    `deployment` and `when` tell which deployment it is; an older version of envfab may have made the current generation,
    which then gets its inventory. `retain` are the numbers of the generations to keep, `previous` the one that was
    current before, `days` how long the store keeps trees that no generation uses (None: purge nothing).
    """
    layout = Layout(agent.path)
    now, previous = current(agent.path), request["previous"]
    found = lingering(agent.path, previous is not None and pinned_since(layout, previous) is not None)
    for number in numbers(agent.path):
        # of all, not only of the previous one: an interrupted deployment may have left files of another one
        if now is not None and number != now:
            withdraw(layout, number, now)
    for name in (DISPLACED, KEPT_BY_ENVFAB_1):
        remove_tree(os.path.join(agent.path, MEMORY, name))
    for number in numbers(agent.path):
        if number != now and number not in request["retain"] and not is_run(layout, number, found):
            remove_tree(layout.root(number))
    left = []
    for folder in (os.path.join(agent.path, MEMORY), os.path.join(agent.path, GENERATIONS)):
        left += remove_condemned(folder)
    if request["days"] is not None and store.is_mine_alone(agent):
        store.purge(agent.path, request["days"])
    if request.get("deployment") and now is not None and facts_of(agent.path, now) is None:
        inventory = NewInventory(layout, now, request)
        inventory.take()
        inventory.write()
    # an agent may outlive its deployment, and other deployments wait for the store
    store.let_go(agent)
    return {"lingering": found, "left": left, "digest": (facts_of(agent.path, now) or {}).get("digest")}


def is_run(layout, number, processes):
    """Return whether one of the processes may have started with a pinned generation, and so still imports from it."""
    made = pinned_since(layout, number)
    return made is not None and any(started_at(one["started"]) > made for one in processes)


OPERATIONS = {"tidy": tidy}
