"""Stopping a task at its vendor: believed only on the vendor's clear word, and never at the price of a result."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from modellix_server.catalogue import Catalogue
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Answer, AnswerLost, Cancels, Order, UnmappedAnswer

CATALOGUE = Catalogue.load()
KEY = {"Authorization": "Bearer sk-test"}


@dataclass(frozen=True)
class Case:
    """A vendor that stops tasks: a model of its own, a ticket, and the calls of one cancel in their order."""

    upstream: str
    model: str
    ticket: str
    calls: tuple[tuple[str, str], ...]


_ARK_TASK = "/contents/generations/tasks/cgt-20260205100000-ab12c"
_DASHSCOPE_ID = "0385dc79-5ff8-4d82-bcb6-000000000001"
ARK = Case(
    "ark",
    "bytedance/seedance-1.0-pro-t2v",
    "cgt-20260205100000-ab12c",
    (("GET", _ARK_TASK), ("DELETE", _ARK_TASK), ("GET", _ARK_TASK)),
)
DASHSCOPE = Case("dashscope", "alibaba/qwen-image-plus", _DASHSCOPE_ID, (("POST", f"/tasks/{_DASHSCOPE_ID}/cancel"),))


class Wire:
    """Plays recorded answers in turn and keeps what was sent."""

    def __init__(self, upstream: str, answers: list[str | Exception]) -> None:
        self.upstream = upstream
        self.answers = list(answers)
        self.calls: list[tuple[str, str]] = []

    async def call(self, method, path, *, json=None, headers=None) -> Answer:
        assert (json, headers) == (None, KEY)
        self.calls.append((method, path))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return recorded(self.upstream, answer)


def recorded(upstream: str, name: str) -> Answer:
    path = Path(__file__).parents[1] / "contract" / upstream / f"{name}.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    body = said["body"] if isinstance(said["body"], str) else json.dumps(said["body"])
    return Answer(status=said["status"], body=body.encode(), headers=said["headers"])


async def cancel(case: Case, wire: Wire) -> bool:
    model = CATALOGUE.models[case.model]
    order = Order("task-00-1", model.routes[0], model.example, "sk-test", "cn")
    return await load_all()[case.upstream].cancel(case.ticket, order, wire)


def test_every_vendor_that_stops_tasks_has_a_case() -> None:
    assert {name for name, one in load_all().items() if isinstance(one, Cancels)} == {ARK.upstream, DASHSCOPE.upstream}


@pytest.mark.parametrize(
    ("case", "answers", "stopped"),
    [
        (ARK, ["queued", "cancel_accepted", "cancelled"], True),
        (ARK, ["queued", "cancel_accepted", "running"], False),
        (ARK, ["queued", "cancel_accepted", "unknown_task"], False),
        (ARK, ["queued", "cancel_refused"], False),
        (ARK, ["queued", "throttled"], False),
        (ARK, ["running"], False),
        (ARK, ["succeeded"], False),  # its DELETE would take the result away
        (ARK, ["unknown_task"], False),
        (ARK, ["other_task"], False),
        (DASHSCOPE, ["cancel_accepted"], True),
        (DASHSCOPE, ["cancel_refused"], False),
        (DASHSCOPE, ["internal_error"], False),
        (DASHSCOPE, ["throttled"], False),
    ],
)
async def test_only_what_waits_is_stopped(case: Case, answers: list, stopped: bool) -> None:
    wire = Wire(case.upstream, answers)
    assert await cancel(case, wire) is stopped
    assert tuple(wire.calls) == case.calls[: len(answers)]


@pytest.mark.parametrize(
    ("case", "answers"),
    [
        (ARK, ["queued", AnswerLost("cut")]),
        (ARK, ["queued", "cancel_accepted", AnswerLost("cut")]),
        (ARK, ["garbage"]),
        (DASHSCOPE, [AnswerLost("cut")]),
        (DASHSCOPE, ["garbage"]),
    ],
    ids=["ark_lost", "ark_lost_afterwards", "ark_garbage", "dashscope_lost", "dashscope_garbage"],
)
async def test_a_lost_or_unreadable_answer_is_no_answer(case: Case, answers: list) -> None:
    with pytest.raises((AnswerLost, UnmappedAnswer)):
        await cancel(case, Wire(case.upstream, answers))
