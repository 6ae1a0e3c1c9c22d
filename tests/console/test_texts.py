"""Texts of pages in Chinese: all there, right, and shown to who reads Chinese."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.support.browsers import Visitor, member, new_team
from tests.support.platform_processes import Platform

from modellix_server import ledger
from modellix_server.console.said import Sayings
from modellix_server.identity import Role

SCRIPT = Path(__file__).parents[2] / "scripts" / "texts.py"
CHINESE = {"Accept_Language": "zh-CN,zh;q=0.9,en;q=0.5"}

PAGE = """<p>{{ _("Whole") }} {{ _("Missing") }} {{ pgettext("of a clock", "Whole") }}
{{ _("Uncertain") }} {{ _("50 %% done") }}
{% trans name=name %}Hello {{ name }}{% endtrans %} {% trans %}two
lines{% endtrans %}</p>
"""
CATALOGUE = """msgid "Whole"
msgstr "完整"

#, fuzzy
msgid "Uncertain"
msgstr "也许"

msgid "Hello %(name)s"
msgstr "你好 %(nome)s"

msgid "50 %% done"
msgstr "完成 50%"

msgid "Gone"
msgstr "没了"

msgid ""
"two\\n"
"lines"
msgstr "两行"
"""
REFUSALS = """class PlatformError(Exception): ...
class Gone(PlatformError): ...
LIMITS = {"day": "within a day"}

def why(days: int) -> str:
    return f"after {days} days" if days else "at once"

def look(key, days):
    note = f"seen {key.name}"
    keep(note=note)
    if days:
        raise Gone(f"key {key.id!r} is gone {why(days)}")
    raise Gone(f"ask {LIMITS[key.limit]}")
"""
FAULTS = {
    "missing: 'key %(id)s is gone %(days)s'",
    "missing: 'after %(days)s days'",
    "missing: 'at once'",
    "missing: 'seen %(name)s'",
    "missing: 'ask %(limit)s'",
    "missing: 'within a day'",
    "missing: 'Missing'",
    "missing: 'Whole'",  # the one with a context
    "fuzzy: 'Uncertain'",
    "placeholders differ from ['%(name)s']: 'Hello %(name)s'",
    "placeholders differ from ['%%']: '50 %% done'",
    "begins or ends with space, or has several lines: 'two\\nlines'",
    "obsolete: 'Gone'",
}


def check(*options: str | Path) -> tuple[int, list[str]]:
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout.splitlines()


def test_every_text_is_translated() -> None:
    status, said = check("--check")
    assert status == 0, "run `python scripts/texts.py`, and translate what it added:\n" + "\n".join(said)


@pytest.mark.full
def test_the_check_finds_what_it_looks_for_and_a_merge_keeps_what_is_translated(tmp_path: Path) -> None:
    console = tmp_path / "console"
    (console / "templates").mkdir(parents=True)
    (console / "templates" / "page.html").write_text(PAGE)
    (tmp_path / "operations").mkdir()
    (tmp_path / "operations" / "look.py").write_text(REFUSALS)
    file = console / "locale" / "zh.po"
    file.parent.mkdir()
    file.write_text(CATALOGUE)
    status, said = check("--check", "--source", tmp_path)
    assert status == 1
    assert {line.removeprefix("console/locale/zh.po: ") for line in said[:-1]} == FAULTS
    assert file.read_text() == CATALOGUE

    check("--source", tmp_path)
    merged = file.read_text()
    assert 'msgid "Whole"\nmsgstr "完整"' in merged
    assert 'msgid "Missing"\nmsgstr ""' in merged
    assert "Gone" not in merged
    check("--source", tmp_path)
    assert file.read_text() == merged


async def test_pages_are_in_chinese_for_who_reads_chinese(platform: Platform) -> None:
    owner = await member(platform, (await new_team(platform)).id, Role.OWNER)
    page = (await owner.get("/console", **CHINESE)).text
    assert '<html lang="zh"' in page
    links = re.search(r"<nav.*?</nav>", page, re.DOTALL)
    assert links is not None
    found = re.findall(r">([^<>]+)</a>", links[0])
    assert found[:5] == ["首页", "模型", "对比", "任务", "日志"]
    assert all(re.search(r"[\u4e00-\u9fff]|Webhook", one) for one in found)
    assert "首页" not in (await owner.get("/console", Accept_Language="en-GB,zh;q=0.3")).text

    playground = (await owner.get("/console/models/alibaba/qwen-image-plus", **CHINESE)).text
    assert "中英文文字清晰可读" in playground  # what the model file says, in the reader's language
    assert "反向提示词" in playground
    found_by = (await owner.get(f"/console/models?q={quote('文生视频')}", **CHINESE)).text
    assert "bytedance/seedance-1.0-pro-t2v" in found_by
    assert "alibaba/qwen-image-plus" not in found_by

    refused = await owner.post("/console/compare", {"prompt": "A boat"}, **CHINESE)
    assert "请至少选择两个模型。<" in refused.text  # with the full stop of its language
    nowhere = await Visitor(platform.origin).get("/nowhere", **CHINESE)
    assert nowhere.status == 404
    assert "没有这个页面。" in nowhere.text

    await owner.post("/console/account", {"name": "User", "language": "en", "time_zone": "", "theme": ""})
    assert '<html lang="en"' in (await owner.get("/console", **CHINESE)).text  # what was chosen counts more


def test_a_sentence_is_read_back_by_the_template_that_made_it() -> None:
    sayings = Sayings(
        [
            ("key %(id)s is %(state)s", "Schlüssel %(id)s: %(state)s"),
            ("key '%(name)s' is %(state)s", "Schlüssel „%(name)s“: %(state)s"),
            ("revoked", "widerrufen"),
            ("gone %(when)s", "%(when)s verschwunden"),
            ("%(first)s, %(second)s", "%(second)s; %(first)s"),
            ("%(count)s %(what)s of %(all)s", "%(all)s: %(count)s %(what)s"),
        ]
    )
    assert sayings.say("key 7 is revoked") == "Schlüssel 7: widerrufen"
    assert sayings.say("key 'revoked' is gone today") == "Schlüssel „revoked“: today verschwunden"
    assert sayings.say("revoked, gone today") == "today verschwunden; widerrufen"
    assert sayings.say("key  is revoked") == "Schlüssel : widerrufen"
    assert sayings.say("something else") == "something else"
    assert sayings.say("") == ""
    hostile = "key " + " is , of " * 400
    assert len(sayings.say(hostile)) > 100, "whatever it says, it ends soon"


async def test_what_is_said_below_the_pages_is_chinese_too_and_the_api_stays_english(platform: Platform) -> None:
    team = await new_team(platform)
    owner = await member(platform, team.id, Role.OWNER)
    viewer = await member(platform, team.id, Role.VIEWER)
    operator = await member(platform, team.id, Role.OWNER, operator=True)

    refused = await viewer.post("/console/webhooks", {"url": "https://example.com"}, **CHINESE)
    assert refused.status == 403
    assert "您无权创建和更改 Webhook。" in refused.text
    assert "You may not create and change webhooks." in (await viewer.post("/console/webhooks", {"url": "x"})).text
    typed = {"p.prompt": "A boat", "p.size": "7*7"}
    page = await owner.post("/console/models/alibaba/qwen-image-plus/run", typed, **CHINESE)
    assert "参数“size”必须为" in page.text
    wrong = await owner.post("/console/billing/redeem", {"code": "AAAA-BBBB-CCCC-DDDD"}, **CHINESE)
    assert "没有此兑换码。" in wrong.text

    for note in ("redemption code …WXYZ", "what was owed, says Anna"):
        async with platform.pool.acquire() as db, db.transaction():
            await ledger.credit(db, team.id, 5_000_000, live=False, actor="tests", note=note)
    money = (await owner.get("/console/billing", **CHINESE)).text
    assert "兑换码 …WXYZ" in money
    assert "what was owed, says Anna" in money, "somebody's own words stay"
    assert "redemption code …WXYZ" in (await owner.get("/console/billing")).text

    doctor = (await operator.post("/operator/doctor", {}, **CHINESE)).text
    found = re.findall(r'<td class="words" data-th="说明">([^<]+)</td>', doctor)
    found += re.findall(r'<td class="words" data-th="含义">([^<]+)</td>', doctor)
    assert len(found) > 30, found
    assert not [one for one in found if not re.search(r"[\u4e00-\u9fff]", one) and "HTTP" not in one and " " in one]
    what = re.findall(r'<td data-th="检查项">([^<]+)</td>', doctor)
    assert not [one for one in what if one != "API" and one.isascii()]

    await operator.post(f"/operator/teams/{team.id}/credit", {"mode": "test", "usd": "2", "reason": "R"})
    entries = (await operator.get(f"/operator/audit?team={team.id}", **CHINESE)).text
    assert "金额: " in entries
    assert "模式: 测试" in entries

    english = await platform.anyone("Bearer mdlx-test-none").get("/api/v1/team/balance")
    assert english.json["message"] == "Authentication failed: invalid or missing API key"
