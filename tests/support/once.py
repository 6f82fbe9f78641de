"""What several test processes need is made by one of them, once."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def made_once(target: Path) -> Iterator[bool]:
    """Whether the folder `target` is still to be made, by the caller alone; other processes wait until it is there.

    What is left of an attempt that raised, or was killed, is removed before the next one.
    """
    done = target.with_name(f".{target.name}.made")
    with target.with_name(f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            yield False
            return
        shutil.rmtree(target, ignore_errors=True)
        yield True
        done.touch()
