"""The admin commands, through the real command line on a real database."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys

import pytest
from typer.testing import CliRunner

from modellix_server import identity, ledger, pricing, vault
from modellix_server.cli.app import app
from modellix_server.embedded.instance_lock import free_loopback_port
from modellix_server.identity import Callers
from modellix_server.operations.context import Context
from modellix_server.operations.first_start import first_start
from modellix_server.operations.principal import system


class Cli:
    """Runs `modellix-server admin …` with an environment of its own."""

    def __init__(self, settings):
        self.env = {
            "COLUMNS": "200",
            "MODELLIX_DATABASE_URL": settings.database_url,
            "MODELLIX_STORAGE_URL": settings.storage_url,
            "MODELLIX_SECRET": base64.b64encode(settings.secret.value).decode(),
            "MODELLIX_MASTER_KEY": base64.b64encode(settings.master_key.value).decode(),
            "MODELLIX_SANDBOX_URL": settings.sandbox_url,
        }

    async def __call__(self, *arguments, stdin=""):
        # In a thread: a command runs an event loop of its own.
        done = await asyncio.to_thread(
            CliRunner().invoke, app, ["admin", *arguments], input=stdin, env=self.env, catch_exceptions=False
        )
        return done.exit_code, done.stdout, done.stderr

    async def json(self, *arguments, stdin=""):
        code, out, err = await self(*arguments, "--json", stdin=stdin)
        assert code == 0, err
        return json.loads(out)

    async def refused(self, *arguments, code=1, stdin=""):
        got, out, err = await self(*arguments, stdin=stdin)
        assert (got, out) == (code, ""), err
        assert err.startswith("Error: ")
        assert len(err.splitlines()) == 1
        assert "Traceback" not in err
        return err


async def as_a_program(cli, *arguments):
    """The same in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modellix_server.cli.app", "admin", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | cli.env,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def cli(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no data directory here
    return Cli(settings)


@pytest.fixture
async def acme(cli):
    await cli.json("team", "create", "acme")


async def test_a_team_its_money_and_its_limits(cli, pool, acme):
    (team,) = await cli.json("team", "list")
    assert (team["name"], team["live_usd"], team["test_usd"], team["concurrency"]) == ("acme", "0.0000", "0.0000", 3)

    assert (await cli.json("team", "credit", "acme", "--usd", "12.5", "--note", "first"))["available_usd"] == "12.5000"
    assert (await cli.json("team", "credit", "acme", "--micros", "-1"))["available_usd"] == "12.499999"
    assert (await cli.json("team", "credit", "acme", "--usd", "3", "--test"))["mode"] == "test"
    assert (await ledger.balance(pool, team["id"], live=True)).available == 12_499_999
    assert (await ledger.balance(pool, team["id"], live=False)).available == 3_000_000
    actor, note = await pool.fetchrow("select actor, note from ledger.transfer order by id limit 1")
    assert actor.startswith("admin:")
    assert note == "first"

    now = {"team": "acme", "concurrency": 3, "rpm": 1000, "key_rpm": 100, "most_waiting": 100}
    assert await cli.json("team", "limits", "acme") == now
    now |= {"concurrency": 9, "rpm": 50}
    assert await cli.json("team", "limits", "acme", "--concurrency", "9", "--rpm", "50") == now
    assert await cli.json("team", "limits", "acme") == now


async def test_what_is_wrong_with_teams_is_said_in_a_line(cli, acme):
    assert "already exists" in await cli.refused("team", "create", "acme")
    assert "'other' not found" in await cli.refused("team", "limits", "other")
    assert "'other' not found" in await cli.refused("team", "credit", "other", "--usd", "1")
    assert "0.0000 USD available" in await cli.refused("team", "credit", "acme", "--usd", "-1")
    assert "must not be 0" in await cli.refused("team", "credit", "acme", "--micros", "0")
    assert "either" in await cli.refused("team", "credit", "acme")
    assert "either" in await cli.refused("team", "credit", "acme", "--usd", "1", "--micros", "1")
    assert "finer than" in await cli.refused("team", "credit", "acme", "--usd", "0.0000001")
    assert "not an amount" in await cli.refused("team", "credit", "acme", "--usd", "much")
    assert "rpm must be" in await cli.refused("team", "limits", "acme", "--rpm", "0")


async def test_a_key_is_shown_once_and_works_until_revoked(cli, pool, settings, acme):
    made = await cli.json("key", "create", "--team", "acme", "--test", "--name", "ci")
    assert made["key"].startswith("mdlx-test-")
    callers = Callers(pool, settings.secret)
    caller = await callers.authenticate(f"Bearer {made['key']}")
    assert (caller.live, caller.key_name) == (False, "ci")

    code, out, err = await as_a_program(cli, "key", "create", "--team", "acme")
    assert code == 0
    live = out.strip()  # alone on standard output, for $(…)
    assert (await callers.authenticate(f"Bearer {live}")).live
    assert live not in err

    listed = await cli.json("key", "list", "--team", "acme")
    assert [row["mode"] for row in listed] == ["test", "live"]
    _, table, _ = await cli("key", "list")
    for text in (made["key"], live):
        assert text not in table + json.dumps(listed)
        assert f"{text[-4:]}" in table

    assert (await cli.json("key", "revoke", str(made["id"])))["revoked_at"] is not None
    with pytest.raises(identity.callers.Unauthorized):
        await callers.authenticate(f"Bearer {made['key']}")
    assert "key 999 not found" in await cli.refused("key", "revoke", "999")
    assert "team 'no' not found" in await cli.refused("key", "create", "--team", "no")


async def test_a_vendor_account_is_set_listed_and_never_shown(cli, pool, settings):
    key = "sk-0123456789abcdef"
    shown = await cli.json("upstream", "set", "dashscope", "--region", "cn", stdin=key + "\n")
    assert shown["base_url"] == "https://dashscope.aliyuncs.com/api/v1"
    account = await vault.open_account(pool, settings.keyring, "dashscope")
    assert (account.key, account.region) == (key, "cn")
    _, out, err = await cli("upstream", "list")
    assert "…cdef" in out
    assert key not in out + err

    assert "unknown upstream 'nobody'; known: " in await cli.refused("upstream", "set", "nobody", stdin=key)
    assert "no region 'moon'" in await cli.refused("upstream", "set", "dashscope", "--region", "moon", stdin=key)
    said = await cli.refused("upstream", "set", "dashscope", stdin="sk-a b\n")
    assert "printable" in said
    assert "sk-a" not in said
    assert "printable" in await cli.refused("upstream", "set", "dashscope")
    cli.env["MODELLIX_MASTER_KEY"] = base64.b64encode(os.urandom(32)).decode()
    assert "MODELLIX_MASTER_KEY" in await cli.refused("upstream", "test", "dashscope")


async def test_a_vendor_may_have_several_accounts(cli):
    await cli.json("upstream", "set", "dashscope", stdin="sk-main\n")
    shown = await cli.json("upstream", "set", "dashscope", "--account", "backup", "--weight", "2", stdin="sk-backup\n")
    assert (shown["account"], shown["weight"], shown["enabled"]) == ("backup", 2, True)
    assert not (await cli.json("upstream", "disable", "dashscope"))["enabled"]
    listed = await cli.json("upstream", "list")
    assert [(one["account"], one["weight"], one["enabled"], one["key"]) for one in listed] == [
        ("main", 1, False, "…main"),
        ("backup", 2, True, "…ckup"),
    ]
    assert (await cli.json("upstream", "enable", "dashscope", "--weight", "7"))["weight"] == 7
    assert "no account 'spare' at dashscope" in await cli.refused(
        "upstream", "enable", "dashscope", "--account", "spare"
    )
    assert "1 to 100" in await cli.refused("upstream", "enable", "dashscope", "--weight", "0")
    assert "no account for dashscope named 'spare'" in await cli.refused(
        "upstream", "test", "dashscope", "--account", "spare"
    )


@pytest.mark.parametrize(
    ("status", "body", "verdict", "code"),
    [
        (200, {"output": {"task_id": "x", "task_status": "UNKNOWN"}}, "key accepted", 0),
        (401, {"code": "InvalidApiKey", "message": "Invalid API-key provided."}, "key refused", 1),
        (400, {"code": "invalid_api_key", "message": "no"}, "key refused", 1),
        (404, {"code": "NotFound", "message": "no such path"}, "answer that the vendor does not document", 1),
        (503, {"code": "ServiceUnavailable", "message": "busy"}, "vendor is busy, try again", 1),
    ],
)
async def test_a_vendor_is_asked_about_the_key(cli, status, body, verdict, code):
    heard = []

    async def answer(reader, writer):
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        text = json.dumps(body).encode()
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
            % (status, len(text), text)
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await cli.json("upstream", "set", "dashscope", "--base-url", f"http://127.0.0.1:{port}/v1", stdin="sk-abc\n")
        got, out, err = await cli("upstream", "test", "dashscope", "--json")
    assert (got, json.loads(out)["verdict"]) == (code, verdict), err
    (request,) = heard
    assert request.startswith(b"GET /v1/tasks/")
    assert b"sk-abc" not in out.encode()


async def test_an_unreachable_vendor_is_exit_code_3(cli):
    assert "no account for dashscope" in await cli.refused("upstream", "test", "dashscope")
    url = f"http://127.0.0.1:{free_loopback_port()}"
    await cli.json("upstream", "set", "dashscope", "--base-url", url, stdin="sk-abc\n")
    code, out, _ = await cli("upstream", "test", "dashscope", "--json")
    assert (code, json.loads(out)["verdict"]) == (3, "unreachable")


async def test_prices_are_set_and_taken_back(cli, pool):
    model = "alibaba/qwen-image-plus"
    assert (await cli.json("price", "set", "*", "--factor", "1.2"))["price"] == "list price x 1.2"
    assert (await cli.json("price", "set", model, "--usd", "0.05"))["price"] == "0.0500 USD"
    book = await pricing.book(pool)
    assert book.of(model, "any").apply(1) == 50_000
    assert book.of("alibaba/other", "any").apply(10) == 12
    assert [row["model"] for row in await cli.json("price", "list")] == ["*", model]
    await cli.json("price", "clear", model)
    assert (await pricing.book(pool)).of(model, "any").apply(10) == 12

    assert "not found" in await cli.refused("price", "set", "alibaba/nothing", "--usd", "1")
    assert "no tier '9k', but" in await cli.refused("price", "set", model, "--tier", "9k", "--usd", "1")
    assert "either" in await cli.refused("price", "set", model)
    assert "four decimals" in await cli.refused("price", "set", model, "--factor", "1.00001")
    assert "not a factor" in await cli.refused("price", "set", model, "--factor", "x")
    assert "a margin" in await cli.refused("price", "set", model, "--factor", "-1")
    assert "for all models it is a margin" in await cli.refused("price", "set", "*", "--usd", "1")
    for factor in ("1e-30", "0.00001", "1e12", "-0.5", "nan", "inf", "1e999999999", "9" * 500):
        await cli.refused("price", "set", "*", "--factor", factor)
    for amount in ("1e15", "9e12", "10000.01", "-1", "0.0000001", "1." + "0" * 40 + "1", "nan", "1e-999999999"):
        await cli.refused("price", "set", model, "--usd", amount)
    assert "no price was set" in await cli.refused("price", "clear", "alibaba/other")


async def test_without_an_instance_or_a_database_one_sentence_says_so(cli, settings):
    url = cli.env.pop("MODELLIX_DATABASE_URL")
    assert "modellix-server up" in await cli.refused("team", "list", code=2)
    cli.env["MODELLIX_DATABASE_URL"] = f"postgresql://x@127.0.0.1:{free_loopback_port()}/x"
    assert "modellix-server up" in await cli.refused("team", "list", code=3)
    cli.env["MODELLIX_DATABASE_URL"] = url.replace("/test_", "/nothing_")
    assert "check MODELLIX_DATABASE_URL" in await cli.refused("team", "list", code=2)
    cli.env["MODELLIX_SECRET"] = "short"
    assert "MODELLIX_SECRET" in await cli.refused("team", "list", code=2)


async def test_a_database_without_tables_names_the_remedy(cli, postgres_server):
    await postgres_server.setup.execute("create database empty")
    cli.env["MODELLIX_DATABASE_URL"] = postgres_server.database("empty").app_dsn
    assert "migrate" in await cli.refused("team", "list", code=2)
    await postgres_server.setup.execute("drop database empty with (force)")


async def test_the_first_start_makes_one_team_with_test_money_and_a_key(settings, pool):
    key = await first_start(Context(settings, pool), system("first start", "host-1"))
    assert key.startswith("mdlx-test-")
    caller = await Callers(pool, settings.secret).authenticate(f"Bearer {key}")
    assert not caller.live
    assert (await ledger.balance(pool, caller.team_id, live=False)).available == 100_000_000
    assert (await ledger.balance(pool, caller.team_id, live=True)).available == 0
    assert await first_start(Context(settings, pool), system("first start", "host-1")) is None
    assert [team.name for team in await identity.list_teams(pool)] == ["default"]


async def test_a_first_start_that_fails_leaves_nothing_behind(settings, pool, monkeypatch):
    async def fail(*args, **kwargs):
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(identity, "create_key", fail)
        with pytest.raises(RuntimeError):
            await first_start(Context(settings, pool), system("first start", "host-1"))
    assert await identity.list_teams(pool) == []
    assert await first_start(Context(settings, pool), system("first start", "host-1")) is not None


async def test_values_out_of_range_are_refused_in_words(cli):
    await cli.json("team", "create", "acme")
    for name in ("\udcff\udcfe", "evil\u202ename", "two\nlines", "x" * 65, " "):
        assert "printable" in await cli.refused("team", "create", name)
    assert "between" in await cli.refused("team", "limits", "acme", "--rpm", str(10**30))
    assert "a billion USD" in await cli.refused("team", "credit", "acme", "--usd", "1e15")
    assert "a billion USD" in await cli.refused("team", "credit", "acme", "--micros", str(10**30))
