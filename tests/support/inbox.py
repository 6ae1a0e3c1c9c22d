"""A real SMTP server, and what came in."""

from __future__ import annotations

import contextlib
import email
import email.policy
from collections.abc import Iterator

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class Inbox:
    """What a real SMTP server has taken, and what it answers first."""

    def __init__(self) -> None:
        self.taken: list[email.message.EmailMessage] = []
        self.at_recipient: list[str] = []
        self.at_data: list[str] = []

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]):  # noqa: N802
        if self.at_recipient:
            return self.at_recipient.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.at_data:
            return self.at_data.pop(0)
        self.taken.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def to(self, address: str) -> list[email.message.EmailMessage]:
        """What was sent to an address, in its order."""
        return [message for message in self.taken if message["To"] == address]


@contextlib.contextmanager
def open_inbox(port: int) -> Iterator[Inbox]:
    """The server, on a port of this machine."""
    inbox = Inbox()
    server = Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield inbox
    finally:
        server.stop()
