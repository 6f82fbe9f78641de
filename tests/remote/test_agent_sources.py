"""The agent's sources, as they are sent."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from envfab.remote import agent_sources


@pytest.mark.parametrize("packed", ["modules", "compiled_modules"])
def test_hosts_that_need_modules_at_once_have_them_packed_once(monkeypatch: pytest.MonkeyPatch, packed: str) -> None:
    """Each of twenty hosts has a thread; the others wait for the first, and do not do the same again."""
    read, asked = agent_sources._source, []

    def slowly(name: str) -> bytes:
        asked.append(name)
        time.sleep(0.05)
        return read(name)

    monkeypatch.setattr(agent_sources, "_source", slowly)
    agent_sources._modules.cache_clear()
    agent_sources._compiled_modules.cache_clear()
    together = threading.Barrier(20)

    def host(_number: int) -> bytes:
        together.wait(20)
        found: bytes = getattr(agent_sources, packed)("atomic_swap", "pin")
        return found

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(host, range(20)))) == 1
    assert sorted(asked) == ["atomic_swap", "pin"]
