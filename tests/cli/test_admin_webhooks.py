"""`admin webhook` through the real command line on a real database."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from typer.testing import CliRunner

from modellix_server.cli.app import app


@pytest.fixture
def cli(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = {
        "COLUMNS": "200",
        "MODELLIX_DATABASE_URL": settings.database_url,
        "MODELLIX_STORAGE_URL": settings.storage_url,
        "MODELLIX_SECRET": base64.b64encode(settings.secret.value).decode(),
        "MODELLIX_MASTER_KEY": base64.b64encode(settings.master_key.value).decode(),
        "MODELLIX_SANDBOX_URL": settings.sandbox_url,
    }

    async def run(*arguments: str) -> tuple[int, str, str]:
        call = (CliRunner().invoke, app, ["admin", *arguments])
        done = await asyncio.to_thread(*call, env=env, catch_exceptions=False)
        return done.exit_code, done.stdout, done.stderr

    return run


async def test_an_endpoint_s_life(cli, pool) -> None:
    assert (await cli("team", "create", "acme"))[0] == 0
    code, secret, said = await cli("webhook", "create", "acme", "https://example.com/hook")
    assert (code, secret[:6]) == (0, "whsec_")
    assert len(secret.split()) == 1
    assert "shown only now" in said
    (endpoint,) = json.loads((await cli("webhook", "list", "acme", "--json"))[1])
    assert (endpoint["url"], endpoint["disabled_at"]) == ("https://example.com/hook", None)
    assert secret.strip() not in json.dumps(endpoint)
    assert json.loads((await cli("webhook", "list", "acme", "--test", "--json"))[1]) == []
    await pool.execute("update webhooks.endpoint set disabled_at = now(), disabled_why = 'it answered 410 Gone'")
    assert "410 Gone" in (await cli("webhook", "list", "acme"))[1]
    enabled = json.loads((await cli("webhook", "enable", "acme", endpoint["id"], "--json"))[1])
    assert enabled["disabled_at"] is None
    await pool.execute("select webhooks.enqueue(array[gen_random_uuid()], array[1::bigint], array[true], array['e'])")
    await pool.execute("update webhooks.message set state = 'failed', ended_at = now()")
    (sent,) = json.loads((await cli("webhook", "deliveries", "acme", "--json"))[1])
    assert (sent["state"], sent["attempts"]) == ("failed", 0)
    assert json.loads((await cli("webhook", "replay", "acme", endpoint["id"], "--json"))[1])["replayed"] == 1
    assert (await cli("webhook", "delete", "acme", endpoint["id"]))[0] == 0
    assert "Nothing was sent." in (await cli("webhook", "deliveries", "acme"))[1]


@pytest.mark.parametrize("given", [
    ("create", "nobody", "https://example.com/"), ("create", "acme", "http://example.com/"),
    ("delete", "acme", "we_" + "0" * 32), ("enable", "acme", "nonsense"), ("replay", "acme", "we_" + "0" * 32),
])  # fmt: skip
async def test_what_cannot_be_done_is_refused_in_a_sentence(cli, given) -> None:
    await cli("team", "create", "acme")
    code, out, err = await cli("webhook", *given)
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert len(err.splitlines()) == 1
