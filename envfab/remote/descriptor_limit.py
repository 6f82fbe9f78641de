"""The limit on open descriptors, and how many hosts may be in work at once under it."""

from __future__ import annotations

import resource

# descriptors of a host in work: its connection, or the pipes of its ProxyCommand
A_HOST = 3
# descriptors of everything else: standard streams, the wheelhouse, the release log, compilers, an SSH agent
OTHERS = 30


def make_room_for(parallel: int) -> int:
    """Raise the soft limit on descriptors as far as `parallel` hosts at once need; return how many it allows.

    It is not raised further: programs that are started inherit it, and some close every possible descriptor first.
    """
    needed = A_HOST * parallel + OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return parallel
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):
        allowed = soft
    return max(1, min(parallel, (allowed - OTHERS) // A_HOST))
