"""`fab collector` as a process of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.fab import FAB, clean_environment


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`fab collector` at work, and its URL."""
    process = subprocess.Popen(
        [FAB, "collector", "--bind", "127.0.0.1:0", *arguments],
        cwd=folder,
        env=clean_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert process.stdout is not None
    try:
        words = process.stdout.readline().split()
        assert words[:1] == ["collector"], " ".join(words) + process.stdout.read()
        yield process, words[1].rstrip("/")
    finally:
        process.kill()
        process.wait(timeout=10)
        print(process.stdout.read())  # shown beside a failure
        process.stdout.close()
