"""What is refused before anything starts: missing, weak and equal secrets, and roles that are too strong."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import secrets
import sys

import pytest

from modellix_server.base.database import open_pool, require_limited_role
from modellix_server.base.secret import Secret
from modellix_server.base.settings import BadSettings, load, markdown, variables
from modellix_server.embedded.data_directory import DataDirectory, Runtime


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def environment(**changed: str) -> dict[str, str]:
    return {
        "MODELLIX_DATABASE_URL": "postgresql://modellix_app:dbpassword@db/modellix",
        "MODELLIX_STORAGE_URL": "file:///srv",
        "MODELLIX_SECRET": b64(secrets.token_bytes(32)),
        "MODELLIX_MASTER_KEY": b64(secrets.token_bytes(32)),
        "MODELLIX_SANDBOX_URL": "http://127.0.0.1:8100",
    } | changed


RANDOM = secrets.token_bytes(32)
WEAK = {
    "empty": "",
    "not base64": "change me please, this is no base64!",
    "16 bytes": b64(secrets.token_bytes(16)),
    "31 bytes": b64(secrets.token_bytes(31)),
    "zeros": b64(bytes(32)),
    "one byte": b64(b"\xa5" * 32),
    "two bytes": b64(b"\x01\x02" * 16),
    "low entropy": b64(bytes(byte & 7 for byte in RANDOM)),
    "16 random bytes twice": b64(secrets.token_bytes(16) * 2),
    "NIST example": b64(bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)),
    "FIPS 197 example": b64(bytes(range(32))),
    "counting down": b64(bytes(range(255, 223, -1))),
    "in steps": b64(bytes(range(0, 256, 8))),
    "text": b64(b"correct horse battery staple abc"),
    "hex of a digest": b64(hashlib.sha256(b"x").hexdigest().encode()),
    "text with a line end": b64(b"my-super-secret-master-key-2026!\n"),
    "digest of a word": b64(hashlib.sha256(b"changeme").digest()),
    "digest of an echoed word": b64(hashlib.sha256(b"secret\n").digest()),
    "digest of nothing": b64(hashlib.sha512(b"").digest()),
}


@pytest.mark.parametrize("variable", ["MODELLIX_SECRET", "MODELLIX_MASTER_KEY"])
@pytest.mark.parametrize("kind", WEAK)
def test_a_weak_secret_stops_the_start_and_its_variable_is_named(variable, kind):
    with pytest.raises(BadSettings, match=f"^{variable} ") as refused:
        load(environment(**{variable: WEAK[kind]}))
    if len(WEAK[kind]) > 10:
        assert WEAK[kind] not in str(refused.value)


def test_a_sign_up_policy_that_is_none_stops_the_start():
    assert load(environment(MODELLIX_SIGN_UP="domain:example.com")).sign_up.admits("a@example.com")
    with pytest.raises(BadSettings, match=r"^MODELLIX_SIGN_UP must be invited, open or domain"):
        load(environment(MODELLIX_SIGN_UP="closed"))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"GOOGLE_CLIENT_ID": "x"}, "GOOGLE_CLIENT_SECRET must be set too"),
        ({"GITHUB_CLIENT_SECRET": "x"}, "GITHUB_CLIENT_ID must be set too"),
        ({"OIDC_CLIENT_ID": "x"}, "OIDC_ISSUER and MODELLIX_OIDC_CLIENT_SECRET must be set too"),
        ({"OIDC_ISSUER": "no URL", "OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "x"}, "OIDC_ISSUER must be"),
        ({"GITHUB_URL": "ftp://x"}, "GITHUB_URL must be"),
    ],
)
def test_an_identity_provider_named_by_halves_stops_the_start(given, named):
    with pytest.raises(BadSettings, match=f"^MODELLIX_{named}"):
        load(environment(**{f"MODELLIX_{name}": text for name, text in given.items()}))


def test_old_master_keys_are_held_to_the_same():
    good = b64(secrets.token_bytes(32))
    assert len(load(environment(MODELLIX_OLD_MASTER_KEYS=f" {good} ,")).old_master_keys) == 1
    with pytest.raises(BadSettings, match=r"^MODELLIX_OLD_MASTER_KEYS is made of few different bytes"):
        load(environment(MODELLIX_OLD_MASTER_KEYS=f"{good},{b64(bytes(32))}"))


def test_one_secret_for_both_purposes_is_refused():
    one = b64(secrets.token_bytes(32))
    with pytest.raises(BadSettings, match="MODELLIX_MASTER_KEY must not be the same as MODELLIX_SECRET"):
        load(environment(MODELLIX_SECRET=one, MODELLIX_MASTER_KEY=one))


def test_random_secrets_are_taken():
    for size in (32, 33, 48, 64):
        for _ in range(500):
            load(environment(MODELLIX_MASTER_KEY=b64(secrets.token_bytes(size))))


@pytest.mark.parametrize("name", [name for name in environment() if name != "MODELLIX_DATABASE_URL"])
def test_nothing_has_a_working_default(name):
    env = environment()
    del env[name]
    with pytest.raises(BadSettings, match=f"^{name} is not set"):
        load(env)


@pytest.mark.parametrize(
    ("variable", "text", "complaint"),
    [
        ("PORT", "http", "must be a whole number, not 'http'"),
        ("PORT", "0", "must be a whole number >= 1, not '0'"),
        ("PORT", "70000", "must be a whole number <= 65535, not '70000'"),
        ("LEASE_S", "0.5", "must be a number >= 1.0, not '0.5'"),
        ("LEASE_S", "nan", "must be a number >= 1.0, not 'nan'"),
        ("DRAIN_S", "inf", "must be a number <= 3600.0, not 'inf'"),
        ("RESULT_TTL_S", "1.5", "must be a whole number, not '1.5'"),
        ("UPLOAD_TTL_S", "59", "must be a whole number >= 60, not '59'"),
        ("LOG_LEVEL", "loud", "must be one of debug, info, warning, error, not 'loud'"),
        ("ALLOW_NETWORKS", "10.0.0.1/8", "must be networks, such as 10.0.0.0/8: 10.0.0.1/8 has host bits set"),
    ],
)
def test_a_malformed_variable_is_named_and_the_message_says_what_it_must_be(variable, text, complaint):
    with pytest.raises(BadSettings) as refused:
        load(environment(**{f"MODELLIX_{variable}": text}))
    assert str(refused.value) == f"MODELLIX_{variable} {complaint}"


def test_what_is_given_is_converted_and_an_empty_variable_counts_as_not_set():
    settings = load(
        environment(
            MODELLIX_PORT=" 81 ",
            MODELLIX_HOST="::1",
            MODELLIX_LEASE_S="2.5",
            MODELLIX_ALLOW_NETWORKS="10.0.0.0/8, fd00::/8",
            MODELLIX_LOG_LEVEL="",
        )
    )
    assert (settings.port, settings.lease_s, settings.log_level) == (81, 2.5, "info")
    assert [str(network) for network in settings.allow_networks] == ["10.0.0.0/8", "fd00::/8"]
    assert settings.public_url == "http://[::1]:81"
    assert settings.owner_database_url == settings.database_url


def test_every_variable_has_a_row_in_the_documentation_and_names_its_secrets():
    rows = {variable.name: variable for variable in variables()}
    assert {name for name, variable in rows.items() if not variable.default} == set(environment())
    assert {name for name, variable in rows.items() if variable.secret} == {
        *("MODELLIX_DATABASE_URL", "MODELLIX_OWNER_DATABASE_URL", "MODELLIX_SECRET", "MODELLIX_MASTER_KEY"),
        *("MODELLIX_OLD_MASTER_KEYS", "MODELLIX_SMTP_URL", "MODELLIX_GOOGLE_CLIENT_SECRET"),
        *("MODELLIX_GITHUB_CLIENT_SECRET", "MODELLIX_OIDC_CLIENT_SECRET"),
        *("MODELLIX_STRIPE_SECRET_KEY", "MODELLIX_STRIPE_WEBHOOK_SECRETS"),
    }
    assert all(f"| `{name}`" in markdown() and variable.help for name, variable in rows.items())


def test_a_data_directory_makes_secrets_that_are_taken(tmp_path):
    directory = DataDirectory(tmp_path)
    directory.write_runtime(Runtime(os.getpid(), "127.0.0.1", 8000, 8100))
    settings = directory.settings({})
    assert settings.secret != settings.master_key
    assert directory.settings({"MODELLIX_MASTER_KEY": b64(RANDOM)}).reread_master_keys is None


def test_payment_secrets_need_each_other_and_are_never_quoted():
    key, signing = "sk_live_" + "k" * 30, "whsec_" + "s" * 32
    given = {"MODELLIX_STRIPE_SECRET_KEY": key, "MODELLIX_STRIPE_WEBHOOK_SECRETS": f"{signing},{signing}2"}
    settings = load(environment(**given))
    assert settings.stripe_webhook_secrets == (signing, f"{signing}2")
    assert key not in repr(settings)
    assert signing not in repr(settings)
    for name, wrong in (
        ("MODELLIX_STRIPE_SECRET_KEY", "sk_test_" + "k" * 30),
        ("MODELLIX_STRIPE_SECRET_KEY", ""),
        ("MODELLIX_STRIPE_WEBHOOK_SECRETS", "whsec_short"),
        ("MODELLIX_STRIPE_WEBHOOK_SECRETS", f"{signing},x"),
        ("MODELLIX_STRIPE_WEBHOOK_SECRETS", ""),
    ):
        with pytest.raises(BadSettings, match=name) as refused:
            load(environment(**{**given, name: wrong}))
        assert not wrong or wrong not in str(refused.value)


def test_settings_print_no_secret():
    env = environment(MODELLIX_OLD_MASTER_KEYS=b64(RANDOM))
    settings = load(env)
    printed = f"{settings!r} {settings} {settings.keyring!r}"
    assert "dbpassword" not in printed
    for value in (settings.secret, settings.master_key, *settings.old_master_keys):
        for form in (repr(value.value)[2:-1], b64(value.value), value.value.hex()):
            assert form not in printed
    assert repr(Secret(b"x")) == "Secret()"


# -- the role at the database


async def test_a_role_that_the_guards_do_not_bind_is_refused(database):
    for dsn, why in ((database.superuser_dsn, "is a superuser"), (database.owner_dsn, "owns tables")):
        pool = await open_pool(dsn, size=1, name="test")
        with pytest.raises(BadSettings, match=f"MODELLIX_DATABASE_URL names a role that {why}"):
            await require_limited_role(pool)
        await pool.close()


async def test_a_role_that_may_become_the_owner_is_refused(database, postgres_server, pool):
    await require_limited_role(pool)
    await postgres_server.setup.execute("create role strong login password 'strong' in role modellix_owner")
    try:
        dsn = database.app_dsn.replace("//modellix_app:", "//strong:").replace(
            database.app_dsn.split(":")[2].split("@")[0], "strong"
        )
        other = await open_pool(dsn, size=1, name="test")
        with pytest.raises(BadSettings, match="owns tables"):
            await require_limited_role(other)
        await other.close()
    finally:
        await postgres_server.setup.execute("drop role strong")


@pytest.mark.parametrize("command", ["serve", "work"])
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"MODELLIX_MASTER_KEY": b64(bytes(32))}, "MODELLIX_MASTER_KEY is made of few different bytes"),
        ({"MODELLIX_SECRET": ""}, "MODELLIX_SECRET is not set"),
        ({"MODELLIX_DATABASE_URL": "superuser"}, "MODELLIX_DATABASE_URL names a role that is a superuser"),
        ({"MODELLIX_DATABASE_URL": "owner"}, "MODELLIX_DATABASE_URL names a role that owns tables"),
    ],
)
async def test_the_programs_end_with_one_sentence(database, tmp_path, command, changed, words):
    dsns = {"superuser": database.superuser_dsn, "owner": database.owner_dsn}
    env = environment(MODELLIX_DATABASE_URL=database.app_dsn, MODELLIX_STORAGE_URL=tmp_path.as_uri()) | changed
    env["MODELLIX_DATABASE_URL"] = dsns.get(env["MODELLIX_DATABASE_URL"], env["MODELLIX_DATABASE_URL"])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modellix_server.cli.app", command),
        env=os.environ | env,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert said.decode().splitlines()[-1].startswith(f"Error: {words}")
    assert b"Traceback" not in said
