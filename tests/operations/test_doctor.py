"""`doctor` names what is wrong, and only that."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

from modellix_server import vault
from modellix_server.base.database import connect
from modellix_server.base.secret import Secret
from modellix_server.base.settings import Settings
from modellix_server.embedded.data_directory import DataDirectory
from modellix_server.ledger import Finding, monitor
from modellix_server.operations import reconciliation
from modellix_server.operations.context import Context
from modellix_server.operations.maintenance.doctor import examine
from modellix_server.operations.principal import system


def environment(settings: Settings) -> dict[str, str]:
    return {
        "MODELLIX_DATABASE_URL": settings.database_url,
        "MODELLIX_OWNER_DATABASE_URL": settings.owner_database_url,
        "MODELLIX_STORAGE_URL": settings.storage_url,
        "MODELLIX_SPOOL_DIR": settings.spool_dir,
        "MODELLIX_SECRET": base64.b64encode(settings.secret.value).decode(),
        "MODELLIX_MASTER_KEY": base64.b64encode(settings.master_key.value).decode(),
        "MODELLIX_SANDBOX_URL": settings.sandbox_url,
        "MODELLIX_PORT": "9",
    }


async def grades(settings: Settings, tmp_path: Path, **env: str) -> dict[str, tuple[str, str]]:
    found = await examine(DataDirectory(tmp_path / "none"), environment(settings) | env)
    return {one.what: (one.grade, one.says) for one in found}


async def test_what_is_not_running_is_named(pool, settings, tmp_path) -> None:
    found = await grades(settings, tmp_path)
    assert {what for what, (grade, _) in found.items() if grade == "bad"} == {"API", "sandbox", "workers"}
    assert "Is `work` running" in found["workers"][1]
    assert found["ledger"] == ("good", "balances, transfers, holds and tasks agree")


async def test_missing_settings_are_all_there_is_to_say(tmp_path) -> None:
    [only] = await examine(DataDirectory(tmp_path), {})
    assert (only.what, only.grade) == ("settings", "bad")
    assert "modellix-server up" in only.says


async def test_a_database_that_does_not_answer(settings, tmp_path) -> None:
    found = await grades(settings, tmp_path, MODELLIX_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert found["database"][0] == "bad"
    assert "is PostgreSQL running?" in found["database"][1]


async def test_money_that_does_not_add_up(database, pool, settings, tmp_path) -> None:
    await pool.execute("select ledger.open_team(7)")
    db = await connect(database.superuser_dsn, name="test")
    await db.execute("update ledger.balance set posted = 5 where team_id = 7 and live")
    await db.close()
    found = await grades(settings, tmp_path)
    assert found["ledger"][0] == "bad"
    assert "team 7 (live)" in found["ledger"][1]


async def test_frozen_accounts_are_named_and_so_is_a_monitor_that_does_not_run(pool, settings, tmp_path) -> None:
    found = await grades(settings, tmp_path)
    assert found["frozen accounts"] == ("warning", "no worker has run the ledger monitor ever")
    await reconciliation.monitor_once(Context(settings, pool), system("ledger monitor", "host-1"))
    found = await grades(settings, tmp_path)
    assert found["frozen accounts"][0] == "good"
    async with pool.acquire() as db:
        await monitor.freeze(db, Finding(7, True, "the balance says more than its transfers"))
        await db.execute("update ledger.checkpoint set looked_at = now() - interval '1 hour'")
    found = await grades(settings, tmp_path)
    assert found["frozen accounts"][0] == "bad"
    assert "team 7 (live)" in found["frozen accounts"][1]
    assert "the balance says more than its transfers" in found["frozen accounts"][1]
    assert "ledger unfreeze" in found["frozen accounts"][1]


async def test_migrations_and_roles(database, pool, settings, tmp_path) -> None:
    db = await connect(database.superuser_dsn, name="test")
    await db.execute("delete from base.migration where version = (select max(version) from base.migration)")
    await db.close()
    found = await grades(settings, tmp_path, MODELLIX_DATABASE_URL=database.superuser_dsn)
    assert found["tables"][0] == "bad"
    assert "modellix-server migrate" in found["tables"][1]
    assert found["database"][0] == "bad"
    assert "superuser" in found["database"][1]


async def test_a_vendor_key_that_cannot_be_opened(pool, settings, tmp_path) -> None:
    other = replace(settings, master_key=Secret(bytes(range(32))))
    await vault.set_account(
        pool, other.keyring, "dashscope", "sk-x", base_url="https://dashscope.aliyuncs.com/api/v1", region="cn"
    )
    found = await grades(settings, tmp_path)
    assert found["vendors"][0] == "bad"
    assert "dashscope (main)" in found["vendors"][1]


async def test_a_storage_that_cannot_be_written(pool, settings, tmp_path) -> None:
    (tmp_path / "file").write_text("not a folder")
    found = await grades(settings, tmp_path, MODELLIX_STORAGE_URL=f"file://{tmp_path}/file/storage")
    assert found["storage"][0] == "bad"


async def test_mail_that_cannot_be_sent_is_named(pool, settings, tmp_path) -> None:
    found = await grades(settings, tmp_path)
    assert found["mail"][0] == "warning"
    assert "MODELLIX_SMTP_URL and MODELLIX_MAIL_FROM" in found["mail"][1]
    away = {"MODELLIX_SMTP_URL": "smtp://127.0.0.1:9", "MODELLIX_MAIL_FROM": "a@example.com"}
    found = await grades(settings, tmp_path, **away)
    assert found["mail"][0] == "bad"
    assert "cannot be used" in found["mail"][1]
    found = await grades(settings, tmp_path, MODELLIX_SMTP_URL="http://x", MODELLIX_MAIL_FROM="a@example.com")
    assert "must be smtp://" in found["mail"][1]
    files = {"MODELLIX_MAIL_DIR": str(tmp_path / "mail")}
    assert (await grades(settings, tmp_path, **files))["mail"][0] == "good"
    [said] = [
        one
        for one in await examine(DataDirectory(tmp_path / "none"), environment(settings) | files, "anna@example.com")
        if one.what == "mail"
    ]
    assert said.grade == "good"
    [file] = (tmp_path / "mail").iterdir()
    assert b"Test message" in file.read_bytes()
    await pool.execute(
        """insert into mail.outbox (recipient, kind, subject, body, useless_at, created_at)
           values ('a@b.c', 'notice', 's', 'b', now() + interval '1 day', now() - interval '1 hour')"""
    )
    assert "1 messages wait" in (await grades(settings, tmp_path))["outbox"][1]
