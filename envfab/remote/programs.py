"""The full paths of programs on hosts, as sudo would find them."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence

from envfab.config.host import Host
from envfab.config.settings import Settings
from envfab.remote.probe import Links, as_its_own
from envfab.remote.run_command import run_command
from envfab.remote.startup import START_LIMIT, Identity
from envfab.remote.workers import join, start_workers
from envfab.util.progress import Reporter
from envfab.util.untrusted import is_plain

# the folders that sudo looks in where sudoers(5) sets no `secure_path`, or Debian's
SECURE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FIND = f'PATH={SECURE_PATH}; for name; do command -v -- "$name"; done; :'


def find_programs(
    wanted: Sequence[tuple[Host, Sequence[str]]], links: Links, settings: Settings, reporter: Reporter
) -> dict[str, Mapping[str, str]]:
    """Find the full paths of each host's programs: {host: {name: path}}; one that is not found is left out.

    A host that cannot be reached is told, and has none.
    """
    found: dict[str, Mapping[str, str]] = {}
    telling = threading.Lock()

    def one(of_host: tuple[Host, Sequence[str]]) -> None:
        host, names = of_host
        try:
            found[host.name] = _find(host, names, links)
        except Exception as error:  # noqa: BLE001 - an error of one host must not affect the others
            with telling:
                reporter.warning(str(as_its_own(error, host.name)))

    join(start_workers(one, [one for one in wanted if one[1]], settings.parallel, "envfab-programs"))
    return found


def _find(host: Host, names: Sequence[str], links: Links) -> Mapping[str, str]:
    with links.link(host).reserve(1) as places:
        script = ("/bin/sh", "-c", _FIND, "sh", *names)
        printed = run_command(places, script, where=host.name, identity=Identity(), timeout=START_LIMIT).output
    paths = [line for line in printed.splitlines() if line.startswith("/") and is_plain(line)]
    return {name: path for name in names for path in paths if os.path.basename(path) == name}
