"""What delivers events to a receiver, and what it needs of them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from envfab.config.events import Exec, Receiver, Webhook
from envfab.receivers.command import CommandSender
from envfab.receivers.message import Message
from envfab.receivers.webhook import WebhookSender


class Sender(Protocol):
    """Delivers one event after another to one receiver."""

    @property
    def name(self) -> str:
        """What messages call the receiver; it holds no secret."""
        ...

    def send(self, event: Message) -> None:
        """Deliver an event; raises `Undelivered`."""
        ...


def sender_for(receiver: Receiver, folder: Path) -> Sender:
    """Return what delivers to a receiver; `folder` is the fabfile's."""
    if isinstance(receiver, Exec):
        return CommandSender(receiver, folder)
    assert isinstance(receiver, Webhook)
    return WebhookSender(receiver)
