"""Vendor accounts on a real database."""

import asyncio
import secrets

import asyncpg
import pytest

from modellix_server import vault
from modellix_server.base import notify
from modellix_server.base.envelope import Keyring
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.secret import Secret
from modellix_server.vault import Accounts, UnusableAccount

URL = "https://vendor.test/api/v1"


@pytest.fixture
def key():
    return f"sk-{secrets.token_hex(16)}"


@pytest.fixture
async def stored(pool, settings, key):
    await vault.set_account(pool, settings.keyring, "dashscope", key, base_url=URL, region="intl")
    return key


async def test_an_account_comes_back_as_it_was_stored(pool, settings, key):
    await vault.set_account(
        pool,
        settings.keyring,
        "dashscope",
        key,
        base_url=URL + "/",
        region="cn",
        origins=["https://Files.test", "http://127.0.0.1:9000/"],
        polls_per_s=2.5,
    )
    account = await vault.open_account(pool, settings.keyring, "dashscope")
    origins = ("https://files.test", "http://127.0.0.1:9000")
    assert account == vault.StoredAccount(1, "dashscope", "main", 1, True, URL, "cn", key, origins, 2.5)
    assert key not in repr(account)
    assert await vault.open_account(pool, settings.keyring, "other") is None


async def test_the_key_is_not_in_the_database_and_no_two_ciphertexts_are_alike(pool, settings, stored):
    async def row():
        return await pool.fetchrow("select a.*, a::text as dump from vault.account a")

    first = await row()
    assert stored not in first["dump"]
    assert stored.encode().hex() not in first["dump"]
    await vault.set_account(pool, settings.keyring, "dashscope", stored, base_url=URL, region="intl")
    second = await row()
    for at in range(9, len(first["sealed"]), 12):  # beyond the version and the master key's id nothing is alike
        assert first["sealed"][at : at + 12] != second["sealed"][at : at + 12]


async def test_another_master_key_is_named_as_the_cause(pool, settings, stored):
    other = Keyring(Secret(secrets.token_bytes(32)))
    with pytest.raises(UnusableAccount, match="MODELLIX_MASTER_KEY") as refused:
        await vault.open_account(pool, other, "dashscope")
    assert stored not in str(refused.value)
    (listed,) = await vault.list_accounts(pool, other)
    assert listed.last4 is None


@pytest.mark.parametrize(
    "tampering",
    [
        "update vault.account set base_url = 'https://evil.test'",
        "update vault.account set upstream = 'ark'",
        "update vault.account set sealed = set_byte(sealed, 30, get_byte(sealed, 30) # 1)",
        "update vault.account set sealed = set_byte(sealed, 85, get_byte(sealed, 85) # 1)",
    ],
)
async def test_a_changed_row_opens_for_nobody(pool, settings, stored, tampering):
    await pool.execute(tampering)
    upstream = await pool.fetchval("select upstream from vault.account")
    with pytest.raises(UnusableAccount) as refused:
        await vault.open_account(pool, settings.keyring, upstream)
    assert stored not in str(refused.value)


async def test_lists_show_the_end_of_the_key_only(pool, settings, stored):
    (listed,) = await vault.list_accounts(pool, settings.keyring)
    assert (listed.upstream, listed.base_url, listed.last4) == ("dashscope", URL, stored[-4:])
    assert stored not in repr(listed)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ""},
        {"key": "sk-a b"},
        {"key": "sk-a\r\nX-Evil: 1"},
        {"key": "sk-é"},
        {"key": "k" * 5000},
        {"base_url": "http://vendor.test"},
        {"base_url": "ftp://vendor.test"},
        {"base_url": "https://"},
        {"base_url": "https://user:pass@vendor.test"},
        {"base_url": "https://vendor.test?x=1"},
        {"base_url": "https://vendor.test#x"},
        {"base_url": "https://vendor.test:99999"},
        {"base_url": "https://vendor.test/a b"},
        {"origins": ["https://files.test/folder"]},
        {"origins": ["http://files.test"]},
        {"polls_per_s": 0},
        {"polls_per_s": float("nan")},
        {"weight": 0},
        {"weight": 101},
        {"name": ""},
        {"name": "a/b"},
        {"name": "Backup"},
        {"name": "n" * 33},
    ],
)
async def test_what_cannot_be_right_is_refused(pool, settings, wrong):
    given = {"key": "sk-abc", "base_url": URL, "region": "cn"} | wrong
    with pytest.raises(InvalidParameters):
        await vault.set_account(pool, settings.keyring, "dashscope", **given)
    assert await vault.list_accounts(pool, settings.keyring) == []


async def test_nothing_is_deleted_by_the_application(pool):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute("delete from vault.account")


async def test_accounts_are_kept_for_two_seconds(pool, settings, stored):
    now = [0.0]
    accounts = Accounts(pool, settings.keyring, clock=lambda: now[0])
    first = await accounts.of("dashscope")
    assert [one.key for one in first] == [stored]
    await vault.set_account(pool, settings.keyring, "dashscope", "sk-new", base_url=URL, region="intl")
    assert await accounts.of("dashscope") is first
    now[0] = 2.0
    assert [one.key for one in await accounts.of("dashscope")] == ["sk-new"]


async def test_a_notice_beats_the_two_seconds(pool, settings, stored):
    accounts = Accounts(pool, settings.keyring, clock=lambda: 0.0)
    task = asyncio.create_task(notify.follow(settings.database_url, [accounts]))
    try:
        assert await accounts.of("ark") == []
        async with asyncio.timeout(60):
            while not await accounts.of("ark"):
                await vault.set_account(pool, settings.keyring, "ark", "sk-ark", base_url=URL, region="cn")
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# -- several accounts at one upstream


@pytest.fixture
async def three(pool, settings, stored):
    """`main`, `backup` of weight 2, and `old`, which is disabled; another upstream has one, too."""
    for name, weight in (("old", None), ("backup", 2)):
        await vault.set_account(
            *(pool, settings.keyring, "dashscope", f"sk-{name}"), name=name, base_url=URL, region="cn", weight=weight
        )
    await vault.set_account(pool, settings.keyring, "dashscope2", "sk-2", base_url=URL, region="cn")
    await vault.change_account(pool, "dashscope", "old", enabled=False)


async def test_the_enabled_ones_come_first_and_only_those_of_the_upstream(pool, settings, stored, three):
    found = await Accounts(pool, settings.keyring).of("dashscope")
    assert [(one.name, one.weight, one.enabled, one.key) for one in found] == [
        ("main", 1, True, stored),
        ("backup", 2, True, "sk-backup"),
        ("old", 1, False, "sk-old"),
    ]
    assert len({one.id for one in found}) == 3
    assert {one.upstream for one in found} == {"dashscope"}
    listed = await vault.list_accounts(pool, settings.keyring)
    assert [(one.upstream, one.name) for one in listed] == [
        ("dashscope", "main"),
        ("dashscope", "old"),
        ("dashscope", "backup"),
        ("dashscope2", "main"),
    ]
    assert (await vault.open_account(pool, settings.keyring, "dashscope", "backup")).key == "sk-backup"


async def test_what_is_stored_again_keeps_its_number_weight_and_state(pool, settings, three):
    before = {one.name: one for one in await Accounts(pool, settings.keyring).of("dashscope")}
    for name in ("old", "backup"):
        await vault.set_account(pool, settings.keyring, "dashscope", "sk-new", name=name, base_url=URL, region="intl")
    after = {one.name: one for one in await Accounts(pool, settings.keyring).of("dashscope")}
    for name in ("old", "backup"):
        kept = [(one[name].id, one[name].weight, one[name].enabled) for one in (before, after)]
        assert kept[0] == kept[1]
        assert (after[name].key, after[name].region) == ("sk-new", "intl")
    await vault.change_account(pool, "dashscope", "old", enabled=True, weight=100)
    old = await vault.open_account(pool, settings.keyring, "dashscope", "old")
    assert (old.enabled, old.weight) == (True, 100)
    with pytest.raises(NotFound, match="there is no account 'spare' at dashscope"):
        await vault.change_account(pool, "dashscope", "spare", enabled=True)
    with pytest.raises(InvalidParameters, match="1 to 100"):
        await vault.change_account(pool, "dashscope", "old", weight=101)


async def test_one_that_cannot_be_opened_is_left_out_and_does_not_open_for_another(pool, settings, stored, three):
    await pool.execute(
        """update vault.account set sealed = (select sealed from vault.account where upstream = 'dashscope')
           where upstream = 'dashscope/backup'"""
    )
    found = await Accounts(pool, settings.keyring).of("dashscope")
    assert [one.name for one in found] == ["main", "old"]
    with pytest.raises(UnusableAccount, match="admin upstream set dashscope --account backup"):
        await vault.open_account(pool, settings.keyring, "dashscope", "backup")


async def test_statements_of_version_0_1_0_go_on_beside_it(pool, settings, three):
    """They know one account at an upstream: `main`."""
    assert await pool.fetch("select base_url from vault.account where upstream = 'dashscope'") == [(URL,)]
    await pool.execute(
        """insert into vault.account (upstream, base_url, region, key_ciphertext, key_nonce, key_id, origins,
               polls_per_s, updated_at)
           values ('dashscope', 'https://new.test', 'cn', '\\x00', decode(repeat('00', 12), 'hex'), 'k', '{}', null,
               now())
           on conflict (upstream) do update set
               base_url = excluded.base_url, region = excluded.region, key_ciphertext = excluded.key_ciphertext,
               key_nonce = excluded.key_nonce, key_id = excluded.key_id, origins = excluded.origins,
               polls_per_s = excluded.polls_per_s, updated_at = excluded.updated_at"""
    )
    listed = await vault.list_accounts(pool, settings.keyring)
    assert [(one.name, one.base_url) for one in listed if one.upstream == "dashscope"] == [
        ("main", "https://new.test"),
        ("old", URL),
        ("backup", URL),
    ]
