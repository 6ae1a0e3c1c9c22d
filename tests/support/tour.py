"""A team that has worked for a while, and a tour of every page that somebody may look at."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playwright.async_api import BrowserContext, Page
from tests.support.browsers import Visitor, member
from tests.support.platform_processes import Platform
from tests.support.waiting import eventually

from modellix_server import identity
from modellix_server.console.app import PAGES
from modellix_server.console.dispatch import Audience
from modellix_server.identity import Role

_RUNS = (
    ("alibaba/qwen-image-plus", {"p.prompt": "A lighthouse at dusk, long exposure, calm sea"}),
    ("bytedance/seedream-4.0-t2i", {"p.prompt": "A market in the rain, seen from above"}),
    ("minimax/minimax-image-01-t2i", {"p.prompt": "A brass telescope on a window sill", "p.aspect_ratio": "16:9"}),
    ("bytedance/seedance-1.0-pro-t2v", {"p.prompt": "Waves roll over black sand", "p.duration": "5"}),
    ("alibaba/qwen-image-plus", {"p.prompt": "[sandbox:refuse] A prompt that the vendor refuses"}),
)
_NO_PAGES = frozenset(
    {
        *("/console/compare/total", "/console/tasks/events", "/console/tasks/{task_id}/card"),
        *("/sandbox/checkout/{checkout}", "/console/logs/download", "/sign-in/link/{token}", "/invitation/{token}"),
        *("/sign-in/with/{provider}/callback", "/console/usage/download", "/console/billing/statement/download"),
    }
)
"""Pieces, streams and files, and pages that need a token."""


@dataclass
class Tour:
    """Who looks, and at what."""

    visitor: Visitor
    places: dict[str, str]
    """Name -> path, of every page that can be looked at."""

    async def sign_in(self, context: BrowserContext, platform: Platform) -> Page:
        """Make a browser the visitor's, by a one-time link; its page."""
        assert self.visitor.user is not None
        async with platform.pool.acquire() as db, db.transaction():
            token = await identity.create_link(db, self.visitor.user.id)
        page = await context.new_page()
        await page.goto(f"{platform.origin}/sign-in/link/{token}")
        await page.locator("main button").click()
        await page.wait_for_url("**/console")
        return page


async def prepare(platform: Platform) -> Tour:
    """Make the team, let it work, and list the pages."""
    team = await platform.team()
    async with platform.pool.acquire() as db, db.transaction():
        await db.execute("update identity.team set name = 'Northwind' where id = $1", team.id)
    owner = await member(platform, team.id, Role.OWNER, operator=True)
    for role in (Role.DEVELOPER, Role.BILLING):
        await member(platform, team.id, role)
    limits = {"type:text-to-image": "on", "type:image-to-image": "on", "model:alibaba/wan2.6-t2v": "on"}
    limits |= {"budget": "0.20", "reset": "daily", "expires": "90"}
    made = await owner.post("/console/api-key", {"name": "shop window", "mode": "test", **limits})
    key = re.search(r'id="new-key">(mdlx-[\w-]+)<', made.text)
    assert key is not None
    names = []
    for model, fields in _RUNS:
        ran = await owner.post(f"/console/models/{model}/run", fields)
        names.append(ran.headers["Location"].rpartition("/")[2])

    async def ended() -> bool:
        cards = [(await owner.get(f"/console/tasks/{name}/card")).text for name in names]
        return not any("data-live" in card for card in cards)

    await eventually(ended, within_s=180)  # five tasks, one of them a film
    client = platform.anyone(f"Bearer {key[1]}")
    for prompt in ("A call of a program", "Another call", "A third one"):
        assert (await client.submit("text-to-image/alibaba/qwen-image-plus", prompt=prompt)).status == 200
    await client.get("/api/v1/tasks")
    await _recharge(platform, owner)
    await _operate(platform, owner)
    places = await _places(owner, names[0], team.id)
    places |= {f"team-{tab}": f"/console/team?tab={tab}" for tab in ("roles", "policies", "history")}
    invited = await owner.post("/console/team/invite", {"email": "marie@example.org", "role": "viewer"})
    if link := re.search(r'id="link">[^<]*(/invitation/[^<]+)<', invited.text):
        places["public-invitation"] = link[1]
    return Tour(owner, places)


async def _recharge(platform: Platform, owner: Visitor) -> None:
    """One recharge that is paid at the payment emulator, and one that is not."""
    for amount, do in (("20", "pay"), ("5", "cancel")):
        began = await owner.post("/console/billing/recharge", {"amount": amount})
        done = await owner.post(began.headers["Location"].removeprefix(platform.origin), {"do": do})
        await owner.get(done.headers["Location"].removeprefix(platform.origin))


async def _operate(platform: Platform, operator: Visitor) -> None:
    """What an operator leaves behind."""
    account = {"upstream": "dashscope", "name": "main", "key": "sk-vendor-0123456789"}
    account |= {"base_url": f"{platform.sandbox}/dashscope"}
    await operator.post("/operator/vendors", account)
    codes = {"name": "Launch week", "usd": "5", "count": "20", "mode": "live", "expires_at": "2099-01-01T00:00"}
    await operator.post("/operator/codes", codes)
    words = "On Sunday from 8 to 9 UTC tasks will wait: we change disks."
    span = {"from": "2098-01-01T00:00", "until": "2098-01-02T00:00"}
    await operator.post("/operator/announcements", {"text": words} | span)
    preview = await operator.get("/operator/prices/change?model=alibaba/qwen-image-plus&kind=margin&value=20")
    seen = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', preview.text))
    await operator.post("/operator/prices/change", seen)
    await platform.pool.execute(
        "insert into tasks.review (reason, detail) values ('odd', 'odd measurement: 2 images said, 1 found')"
    )


async def _places(owner: Visitor, task: str, team_id: int) -> dict[str, str]:
    values = {"provider": "alibaba", "model_id": "qwen-image-plus", "task_id": task, "team_id": str(team_id)}
    values |= {"upstream": "dashscope", "name": "main"}
    values |= await _numbers(owner)
    places = {}
    for method, path, _, audience, _ in PAGES:
        if method != "GET" or path in _NO_PAGES:
            continue
        there = re.sub(r"\{(\w+)(?::\w+)?\}", lambda part: values[part[1]], path)
        name = re.sub(r"\{[^}]+\}|/console", "", path).strip("/").replace("//", "/").rstrip("/").replace("/", "-")
        if audience is Audience.PUBLIC:
            name = f"public-{name}" if name else "public"
        elif re.search(r"\{[^}]+\}$", path):
            name += "-one"
        places[name or "home"] = there
    return places


async def _numbers(owner: Visitor) -> dict[str, str]:
    """Ids that pages about one thing need, from the pages that list them."""
    found = {}
    for name, page, pattern in (
        ("place", "/console/logs", r'href="/console/logs/(?!download)([^"?/]+)'),
        ("recharge_id", "/console/billing/recharges", r"/console/billing/recharges/([0-9a-f-]{36})"),
        ("key_id", "/console/api-key", r"/console/api-key/(\d+)"),
    ):
        if place := re.search(pattern, (await owner.get(page)).text):
            found[name] = place[1]
    return found
