"""`up` prints the sign-in codes of messages that become files."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from modellix_server import mail
from modellix_server.mail.outbox import OutgoingMail
from modellix_server.processes.banner import Terminal, show_mail


async def test_a_code_is_shown_once(settings, tmp_path) -> None:
    folder = tmp_path / "mail"
    terminal = Terminal(file=io.StringIO())
    transport = mail.open_transport(replace(settings, mail_dir=str(folder)))
    now = datetime.now(UTC)
    await transport.send(OutgoingMail(uuid4(), 1, "before@example.com", "Old", "old\n", None, now, 0))
    showing = asyncio.create_task(show_mail(terminal, folder))
    await asyncio.sleep(0)
    await transport.send(OutgoingMail(uuid4(), 1, "anna@example.com", "Your code", "123456\n", "123456", now, 0))
    await transport.send(OutgoingMail(uuid4(), 1, "ben@example.com", "You are \x9b invited", "x\n", None, now, 0))
    async with asyncio.timeout(30):
        while terminal.file.getvalue().count("Mail to") < 2:  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.05)
    showing.cancel()
    said = terminal.file.getvalue()
    assert "Mail to anna@example.com: sign-in code 123456" in said
    assert "Mail to ben@example.com: You are  invited" in said
    assert "before@example.com" not in said
    assert "\x9b" not in said
