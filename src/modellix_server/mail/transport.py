"""Ways for a message to leave: an SMTP server, or, in the embedded mode without one, files in the data directory."""

from __future__ import annotations

import contextlib
import os
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import aiosmtplib

from modellix_server.base.settings import BadSettings, Settings
from modellix_server.mail.outbox import OutgoingMail
from modellix_server.mail.templates import html_part, render

_TIMEOUT_S = 20.0
_FILES_KEPT_S = 7 * 86_400
_PORTS = {"smtp": 587, "smtps": 465}


class MailNotSent(Exception):
    """The message was not taken, and may be later. `of_all`: the next one would meet the same."""

    def __init__(self, why: str, *, of_all: bool = True) -> None:
        super().__init__(why)
        self.of_all = of_all


class MailRefused(Exception):
    """The message was refused for good."""


class Transport(ABC):
    """One connection, used as `async with`; entering and `send` raise MailNotSent, `send` MailRefused too."""

    @abstractmethod
    async def send(self, mail: OutgoingMail) -> None:
        """Hand over one message."""

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(  # noqa: B027 - files need no end
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def missing_settings(settings: Settings) -> tuple[str, ...]:
    """The variables without which no mail can be sent; none when it can."""
    if settings.mail_dir and not settings.smtp_url:
        return ()
    wanted = {"MODELLIX_SMTP_URL": settings.smtp_url, "MODELLIX_MAIL_FROM": settings.mail_from}
    return tuple(name for name, value in wanted.items() if not value)


def open_transport(settings: Settings) -> Transport | None:
    """The way that the settings name; None when they name none. Raises BadSettings for one that cannot be used."""
    if not settings.smtp_url:
        return _Files(Path(settings.mail_dir), settings) if settings.mail_dir else None
    return _Smtp(settings)


def test_message(settings: Settings, to: str) -> OutgoingMail:
    """A message that says that mail works."""
    subject, body = render("test", None, {"origin": settings.public_origin})
    return OutgoingMail(uuid4(), 0, to, subject, body, None, datetime.now(UTC), 0)


def as_message(mail: OutgoingMail, sender: str) -> EmailMessage:
    """The message as it is sent. Its id is the same at each try, so that a receiver can tell a repeated one.

    Raises MailRefused where an address or the subject could end its header.
    """
    message = EmailMessage(policy=SMTP_POLICY)
    name, address = parseaddr(sender)
    try:
        message["From"] = Address(name, addr_spec=address)
        message["To"] = Address(addr_spec=mail.recipient)
        message["Subject"] = mail.subject
    except (ValueError, IndexError, UnicodeError) as error:
        raise MailRefused(f"it has no valid header: {error}") from None
    message["Date"] = format_datetime(mail.created_at)
    message["Message-ID"] = f"<{mail.id}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.body)
    message.add_alternative(html_part(mail.body), subtype="html")
    return message


class _Smtp(Transport):
    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.smtp_url)
        self._sender = settings.mail_from
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in _PORTS or not parts.hostname or port == 0 or parts.path.strip("/") or parts.query:
            raise BadSettings("MODELLIX_SMTP_URL must be smtp://user:password@host:587 or smtps://…:465")
        if "@" not in parseaddr(self._sender)[1]:
            raise BadSettings(
                "MODELLIX_MAIL_FROM must be the address that mail comes from, such as no-reply@example.com"
            )
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._smtp = aiosmtplib.SMTP(
            hostname=parts.hostname,
            port=port or _PORTS[parts.scheme],
            use_tls=parts.scheme == "smtps",
            # A password is never sent in the clear; without one, encryption is used where the server offers it.
            start_tls=(True if self._user else None) if parts.scheme == "smtp" else False,
            timeout=_TIMEOUT_S,
        )

    async def __aenter__(self) -> Transport:
        try:
            await self._smtp.connect()
            if self._user:
                await self._smtp.login(self._user, self._password)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            self._smtp.close()
            raise MailNotSent(f"the mail server cannot be used: {_words(error)}") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await self._smtp.quit()
        self._smtp.close()

    async def send(self, mail: OutgoingMail) -> None:
        message = as_message(mail, self._sender)
        try:
            await self._smtp.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            code = max((one.code for one in error.recipients), default=0)
            raise _refusal(code, f"the server refuses the address: {_words(error)}") from error
        except aiosmtplib.SMTPDataError as error:
            raise _refusal(error.code, f"the server refuses the message: {_words(error)}") from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise MailNotSent(f"sending failed: {_words(error)}") from error


def _refusal(code: int, why: str) -> Exception:
    return MailRefused(why) if 500 <= code < 600 else MailNotSent(why, of_all=False)


def _words(error: Exception) -> str:
    plain = "".join(one if one.isprintable() else " " for one in f"{type(error).__name__}: {error}")
    return plain[:300]


class _Files(Transport):
    """Each message becomes `<time>-<id>.eml`: a repeated one replaces itself. `up` reads their headers."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._sender = settings.mail_from or "Modellix <modellix@localhost>"

    async def send(self, mail: OutgoingMail) -> None:
        message = as_message(mail, self._sender)
        if mail.code is not None:
            message["X-Modellix-Code"] = mail.code
        target = self._folder / f"{mail.created_at:%Y%m%dT%H%M%S}-{mail.id}.eml"
        fresh = target.with_suffix(".new")
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(message.as_bytes())
            fresh.replace(target)
            for old in self._folder.glob("*.eml"):
                if old.stat().st_mtime < time.time() - _FILES_KEPT_S:
                    old.unlink(missing_ok=True)
        except OSError as error:
            raise MailNotSent(f"no file can be written in {self._folder}: {error}") from error
