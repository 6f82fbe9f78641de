"""Dependency-Track servers, as a fabfile configures them."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import re
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envfab.config.servers import Secret
from envfab.config.validation import check_optional_text, check_text, check_url, configuration, wrong
from envfab.errors import RegistrationError
from envfab.registration.servers import RegistrationServer, ServerAnswer
from envfab.util.untrusted import shown_url

if TYPE_CHECKING:
    from envfab.config.target import Member
    from envfab.models.probe import Probe
    from envfab.registration.dependency_track.protocol import Bom
    from envfab.util.http import WebSession


@configuration
class DependencyTrack(RegistrationServer["Bom"]):
    """A Dependency-Track server, which takes each virtualenv's bill of materials as a project of its own.

    `url` is that of its API server, without `/api`; `project` an existing project, by name or UUID, below which
    those of the virtualenvs are made.
    """

    kind = "Dependency-Track"
    secret_name = "API key"
    payload_noun = ("bill of materials", "bills of materials")
    payload_takes_long = True
    needs_materials = True
    retry_key = "bom"

    url: str
    api_key: str | Callable[[], str] = field(repr=False)
    project: str | None = None

    def __post_init__(self) -> None:
        check_url(self, "url")
        # the address may hold a password, so it is not shown
        if re.search(r"/api(/|$)|[?#]", self.url):
            wrong(
                self,
                "url",
                "must be the address of the server alone",
                "leave out /api and what follows: https://deptrack.example.org",
            )
        if not callable(self.api_key):
            check_text(self, "api_key")
        check_optional_text(self, "project")

    def configured_secret(self) -> Secret:
        return self.api_key

    def payload_maker(self, release_log: Path | None) -> Callable[[Member, Probe], Bom]:
        from envfab.registration.dependency_track.bill import bill_maker

        try:
            return bill_maker(self.project, release_log)
        except RegistrationError as error:
            raise RegistrationError(error.what, where=error.where or shown_url(self.url), hint=error.hint) from None

    def send(self, session: WebSession, secret: str | None, payload: Bom) -> ServerAnswer:
        from envfab.registration.dependency_track.upload import put

        return put(session, self.url, secret, payload)

    def is_processing(self, session: WebSession, secret: str | None, token: str, timeout: float) -> bool:
        from envfab.registration.dependency_track.upload import is_processing

        return is_processing(session, self.url, secret, token, timeout)

    @classmethod
    def format_payload(cls, payload: Bom) -> dict[str, Any]:
        from envfab.registration.dependency_track.bill import pack

        return pack(payload)

    @classmethod
    def parse_payload(cls, kept: Any) -> Bom:
        from envfab.registration.dependency_track.bill import unpack

        return unpack(kept)
