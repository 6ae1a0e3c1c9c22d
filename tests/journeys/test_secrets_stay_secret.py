"""Planted secrets after a whole journey at the loudest log level: they are only in the one answer that made them.

Looked at: every table, the write-ahead log and the files of the database, all logs, all answers, files in storage and
scratch space, and command lines and environments of all processes. The scan has a control of its own.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from modellix_server import vault
from modellix_server.base.database import connect
from modellix_server.base.envelope import Keyring
from modellix_server.base.errors import Unauthorized
from modellix_server.base.secret import Secret
from modellix_server.base.settings import BadSettings
from modellix_server.identity import Callers

pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]  # many programs are started one after the other

MODEL = "alibaba/qwen-image-plus"
DIRECTIVES = (
    "", "[sandbox:refuse]", "[sandbox:moderate]", "[sandbox:error]", "[sandbox:garbage]", "[sandbox:lost]",
    "[sandbox:fail]", "[sandbox:mistyped]", "[sandbox:badword=1]",
)  # fmt: skip


def forms(secret: str) -> Iterator[bytes]:
    """A secret as it could lie somewhere: as it is, its middle alone, and in the usual codings."""
    raw = secret.encode()
    middle = raw[len(raw) // 4 : -6]
    for one in (raw, middle):
        yield one
        yield one.hex().encode()
        yield one.hex().upper().encode()
        yield base64.b64encode(one).rstrip(b"=")[:-1]
        yield base64.urlsafe_b64encode(one).rstrip(b"=")[:-1]
    yield quote(secret, safe="").encode()
    yield raw[::-1]


@dataclass
class Scan:
    """What is looked for, and what was looked at."""

    planted: dict[str, str]
    looked_at: dict[str, int] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)

    def look(self, where: str, content: bytes) -> None:
        kind = where.partition(" ")[0]
        self.looked_at[kind] = self.looked_at.get(kind, 0) + len(content)
        self.found += [
            f"{name} in {where}"
            for name, secret in self.planted.items()
            if any(form in content for form in forms(secret))
        ]

    def look_below(self, kind: str, folder: Path) -> None:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                self.look(f"{kind} {path}", path.read_bytes())


async def dump(db: asyncpg.Connection) -> dict[str, bytes]:
    """Every table as COPY writes it: what a dump of the database holds."""
    tables = await db.fetch(
        """select format('%I.%I', schemaname, tablename) from pg_tables
           where schemaname not in ('pg_catalog', 'information_schema')"""
    )
    copied = {}
    for (table,) in tables:
        parts: list[bytes] = []

        async def keep(data, parts=parts) -> None:
            parts.append(bytes(data))

        await db.copy_from_query(f"select * from {table}", output=keep)
        copied[table] = b"".join(parts)
    return copied


@dataclass
class World:
    """A platform on which everything happened once."""

    platform: object
    planted: dict[str, str]
    answers: list[bytes]
    made: list[str]
    server: object


async def command(platform, *arguments: str, stdin: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modellix_server.cli.app", *arguments),
        env=platform.env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
    assert process.returncode == 0, err
    return out.decode() + err.decode()


@pytest.fixture(scope="module")
async def world(postgres_server, stage, tmp_path_factory):
    async with stage(postgres_server, tmp_path_factory.mktemp("canary"), log_level="debug") as platform:
        vendor_key = f"sk-{os.urandom(20).hex()}"
        said = [await command(platform, "admin", "team", "create", "canary")]
        created = {
            mode: await command(platform, "admin", "key", "create", "--team", "canary", *options)
            for mode, options in {"live": [], "test": ["--test"], "leaked": ["--test"]}.items()
        }
        made = {mode: next(w for w in out.split() if w.startswith("mdlx-")) for mode, out in created.items()}
        credit = ("admin", "team", "credit", "canary", "--usd", "90")
        said += [await command(platform, *credit, *options) for options in ([], ["--test"])]
        at = f"{platform.sandbox}/dashscope/api/v1"
        account = ("admin", "upstream", "set", "dashscope", "--region", "cn", "--base-url", at)
        said.append(await command(platform, *account, stdin=vendor_key + "\n"))
        planted = {f"{mode} key": text for mode, text in made.items()} | {"vendor key": vendor_key}
        answers = [answer async for answer in journey(platform, made)]
        for_people = (
            *("admin team list", "admin key list", "admin upstream list", "admin upstream test dashscope"),
            *("admin task review", "audit list", "audit verify", "admin vault rotate", "ledger verify"),
        )
        said += [await command(platform, *arguments.split()) for arguments in for_people]
        answers += [text.encode() for text in said]
        yield World(platform, planted, answers, list(created.values()), postgres_server)


async def journey(platform, made) -> Iterator[bytes]:
    """Tasks of both modes that end in every way, and requests that carry a key where none belongs."""
    await command(
        platform, "admin", "team", "limits", "canary", "--concurrency", "50", "--rpm", "100000", "--key-rpm", "100000"
    )
    for mode in ("test", "live"):
        text = made[mode]
        client = platform.anyone(f"Bearer {text}")
        receipts = [await client.submit(MODEL, prompt=f"a lake {directive}") for directive in DIRECTIVES]
        for receipt in receipts:
            yield receipt.body
            await client.finish(receipt.data["task_id"], within_s=120)
            yield (await client.get(f"/api/v1/tasks/{receipt.data['task_id']}")).body
        for other in (f"Basic {text}", text, f"Bearer {text}x", f"Bearer {text}, {text}", f"Token {text}"):
            yield (await platform.anyone(other).get("/api/v1/models")).body
        yield (await client.get(f"/api/v1/models?key={text}")).body
        await client.get(f"/api/v1/tasks/{text}")
        yield (await client.get(f"/{text}")).body
        yield (await client.get(f"/results/{text}/0.png?signature={text}")).body
        yield (await client.post(f"/api/v1/{MODEL}/async", {"prompt": "a", text: text})).body.replace(
            text.encode(), b""
        )
        yield (await client.post(f"/api/v1/{MODEL}/async", f'{{"prompt": "{text}'.encode())).body
        yield (await client.post("/api/v1/quote", {"model": text, "input": {}})).body.replace(text.encode(), b"")
        yield (await client.get("/api/v1/apikey/validate")).body
        yield (await client.get("/metrics")).body
    yield (await platform.anyone().post("/api/v1/keys/leaked", [{"token": made["leaked"], "url": made["leaked"]}])).body


async def scan(world: World) -> Scan:
    done = Scan(world.planted)
    for body in world.answers:
        done.look("answer", body)
    db = await connect(world.platform.database, name="scan")
    await db.execute("checkpoint")
    for table, content in (await dump(db)).items():
        done.look(f"table {table}", content)
    for row in await db.fetch("select query from pg_stat_activity where query is not null"):
        done.look("statement", row[0].encode())
    await db.close()
    data_directory = world.server.data_directory
    done.look_below("wal", data_directory.cluster / "pg_wal")
    done.look_below("cluster", data_directory.cluster / "base")
    done.look_below("log", data_directory.logs)
    for path in world.platform.folder.glob("*.log"):
        done.look(f"log {path}", path.read_bytes())
    for name in ("storage", "spool", "sandbox"):
        done.look_below("file", world.platform.folder / name)
    for process in world.platform.processes:
        for one in (top := psutil.Process(process.pid), *top.children(recursive=True)):
            done.look(f"process {one.pid} command line", "\0".join(one.cmdline()).encode())
            done.look(f"process {one.pid} environment", Path(f"/proc/{one.pid}/environ").read_bytes())
    return done


async def test_a_planted_key_is_found_nowhere_but_in_the_answer_that_made_it(world):
    assert sum(text in out for text in world.planted.values() for out in world.made) == 3
    found = await scan(world)
    assert found.found == []
    for kind in ("answer", "table", "wal", "cluster", "log", "file", "process"):
        assert found.looked_at[kind] > 1000, (kind, found.looked_at)


async def test_the_scan_finds_what_is_there(world):
    """Negative control: the same secret put where it must not be, one place at a time."""
    secret = world.planted["live key"]
    db = await connect(world.platform.database, name="control")
    log, file = world.platform.folder / "control.log", world.platform.folder / "storage" / "control"
    await db.execute("create table public.control (a text, b bytea)")
    await db.execute("insert into public.control values ($1, null)", f"note {secret}")
    log.write_text(json.dumps({"header": f"Bearer {secret}"}))
    file.write_bytes(b"\0" + base64.b64encode(secret.encode()))
    try:
        found = " ".join((await scan(world)).found)
        for place in ("table public.control", "control.log", "storage/control", "pg_wal", "cluster "):
            assert place in found, place
        await db.execute("update public.control set a = null, b = $1", secret.encode())
        assert "table public.control" in " ".join((await scan(world)).found)
    finally:
        await db.execute("drop table public.control")
        log.unlink()
        file.unlink()
        await db.close()


async def test_helpers_are_started_without_the_server_s_secrets(world):
    secrets = [world.platform.env[f"MODELLIX_{name}"] for name in ("SECRET", "MASTER_KEY", "DATABASE_URL")]
    helpers = [
        child for process in world.platform.processes for child in psutil.Process(process.pid).children(recursive=True)
    ]
    assert helpers
    for helper in helpers:
        environment = Path(f"/proc/{helper.pid}/environ").read_text()
        assert not any(secret in environment for secret in secrets), helper.cmdline()


async def test_a_stolen_dump_neither_calls_nor_decrypts(world):
    db = await connect(world.platform.database, name="thief")
    stolen = b"\n".join((await dump(db)).values())
    rows = await db.fetch("select * from identity.api_key")
    (account,) = await db.fetch("select * from vault.account")
    await db.close()

    # Nothing in it passes for a key.
    tries = set()
    for row in rows:
        tries |= {row["hash"].hex(), base64.b64encode(row["hash"]).decode(), f"{row['prefix']}…{row['last4']}"}
        tries |= {f"mdlx-{row['hash'].hex()[:36]}", row["prefix"] + row["hash"].hex()[:28] + row["last4"]}
    tries |= {word.decode() for word in stolen.split() if word.startswith(b"mdlx-")}
    for text in sorted(tries):
        answer = await world.platform.anyone(f"Bearer {text}".encode().decode("latin-1")).get("/api/v1/models")
        assert answer.status == 401, text

    # No part of it, taken as a key, opens the vendor's key; nor does the layout help.
    sealed = account["sealed"]
    candidates = {
        bytes.fromhex(word[3:].decode()) for word in stolen.split() if word.startswith(b"\\\\x") and len(word) % 2
    }
    candidates |= {row["hash"] for row in rows} | {sealed[at : at + 32] for at in range(len(sealed) - 32)}
    opened = 0
    for candidate in candidates:
        for size in (16, 24, 32):
            for nonce, text in ((sealed[9:21], sealed[21:69]), (sealed[69:81], sealed[81:])):
                for bound in (b"", json.dumps(["vault.account.sealed", "dashscope", account["base_url"]]).encode()):
                    try:
                        AESGCM(candidate[:size].ljust(size, b"\0")).decrypt(nonce, text, bound)
                        opened += 1
                    except InvalidTag:
                        pass
    assert candidates
    assert opened == 0

    # Under other secrets no key of it works and nothing starts; under the right ones everything does.
    header = f"Bearer {world.planted['test key']}"
    with pytest.raises(Unauthorized):
        await Callers(world.platform.pool, Secret(os.urandom(32))).authenticate(header)
    assert await Callers(world.platform.pool, world.platform.secret).authenticate(header)
    with pytest.raises(BadSettings, match="MODELLIX_MASTER_KEY"):
        await vault.check_master_keys(world.platform.pool, Keyring(Secret(os.urandom(32))), vault.SEALED)
    right = Keyring(Secret.of(world.platform.env["MODELLIX_MASTER_KEY"]))
    assert (await vault.open_account(world.platform.pool, right, "dashscope")).key == world.planted["vendor key"]


async def test_nobody_can_aim_a_vendor_key_elsewhere_by_a_request(world):
    """What a client sends decides no address: not in the body, nested, in headers or in the query."""
    visits = []

    async def attacker(_reader, writer) -> None:
        visits.append(1)
        writer.close()

    server = await asyncio.start_server(attacker, "127.0.0.1", 0)
    there = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = world.platform.anyone(f"Bearer {world.planted['live key']}")
    for name in ("base_url", "api_base", "endpoint", "url", "upstream", "region", "callback_url"):
        for given in ({name: there}, {"parameters": {name: there}}, {"extra_body": {name: there}}):
            answer = await client.post(f"/api/v1/{MODEL}/async", {"prompt": "a", **given})
            assert answer.status == 400, (name, answer.body)
    headers = {"X-Base-Url": there, "X-Upstream": there, "X-DashScope-Base-Url": there, "Forwarded": f"host={there}"}
    answer = await client.post(f"/api/v1/{MODEL}/async?base_url={there}", {"prompt": "a"}, headers=headers)
    await client.finish(answer.data["task_id"])
    server.close()
    assert visits == []
