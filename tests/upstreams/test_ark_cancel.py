"""Stopping a clip at Ark: believed only on the vendor's clear word, and never at the price of a result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modellix_server.catalogue import Catalogue
from modellix_server.upstreams.ark import upstream
from modellix_server.upstreams.contract import Answer, AnswerLost, Cancels, Order, UnmappedAnswer

ANSWERS = Path(__file__).parents[1] / "contract" / "ark"
CATALOGUE = Catalogue.load()
KEY = {"Authorization": "Bearer sk-test"}
MODEL, TASK = CATALOGUE.models["bytedance/seedance-1.0-pro-t2v"], "cgt-20260205100000-ab12c"


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
async def test_what_is_queued_is_stopped_and_no_result_deleted(answers: list[str], stopped: bool) -> None:
    wire = Wire(*answers)
    assert await cancel(wire) is stopped
    path = f"/contents/generations/tasks/{TASK}"
    assert wire.calls == [(method, path) for method in ("GET", "DELETE", "GET")][: len(answers)]


@pytest.mark.parametrize(
    "answers",
    [["queued", AnswerLost("cut")], ["queued", "cancel_accepted", AnswerLost("cut")], ["garbage"]],
    ids=["lost", "lost_afterwards", "garbage"],
)
async def test_a_lost_or_unreadable_answer_is_no_answer(answers: list) -> None:
    with pytest.raises((AnswerLost, UnmappedAnswer)):
        await cancel(Wire(*answers))
