"""Which generations are as deployments left them, so that a rollback can make them current again."""

from __future__ import absolute_import

import os

from .layout import MANIFEST, Layout
from .manifest import is_as_left
from .metadata import scan
from .ownership import canonical


def whole(agent, request, body):
    """Find which of the generations `numbers` are unchanged: `{"whole": […], "unrecorded": […]}`.

    Those in `unrecorded` have no manifest. With `versions` (canonical name → version), `whole` has only generations
    without other versions.
    """
    layout = Layout(agent.path)
    whole = [number for number in request["numbers"] if is_as_left(layout, number)]
    if request.get("versions") is not None:
        whole = [number for number in whole if has_versions(layout, number, request["versions"])]
    unrecorded = [one for one in request["numbers"] if not os.path.exists(os.path.join(layout.root(one), MANIFEST))]
    return {"whole": whole, "unrecorded": unrecorded}


def has_versions(layout, number, versions):
    """Return whether each distribution in a generation is in `versions`; some of these may be elsewhere (editables)."""
    found = []
    for folder in layout.site:
        scan(os.path.join(layout.root(number), folder), found, {"leftovers": [], "damaged": []})
    return all(versions.get(canonical(one["name"])) == one["version"] for one in found)


OPERATIONS = {"whole": whole}
