"""The configuration of a collector, from arguments or from `ENVFAB_COLLECTOR_…` variables."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from envfab.collector.report_store import is_program
from envfab.collector.token_file import read_tokens
from envfab.config.events import FORMATS, Receiver, Webhook, problem_of_secret, problem_of_url
from envfab.errors import ConfigurationError
from envfab.util.paths import expand
from envfab.wheelhouse.wheelhouse import Wheelhouse

# Imported in function bodies: what checks signatures, since the cryptography library takes long to load.

PREFIX = "ENVFAB_COLLECTOR_"
VARIABLES = (
    "DATA",
    "DATABASE",
    "REPORTS",
    "HOUSE",
    "INDEX",
    "OSV",
    "ACCEPTED",
    "URL",
    "WEBHOOK",
    "WEBHOOK_SECRET",
    "WEBHOOK_FORMAT",
    "TOKEN",
    "TOKEN_FILE",
    "OPEN",
    "STORE_ADDRESSES",
    "KEEP_DAYS",
    "KEEP_REGISTRATIONS_DAYS",
    "STALE_DAYS",
    "PROXIES",
    "PUBLIC",
    "ACCESS_LOG",
    "PUBLIC_METRICS",
    "REQUESTS_A_MINUTE",
    "BODIES_A_MINUTE",
    "WRONG_TOKENS_A_MINUTE",
)
_YES_OR_NO = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False, "": False}
SHORTEST_TOKEN = 8
# A client can be a thousand hosts behind one address, which register at once and send reports.
REQUESTS_A_MINUTE = 6000
BODIES_A_MINUTE = 3000
# More than a person mistypes and than clients send that were forgotten when a token changed; few to guess one by.
WRONG_TOKENS_A_MINUTE = 60


@dataclass(frozen=True, slots=True)
class WheelhouseFolders:
    """Where the wheelhouse lies, its wheels and its release log, and who must have signed that (None: anybody)."""

    wheels: Path
    log: Path
    signers: Path | None = None

    def open(self) -> Wheelhouse:
        """Open the wheelhouse to read from it; raises `ConfigurationError` if its signers cannot be read."""
        if self.signers is None:
            return Wheelhouse(self.wheels, self.log)
        from envfab.wheelhouse.release_log.log_signers import reading_signers

        return Wheelhouse(self.wheels, self.log, signers=reading_signers(self.signers))


def nowhere(_selector: str) -> frozenset[str]:
    """What a selector names where no fabfile is known: nothing."""
    return frozenset()


@dataclass(frozen=True, slots=True)
class AcceptedFile:
    """A file of accepted findings; `places` tells the uuids of the applications that a selector in it names."""

    path: Path
    places: Callable[[str], frozenset[str]] = nowhere


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of a collector; wrong ones raise `ConfigurationError`.

    Without `tokens` every client is admitted, which `open` must ask for; `local` then restricts that to requests which
    name this machine by a loopback name, so that no web page elsewhere can read it through a visitor's browser.
    Anybody may see the published numbers of the programs in `public`.
    Usage reports are deleted after `keep_days`, applications that did not register for `keep_registrations_days`, and
    history as old, are deleted, too; an application is marked after `stale_days` without a registration.
    `proxies` is the number of trusted proxies in front, which set `X-Forwarded-…`; `rest` is the seconds between two
    rounds of the work in the background (None: no such work). `url` is the address for people, which events name;
    `receivers` are told of new findings, commands among them in `folder` (None: the data folder).
    `access_log` writes a line of JSON a request; `public_metrics` tells metrics without a token. One client may send
    `requests_a_minute`, of which `bodies_a_minute` may have a body, `wrong_tokens_a_minute` a wrong token (0: as many
    as it likes).
    """

    data: Path
    database: str = ""
    reports: Path | None = None
    wheelhouse: WheelhouseFolders | None = None
    index: str = ""
    osv: Path | None = None
    accepted: AcceptedFile | None = None
    tokens: tuple[str, ...] = ()
    open: bool = False
    local: bool = False
    store_addresses: bool = True
    keep_days: int | None = None
    keep_registrations_days: int | None = None
    stale_days: int = 14
    proxies: int = 0
    rest: float | None = 60.0
    public: tuple[str, ...] = ()
    url: str = ""
    receivers: tuple[Receiver, ...] = ()
    folder: Path | None = None
    access_log: bool = False
    public_metrics: bool = False
    requests_a_minute: int = REQUESTS_A_MINUTE
    bodies_a_minute: int = BODIES_A_MINUTE
    wrong_tokens_a_minute: int = WRONG_TOKENS_A_MINUTE

    def __post_init__(self) -> None:
        if not self.tokens and not self.open:
            raise ConfigurationError(
                "a collector that others can reach needs a token",
                where="collector",
                hint=f"give it a file of tokens: --token-file FILE, or {PREFIX}TOKEN_FILE for a WSGI server",
            )
        if any(len(token.removeprefix("read:").removeprefix("write:")) < SHORTEST_TOKEN for token in self.tokens):
            raise ConfigurationError(
                f"a token must have at least {SHORTEST_TOKEN} characters, without `read:` or `write:`",
                where="collector",
                hint="python3 -c 'import secrets; print(secrets.token_urlsafe(32))' makes one",
            )
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ConfigurationError(f"must be an http or https URL, not {self.url!r}", where=f"{PREFIX}URL")
        if self.index and not self.index.startswith(("http://", "https://")):
            raise ConfigurationError(f"must be an http or https URL, not {self.index!r}", where="collector index")
        for program in self.public:
            if not is_program(program):
                raise ConfigurationError(
                    f"must be names of programs, not {program!r}",
                    where="collector public",
                    hint="separate names by commas; a name is made of letters, digits, '.', '_' and '-'",
                )

    @property
    def database_url(self) -> str:
        """The database's URL: an SQLite file in the data folder unless another one is named."""
        return self.database or f"sqlite:///{self.data / 'collector.sqlite3'}"

    @property
    def reports_folder(self) -> Path:
        """The folder that holds reports, and nothing else."""
        return self.reports or self.data / "reports"


def from_environment(environ: Mapping[str, str]) -> Config:
    """The configuration of a WSGI server, from variables; raises `ConfigurationError`, also for unknown variables."""
    said = _variables(environ)
    if not said.get("DATA"):
        _wrong("DATA", "is not set", "name a folder for the database and the reports")
    return from_settings(said)


def from_settings(
    said: Mapping[str, str], default_wheelhouse: WheelhouseFolders | None = None, flags: Collection[str] = ()
) -> Config:
    """The configuration that texts by the names of `VARIABLES` give; empty ones are not set.

    Errors name the variable, or, of those in `flags`, the flag of `fab collector`.
    """
    wheelhouse = said.get("HOUSE")
    reports = said.get("REPORTS")
    osv = said.get("OSV")
    accepted = said.get("ACCEPTED")
    return Config(
        data=_path(said["DATA"], "DATA", flags),
        database=said.get("DATABASE", ""),
        reports=_path(reports, "REPORTS", flags) if reports else None,
        wheelhouse=find_wheelhouse(_path(wheelhouse, "HOUSE", flags)) if wheelhouse else default_wheelhouse,
        index=said.get("INDEX", ""),
        osv=_path(osv, "OSV", flags) if osv else None,
        accepted=AcceptedFile(_path(accepted, "ACCEPTED", flags)) if accepted else None,
        tokens=_tokens(said, flags),
        open=flag(said, "OPEN", False),
        store_addresses=flag(said, "STORE_ADDRESSES", True),
        keep_days=_number_or_none(said, "KEEP_DAYS", flags),
        keep_registrations_days=_number_or_none(said, "KEEP_REGISTRATIONS_DAYS", flags),
        stale_days=_number(said, "STALE_DAYS", flags) if said.get("STALE_DAYS") else 14,
        url=said.get("URL", ""),
        receivers=_receivers(said),
        proxies=_number(said, "PROXIES", flags, least=0) if said.get("PROXIES") else 0,
        public=tuple(name.strip() for name in said["PUBLIC"].split(",")) if said.get("PUBLIC") else (),
        access_log=flag(said, "ACCESS_LOG", False),
        public_metrics=flag(said, "PUBLIC_METRICS", False),
        requests_a_minute=_limit(said, "REQUESTS_A_MINUTE", REQUESTS_A_MINUTE, flags),
        bodies_a_minute=_limit(said, "BODIES_A_MINUTE", BODIES_A_MINUTE, flags),
        wrong_tokens_a_minute=_limit(said, "WRONG_TOKENS_A_MINUTE", WRONG_TOKENS_A_MINUTE, flags),
    )


def _receivers(said: Mapping[str, str]) -> tuple[Receiver, ...]:
    """The webhook that variables name; neither its address nor its secret is ever printed."""
    if not said.get("WEBHOOK"):
        for name in ("WEBHOOK_SECRET", "WEBHOOK_FORMAT"):
            if said.get(name):
                _wrong(name, "needs a webhook", f"set {PREFIX}WEBHOOK to its address")
        return ()
    secret = said.get("WEBHOOK_SECRET") or None
    if problem := problem_of_url(said["WEBHOOK"]):
        _wrong("WEBHOOK", problem, "say https://hooks.example.org/envfab")
    if secret is not None and (problem := problem_of_secret(secret)):
        _wrong("WEBHOOK_SECRET", problem)
    form = said.get("WEBHOOK_FORMAT") or FORMATS[0]
    if form not in FORMATS:
        _wrong("WEBHOOK_FORMAT", f"must be one of {', '.join(FORMATS)}, not {form!r}")
    return (Webhook(said["WEBHOOK"], secret=secret, format=form),)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def settings_in(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables' values by the names of `VARIABLES`."""
    return _variables(environ)


def find_wheelhouse(folder: Path) -> WheelhouseFolders:
    """The wheelhouse at `folder`: its wheels, with the release log inside or beside; or a folder that holds both."""
    if not folder.is_dir():
        raise ConfigurationError(
            f"the folder {folder} does not exist", where="collector wheelhouse", hint="name the wheels' folder"
        )
    if (folder / "wheels").is_dir():
        return WheelhouseFolders(folder / "wheels", folder / "release_log")
    inside = folder / "release_log"
    return WheelhouseFolders(folder, inside if inside.exists() else folder.parent / "release_log")


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    said = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX)}
    for name in said:
        if name not in VARIABLES:
            _wrong(name, "unknown setting", f"the settings are: {', '.join(VARIABLES)}")
    return said


def _tokens(said: Mapping[str, str], flags: Collection[str]) -> tuple[str, ...]:
    tokens = (said["TOKEN"],) if said.get("TOKEN") else ()
    return tokens + (read_tokens(_path(said["TOKEN_FILE"], "TOKEN_FILE", flags)) if said.get("TOKEN_FILE") else ())


def flag(said: Mapping[str, str], name: str, default: bool) -> bool:
    """A setting that is yes or no; raises `ConfigurationError`."""
    value = said.get(name, "1" if default else "0").strip().lower()
    if value not in _YES_OR_NO:
        _wrong(name, f"must be yes or no, not {said[name]!r}", "say 1 or 0")
    return _YES_OR_NO[value]


def _path(text: str, name: str, flags: Collection[str]) -> Path:
    try:
        return expand(text).absolute()
    except ValueError as error:
        raise ConfigurationError(f"{text!a}: {error}", where=_shown(name, flags)) from None


def _shown(name: str, flags: Collection[str]) -> str:
    return f"--{name.lower().replace('_', '-')}" if name in flags else f"{PREFIX}{name}"


def _limit(said: Mapping[str, str], name: str, default: int, flags: Collection[str]) -> int:
    return _number(said, name, flags, least=0) if said.get(name) else default


def _number_or_none(said: Mapping[str, str], name: str, flags: Collection[str]) -> int | None:
    return _number(said, name, flags) if said.get(name) else None


def _number(said: Mapping[str, str], name: str, flags: Collection[str], least: int = 1) -> int:
    value = said[name].strip()
    if not value.isascii() or not value.isdecimal() or not least <= int(value) <= 100_000:
        raise ConfigurationError(f"must be a whole number from {least} up, not {value!r}", where=_shown(name, flags))
    return int(value)


def _wrong(name: str, what: str, hint: str = "") -> NoReturn:
    raise ConfigurationError(what, where=f"{PREFIX}{name}", hint=hint)
