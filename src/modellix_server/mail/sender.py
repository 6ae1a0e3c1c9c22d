"""Sending: a worker leases due messages, hands them to the server one after the other, and records the outcome.

At least once: a crash between the server's answer and its record sends a message again, under the same Message-ID.
No transaction is open during a call. While the server is away messages wait, until they would be of no use.
"""

import asyncio

from modellix_server.base import log
from modellix_server.base.database import DATABASE_ERRORS, Pool
from modellix_server.base.metrics import Counter
from modellix_server.base.notify import Follower
from modellix_server.mail import outbox
from modellix_server.mail.outbox import OutgoingMail
from modellix_server.mail.transport import MailNotSent, MailRefused, Transport

BACKOFF_S = (5, 15, 30, 60, 120, 300)
"""Seconds before each further try; the last one from then on."""
_IDLE_S = 5.0
_BATCH = 10
_LEASE_S = 300.0  # ten messages, each within the time limit
_LOG = log.get("mail")
_MAILS = Counter("modellix_mails_total", "Messages handed to the mail server, by outcome.", ("outcome",))


class MailSender(Follower):
    """Sending in one worker process. A notice is a hint that something is due; it is looked for regularly too."""

    channel = outbox.CHANNEL

    def __init__(self, db: Pool, transport: Transport) -> None:
        self._db = db
        self._transport = transport
        self._hint = asyncio.Event()

    def following(self) -> None:
        """Look for messages that became due before the connection."""
        self._hint.set()

    def heard(self, payload: str) -> None:  # noqa: ARG002 - which message makes no difference
        """Something is due."""
        self._hint.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._hint.clear()
            try:
                more = await self.send_some()
            except DATABASE_ERRORS as error:
                _LOG.warning("cannot send mail", error=type(error).__name__)
                more = False
            except Exception:  # noqa: BLE001 - whatever it was, the next time may go well
                _LOG.exception("sending mail met trouble")
                more = False
            if not more:
                try:
                    async with asyncio.timeout(_IDLE_S):
                        await self._hint.wait()
                except TimeoutError:
                    pass

    async def send_some(self) -> bool:
        """Send what is due, up to a batch; whether there was anything."""
        mails = await outbox.lease(self._db, _BATCH, _LEASE_S)
        if not mails:
            return False
        try:
            async with self._transport as connection:
                while mails:
                    await self._send(connection, mails[0])
                    mails.pop(0)
        except MailNotSent as error:
            _LOG.warning("mail waits", waiting=len(mails), error=str(error))
            for mail in mails:
                await self._later(mail, str(error))
        return True

    async def _send(self, connection: Transport, mail: OutgoingMail) -> None:
        try:
            await connection.send(mail)
        except MailRefused as error:
            _MAILS["refused",] += 1
            _LOG.warning("mail was refused", mail=str(mail.id), error=str(error))
            await outbox.refused(self._db, mail, str(error))
        except MailNotSent as error:
            if error.of_all:
                raise
            await self._later(mail, str(error))
        else:
            await outbox.sent(self._db, mail)
            _MAILS["sent",] += 1

    async def _later(self, mail: OutgoingMail, error: str) -> None:
        _MAILS["later",] += 1
        await outbox.again(self._db, mail, BACKOFF_S[min(mail.tries, len(BACKOFF_S) - 1)], error)
