"""A server at a socket, and connections to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.raw_http import Client, Served, serving_app


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving_app() as made:
        yield made


@pytest.fixture
async def connect(served: Served) -> AsyncIterator[Any]:
    clients: list[Client] = []

    async def one(**about: Any) -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", served.port, **about)))
        return clients[-1]

    yield one
    for client in clients:
        client.writer.close()
