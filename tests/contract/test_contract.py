"""The same cases over every adapter that there is, from the recorded answers in the folders beside this file."""

from __future__ import annotations

import contextlib
import copy
import json
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from modellix_server.catalogue import Catalogue, ImpossibleMeasurement, Quote, capture
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import (
    Answer,
    AnswerLost,
    Busy,
    Done,
    Failed,
    FailureCode,
    InlineFile,
    NotSent,
    Order,
    Pending,
    Polled,
    Submitted,
    Ticket,
    UnmappedAnswer,
    Upstream,
)

FOLDER = Path(__file__).parent
ADAPTERS = load_all()
CATALOGUE = Catalogue.load()
CASES = (
    *("accepted", "pending", "done", "partial", "refused", "failed"),
    *("busy", "garbage", "unknown_word", "unknown_code"),
)
SETTINGS = ("model", "region", "ticket", "input")
KEY = "sk-a-secret-of-the-account"
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 7, 2.5, 1e300, 10**30, "", "x", "0", "-5", "\0", "\ud800", "../x?y=1", "x" * 5000),
    *("file:///etc/passwd", [], {}, [None], [7], ["https://example.com"], {"url": 7}, {"code": 7, "message": []}),
)


@dataclass(frozen=True)
class Way:
    """One way a vendor is asked, and the examples of it."""

    upstream: Upstream
    name: str
    order: Order
    quote: Quote
    ticket: str | None
    cases: dict[str, list[str] | str]

    def __str__(self) -> str:
        return f"{self.upstream.name}-{self.name}"

    def ends(self) -> Play:
        """Play answers to the call that tells how the generation ended."""
        return self.submit if self.ticket is None else self.poll

    async def submit(self, *answers: Answer | Exception) -> Submitted:
        wire = Wire(answers)
        try:
            return await self.upstream.submit(self.order, wire)
        finally:
            assert [method for method, *_ in wire.calls] == ["POST"], "a submission is one POST"

    async def poll(self, *answers: Answer | Exception) -> Polled:
        assert self.ticket is not None
        wire = Wire(answers)
        try:
            return await self.upstream.poll(self.ticket, self.order, wire)
        finally:
            assert {method for method, *_ in wire.calls} == {"GET"}, "a poll only asks"

    def plays(self) -> list[Play]:
        return [self.submit] if self.ticket is None else [self.submit, self.poll]


Play = Callable[..., Awaitable[Submitted | Polled]]


class Wire:
    """Plays answers, the last one again and again, and keeps what was sent."""

    def __init__(self, answers: tuple[Answer | Exception, ...]) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, str, Any, dict[str, str]]] = []

    async def call(self, method, path, *, json=None, form=None, headers=None) -> Answer:
        sent = json if form is None else {part.name: str(part.data) for part in form}
        self.calls.append((method, path, copy.deepcopy(sent), dict(headers or {})))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def recorded(upstream: str, name: str) -> list[Answer]:
    """The answers of `one + two`."""
    return [read(FOLDER / upstream / f"{one.strip()}.json") for one in name.split("+")]


def read(path: Path) -> Answer:
    said = json.loads(path.read_text(encoding="utf-8"))
    return answer_of(said["body"], said["status"], said["headers"])


def answer_of(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(status=status, body=text.encode(), headers=headers or {})


def ways(adapter: Upstream) -> list[Way]:
    tables = tomllib.loads((FOLDER / adapter.name / "cases.toml").read_text(encoding="utf-8"))
    return [way(adapter, name, table) for name, table in tables.items()]


def way(adapter: Upstream, name: str, table: dict[str, Any]) -> Way:
    model = CATALOGUE.models[table["model"]]
    route = next(route for route in model.routes if route.upstream == adapter.name)
    assert table["region"] in route.models, f"{model.slug} is not offered in {table['region']}"
    params = model.check(table.get("input", dict(model.example)))
    order = Order("task-0123456789abcdef-1", route, params, KEY, table["region"])
    cases = {key: value for key, value in table.items() if key not in SETTINGS}
    return Way(adapter, name, order, model.quote(params, None, live=False), table.get("ticket"), cases)


WAYS = [
    one for adapter in ADAPTERS.values() if (FOLDER / adapter.name / "cases.toml").exists() for one in ways(adapter)
]
over_ways = pytest.mark.parametrize("way", WAYS, ids=str)


def played(*cases: str) -> pytest.MarkDecorator:
    """Every answer that is an example of one of the cases."""
    found = [
        pytest.param(one, name, id=f"{one}-{name}")
        for one in WAYS
        for case in cases
        for name in one.cases.get(case, ())
        if not isinstance(one.cases[case], str)
    ]
    return pytest.mark.parametrize(("way", "name"), found)


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=list(ADAPTERS))
def test_every_adapter_has_every_case_or_says_why_not(adapter: Upstream) -> None:
    assert (FOLDER / adapter.name / "cases.toml").exists(), f"no recorded answers of {adapter.name}: see README.md here"
    assert (FOLDER / adapter.name / "README.md").exists()
    for one in ways(adapter):
        assert sorted(one.cases) == sorted(CASES), f"{one}: {set(one.cases) ^ set(CASES)}"
        for case, examples in one.cases.items():
            assert examples, f"{one}: {case} is empty; say why"
        assert isinstance(one.cases["accepted"], str) == (one.ticket is None), f"{one}: accepted without a ticket"


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=list(ADAPTERS))
def test_no_answer_lies_about_unused(adapter: Upstream) -> None:
    used = {
        part.strip()
        for one in ways(adapter)
        for examples in one.cases.values()
        if not isinstance(examples, str)
        for name in examples
        for part in name.split("+")
    }
    tests = "".join(path.read_text(encoding="utf-8") for path in (FOLDER.parent / "upstreams").glob("test_*.py"))
    unused = {path.stem for path in (FOLDER / adapter.name).glob("*.json")} - used
    assert {name for name in unused if f'"{name}"' not in tests} == set()


@played("accepted")
async def test_accepted(way: Way, name: str) -> None:
    assert await way.submit(*recorded(way.upstream.name, name)) == Ticket(way.ticket or "")


@played("pending")
async def test_pending(way: Way, name: str) -> None:
    assert isinstance(await way.poll(*recorded(way.upstream.name, name)), Pending)


@played("done")
async def test_done(way: Way, name: str) -> None:
    done = await way.ends()(*recorded(way.upstream.name, name))
    assert isinstance(done, Done)
    check_done(done)
    assert 0 < capture(way.quote, done.measured) <= way.quote.amount_micros


@played("partial")
async def test_partial(way: Way, name: str) -> None:
    done = await way.ends()(*recorded(way.upstream.name, name))
    assert isinstance(done, Done)
    check_done(done)
    assert way.quote.unit == "image"
    assert 0 < len(done.files) < way.quote.units
    assert done.measured.images == len(done.files)
    assert capture(way.quote, done.measured) == len(done.files) * way.quote.unit_micros


def check_done(done: Done) -> None:
    assert done.files
    for file in done.files:
        assert file.data if isinstance(file, InlineFile) else file.url.startswith(("https://", "http://"))
    assert done.files[0].role == "primary"
    json.dumps(dict(done.data))


@played("refused")
async def test_refused(way: Way, name: str) -> None:
    check_failed(await way.submit(*recorded(way.upstream.name, name)))


@played("failed")
async def test_failed(way: Way, name: str) -> None:
    check_failed(await way.ends()(*recorded(way.upstream.name, name)))


def check_failed(failed: Submitted | Polled) -> None:
    assert isinstance(failed, Failed)
    assert failed.code in get_args(FailureCode)
    assert failed.message
    assert failed.message.isprintable()
    assert len(failed.message) <= 500
    for private in (KEY, "http://", "https://", "Request id"):
        assert private not in failed.message


@played("busy")
async def test_busy(way: Way, name: str) -> None:
    busy = await way.submit(*recorded(way.upstream.name, name))
    assert isinstance(busy, Busy)
    assert busy.reason
    assert busy.retry_in_s is None or 0 < busy.retry_in_s <= 300


@played("garbage")
async def test_garbage(way: Way, name: str) -> None:
    for play in way.plays():
        with pytest.raises(UnmappedAnswer):
            await play(*recorded(way.upstream.name, name))


@played("unknown_word")
async def test_unknown_word(way: Way, name: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await way.poll(*recorded(way.upstream.name, name))


@played("unknown_code")
@pytest.mark.parametrize("status", [None, 400, 402, 404, 409, 410, 413, 415, 422])
async def test_unknown_code(way: Way, name: str, status: int | None) -> None:
    """A refusal is a refusal: the client gets the vendor's words, the operator the code."""
    (answer,) = recorded(way.upstream.name, name)
    failed = await way.submit(Answer(status or answer.status, answer.body, answer.headers))
    check_failed(failed)
    assert failed.code == "upstream_refused"
    assert failed.message.startswith("the vendor refused it: ")
    assert len(failed.message) > len("the vendor refused it: HTTP")
    assert failed.unmapped


@over_ways
@pytest.mark.parametrize("error", [AnswerLost("cut"), NotSent("no such host")], ids=["lost", "not-sent"])
async def test_a_lost_answer_is_passed_on_and_not_asked_for_again(way: Way, error: Exception) -> None:
    for play in way.plays():
        with pytest.raises(type(error)):
            await play(error)


@played("accepted", "done", "partial")
async def test_a_good_answer_cut_off_anywhere_is_no_answer(way: Way, name: str) -> None:
    *before, last = recorded(way.upstream.name, name)
    play = way.submit if name in way.cases["accepted"] else way.ends()
    for length in range(len(last.body.rstrip())):
        with pytest.raises(UnmappedAnswer):
            await play(*before, Answer(last.status, last.body[:length], last.headers))


@played("accepted", "refused", "busy")
async def test_a_5xx_proves_nothing_whatever_it_says(way: Way, name: str) -> None:
    (answer,) = recorded(way.upstream.name, name)
    for status in (500, 502, 503, 504):
        with pytest.raises(UnmappedAnswer):
            await way.submit(Answer(status, answer.body, answer.headers))


@over_ways
async def test_what_is_sent_is_the_order_and_the_key_stays_in_a_header(way: Way) -> None:
    before = copy.deepcopy(dict(way.order.params))
    name = next(iter(way.cases["accepted" if way.ticket else "done"]))
    wire = Wire(tuple(recorded(way.upstream.name, name)))
    await way.upstream.submit(way.order, wire)
    assert way.order.params == before, "the order was changed"
    [(_, path, sent, headers)] = wire.calls
    assert path.startswith("/")
    assert way.order.route.models[way.order.region] in json.dumps([path, sent])
    assert KEY not in json.dumps([path, sent])
    assert any(KEY in value for value in headers.values())


@over_ways
async def test_a_region_without_the_model_is_refused_without_a_call(way: Way) -> None:
    order = Order(way.order.attempt, way.order.route, way.order.params, KEY, "nowhere")
    wire = Wire((NotSent("there is nothing to send"),))
    check_failed(await way.upstream.submit(order, wire))
    assert wire.calls == []


def spoilt(value: Any) -> Iterator[Any]:
    """The value with an odd one in each place, and with each place left out."""
    yield from ODD
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        for other in spoilt(part):
            changed = copy.copy(value)
            changed[key] = other
            yield changed
        less = copy.copy(value)
        del less[key]
        yield less


@over_ways
async def test_odd_values_anywhere_are_understood_or_unmapped(way: Way) -> None:
    """Never another exception, never a ticket that is no word, never a result that is no link."""
    allowed = (Ticket, Pending, Done, Failed, Busy)
    for path in sorted((FOLDER / way.upstream.name).glob("*.json")):
        said = json.loads(path.read_text(encoding="utf-8"))
        for body in (*spoilt(said["body"]), said["body"]):
            for play in way.plays():
                answer = answer_of(json.dumps(body), said["status"], said["headers"])
                try:
                    given = await play(answer)
                except UnmappedAnswer:
                    continue
                assert isinstance(given, allowed), (path.stem, body)
                check_any(given, way)


def check_any(given: Submitted | Polled, way: Way) -> None:
    match given:
        case Ticket():
            assert given.id.isascii()
            assert given.id.replace("-", "").replace("_", "").isalnum(), "it becomes part of an address"
        case Done():
            check_done(given)
            with contextlib.suppress(ImpossibleMeasurement):  # the result is kept, the charge left to a person
                assert capture(way.quote, given.measured) <= way.quote.amount_micros
        case Failed():
            check_failed(given)


def test_an_adapter_without_answers_is_found_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    adapter = next(iter(ADAPTERS.values()))
    folder = tmp_path / adapter.name
    folder.mkdir()
    monkeypatch.setitem(globals(), "FOLDER", tmp_path)
    with pytest.raises(AssertionError, match="no recorded answers"):
        test_every_adapter_has_every_case_or_says_why_not(adapter)
    cases = tomllib.loads((Path(__file__).parent / adapter.name / "cases.toml").read_text(encoding="utf-8"))
    name, table = next(iter(cases.items()))
    (folder / "README.md").touch()
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if key not in ("input", "busy")]
    (folder / "cases.toml").write_text("\n".join([f"[{name}]", *lines]), encoding="utf-8")
    with pytest.raises(AssertionError, match="busy"):
        test_every_adapter_has_every_case_or_says_why_not(adapter)
