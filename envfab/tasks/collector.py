"""The task `collector`: the server for registrations, rollouts and usage reports."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext

if TYPE_CHECKING:
    from envfab.collector.config import Config

ADDRESS = "127.0.0.1:8088"


def task(fleet: Fleet) -> Any:
    """`collector` for `fleet`."""

    @ours(
        bind=f"the address to listen on, HOST:PORT (default: {ADDRESS}); an address other than loopback needs a token",
        data="the folder of the database and the reports (default: collector/ beside the fabfile)",
        database="another database: postgresql://USER@HOST/NAME",
        reports="another folder for the usage reports",
        house="the wheels folder to compare with; the release log lies in it or beside it (default: the fleet's)",
        index="a package index to compare with as well: the URL of its simple API",
        osv="known vulnerabilities to compare with: OSV's export for PyPI, from a file (all.zip)",
        token_file="a file of tokens, one per line; clients must send one of them",
        keep_days="delete usage reports after this many days (default: never)",
        public="programs whose numbers anybody may see, separated by commas (default: none)",
        keep_registrations_days="delete applications that did not register for so many days, and older history "
        "(default: never)",
        no_addresses="do not store the addresses that usage reports come from",
        access_log="write a line of JSON for each request to standard error",
    )
    def collector(
        c: Context,
        bind: str = ADDRESS,
        data: str = "",
        database: str = "",
        reports: str = "",
        house: str = "",
        index: str = "",
        osv: str = "",
        token_file: str = "",
        keep_days: str = "",
        public: str = "",
        keep_registrations_days: str = "",
        no_addresses: bool = False,
        access_log: bool = False,
    ) -> None:
        """Run the server that takes and shows registrations, rollouts and usage reports."""
        run = TaskContext(fleet, c)
        server = _server()
        host, port = server.parse_address(bind)
        given = {
            "DATA": data, "DATABASE": database, "REPORTS": reports, "HOUSE": house, "INDEX": index,
            "OSV": osv, "TOKEN_FILE": token_file, "KEEP_DAYS": keep_days, "PUBLIC": public,
            "KEEP_REGISTRATIONS_DAYS": keep_registrations_days,
            "STORE_ADDRESSES": "0" if no_addresses else "",
            "ACCESS_LOG": "1" if access_log else "",
        }  # fmt: skip
        config = _with_fleet(_config(fleet, host, {name: value for name, value in given.items() if value}), run)
        with run.console as console:

            def announce(url: str) -> None:
                door = "with a token" if config.tokens else "open to everyone who can connect"
                console.print(f"collector {url} · {door} · data in {config.data}")

            server.serve(config, host, port, announce)

    return collector


def _config(fleet: Fleet, host: str, given: dict[str, str]) -> Config:
    """What the arguments say, else the variables, else the fleet. Without a token only loopback is served."""
    from envfab.collector.config import WheelhouseFolders, flag, from_settings, is_loopback, settings_in

    defaults = {"DATA": str(fleet.at("collector")), "OSV": str(fleet.at(fleet.advisories)) if fleet.advisories else ""}
    said = defaults | {k: v for k, v in settings_in(os.environ).items() if v} | given
    to_proxies = flag(said, "OPEN", False)
    wheelhouse = WheelhouseFolders(fleet.at(fleet.wheels), fleet.at(fleet.release_log))
    config = from_settings(said | {"OPEN": "1" if is_loopback(host) else "0"}, wheelhouse, given.keys())
    if fleet.signers is not None and config.wheelhouse is not None:
        config = replace(config, wheelhouse=replace(config.wheelhouse, signers=fleet.at(fleet.signers)))
    return replace(config, local=not config.tokens and not to_proxies)


def _with_fleet(config: Config, run: TaskContext) -> Config:
    """What the fleet says of findings: which are accepted, and what is told of new ones."""
    from envfab.collector.config import AcceptedFile
    from envfab.collector.jobs.acceptances import places_of

    fleet = run.fleet
    path = config.accepted.path if config.accepted is not None else fleet.at(fleet.accepted_findings)
    accepted = AcceptedFile(path, places_of(lambda: fleet.members(run.login)))
    return replace(config, accepted=accepted, receivers=(*fleet.receivers, *config.receivers), folder=fleet.at("."))


def _server() -> Any:
    """The server; raises `UsageError` where the extra is not installed."""
    try:
        from envfab.collector import server
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("envfab"):
            raise
        raise UsageError(f"the collector needs {error.name}", hint="pip install 'envfab[collector]'") from None
    return server
