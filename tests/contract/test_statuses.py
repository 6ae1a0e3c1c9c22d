"""What the status of an answer says by itself, over every adapter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tests.contract.test_contract import WAYS, Way, check_failed, over_ways, played, recorded

from modellix_server.upstreams.contract import Answer, Busy, NothingDelivered, Ticket, UnmappedAnswer


@over_ways
@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 431, 451])
async def test_a_refusal_in_another_form_is_one_too(way: Way, status: int) -> None:
    for body in (b"", b"<html><h1>Request Entity Too Large</h1></html>", b"[]", b'{"detail": "no"}'):
        failed = await way.submit(Answer(status, body, {}))
        if isinstance(failed, Busy):  # MiniMax: as its own clients read a 403
            assert (status, failed.operator) == (403, True)
            continue
        check_failed(failed)
        assert str(status) in failed.message


@over_ways
@pytest.mark.parametrize("status", [408, 499, 302, 304])
async def test_what_a_gateway_says_about_the_line_proves_nothing(way: Way, status: int) -> None:
    with pytest.raises(UnmappedAnswer):
        await way.submit(Answer(status, b"<html></html>", {}))


@over_ways
async def test_a_429_took_nothing_on_whatever_it_says(way: Way) -> None:
    known = [recorded(way.upstream.name, name)[0].body for name in way.cases["refused"] if not isinstance(name, int)]
    unknown = [recorded(way.upstream.name, name)[0].body for name in way.cases["unknown_code"]]
    for body in (b"", b"<html>slow down</html>", b"[]", b"{}", b'"later"', *known, *unknown):
        busy = await way.submit(Answer(429, body, {"retry-after": "7"}))
        assert isinstance(busy, Busy), body
        assert (busy.retry_in_s, busy.operator) == (7.0, False), body
        assert (await way.submit(Answer(429, body, {}))).retry_in_s is None


@over_ways
@pytest.mark.parametrize(("text", "least", "most"), [("1.5", 1.5, 1.5), ("99999", 300, 300), ("0", None, None)])
async def test_how_long_a_429_asks_to_wait(way: Way, text: str, least: float | None, most: float | None) -> None:
    busy = await way.submit(Answer(429, b"", {"retry-after": text}))
    assert busy.retry_in_s == least == most


@over_ways
async def test_a_429_may_name_the_time(way: Way) -> None:
    busy = await way.submit(
        Answer(429, b"", {"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=60))})
    )
    assert 55 < busy.retry_in_s <= 60
    past = await way.submit(Answer(429, b"", {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    assert past.retry_in_s is None


@played("accepted")
@pytest.mark.parametrize("status", [201, 202])
async def test_a_task_is_accepted_with_any_status_that_says_so(way: Way, name: str, status: int) -> None:
    (answer,) = recorded(way.upstream.name, name)
    assert await way.submit(Answer(status, answer.body, answer.headers)) == Ticket(way.ticket or "")


async def test_finished_with_nothing_is_said_as_such() -> None:
    nothing = {
        "dashscope": ["done_without_results"],
        "ark": ["pictures_none", "succeeded_without_clip", "succeeded_without_content"],
        "minimax": ["pictures_none_and_no_reason", "success_without_file", "success + file_without_link"],
        "openai": ["pictures_none", "pictures_missing"],
    }
    for one in WAYS:
        for name in nothing[one.upstream.name]:
            if name.startswith("pictures") == (one.ticket is None):
                with pytest.raises(NothingDelivered):
                    await one.ends()(*recorded(one.upstream.name, name))
