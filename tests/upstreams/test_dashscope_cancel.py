"""Stopping a task at DashScope: believed only on the vendor's clear word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modellix_server.catalogue import Catalogue
from modellix_server.upstreams.contract import Answer, AnswerLost, Cancels, Order, UnmappedAnswer
from modellix_server.upstreams.dashscope import upstream

ANSWERS = Path(__file__).parents[1] / "contract" / "dashscope"
CATALOGUE = Catalogue.load()
KEY = {"Authorization": "Bearer sk-test"}
MODEL, TASK = CATALOGUE.models["alibaba/qwen-image-plus"], "0385dc79-5ff8-4d82-bcb6-000000000001"


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


async def cancel(wire: Wire) -> bool:
    return await upstream.cancel(TASK, Order("task-00-1", MODEL.routes[0], MODEL.example, "sk-test", "cn"), wire)


def test_it_can_be_asked() -> None:
    assert isinstance(upstream, Cancels)


@pytest.mark.parametrize(
    ("answer", "stopped"),
    [("cancel_accepted", True), ("cancel_refused", False), ("internal_error", False), ("throttled", False)],
)
async def test_what_is_pending_is_stopped(answer: str, stopped: bool) -> None:
    wire = Wire(answer)
    assert await cancel(wire) is stopped
    assert wire.calls == [("POST", f"/tasks/{TASK}/cancel")]


@pytest.mark.parametrize("answer", [AnswerLost("cut"), "garbage"], ids=["lost", "garbage"])
async def test_a_lost_or_unreadable_answer_is_no_answer(answer: str | Exception) -> None:
    with pytest.raises((AnswerLost, UnmappedAnswer)):
        await cancel(Wire(answer))
