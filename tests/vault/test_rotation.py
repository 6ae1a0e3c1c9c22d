"""The master key rotates under running processes, survives kills, and forgets no column."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from modellix_server import vault
from modellix_server.base.database import connect
from modellix_server.base.envelope import Keyring
from modellix_server.base.sealed import key_ids, rewrap
from modellix_server.base.secret import Secret
from modellix_server.base.settings import BadSettings
from modellix_server.embedded.data_directory import APP, DataDirectory, Runtime
from modellix_server.embedded.postgres import EmbeddedPostgres
from modellix_server.operations.maintenance.migrate import migrate
from modellix_server.operations.master_key import SEALED_COLUMNS, self_test
from modellix_server.vault.store import old_key_id

URL = "https://vendor.test/api/v1"
UPSTREAMS = ("ark", "dashscope", "minimax")

# Every column of bytes that holds no secret of ours in a form that can be turned back.
NOT_SEALED = {
    "tasks.sending.digest": "SHA-256 of a request that may be sent again",
    "identity.sign_in_code.hash": "HMAC of a sign-in code under a pepper",
    "identity.invitation.hash": "SHA-256 of 32 random bytes in a link",
    "identity.starter_credit.address_hash": "HMAC of an address under MODELLIX_SECRET",
    "billing.code.hash": "HMAC of a redemption code under a pepper",
    "identity.outside_sign_in.state_hash": "SHA-256 of 32 random bytes in a link",
    "identity.outside_sign_in.browser_hash": "SHA-256 of 32 random bytes in a cookie",
    "identity.session.hash": "SHA-256 of 32 random bytes in a cookie",
    "identity.sign_in_link.hash": "SHA-256 of 32 random bytes in a link",
    "identity.api_key.hash": "HMAC of an API key under MODELLIX_SECRET",
    "identity.rotated_key.hash": "HMAC of a former text of an API key, likewise",
    "tasks.idempotency.fingerprint": "SHA-256 of a request",
    "results.input.sha256": "digest of a file",
    "results.upload.sha256": "digest of a file",
    "vault.account.key_ciphertext": "the form of version 0.1.0, moved by vault.move_old_keys",
    "vault.account.key_nonce": "part of that",
    "tasks.route.digest": "digest of a route, which anybody may know",
    "tasks.attempt.route": "likewise",
    "audit.audit_entry.previous": "a hash of the chain",
    "audit.audit_entry.hash": "likewise",
    "audit.head.hash": "likewise",
}


def fresh() -> Secret:
    return Secret(secrets.token_bytes(32))


def text(key: Secret) -> str:
    return base64.b64encode(key.value).decode()


async def store_all(pool, keys):
    for name in UPSTREAMS:
        await vault.set_account(pool, keys, name, f"sk-{name}", base_url=URL, region="cn")


async def store_as_version_0_1_0(pool, master, upstream, key):
    """The statement and the cipher of that version."""
    nonce = os.urandom(12)
    sealed = AESGCM(master.derive("vault")).encrypt(nonce, key.encode(), json.dumps([upstream, URL]).encode())
    await pool.execute(
        """insert into vault.account (upstream, base_url, region, key_ciphertext, key_nonce, key_id)
           values ($1, $2, 'cn', $3, $4, $5) on conflict (upstream) do update set
               base_url = excluded.base_url, region = excluded.region, key_ciphertext = excluded.key_ciphertext,
               key_nonce = excluded.key_nonce, key_id = excluded.key_id, updated_at = now()""",
        *(upstream, URL, sealed, nonce, old_key_id(master)),
    )


def environment(settings, current=None, *old):
    return {
        **os.environ,
        "MODELLIX_DATABASE_URL": settings.database_url,
        "MODELLIX_STORAGE_URL": settings.storage_url,
        "MODELLIX_SECRET": text(settings.secret),
        "MODELLIX_MASTER_KEY": text(current or settings.master_key),
        "MODELLIX_OLD_MASTER_KEYS": ", ".join(map(text, old)),
        "MODELLIX_SANDBOX_URL": settings.sandbox_url,
    }


async def program(*arguments, env):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modellix_server.cli.app", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


async def rotated(*options, env, code=0):
    got, out, err = await program("admin", "vault", "rotate", "--json", *options, env=env)
    assert got == code, err
    return json.loads(out)


async def test_no_column_is_forgotten(postgres_server, pool):
    rows = await pool.fetch(
        """select format('%s.%s.%s', n.nspname, c.relname, a.attname) from pg_attribute a
           join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
           where a.atttypid = 'bytea'::regtype and a.attnum > 0 and not a.attisdropped
             and c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^(pg_|information_schema)'"""
    )
    of_bytes = {row[0] for row in rows}
    sealed = {column.name for column in SEALED_COLUMNS}
    assert of_bytes == sealed | NOT_SEALED.keys(), "a new column of bytes: declare it sealed, or say what it is"
    assert not sealed & NOT_SEALED.keys()


async def test_rows_move_one_by_one_and_a_second_run_finds_nothing_to_do(pool, settings):
    first, second = fresh(), fresh()
    await store_all(pool, Keyring(first))
    both = Keyring(second, [first])
    before = {row[0]: row[1] for row in await pool.fetch("select upstream, sealed from vault.account")}
    assert (await rewrap(pool, vault.ACCOUNT_KEYS, both, dry_run=True)).rewrapped == 3
    assert before == {row[0]: row[1] for row in await pool.fetch("select upstream, sealed from vault.account")}
    assert (await rewrap(pool, vault.ACCOUNT_KEYS, both)).rewrapped == 3
    assert (await rewrap(pool, vault.ACCOUNT_KEYS, both)).rewrapped == 0
    assert await key_ids(pool, vault.ACCOUNT_KEYS) == {both.current_id: 3}
    only = Keyring(second)
    assert [(await vault.open_account(pool, only, name)).key for name in UPSTREAMS] == [f"sk-{n}" for n in UPSTREAMS]


async def test_a_key_stored_during_the_rotation_is_not_lost(pool):
    first, second = fresh(), fresh()
    await store_all(pool, Keyring(first))
    both = Keyring(second, [first])

    class Overtaken:
        """A connection on which somebody else stores a key between our read and our write."""

        fetch = staticmethod(pool.fetch)

        async def execute(self, statement, *arguments):
            await vault.set_account(pool, both, arguments[-1], "sk-newer", base_url=URL, region="cn")
            return await pool.execute(statement, *arguments)

    await rewrap(Overtaken(), vault.ACCOUNT_KEYS, both)
    assert [(await vault.open_account(pool, both, name)).key for name in UPSTREAMS] == ["sk-newer"] * 3


@pytest.mark.full
async def test_killed_after_each_value_and_run_again(pool, settings):
    second = fresh()
    await store_all(pool, settings.keyring)
    await self_test(pool, settings)
    env = environment(settings, second, settings.master_key)
    for left in (3, 2, 1):
        code, _, _ = await program("admin", "vault", "rotate", env=env | {"MODELLIX_KILL_AT": "sealed_value_moved"})
        assert code == -signal.SIGKILL
        assert (await key_ids(pool, vault.ACCOUNT_KEYS))[settings.keyring.current_id] == left - 1
        either = Keyring(settings.master_key, [second])
        assert [one.last4 for one in await vault.list_accounts(pool, either)] == [f"sk-{n}"[-4:] for n in UPSTREAMS]
    assert await rotated(env=env) == {
        "dry_run": False, "new_master_key": False, "moved": 1, "moved_from_old_form": 0, "cannot_be_opened": [],
    }  # fmt: skip
    await self_test(pool, replace(settings, master_key=second))


@pytest.mark.full
async def test_one_row_that_cannot_be_opened_is_named_and_stops_no_other(pool, settings):
    second = fresh()
    await store_all(pool, settings.keyring)
    await pool.execute("update vault.account set base_url = 'https://evil.test' where upstream = 'dashscope'")
    env = environment(settings, second, settings.master_key)
    for options, moved in ((["--dry-run"], 2), ([], 2), ([], 0)):
        said = await rotated(*options, env=env, code=1)
        assert said["moved"] == moved
        (line,) = said["cannot_be_opened"]
        assert line.startswith("vault.account dashscope: ")
    listed = {one.upstream: one.last4 for one in await vault.list_accounts(pool, Keyring(second))}
    assert listed == {"ark": "-ark", "dashscope": None, "minimax": "imax"}


async def test_two_rotations_do_not_run_at_once(pool, settings):
    async with pool.acquire() as other:
        await other.execute("select pg_advisory_lock($1)", 0x6D6F6472)
        code, _, err = await program("admin", "vault", "rotate", env=environment(settings))
        assert (code, err) == (1, "Error: another rotation is under way\n")
        await other.execute("select pg_advisory_unlock($1)", 0x6D6F6472)


async def test_what_version_0_1_0_stored_opens_and_moves(pool, settings):
    await store_as_version_0_1_0(pool, settings.master_key, "dashscope", "sk-old-form")
    assert (await vault.open_account(pool, settings.keyring, "dashscope")).key == "sk-old-form"
    await self_test(pool, settings)
    with pytest.raises(BadSettings, match="MODELLIX_MASTER_KEY"):
        await self_test(pool, replace(settings, master_key=fresh()))
    second = fresh()
    both = Keyring(second, [settings.master_key])
    assert (await vault.move_old_keys(pool, both, dry_run=True)).rewrapped == 1
    assert (await vault.move_old_keys(pool, both)).rewrapped == 1
    assert (await vault.open_account(pool, Keyring(second), "dashscope")).key == "sk-old-form"
    # During an upgrade the older program may store another one: the newer word counts.
    await store_as_version_0_1_0(pool, settings.master_key, "dashscope", "sk-newest")
    assert (await vault.open_account(pool, settings.keyring, "dashscope")).key == "sk-newest"
    await vault.set_account(pool, settings.keyring, "dashscope", "sk-last", base_url=URL, region="cn")
    assert (await vault.open_account(pool, settings.keyring, "dashscope")).key == "sk-last"
    assert await pool.fetchval("select num_nulls(key_ciphertext, key_nonce, key_id) from vault.account") == 3


# -- the start


@pytest.mark.parametrize("name", ["serve", "work"])
async def test_a_wrong_master_key_stops_the_start_and_names_the_variable(pool, settings, name):
    await self_test(pool, settings)
    code, _, err = await program(name, env=environment(settings, fresh()))
    assert code == 2
    assert err.splitlines()[-1].startswith("Error: MODELLIX_MASTER_KEY is not the key that 1 of vault.canary")
    assert "Traceback" not in err


async def test_the_first_start_leaves_a_canary_that_the_next_must_open(pool, settings):
    await self_test(pool, settings)
    await self_test(pool, settings)
    wrong = replace(settings, master_key=fresh())
    with pytest.raises(BadSettings, match=r"MODELLIX_MASTER_KEY .*1 of vault.canary.sealed"):
        await self_test(pool, wrong)
    await self_test(pool, replace(wrong, old_master_keys=(settings.master_key,)))


async def test_a_changed_row_is_told_and_stops_nobody(pool, settings, caplog):
    await store_all(pool, settings.keyring)
    await pool.execute("update vault.account set base_url = 'https://evil.test' where upstream = 'ark'")
    assert await vault.check_master_keys(pool, settings.keyring, SEALED_COLUMNS) == [
        "vault.account ark: the sealed value was changed, or is not where it was sealed for"
    ]
    await self_test(pool, settings)


async def test_a_lost_master_key_is_survived_by_storing_the_keys_again(pool, settings):
    await self_test(pool, settings)
    await store_all(pool, settings.keyring)
    after = replace(settings, master_key=fresh())
    env = environment(after)
    assert len((await rotated(env=env, code=1))["cannot_be_opened"]) == 4
    await store_all(pool, after.keyring)
    with pytest.raises(BadSettings, match="admin vault rotate"):
        await self_test(pool, after)
    assert (await rotated(env=env))["cannot_be_opened"] == []
    await self_test(pool, after)


# -- with a data directory


@pytest.fixture
async def embedded():
    """A data directory with its own database, and the settings a process on it has."""
    folder = Path(tempfile.mkdtemp(prefix="modellix-test-"))
    folder.chmod(0o711)
    data_directory = DataDirectory(folder / "data")
    data_directory.create()
    postgres = EmbeddedPostgres(data_directory)
    try:
        await postgres.start()
        data_directory.write_runtime(Runtime(os.getpid(), "127.0.0.1", 8000, 8100))
        await migrate(data_directory.settings({}))
        yield data_directory
    finally:
        await postgres.stop()
        shutil.rmtree(folder)


@pytest.mark.full
async def test_a_data_directory_gets_a_new_key_and_running_processes_follow(embedded):
    running = embedded.settings({})
    db = await connect(embedded.dsn(APP), name="test")
    await self_test(db, running)
    await store_all(db, running.keyring)
    env = {**os.environ, "MODELLIX_DATA": str(embedded.root)}
    first = running.keyring.current_id

    said = await rotated("--dry-run", env=env)
    assert (said["moved"], said["new_master_key"]) == (4, True)
    assert DataDirectory(embedded.root).master_keys()[1] == ()

    # Killed when the new key is written but nothing moved: the next run goes on with that key.
    code, _, _ = await program("admin", "vault", "rotate", env=env | {"MODELLIX_KILL_AT": "master_key_added"})
    assert code == -signal.SIGKILL
    current, old = DataDirectory(embedded.root).master_keys()
    assert [Keyring(key).current_id for key in old] == [first]
    assert await key_ids(db, vault.ACCOUNT_KEYS) == {first: 3}
    said = await rotated(env=env)
    assert (said["moved"], said["new_master_key"], said["cannot_be_opened"]) == (4, False, [])
    assert DataDirectory(embedded.root).master_keys() == (current, old)

    # A process that was running all the time opens what moved, and seals under the new key.
    assert (await vault.open_account(db, running.keyring, "ark")).key == "sk-ark"
    await vault.set_account(db, running.keyring, "ark", "sk-later", base_url=URL, region="cn")
    assert await key_ids(db, vault.ACCOUNT_KEYS) == {Keyring(current).current_id: 3}

    assert (await rotated(env=env))["new_master_key"] is True
    assert DataDirectory(embedded.root).master_keys()[1] == (current,), "the first key is gone for good"
    assert (embedded.root / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert (await vault.open_account(db, embedded.settings({}).keyring, "ark")).key == "sk-later"
    await db.close()
