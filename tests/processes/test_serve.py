"""The API process ends in good order."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import socket
import sys
from pathlib import Path

import aiohttp

from modellix_server.base.database import Pool
from modellix_server.base.settings import Settings


async def test_a_clean_stop_loses_no_line_of_the_request_log(pool: Pool, settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = dict(os.environ) | {
        "MODELLIX_DATABASE_URL": settings.database_url,
        "MODELLIX_STORAGE_URL": settings.storage_url,
        "MODELLIX_SPOOL_DIR": settings.spool_dir,
        "MODELLIX_SECRET": base64.b64encode(settings.secret.value).decode(),
        "MODELLIX_MASTER_KEY": base64.b64encode(settings.master_key.value).decode(),
        "MODELLIX_SANDBOX_URL": settings.sandbox_url,
        "MODELLIX_PORT": str(port),
        "MODELLIX_DRAIN_S": "0",
    }
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "modellix_server.cli.app", "serve", env=env, stderr=log
        )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            for _ in range(600):
                try:
                    async with http.get("/readyz"):
                        break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.1)
            for number in range(20):
                async with http.get(f"/api/v1/tasks/nothing-{number}") as answer:
                    assert answer.status == 401
            process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    kept = await pool.fetchval("select count(*) from requestlog.entry where path like '/api/v1/tasks/nothing-%'")
    assert kept == 20
    left = [one.name for one in Path(settings.spool_dir).iterdir()]
    assert not [name for name in left if not re.fullmatch("modellix-docs-[0-9a-f]{32}", name)], (
        "the made pages are kept"
    )
