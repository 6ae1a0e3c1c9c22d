"""Every admin command either changes nothing or leaves an entry that says who did what, and holds no secret."""

from __future__ import annotations

import asyncio
import base64
import json
import re

import pytest
import typer
from typer.testing import CliRunner

from modellix_server import audit
from modellix_server.cli.app import admin, app
from modellix_server.operations.context import Context
from modellix_server.operations.first_start import first_start
from modellix_server.operations.principal import system

MODEL = "alibaba/qwen-image-plus"
VENDOR_KEY = "sk-vendor-0123456789abcdef"
ENDPOINT = "(the endpoint created)"

# In this order: each may need what those before it made. The action it leaves, and how to call it.
CHANGES = {
    "team create": ("team.create", ["acme"]),
    "team limits": ("team.limits", ["acme", "--rpm", "50"]),
    "team inputs": ("team.inputs", ["acme", "--days", "30"]),
    "team budget": ("team.budget", ["acme", "--budget", "50", "--reset", "monthly"]),
    "team credit": ("team.credit", ["acme", "--usd", "5", "--note", "first"]),
    "code create": ("code.create", ["--usd", "5", "--count", "2", "--name", "launch"]),
    "code revoke": ("code.revoke", ["1"]),
    "key create": ("key.create", ["--team", "acme", "--name", "ci", "--tag", "app"]),
    "key tag": ("key.tag", ["1", "other"]),
    "key rotate": ("key.rotate", ["1"]),
    "key revoke": ("key.revoke", ["1"]),
    "key delete": ("key.delete", ["1"]),
    "upstream set": ("upstream.set", ["dashscope", "--region", "cn"]),
    "upstream disable": ("upstream.change", ["dashscope"]),
    "upstream enable": ("upstream.change", ["dashscope", "--weight", "3"]),
    "price set": ("price.set", [MODEL, "--usd", "0.05"]),
    "price clear": ("price.clear", [MODEL]),
    "vault rotate": ("vault.rotate", []),
    "webhook create": ("webhook.create", ["acme", "https://hooks.example.com/1"]),
    "webhook alerts": ("webhook.change", ["acme", ENDPOINT, "--balance-below", "5", "--budgets"]),
    "webhook enable": ("webhook.change", ["acme", ENDPOINT]),
    "webhook replay": ("webhook.replay", ["acme", ENDPOINT]),
    "webhook delete": ("webhook.delete", ["acme", ENDPOINT]),
    "sign-in-link": ("sign_in.link", []),
}
READS = {
    "team list": [],
    "key list": [],
    "code list": [],
    "upstream list": [],
    "price list": [],
    "task review": [],
    "task show": ["task-" + "0" * 32],
    "upstream test": ["ark"],
    "webhook list": ["acme"],
    "webhook deliveries": ["acme"],
}
# The same commands where they change nothing.
IDLE = [
    ["team", "limits", "acme"],
    ["team", "inputs", "acme"],
    ["team", "budget", "acme"],
    ["team", "budget", "acme", "--budget", "1", "--reset", "hourly"],
    ["vault", "rotate", "--dry-run"],
    ["team", "create", "acme"],
    ["team", "credit", "acme", "--usd", "-500"],
    ["key", "revoke", "99"],
    ["key", "rotate", "1"],
    ["key", "create", "--team", "acme", "--model", "no/model"],
    ["sign-in-link", "nobody@example.com"],
    ["price", "clear", "alibaba/other"],
]


@pytest.fixture
def cli(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = {
        "MODELLIX_DATABASE_URL": settings.database_url,
        "MODELLIX_STORAGE_URL": settings.storage_url,
        "MODELLIX_SECRET": base64.b64encode(settings.secret.value).decode(),
        "MODELLIX_MASTER_KEY": base64.b64encode(settings.master_key.value).decode(),
        "MODELLIX_SANDBOX_URL": settings.sandbox_url,
        "SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22",
    }

    async def run(*arguments):
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments, input=VENDOR_KEY + "\n", env=env)
        return done.exit_code, done.stdout, done.stderr

    return run


def commands():
    """Every command below `admin`, as it is typed."""
    root = typer.main.get_command(admin)
    return {
        f"{name} {verb}".strip() for name, group in root.commands.items() for verb in getattr(group, "commands", ("",))
    }


def test_every_admin_command_is_known_to_change_or_not_to():
    assert commands() == CHANGES.keys() | READS.keys()
    assert not CHANGES.keys() & READS.keys()


async def test_every_change_leaves_an_entry_and_nothing_else_does(cli, pool):
    outputs, endpoint = "", ""
    for number, (command, (action, arguments)) in enumerate(CHANGES.items(), 1):
        given = [endpoint if one == ENDPOINT else one for one in arguments]
        code, out, err = await cli("admin", *command.split(), *given)
        assert code == 0, err
        outputs += out
        if command == "webhook create":
            (endpoint,) = re.findall(r"we_[0-9a-f]{32}", err)
        (entry,) = await audit.list_entries(pool, limit=1)
        assert (entry.seq, entry.action) == (number, action)
        assert entry.actor.startswith("admin:")
        assert entry.origin.endswith(" from 192.0.2.7")
    for arguments in (*(command.split() + given for command, given in READS.items()), *IDLE):
        await cli("admin", *arguments)
    entries = await audit.list_entries(pool)
    assert len(entries) == len(CHANGES)
    kept = "\n".join(map(repr, entries))
    key = next(word for word in outputs.split() if word.startswith("mdlx-") and "…" not in word)
    signing = next(word for word in outputs.split() if word.startswith("whsec_"))
    link = next(word for word in outputs.split() if "/sign-in/link/" in word).rpartition("/")[2]
    for secret in (link, link[-8:], key, key[-8:], VENDOR_KEY, VENDOR_KEY[-6:], signing, signing[-8:]):
        assert secret not in kept
    details = {entry.action: json.loads(entry.details) for entry in entries}
    assert details["team.credit"] == {
        "mode": "live", "micros": 5_000_000, "available_micros": 5_000_000, "note": "first",
    }  # fmt: skip
    assert details["team.limits"] == {"rpm": 50}


async def test_list_head_and_verify(cli, pool, database):
    assert "Nothing yet" in (await cli("audit", "list"))[1]
    await cli("admin", "team", "create", "acme")
    await cli("admin", "team", "create", "other")
    code, head, _ = await cli("audit", "head")
    assert code == 0
    listed = json.loads((await cli("audit", "list", "--json", "--team", "other"))[1])
    assert [(one["seq"], one["action"], one["details"]) for one in listed] == [(2, "team.create", {"name": "other"})]
    code, out, _ = await cli("audit", "verify", "--head", head.strip())
    assert (code, out.strip()) == (0, "✓ The audit log is as it was written.")
    other = head.strip()[:-1] + ("0" if head.strip()[-1] != "0" else "1")
    code, out, _ = await cli("audit", "verify", "--json", "--head", other)
    assert (code, json.loads(out)) == (1, {"clean": False, "findings": ["entry 2 is not the one whose hash was noted"]})
    code, _, err = await cli("audit", "verify", "--head", "nonsense")
    assert code == 1
    assert "--head takes" in err


async def test_the_first_start_is_in_the_log_without_its_key(settings, pool):
    key = await first_start(Context(settings, pool), system("first start", "host-1"))
    entries = await audit.list_entries(pool)
    assert [entry.action for entry in entries] == ["key.create", "team.credit", "team.create"]
    assert key[-8:] not in repr(entries)
