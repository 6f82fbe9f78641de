"""The kinds of servers: what each gets of a virtualenv, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envfab.config.fleet import Member
from envfab.config.servers import DependencyTrack, Difio, Secret, Server
from envfab.errors import RegistrationError
from envfab.models.probe import Probe
from envfab.registration.dependency_track import upload
from envfab.registration.dependency_track.protocol import Bom, project_name
from envfab.registration.difio import client
from envfab.registration.difio.protocol import Registration, ServerAnswer
from envfab.registration.difio.registration import Variables, known_as, registration
from envfab.sbom import Digests, document, require_library
from envfab.util.untrusted import shown_url

if TYPE_CHECKING:
    import requests

Content = Registration | Bom


def kind_of(server: Server) -> str:
    """What a server is called where its answers are shown."""
    return "Difio" if isinstance(server, Difio) else "Dependency-Track"


def secret_of(server: Server) -> tuple[str, Secret]:
    """What a server's secret is called, and the secret."""
    return ("token", server.token) if isinstance(server, Difio) else ("API key", server.api_key)


def takes(server: Server, content: Content) -> bool:
    """Whether something that is kept may be sent to a server that has its address now."""
    return isinstance(content, Registration) is isinstance(server, Difio)


def takes_long(server: Server) -> bool:
    """Whether what it gets takes a while to make."""
    return isinstance(server, DependencyTrack)


def require(server: Server) -> None:
    """Raise `RegistrationError` where this machine lacks what a server's content is made with."""
    if isinstance(server, DependencyTrack):
        try:
            require_library()
        except RegistrationError as error:
            raise RegistrationError(error.what, where=shown_url(server.url), hint=error.hint) from None


def content_for(server: Server, member: Member, probe: Probe, variables: Variables, digests: Digests) -> Content:
    """What is sent of a virtualenv; raises `RegistrationError`."""
    if isinstance(server, Difio):
        return registration(member, probe, server.user_id, variables)
    name = project_name(known_as(member, probe))
    return Bom(name, server.project, len(probe.distributions), document(probe, digests))


def send(session: requests.Session, server: Server, secret: str | None, content: Content) -> ServerAnswer:
    """Send, and read the answer; raises `RegistrationError` for anything but an answer."""
    if isinstance(server, Difio) and isinstance(content, Registration):
        return client.post(session, server.url, secret, content)
    assert isinstance(server, DependencyTrack)
    assert isinstance(content, Bom)
    return upload.put(session, server.url, secret, content)
