"""Adapters stop tasks at the emulators as at the vendors: while they wait, and never later."""

from __future__ import annotations

import asyncio

import pytest

from modellix_server.catalogue import Catalogue
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Answer, Failed, Order, Ticket

CATALOGUE = Catalogue.load()
MODELS = {
    "dashscope": ("/dashscope/api/v1", "alibaba/qwen-image-plus", {}),
    "ark": ("/ark/api/v3", "bytedance/seedance-1.0-lite-t2v", {"duration": 2, "resolution": "480p"}),
}


class Http:
    """The emulator as the engine reaches it."""

    def __init__(self, client, base: str) -> None:
        self.client, self.base = client, client.running.origin + base

    async def call(self, method, path, *, json=None, headers=None) -> Answer:
        async with self.client.http.request(method, self.base + path, json=json, headers=headers) as answer:
            return Answer(answer.status, await answer.read(), {k.lower(): v for k, v in answer.headers.items()})


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("directive", "stopped"), [("queue=20", True), ("slow=20", False)])
async def test_cancel(client, name: str, directive: str, stopped: bool) -> None:
    base, slug, given = MODELS[name]
    model, upstream, http = CATALOGUE.models[slug], load_all()[name], Http(client, base)
    attempt = f"task-cancel-{name}-{stopped}-1"
    params = model.check({"prompt": f"[sandbox:{directive}] {name}", **given})
    order = Order(attempt, model.routes[0], params, "sk-test", "cn")
    ticket = await upstream.submit(order, http)
    assert isinstance(ticket, Ticket)
    await asyncio.sleep(0.2)
    assert await upstream.cancel(ticket.id, order, http) is stopped
    assert isinstance(await upstream.poll(ticket.id, order, http), Failed) is stopped
    assert await upstream.cancel(ticket.id, order, http) is False
    async with client.http.get(f"{client.running.origin}/{name}/_bill", params={"attempt": attempt}) as answer:
        (line,) = (await answer.json())["lines"]
    assert (line["images"], line["seconds"]) == (0, 0)
