"""Keys that expire, that are rotated, and when they were last used."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from modellix_server import identity
from modellix_server.base.errors import NotFound, Unauthorized
from modellix_server.identity import AllowedModels, ApiKey, Callers
from modellix_server.identity.api_keys import note_use
from modellix_server.tasks import Submissions


async def new_key(pool, settings, **about) -> tuple[str, ApiKey]:
    team = await identity.create_team(pool, f"team of {about}"[:60])
    return await identity.create_key(pool, settings.secret, team.id, live=False, name="k", created_by="test", **about)


async def refused(callers: Callers, text: str) -> bool:
    try:
        await callers.authenticate(f"Bearer {text}")
    except Unauthorized:
        return True
    return False


async def rotate(pool, settings, key: ApiKey, hours: float) -> tuple[str, ApiKey]:
    async with pool.acquire() as db, db.transaction():
        return await identity.rotate_key(db, settings.secret, key, timedelta(hours=hours))


@pytest.mark.parametrize(
    ("allowed", "slug", "type_", "may"),
    [
        (AllowedModels(), "a/x", "text-to-image", True),
        (AllowedModels(("a/x",)), "a/x", "text-to-image", True),
        (AllowedModels(("a/x",)), "a/xy", "text-to-image", False),
        (AllowedModels((), ("text-to-image",)), "a/y", "text-to-image", True),
        (AllowedModels((), ("text-to-image",)), "a/y", "text-to-video", False),
        (AllowedModels(("a/y",), ("text-to-image",)), "a/y", "text-to-video", True),
    ],
)
def test_what_a_key_may_use(allowed: AllowedModels, slug: str, type_: str, may: bool) -> None:
    assert allowed.cover(slug, type_) is may


def test_a_long_list_is_told_in_short() -> None:
    named = AllowedModels(tuple(f"a/{n}" for n in range(9)), ("text-to-image",))
    assert str(named) == "text-to-image models, a/0, a/1, a/2, a/3 and 5 more"


async def test_a_key_is_refused_from_its_expiry_on_also_out_of_a_cache(pool, settings, new_customer) -> None:
    """The cache lives by its own clock; the transaction that accepts a task asks the database."""
    acme = await new_customer(micros=1000)
    text, key = await identity.create_key(
        pool, settings.secret, acme.team_id, live=False, name="k", created_by="t",
        expires_at=datetime.now(UTC) + timedelta(seconds=2),
    )  # fmt: skip
    now = [100.0]
    callers = Callers(pool, settings.secret, clock=lambda: now[0])
    callers.following()
    await callers.authenticate(f"Bearer {text}")
    assert callers.cached(f"Bearer {text}") is not None
    now[0] += 2.0
    assert callers.cached(f"Bearer {text}") is None
    assert key.state == "active"
    await pool.execute("update identity.api_key set expires_at = now() where id = $1", key.id)
    assert await refused(callers, text)
    assert (await identity.find_key(pool, key.id)).state == "expired"
    with pytest.raises(Unauthorized):
        await Submissions(pool, asyncio.Event()).accept(acme.with_key(key.id).wants(10))


async def test_both_texts_work_until_the_overlap_ends(pool, settings) -> None:
    first, key = await new_key(pool, settings)
    second, rotated = await rotate(pool, settings, key, 1)
    assert (rotated.id, rotated.name, rotated.live) == (key.id, key.name, False)
    assert (second[:14], second[-4:]) == (rotated.prefix, rotated.last4)
    assert rotated.overlap_ends_at is not None
    callers = Callers(pool, settings.secret)
    assert {(await callers.authenticate(f"Bearer {text}")).key_id for text in (first, second)} == {key.id}
    now = [100.0]
    cached = Callers(pool, settings.secret, clock=lambda: now[0])
    cached.following()
    third, _ = await rotate(pool, settings, key, 3 / 3600)
    await cached.authenticate(f"Bearer {second}")
    now[0] += 3.0  # before the cache's own time
    assert cached.cached(f"Bearer {second}") is None
    fourth, last = await rotate(pool, settings, key, 0)
    assert last.overlap_ends_at is None
    assert [await refused(callers, text) for text in (first, second, third, fourth)] == [True, True, True, False]


async def test_a_leaked_former_text_ends_the_key_while_it_works(pool, settings) -> None:
    first, key = await new_key(pool, settings)
    second, _ = await rotate(pool, settings, key, 0)
    async with pool.acquire() as db, db.transaction():
        assert await identity.revoke_leaked(db, settings.secret, [first]) == []
    await rotate(pool, settings, key, 1)
    async with pool.acquire() as db, db.transaction():
        ended = await identity.revoke_leaked(db, settings.secret, [second])
    assert [(text, one.id) for text, one in ended] == [(second, key.id)]


async def test_use_is_noted_late_and_survives_an_hour_without_a_database(pool, settings) -> None:
    text, key = await new_key(pool, settings)
    assert key.used_at is None

    class Away:
        async def execute(self, *_: object) -> None:
            raise ConnectionRefusedError

    callers = Callers(pool, settings.secret)
    await callers.authenticate(f"Bearer {text}")
    assert (await identity.find_key(pool, key.id)).used_at is None
    callers._db = Away()
    await callers.note_use()
    callers._db = pool
    await callers.note_use()
    used = (await identity.find_key(pool, key.id)).used_at
    assert used is not None
    await note_use(pool, {key.id: used - timedelta(hours=1)})
    assert (await identity.find_key(pool, key.id)).used_at == used


async def test_a_deleted_key_is_named_and_not_listed(pool, settings) -> None:
    _, key = await new_key(pool, settings)
    async with pool.acquire() as db, db.transaction():
        await identity.revoke_key(db, key.id)
        await identity.delete_key(db, key.id)
    assert await identity.list_keys(pool, key.team_id) == []
    assert await identity.key_names(pool, key.team_id) == {key.id: "k"}
    with pytest.raises(NotFound):
        await identity.find_key(pool, key.id)
