"""A key that was found in the open is ended by whoever reports it, and the report tells nobody anything."""

from __future__ import annotations

import json

import pytest

from modellix_server import audit
from modellix_server.identity import keys
from modellix_server.limits import AddressLimit, RateLimited

REPORT = "/api/v1/keys/leaked"


@pytest.fixture(scope="module")
async def own(postgres_server, stage, tmp_path_factory):
    """A platform whose reports nobody else uses up."""
    async with stage(postgres_server, tmp_path_factory.mktemp("leaks")) as platform:
        yield platform


async def test_every_shape_of_report_ends_the_key_at_once(own):
    team = await own.team()
    shapes = [
        lambda text: {"key": text},
        lambda text: {"keys": [text]},
        lambda text: [text],
        # https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partner-program
        lambda text: [
            {"token": text, "type": "modellix_key", "url": "https://git.test/x/y?token=abc", "source": "content"}
        ],
    ]
    for live in (True, False):
        for shape in shapes:
            member = await own.key(team, live=live)
            assert (await member.get("/api/v1/models")).status == 200
            answer = await own.anyone().post(REPORT, shape(member.text))
            assert answer.data == {"received": 1}
            assert member.text.encode() not in answer.body
            assert (await member.get("/api/v1/models")).status == 401
            assert (await member.submit("alibaba/qwen-image-plus", prompt="a")).status == 401
            (entry,) = await audit.list_entries(own.pool, limit=1)
            assert (entry.action, entry.subject, entry.team_id) == ("key.leaked", f"key:{member.key.id}", team.id)
            assert (entry.actor, entry.origin) == ("leak report", "127.0.0.1")
            assert member.text[9:] not in repr(entry)
    assert json.loads(entry.details)["found_at"] == "https://git.test/x/y"
    assert (await team.get("/api/v1/models")).status == 200, "the team's other keys stay"


async def test_known_unknown_revoked_and_malformed_get_one_answer_and_only_a_real_one_is_noted(own):
    team = await own.team()
    member = await own.key(team)
    await own.anyone().post(REPORT, {"key": member.text})
    entries = len(await audit.list_entries(own.pool, limit=1000))
    other = await own.key(team)
    answers = {}
    for kind, text in {
        "known": other.text,
        "revoked": member.text,
        "unknown": keys.mint(live=True),
        "wrong checksum": keys.mint(live=True)[:-1] + "!",
        "nothing": "",
        "sql": "' or 1=1 --",
    }.items():
        answer = await own.anyone().post(REPORT, [text])
        answers[kind] = (answer.status, answer.body, {**answer.headers, "date": "", "x-request-id": ""})
    assert len({repr(answer) for answer in answers.values()}) == 1
    assert len(await audit.list_entries(own.pool, limit=1000)) == entries + 1


async def test_a_report_of_nothing_empties_no_cache(own):
    """The caches of all processes are emptied by every change of a key: not by what anybody may send."""
    heard = []

    def hear(*args):
        heard.append(args)

    async with own.pool.acquire() as db:
        await db.add_listener("modellix_identity", hear)
        await own.anyone().post(REPORT, [keys.mint(live=True) for _ in range(100)])
        await db.execute("select pg_notify('modellix_identity', 'marker')")
        await db.fetchval("select 1")
        await db.remove_listener("modellix_identity", hear)
    assert [payload for *_, payload in heard] == ["marker"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400), ({"key": 5}, 400), ({"keys": "x"}, 400), ({"key": "a", "team": 1}, 400), ("x", 400), (None, 400),
        ([{"secret": "x"}], 400), ([{"token": 1}], 400), ([[]], 400), (["x" + str(n) for n in range(101)], 400),
        (b"{", 400), (b"\xff", 400),
    ],
)  # fmt: skip
async def test_other_bodies_are_refused(own, body, status):
    answer = await own.anyone().post(REPORT, body)
    assert answer.status == status
    assert answer.json["code"] == status


async def test_too_many_reports_wait(own):
    statuses = [(await own.anyone().post(REPORT, {"key": "x"})).status for _ in range(31)]
    assert statuses[-1] == 429
    answer = await own.anyone().post(REPORT, {"key": "x"}, headers={"X-Forwarded-For": "192.0.2.9"})
    assert answer.status == 429, "a header does not make a new address"
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_the_count_of_reports_is_bounded():
    now = [0.0]
    reports = AddressLimit("reports", each=2, together=5, clock=lambda: now[0])
    a, b, c, d = (f"192.0.2.{number}" for number in range(4))
    for address in (a, a, b, b, c):
        reports.take(address)
    for address in (a, d):
        with pytest.raises(RateLimited) as refused:
            reports.take(address)
        assert refused.value.retry_after_s == 61
    now[0] = 60.0
    reports.take(a)
