"""A task's trace, as a collector receives it from the processes that had to do with the task."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SUBMIT = "/api/v1/text-to-image/alibaba/qwen-image-plus/async"
CLIENT = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def collector() -> Iterator[tuple[str, list]]:
    """Its address, and (service, span) as they come in by OTLP over HTTP."""
    spans: list = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            for of_one in ExportTraceServiceRequest.FromString(body).resource_spans:
                about = {pair.key: pair.value.string_value for pair in of_one.resource.attributes}
                spans.extend((about["service.name"], span) for scope in of_one.scope_spans for span in scope.spans)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Tests have other witnesses."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", spans
        server.shutdown()
        thread.join()


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Where webhooks go: its address, and what came, of which the first is answered with 500."""
    came: list[web.Request] = []

    async def take(request: web.Request) -> web.Response:
        came.append(request)
        return web.Response(status=200 if len(came) > 1 else 500)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/", came
    await runner.cleanup()


@pytest.mark.full
async def test_one_trace_a_task_over_all_processes(fleet, collector, receiver) -> None:
    address, spans = collector
    hook, came = receiver
    await fleet.command("migrate")
    fleet.env |= {
        "MODELLIX_DRAIN_S": "0",
        "MODELLIX_ALLOW_NETWORKS": "127.0.0.0/8",
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
    }
    await fleet.emulate()
    await fleet.team()
    key = await fleet.key()
    (api, port), (worker, number) = await fleet.serve(), await fleet.work()
    traceparent = f"00-{CLIENT}-b7ad6b7169203331-01"
    headers = {"Authorization": f"Bearer {key}", "traceparent": traceparent, "X-Request-Id": "mine"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as http:
        tasks = []
        for prompt, more in (("traced", {"X-Webhook-URL": hook}), ("[sandbox:refuse] traced too", {})):
            async with http.post(SUBMIT, json={"prompt": prompt}, headers=more) as answer:
                tasks.append((await answer.json())["data"]["task_id"].removeprefix("task-"))
        async with asyncio.timeout(60):
            while (  # noqa: ASYNC110
                await fleet.pool.fetchval("select count(*) from tasks.task where finished_at is null")
                or await fleet.pool.fetchval("select count(*) from webhooks.message where state <> 'delivered'")
            ):
                await asyncio.sleep(0.1)
    await fleet.stop(api)
    await fleet.stop(worker)  # both send what they still have

    def named(task: str) -> dict[str, list]:
        found: dict[str, list] = {}
        for service, span in spans:
            if span.trace_id.hex() == task:
                found.setdefault(span.name, []).append((service, span))
        return found

    good, refused = map(named, tasks)
    assert set(good) == {"task", "submit", "claim", "vendor submit", "vendor poll", "store", "settle", "webhook"}
    assert set(refused) == {"task", "submit", "claim", "vendor submit", "settle"}
    ((_, root),) = good["task"]
    assert root.parent_span_id == b""
    for name, several in good.items():
        for service, span in several:
            assert service == ("modellix-serve" if name == "submit" else "modellix-work")
            assert span.end_time_unix_nano >= span.start_time_unix_nano
            if name != "task":
                assert span.parent_span_id == root.span_id
    ((_, submit),) = good["submit"]
    assert [link.trace_id.hex() for link in submit.links] == [CLIENT]
    about = {pair.key: pair.value for pair in submit.attributes}
    assert about["request_id"].string_value == "mine"
    assert {pair.key: pair.value for pair in good["claim"][0][1].attributes}["worker"].int_value == number
    assert {pair.key: pair.value for pair in root.attributes}["request_id"].string_value == "mine"
    deliveries = sorted((span for _, span in good.pop("webhook")), key=lambda span: span.start_time_unix_nano)
    parents = [f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01" for span in deliveries]
    assert [request.headers["traceparent"] for request in came] == parents
    assert [
        {pair.key: pair.value.int_value or pair.value.string_value for pair in span.attributes} for span in deliveries
    ] == [
        {"event": "prediction.task.succeeded", "attempt": 1, "status": 500},
        {"event": "prediction.task.succeeded", "attempt": 2, "status": 200},
    ]
    assert refused["task"][0][1].status.code == 2  # error
    assert {name: len(several) for name, several in good.items() if name != "vendor poll"} == dict.fromkeys(
        ("task", "submit", "claim", "vendor submit", "store", "settle"), 1
    )


@pytest.mark.full
async def test_a_collector_that_is_away_delays_nobody(fleet) -> None:
    await fleet.command("migrate")
    fleet.env |= {"MODELLIX_DRAIN_S": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    api, port = await fleet.serve()
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/healthz") as answer:
        assert answer.status == 200
    assert await fleet.stop(api) < 40
