"""Stopping a task at its vendor: believed only on the vendor's clear word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modellix_server.catalogue import Catalogue
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Answer, AnswerLost, Cancels, Order, UnmappedAnswer

ANSWERS = Path(__file__).parents[1] / "contract"
CATALOGUE = Catalogue.load()
UPSTREAMS = load_all()
KEY = {"Authorization": "Bearer sk-test"}
TASKS = {
    "ark": ("bytedance/seedance-1.0-pro-t2v", "cgt-20260205100000-ab12c"),
    "dashscope": ("alibaba/qwen-image-plus", "0385dc79-5ff8-4d82-bcb6-000000000001"),
}


def recorded(name: str) -> Answer:
    said = json.loads((ANSWERS / f"{name}.json").read_text(encoding="utf-8"))
    body = said["body"] if isinstance(said["body"], str) else json.dumps(said["body"])
    return Answer(status=said["status"], body=body.encode(), headers=said["headers"])


class Wire:
    """Plays answers in turn and keeps what was sent."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, str]] = []

    async def call(self, method, path, *, json=None, headers=None) -> Answer:
        assert (json, headers) == (None, KEY)
        self.calls.append((method, path))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return recorded(answer)


async def cancel(upstream: str, wire: Wire) -> bool:
    model, ticket = TASKS[upstream]
    found: Any = UPSTREAMS[upstream]
    order = Order("task-00-1", CATALOGUE.models[model].routes[0], CATALOGUE.models[model].example, "sk-test", "cn")
    return await found.cancel(ticket, order, wire)


def test_who_can_stop_a_task() -> None:
    assert {name for name, upstream in UPSTREAMS.items() if isinstance(upstream, Cancels)} >= {"ark", "dashscope"}
    assert not isinstance(UPSTREAMS["minimax"], Cancels)


@pytest.mark.parametrize(
    ("answer", "stopped"),
    [("cancel_accepted", True), ("cancel_refused", False), ("internal_error", False), ("throttled", False)],
)
async def test_dashscope_stops_what_is_pending(answer: str, stopped: bool) -> None:
    wire = Wire(f"dashscope/{answer}")
    assert await cancel("dashscope", wire) is stopped
    assert wire.calls == [("POST", f"/tasks/{TASKS['dashscope'][1]}/cancel")]


@pytest.mark.parametrize(
    ("answers", "stopped"),
    [
        (["queued", "cancel_accepted", "cancelled"], True),
        (["queued", "cancel_accepted", "running"], False),
        (["queued", "cancel_accepted", "unknown_task"], False),
        (["queued", "cancel_refused"], False),
        (["queued", "throttled"], False),
        (["running"], False),
        (["succeeded"], False),
        (["unknown_task"], False),
        (["other_task"], False),
    ],
)
async def test_ark_stops_what_is_queued_and_never_deletes_a_result(answers: list[str], stopped: bool) -> None:
    wire = Wire(*(f"ark/{answer}" for answer in answers))
    assert await cancel("ark", wire) is stopped
    path = f"/contents/generations/tasks/{TASKS['ark'][1]}"
    assert wire.calls == [(method, path) for method in ("GET", "DELETE", "GET")][: len(answers)]


@pytest.mark.parametrize(
    ("upstream", "answers"),
    [
        ("dashscope", [AnswerLost("cut")]),
        ("ark", ["queued", AnswerLost("cut")]),
        ("ark", ["queued", "cancel_accepted", AnswerLost("cut")]),
        ("ark", ["garbage"]),
        ("dashscope", ["garbage"]),
    ],
)
async def test_a_lost_or_unreadable_answer_is_no_answer(upstream: str, answers: list) -> None:
    named = [answer if isinstance(answer, Exception) else f"{upstream}/{answer}" for answer in answers]
    with pytest.raises((AnswerLost, UnmappedAnswer)):
        await cancel(upstream, Wire(*named))
