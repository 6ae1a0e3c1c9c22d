"""Tasks, calls, transfers and usage as a team looks them up: pages, filters, downloads, nobody else's rows."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from modellix_server.base.ids import parse_task_name
from modellix_server.requestlog import ensure_partitions

ALLOWED = "status, model, key_id, from, to, format, limit, cursor"
LISTS = ("tasks", "logs", "team/ledger", "team/usage")


async def walk(team, path: str, name: str, limit: int = 2) -> list[dict]:
    """Every row of a list, page by page."""
    rows: list[dict] = []
    mark = "&" if "?" in path else "?"
    answer = (await team.get(f"/api/v1/{path}{mark}limit={limit}")).data
    while True:
        assert len(answer[name]) <= limit
        rows += answer[name]
        if answer["next_cursor"] is None:
            return rows
        answer = (await team.get(f"/api/v1/{path}{mark}limit={limit}&cursor={answer['next_cursor']}")).data


@pytest.fixture(scope="module")
async def busy(platform):
    """A team with five tasks (one failed, one of another model by another key) and a refused call."""
    team = await platform.team()
    other = await platform.key(team)
    tasks = [await team.run("alibaba/qwen-image-plus", prompt=f"=lake {n}") for n in range(3)]
    tasks.append(await team.run("alibaba/qwen-image-plus", prompt="[sandbox:refuse]"))
    tasks.append(await other.run("alibaba/wan2.6-t2i", prompt="boats", n=2))
    assert (await team.submit("alibaba/qwen-image-plus")).status == 400
    await platform.log_is_written(team)
    return team, other, [task["task_id"] for task in tasks]


async def test_tasks_come_newest_first_in_pages(busy) -> None:
    team, other, made = busy
    rows = await walk(team, "tasks", "tasks")
    assert [row["task_id"] for row in rows] == made[::-1]
    newest, failed = rows[0], rows[1]
    assert (newest["model"], newest["status"], newest["cost"], newest["quote"]) == (
        "alibaba/wan2.6-t2i",
        "success",
        0.06,
        0.06,
    )
    assert newest["key_id"] == other.key.id
    assert newest["key_name"] == "k"
    assert newest["input"]["prompt"] == "boats"
    assert (failed["status"], failed["cost"], failed["error_code"]) == ("failed", 0, "invalid_input")


async def test_filters_of_tasks(busy) -> None:
    team, other, made = busy

    async def found(query: str) -> list[str]:
        return [row["task_id"] for row in await walk(team, f"tasks?{query}", "tasks")]

    assert await found("status=failed") == [made[3]]
    assert await found("status=pending") == []
    assert await found("status=success&model=alibaba/qwen-image-plus") == made[2::-1]
    assert await found(f"key_id={other.key.id}") == [made[4]]
    assert await found("from=2999-01-01") == []
    assert await found("to=2020-01-01T00:00:00Z") == []
    assert await found("from=2020-01-01&to=2999-01-01") == made[::-1]


async def test_the_log_has_every_call_once(busy) -> None:
    team, _, made = busy
    rows = await walk(team, "logs", "logs", limit=7)
    submitted = [row for row in rows if row["method"] == "POST" and row["task_id"]]
    assert [row["task_id"] for row in submitted] == made[::-1]
    refused = [row for row in rows if row["status"] == 400]
    assert len(refused) == 1
    assert refused[0]["code"] == "missing_parameter"
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
    polls = [row for row in rows if row["method"] == "GET" and row["path"].startswith("/api/v1/tasks/")]
    assert len(polls) >= 5
    assert all(row["latency_ms"] > 0 for row in polls)
    assert {row["task_id"] for row in polls} == set(made)
    assert all(row["latency_ms"] > 0 and row["bytes_in"] > 10 and row["bytes_out"] > 100 for row in submitted)
    lines = (await team.get("/api/v1/logs?format=jsonl")).body.decode().splitlines()
    whole = [json.loads(line) for line in lines]  # a slow run has more polls than a page has rows
    seen = {(row["at"], row["path"], row["task_id"], row["latency_ms"]) for row in rows}
    assert len(seen) == len(rows)
    assert seen <= {(row["at"], row["path"], row["task_id"], row["latency_ms"]) for row in whole}


async def test_filters_of_the_log(busy) -> None:
    team, other, made = busy
    for status in ("refused", "4xx", "400"):
        assert [row["status"] for row in await walk(team, f"logs?status={status}", "logs")] == [400]
    of_other = await walk(team, f"logs?key_id={other.key.id}", "logs")
    assert {row["key_id"] for row in of_other} == {other.key.id}
    assert [row["task_id"] for row in of_other if row["method"] == "POST"] == [made[4]]
    of_model = await walk(team, "logs?model=alibaba/wan2.6-t2i", "logs")
    assert {row["model"] for row in of_model} == {"alibaba/wan2.6-t2i"}


async def test_a_submission_is_logged_as_it_was_called(platform, team) -> None:
    """By whichever path, streamed or replayed: with its time, its sizes and the answer's request id."""
    body = {"prompt": "a path"}
    stranger, named = await platform.team(), {"X-Request-Id": "mine"}
    first = await team.post("/api/v1/alibaba/qwen-image-plus", body, headers={"Idempotency-Key": "once", **named})
    again = await team.post("/api/v1/alibaba/qwen-image-plus/async", body, headers={"Idempotency-Key": "once"})
    task = first.data["task_id"]
    assert again.data["task_id"] == task
    await team.finish(task)
    await platform.log_is_written(team)
    rows = await walk(team, f"logs?task_id={task}", "logs")
    posts = [row for row in rows if row["method"] == "POST"]
    assert [row["path"] for row in posts] == [
        "/api/v1/alibaba/qwen-image-plus/async",
        "/api/v1/alibaba/qwen-image-plus",
    ]
    assert [row["request_id"] for row in posts] == [again.headers["x-request-id"], first.headers["x-request-id"]]
    assert all(row["latency_ms"] > 0 and row["bytes_in"] == len('{"prompt":"a path"}') for row in posts)
    assert [row["cost"] for row in posts][1] > 0
    assert {row["task_id"] for row in rows} == {task}
    for row in posts:
        (found,) = await walk(team, f"logs?request_id={row['request_id']}", "logs")
        assert found == row
    assert await walk(team, "logs?request_id=none", "logs") == []
    assert (await stranger.post("/api/v1/alibaba/qwen-image-plus", body, headers=named)).status == 200
    await platform.log_is_written(stranger)
    (theirs,) = await walk(stranger, "logs?request_id=mine", "logs")
    assert theirs["task_id"] != task
    assert [row["task_id"] for row in await walk(team, "logs?request_id=mine", "logs")] == [task]


async def test_a_submission_whose_call_was_lost_is_still_in_the_log(platform, superuser, team) -> None:
    task = (await team.run("alibaba/qwen-image-plus", prompt="lost"))["task_id"]
    await platform.log_is_written(team)
    await superuser.execute("delete from requestlog.submission where task_id = $1", parse_task_name(task))
    rows = [row for row in await walk(team, f"logs?task_id={task}", "logs") if row["method"] == "POST"]
    assert [(row["path"], row["latency_ms"]) for row in rows] == [
        ("/api/v1/text-to-image/alibaba/qwen-image-plus/async", None)
    ]


@pytest.mark.full
async def test_a_page_of_the_log_that_gives_up_early_goes_on(platform, team) -> None:
    """Few rows pass among very many: pages are short, and nothing is left out."""
    await ensure_partitions(platform.pool)  # the platform makes them with its first batch, which may not have come yet
    await platform.pool.execute(
        """insert into requestlog.entry
               (at, team_id, live, key_id, method, path, status, latency_us, bytes_in, bytes_out)
           select now() - interval '1 hour' - n * interval '1 microsecond' / 2, $1, false, $2, 'GET', '/api/v1/tasks/x',
               case when n % 9000 = 0 then 404 when n % 7000 = 0 then 201 else 200 end, 1, 0, 0
           from generate_series(1, 25000) n""",
        team.id,
        team.key.id,
    )
    first = (await team.get("/api/v1/logs?status=201")).data
    assert first["next_cursor"] is not None
    assert len(await walk(team, "logs?status=201", "logs", limit=2)) == 3
    assert len(await walk(team, "logs?status=404", "logs", limit=1)) == 2
    rows = await walk(team, "logs?status=200", "logs", limit=100)
    assert len({row["at"] for row in rows}) > 10
    assert len(rows) >= 25000 - 2 - 3


async def test_the_statement_adds_up(platform, busy) -> None:
    team, other, made = busy
    rows = await walk(team, "team/ledger", "ledger")
    kinds = [row["kind"] for row in rows]
    assert kinds.count("topup") == 1
    assert kinds.count("hold") == 5
    assert kinds.count("capture") == 4
    posted = sum(row["amount_micros"] * {"topup": 1, "capture": -1}.get(row["kind"], 0) for row in rows)
    assert posted == (await platform.balance_of(team))[0]
    of_task = await walk(team, f"team/ledger?task_id={made[0]}", "ledger")
    assert [row["kind"] for row in of_task] == ["capture", "hold"]
    charged = await walk(team, f"team/ledger?key_id={other.key.id}", "ledger")
    assert [(row["kind"], row["task_id"]) for row in charged] == [("capture", made[4])]
    assert [row["kind"] for row in await walk(team, "team/ledger?kind=topup", "ledger")] == ["topup"]
    assert await walk(team, "team/ledger?from=2999-01-01", "ledger") == []
    assert await walk(team, "team/ledger?to=2020-01-01", "ledger") == []
    assert len(await walk(team, "team/ledger?from=2020-01-01&to=2999-01-01", "ledger")) == len(rows)


async def test_usage_sums_what_was_charged(platform, busy) -> None:
    team, other, _ = busy
    spent = Decimal(100_000_000 - (await platform.balance_of(team))[0]) / 1_000_000
    by_model = (await team.get("/api/v1/team/usage?by=model")).data
    assert [(row["model"], row["succeeded"], row["failed"]) for row in by_model["usage"]] == [
        ("alibaba/wan2.6-t2i", 1, 0),
        ("alibaba/qwen-image-plus", 3, 1),
    ]
    assert by_model["total"] == float(spent)
    by_day = (await team.get("/api/v1/team/usage")).data
    assert (by_day["by"], by_day["total"]) == ("day", float(spent))
    by_key = (await team.get("/api/v1/team/usage?by=key&from=2020-01-01")).data["usage"]
    assert {row["key_id"]: row["succeeded"] for row in by_key} == {team.key.id: 3, other.key.id: 1}
    nothing = (await team.get("/api/v1/team/usage?to=2020-01-01")).data
    assert nothing.pop("as_of") <= datetime.now(UTC).isoformat()
    assert nothing == {"by": "day", "usage": [], "total": 0}
    by_tag = (await team.get("/api/v1/team/usage?by=tag")).data["usage"]
    assert [(row["tag"], row["succeeded"] + row["failed"]) for row in by_tag] == [(None, 5)]
    (by_member,) = (await team.get("/api/v1/team/usage?by=member")).data["usage"]
    assert (by_member["member_id"], by_member["succeeded"]) == ("tests", 4)
    lines = (await team.get("/api/v1/team/usage?by=tag&format=csv")).body.decode().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["tag", ""]


async def test_downloads(busy) -> None:
    team, _, made = busy
    lines = (await team.get("/api/v1/tasks?format=jsonl")).body.decode().splitlines()
    assert [json.loads(line)["task_id"] for line in lines] == made[::-1]
    answer = await team.get("/api/v1/tasks?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="tasks.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [row["task_id"] for row in rows] == made[::-1]
    assert rows[0]["cost"] == "0.06"
    assert json.loads(rows[0]["input"])["prompt"] == "boats"
    for path in LISTS:
        for form in ("csv", "jsonl"):
            assert (await team.get(f"/api/v1/{path}?format={form}")).status == 200
    assert (await team.get("/api/v1/team/usage?format=csv&by=model")).body.startswith(
        b"model,succeeded,failed,cost\r\n"
    )


async def test_a_spreadsheet_gets_no_formulas(platform) -> None:
    team = await platform.team()
    await platform.pool.execute(
        "select ledger.credit($1, false, 5, 'tests', $2)", team.id, '=HYPERLINK("http://evil.example","x")'
    )
    body = (await team.get("/api/v1/team/ledger?format=csv")).body.decode()
    notes = [row["note"] for row in csv.DictReader(io.StringIO(body))]
    assert notes[0] == '\'=HYPERLINK("http://evil.example","x")'


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_shows_one_team_and_one_mode(platform, busy, path: str) -> None:
    stranger = await platform.team(0)
    live = await platform.key(busy[0], live=True)
    await platform.log_is_written(stranger)
    for client in (stranger, live):
        data = (await client.get(f"/api/v1/{path}")).data
        rows = data[path.rpartition("/")[2]]
        assert not any(row.get("task_id") for row in rows)
        assert not {row.get("key_id") for row in rows} & {busy[0].key.id, busy[1].key.id}
    (await platform.anyone().get(f"/api/v1/{path}")).refused(401, "Authentication failed: invalid or missing API key")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "Value out of range: parameter 'limit' must be between 1 and 100, got 0"),
        ("limit=", "Invalid format: parameter 'limit' must be a whole number, got ''"),
        ("key_id=", "Invalid format: parameter 'key_id' must be a whole number, got ''"),
        ("limit=x", "Invalid format: parameter 'limit' must be a whole number, got 'x'"),
        ("cursor=nonsense", "Invalid format: parameter 'cursor' must be the next_cursor of an earlier page"),
        ("status=done", "Value out of range: parameter 'status' must be one of pending, success, failed, got 'done'"),
        ("from=2026-02-01&to=2026-01-01", "Value out of range: parameter 'from' must not be later than parameter 'to'"),
        ("statsu=1", f"Invalid parameters: unknown parameter 'statsu'; allowed: {ALLOWED}"),
        ("format=xml", "Value out of range: parameter 'format' must be one of csv, jsonl, got 'xml'"),
    ],
)  # fmt: skip
async def test_wrong_queries(team, query: str, message: str) -> None:
    (await team.get(f"/api/v1/tasks?{query}")).refused(400, message)


@pytest.mark.parametrize("place", ["c1-4294967296-1", "c1-9999999999-99999", "c1-1-65536"])
async def test_a_cursor_that_is_no_place_of_a_row_is_refused(team, place: str) -> None:
    assert (await team.get("/api/v1/logs?cursor=c1-4294967295-65535")).data["logs"] == []
    (await team.get(f"/api/v1/logs?cursor={place}")).refused(
        400, "Invalid format: parameter 'cursor' must be the next_cursor of an earlier page"
    )


@pytest.mark.parametrize("path", LISTS)
async def test_all_of_time_may_be_asked_for(busy, path: str) -> None:
    name = path.rpartition("/")[2]
    for span in ("from=0001-01-01&to=9999-12-31T23:59:59Z", "from=0&to=253402300799"):
        assert len((await busy[0].get(f"/api/v1/{path}?{span}")).data[name]) >= 1, span
    assert (await busy[0].get(f"/api/v1/{path}?from=9999-12-31")).data[name] == []
    assert (await busy[0].get(f"/api/v1/{path}?to=1000-01-01T00:00:00%2B14:00")).data[name] == []
