"""The usage page: figures, charts, tables, filters, download."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from tests.support.browsers import member, new_team
from tests.support.platform_processes import Platform
from tests.support.waiting import eventually

from modellix_server.console import charts, i18n
from modellix_server.identity import Role


async def test_tasks_are_summed_up_by_day_model_key_and_member(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.VIEWER)
    page = await visitor.get("/console/usage")
    assert "No task ended in this time" in page.text
    one, other = "alibaba/qwen-image-plus", "bytedance/seedream-5.0-lite"
    prompts = ["a hat", "a cat", "[sandbox:fail] a mouse"]
    made = [await team.post(f"/api/v1/text-to-image/{one}/async", {"prompt": text}) for text in prompts]
    for answer in made:
        await platform.reach(answer.data["task_id"], lambda row: row["finished_at"] is not None)
    spend = sum([(await platform.row(answer.data["task_id"]))["captured"] or 0 for answer in made])
    shown = f"${spend / 1e6:.4f}"

    async def there() -> bool:
        return f"<dd>{shown}</dd>" in (await visitor.get("/console/usage")).text

    await eventually(there)
    page = await visitor.get("/console/usage")
    assert "<dd>66.7 %</dd>" in page.text
    assert page.text.count("<svg") == 3
    assert f">{one}</td>" in page.text
    assert "As of" in page.text
    today = datetime.now(UTC).date()
    assert f">{today}</td>" in (await visitor.get("/console/usage?by=day")).text
    assert ">k</td>" in (await visitor.get("/console/usage?by=key")).text
    assert ">tests</td>" in (await visitor.get("/console/usage?by=member")).text
    assert "No task ended" in (await visitor.get(f"/console/usage?model={other}")).text
    assert team.key is not None
    by_tag = await visitor.get("/console/usage?by=tag")
    assert ">no tag</span>" in by_tag.text
    assert 'name="tag"' not in by_tag.text, "there is none to choose"
    await platform.pool.execute("update identity.api_key set tag = 'app 1' where id = $1", team.key.id)
    assert ">app 1</td>" in (await visitor.get("/console/usage?by=tag")).text
    assert shown in (await visitor.get("/console/usage?tag=app+1")).text
    assert "No task ended" in (await visitor.get("/console/usage?tag=app")).text
    (of_tag,) = csv.DictReader(io.StringIO((await visitor.get("/console/usage/download?by=tag")).text))
    assert (of_tag["id"], of_tag["name"], float(of_tag["cost_usd"])) == ("app 1", "app 1", spend / 1e6)
    lines = list(csv.DictReader(io.StringIO((await visitor.get("/console/billing/statement/download")).text)))
    assert [(one["name"], float(one["amount_usd"])) for one in lines if one["section"] == "charges by tag"] == [
        ("app 1", -spend / 1e6)
    ]
    assert "By tag" in (await visitor.get("/console/billing/statement")).text
    ledger = await visitor.get("/console/billing?tag=app+1")
    assert ledger.text.count('data-th="Amount"') == 2, "what the two that succeeded cost"
    assert 'data-th="Amount"' not in (await visitor.get("/console/billing?tag=none")).text
    entries = (await team.get("/api/v1/team/ledger?tag=app+1")).data["ledger"]
    assert [entry["kind"] for entry in entries] == ["capture", "capture"]
    assert (await team.get("/api/v1/team/ledger?tag=none")).data["ledger"] == []
    assert shown in (await visitor.get(f"/console/usage?key={team.key.id}&days=7")).text
    assert "No task ended" in (await visitor.get("/console/usage?from=2026-01-01&to=2026-01-31")).text
    rows = list(csv.DictReader(io.StringIO((await visitor.get("/console/usage/download?by=model")).text)))
    assert [(row["id"], row["tasks"], row["failed"], float(row["cost_usd"])) for row in rows] == [
        (one, "3", "1", spend / 1e6)
    ]
    for wrong in (
        "by=x",
        "days=9",
        "from=x",
        "from=2026-02-01&to=2026-01-01",
        "from=1026-01-01&to=2026-01-01",
        "key=x",
    ):
        assert (await visitor.get(f"/console/usage?{wrong}")).status == 400, wrong
    stranger = await member(platform, (await new_team(platform)).id, Role.OWNER)
    assert shown not in (await stranger.get("/console/usage")).text


@pytest.mark.parametrize("most", [0, 1, 3, 7, 10, 24, 99, 1_000, 123_456, 17_200, 1e9])
def test_axes_end_at_a_round_number_that_holds_everything(most: float) -> None:
    ticks = charts.ticks_for(most)
    assert ticks[0] == 0
    assert ticks[-1] >= most
    assert 2 <= len(ticks) <= 6
    assert most == 0 or ticks[-1] <= most * 2.5


def test_what_is_counted_has_whole_ticks() -> None:
    assert charts.ticks_for(1, 1) == [0, 1]
    assert charts.ticks_for(2, 1) == [0, 1, 2]
    assert all(tick == int(tick) for most in range(1, 50) for tick in charts.ticks_for(most, 1))


@pytest.mark.parametrize(
    ("language", "of_a_bar", "labels"),
    [
        ("en", "Oct 31, 2026: 1 a", ["Oct 30", "Oct 31", "Nov 1"]),
        ("zh", "2026年10月31日: 1 a", ["10月30日", "10月31日", "11月1日"]),
    ],
)
def test_days_are_dates_in_the_readers_language(language: str, of_a_bar: str, labels: list[str]) -> None:
    i18n.read_in(language)
    try:
        days = [date(2026, 10, 30) + timedelta(days=at) for at in range(3)]
        chart = charts.stacked("x", days, [("one", "a", [0, 1, 0])], str)
        assert [bar.words for bar in chart.bars] == [of_a_bar]
        assert [text for _, text in chart.columns] == labels
        days = [date(2025, 12, 31), date(2026, 1, 1)]
        assert "2025" in charts.lines("x", days, [("one", "a", [1.0, 2.0])], str).columns[0][1]
    finally:
        i18n.read_in("en")


def test_bars_stay_in_their_frame() -> None:
    days = [date(2026, 11, 1) + timedelta(days=at) for at in range(90)]
    series = [("good", "a", [float(at % 7) for at in range(90)]), ("bad", "b", [1.0] * 90)]
    chart = charts.stacked("x", days, series, str)
    for bar in chart.bars:
        assert chart.left <= bar.x <= bar.x + bar.width <= chart.right + 0.1
        assert 0 <= bar.y <= bar.y + bar.height <= chart.bottom + 0.2
    line = charts.lines("x", days[:3], [("one", "a", [1.0, None, 2.0])], str)
    assert line.lines[0].path.count("M") == 2, "a gap is a gap"
    assert len(line.lines[0].dots) == 2, "and a single point is seen"
