"""Messages to people: outbox rows in the causing transaction, sent by a worker over SMTP or as files."""

from modellix_server.mail.outbox import Backlog, backlog, drop_old, enqueue
from modellix_server.mail.sender import MailSender
from modellix_server.mail.templates import harmless
from modellix_server.mail.transport import (
    MailNotSent,
    MailRefused,
    Transport,
    missing_settings,
    open_transport,
    test_message,
)
