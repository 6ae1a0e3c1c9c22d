"""Whether a vendor takes a key is judged by what it documents; any other answer is no verdict."""

from __future__ import annotations

import json

import pytest

from modellix_server.base.outbound import Answer
from modellix_server.catalogue import Route
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Order, UnmappedAnswer

ANSWERS = [
    ("dashscope", 200, {"output": {"task_id": "x", "task_status": "UNKNOWN"}}, True),
    ("dashscope", 401, {"code": "InvalidApiKey", "message": "Invalid API-key provided."}, False),
    ("dashscope", 403, {"code": "Workspace.AccessDenied", "message": "no"}, False),
    ("dashscope", 404, {"code": "NotFound", "message": "no such path"}, None),
    ("dashscope", 200, {"hello": "world"}, None),
    ("ark", 404, {"error": {"code": "NotFound.id", "message": "no such task"}}, True),
    ("ark", 400, {"error": {"code": "InvalidParameter.id", "message": "no task id"}}, True),
    ("ark", 401, {"error": {"code": "AuthenticationError", "message": "no"}}, False),
    ("ark", 403, {"error": {"code": "AccountOverdueError", "message": "no"}}, False),
    ("ark", 404, {"error": {"code": "ModelNotOpen", "message": "no"}}, None),
    ("ark", 404, {"detail": "no such path"}, None),
    ("minimax", 200, {"base_resp": {"status_code": 2013, "status_msg": "invalid params"}}, True),
    ("minimax", 200, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, False),
    ("minimax", 200, {"base_resp": {"status_code": 2049, "status_msg": "invalid api key"}}, False),
    ("minimax", 401, {}, False),
    ("minimax", 404, {"base_resp": {"status_code": 1000, "status_msg": "not found"}}, None),
    ("minimax", 200, {"base_resp": {"status_code": 4711, "status_msg": "?"}}, None),
    ("openai", 404, {"error": {"code": "model_not_found", "message": "no"}}, True),
    ("openai", 401, {"error": {"code": "invalid_api_key", "message": "no"}}, False),
    ("openai", 404, {"error": {"message": "no such path"}}, None),
    ("openai", 404, {"detail": "Not Found"}, None),
]


class Line:
    """Answers every call with the same."""

    def __init__(self, status: int, body: bytes) -> None:
        self.answer = Answer(status, body, {})
        self.calls: list[str] = []

    async def call(self, method: str, path: str, **_: object) -> Answer:
        self.calls.append(f"{method} {path}")
        return self.answer


def order(upstream: str) -> Order:
    route = Route(upstream=upstream, models={}, wire={}, to={})
    return Order(attempt="task-test-0", route=route, params={}, key="sk-test")


@pytest.mark.parametrize(("upstream", "status", "said", "taken"), ANSWERS)
async def test_a_documented_answer_is_a_verdict(upstream: str, status: int, said: object, taken: bool | None) -> None:
    line = Line(status, json.dumps(said).encode())
    assert await load_all()[upstream].takes_key(order(upstream), line) is taken
    (call,) = line.calls
    assert call.startswith("GET "), "it costs nothing"


@pytest.mark.parametrize("upstream", ["dashscope", "ark", "minimax", "openai"])
async def test_a_page_is_no_verdict(upstream: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await load_all()[upstream].takes_key(order(upstream), Line(404, b"<html>not here</html>"))
