"""Mail: nothing lost and nothing kept, over a real SMTP server that is away, refuses or hesitates."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.inbox import Inbox, open_inbox
from tests.support.ports import free_port

from modellix_server import mail
from modellix_server.base.database import Pool
from modellix_server.base.settings import BadSettings, Settings
from modellix_server.mail.sender import MailSender

CODE = {"origin": "http://here", "code": "123456"}


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def inbox(port: int) -> Iterator[Inbox]:
    with open_inbox(port) as opened:
        yield opened


@pytest.fixture
def sender(pool: Pool, settings: Settings, port: int) -> MailSender:
    there = replace(settings, smtp_url=f"smtp://127.0.0.1:{port}", mail_from="Modellix <no-reply@example.com>")
    transport = mail.open_transport(there)
    assert transport is not None
    return MailSender(pool, transport)


async def put_up(pool: Pool, to: str = "anna@example.com", **options: object) -> None:
    async with pool.acquire() as db, db.transaction():
        await mail.enqueue(db, to, "sign_in_code", CODE, **options)


async def now_due(pool: Pool) -> None:
    await pool.execute("update mail.outbox set due_at = now() where state = 'waiting'")


async def row(pool: Pool):
    return await pool.fetchrow("select * from mail.outbox")


async def test_a_message_is_sent_once_and_its_code_is_deleted(pool, inbox, sender) -> None:
    await put_up(pool)
    assert await sender.send_some()
    assert not await sender.send_some()
    [message] = inbox.taken
    assert (message["To"], message["From"]) == ("anna@example.com", "Modellix <no-reply@example.com>")
    assert "123456" in message.get_body(("plain",)).get_content()
    assert ">123456</p>" in message.get_body(("html",)).get_content()
    assert "123456" not in message["Subject"]
    found = await row(pool)
    assert (found["state"], found["body"], found["code"]) == ("sent", None, None)


async def test_a_transaction_that_fails_sends_nothing(pool, inbox, sender) -> None:
    async with pool.acquire() as db:
        transaction = db.transaction()
        await transaction.start()
        await mail.enqueue(db, "anna@example.com", "sign_in_code", CODE)
        await transaction.rollback()
    assert not await sender.send_some()


async def test_a_server_that_is_away_loses_nothing_and_gets_each_message_once(pool, sender, port) -> None:
    for number in range(3):
        await put_up(pool, f"user{number}@example.com")
    for _ in range(8):
        assert await sender.send_some()
        assert not await sender.send_some(), "it waits before it tries again"
        await now_due(pool)
    assert (await mail.backlog(pool)).waiting == 3
    assert "cannot be used" in (await row(pool))["error"]
    with open_inbox(port) as inbox:
        assert await sender.send_some()
        assert not await sender.send_some()
    assert sorted(message["To"] for message in inbox.taken) == [f"user{number}@example.com" for number in range(3)]


async def test_what_is_refused_for_now_is_sent_again_under_the_same_id(pool, inbox, sender) -> None:
    await put_up(pool)
    inbox.at_data = ["451 later"]
    await sender.send_some()
    found = await row(pool)
    assert (found["state"], found["tries"]) == ("waiting", 1)
    assert "later" in found["error"]
    inbox.at_recipient = ["450 greylisted"]
    await now_due(pool)
    await sender.send_some()
    await now_due(pool)
    await sender.send_some()
    [message] = inbox.taken
    assert message["Message-ID"] == f"<{found['id']}@example.com>"


@pytest.mark.parametrize("where", ["at_recipient", "at_data"])
async def test_what_is_refused_for_good_ends_and_does_not_hold_up_the_next(pool, inbox, sender, where) -> None:
    await put_up(pool, "nobody@example.com")
    await put_up(pool, "anna@example.com")
    setattr(inbox, where, ["550 no such user"])
    await sender.send_some()
    assert [message["To"] for message in inbox.taken] == ["anna@example.com"]
    [failed] = await pool.fetch("select * from mail.outbox where state = 'failed'")
    assert (failed["recipient"], failed["body"], failed["code"]) == ("nobody@example.com", None, None)
    assert "no such user" in failed["error"]


async def test_what_would_come_too_late_is_not_sent(pool, inbox, sender) -> None:
    await put_up(pool, useless_after_s=-1)
    assert not await sender.send_some()
    assert (await row(pool))["state"] == "failed"
    assert inbox.taken == []


async def test_work_for_nothing_leaves_nothing_to_send(pool, inbox, sender) -> None:
    await put_up(pool, send=False)
    assert not await sender.send_some()
    assert (await row(pool))["body"] is None


async def test_old_messages_are_forgotten(pool, inbox, sender) -> None:
    await put_up(pool)
    assert await mail.drop_old(pool, 0) == 0
    await sender.send_some()
    assert await mail.drop_old(pool, 3600) == 0
    assert await mail.drop_old(pool, 0) == 1


async def test_two_workers_send_each_message_once(pool, inbox, sender, settings, port) -> None:
    import asyncio

    for number in range(25):
        await put_up(pool, f"user{number}@example.com")
    there = replace(settings, smtp_url=f"smtp://127.0.0.1:{port}", mail_from="no-reply@example.com")
    other = MailSender(pool, mail.open_transport(there))

    async def all_of(one: MailSender) -> None:
        while await one.send_some():
            pass

    await asyncio.gather(all_of(sender), all_of(other))
    assert sorted(message["To"] for message in inbox.taken) == sorted(
        f"user{number}@example.com" for number in range(25)
    )


@pytest.mark.parametrize(
    "name", ["Evil\r\nBcc: all@example.com", "https://evil.example/x", "<img src=x>", "\u202eabc", "a" * 5000]
)
async def test_hostile_names_are_harmless(pool, inbox, sender, name) -> None:
    values = {"team": mail.harmless(name), "inviter": mail.harmless(name), "role": "viewer"}
    values |= {"email": "anna@example.com", "link": "http://here/sign-in"}
    async with pool.acquire() as db, db.transaction():
        await mail.enqueue(db, "anna@example.com", "invitation", values)
    await sender.send_some()
    [message] = inbox.taken
    assert message["Bcc"] is None
    html = message.get_body(("html",)).get_content()
    assert "<img" not in html
    assert html.count("<a ") == 1
    assert "https://evil.example" not in message.get_body(("plain",)).get_content()


@pytest.mark.parametrize("address", ["a@b\r\nBcc: c@d", "a@b>\n", "nobody"])
async def test_an_address_cannot_end_its_header(pool, inbox, sender, address) -> None:
    await put_up(pool, address)
    await sender.send_some()
    assert inbox.taken == []
    assert (await row(pool))["state"] == "failed"


async def test_chinese(pool, inbox, sender) -> None:
    await put_up(pool, language="zh")
    await put_up(pool, language="xx")
    await sender.send_some()
    assert {message["Subject"] for message in inbox.taken} == {"您的登录验证码", "Your sign-in code"}


@pytest.mark.parametrize("url", ["http://x", "smtp://", "smtp://host:x", "host", "smtp://h/path"])
def test_a_wrong_server_is_named(settings, url) -> None:
    with pytest.raises(BadSettings, match="MODELLIX_SMTP_URL"):
        mail.open_transport(replace(settings, smtp_url=url, mail_from="a@b.c"))


def test_what_is_missing_is_named(settings) -> None:
    assert mail.missing_settings(settings) == ("MODELLIX_SMTP_URL", "MODELLIX_MAIL_FROM")
    assert mail.missing_settings(replace(settings, smtp_url="smtp://h")) == ("MODELLIX_MAIL_FROM",)
    assert mail.open_transport(settings) is None
    with pytest.raises(BadSettings, match="MODELLIX_MAIL_FROM"):
        mail.open_transport(replace(settings, smtp_url="smtp://h"))


async def test_a_password_is_not_sent_in_the_clear(pool, inbox, settings, port) -> None:
    there = replace(settings, smtp_url=f"smtp://anna:secret@127.0.0.1:{port}", mail_from="a@example.com")
    sender = MailSender(pool, mail.open_transport(there))
    await put_up(pool)
    await sender.send_some()
    assert inbox.taken == []
    assert "secret" not in (await row(pool))["error"]


async def test_without_a_server_messages_become_files(pool, settings, tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    sender = MailSender(pool, mail.open_transport(replace(settings, mail_dir=str(folder))))
    await put_up(pool)
    await sender.send_some()
    [file] = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert (message["To"], message["X-Modellix-Code"]) == ("anna@example.com", "123456")
