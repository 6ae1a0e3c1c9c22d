"""Teams, keys and authentication on a real database."""

import asyncio
import secrets

import asyncpg
import pytest
from tests.support.waiting import eventually

from modellix_server import identity, limits
from modellix_server.base import notify
from modellix_server.base.errors import InvalidParameters, NotFound, Unauthorized, Unavailable
from modellix_server.identity import Callers, keys


def unique(word):
    return f"{word}-{secrets.token_hex(6)}"


async def new_key(pool, settings, *, live=True):
    team = await identity.create_team(pool, unique("team"))
    return await identity.create_key(pool, settings.secret, team.id, live=live, name="k", created_by="test")


class Counting:
    """The pool, counting the questions."""

    def __init__(self, pool):
        self.pool, self.asked = pool, 0

    async def fetch(self, *args):
        self.asked += 1
        return await self.pool.fetch(*args)


@pytest.fixture
async def followed(pool, settings):
    """Callers that hear of changes, and the counted pool they ask."""
    counting = Counting(pool)
    callers = Callers(counting, settings.secret)
    task = asyncio.create_task(notify.follow(settings.database_url, [callers]))
    await eventually(lambda: callers._hearing)
    yield callers, counting
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def all_is_heard(pool, callers):
    """Notices come in the order in which they were sent: after this no earlier one is still to come."""
    sentinel, heard = unique("sentinel"), []
    before, callers.heard = callers.heard, lambda payload: (heard.append(payload), before(payload))
    await pool.execute("select pg_notify($1, $2)", callers.channel, sentinel)
    await eventually(lambda: sentinel in heard)
    callers.heard = before


async def test_the_text_is_nowhere_in_the_database(pool, settings):
    text, row = await new_key(pool, settings)
    body = text.removeprefix("mdlx-")
    dump = str(await pool.fetchrow("select k::text as row from identity.api_key k where id = $1", row.id))
    assert text not in dump
    assert body not in dump
    assert body.encode().hex() not in dump
    assert text not in repr(row)


async def test_authenticate_knows_team_mode_and_limits(pool, settings):
    callers = Callers(pool, settings.secret)
    for live in (True, False):
        text, row = await new_key(pool, settings, live=live)
        caller = await callers.authenticate(f"Bearer {text}")
        assert caller == identity.Caller(row.id, row.team_id, live, "k", 3, 1000, 100)


async def test_unknown_and_malformed_keys_are_refused_alike(pool, settings):
    text, _ = await new_key(pool, settings)
    counting = Counting(pool)
    callers = Callers(counting, settings.secret)
    for header in (None, "", f"Basic {text}", text, f"Bearer {text[:-1]}{'A' if text[-1] != 'A' else 'B'}"):
        with pytest.raises(Unauthorized) as refused:
            await callers.authenticate(header)
        assert refused.value.message == "Authentication failed: invalid or missing API key"
    assert counting.asked == 0
    with pytest.raises(Unauthorized):
        await callers.authenticate(f"Bearer {keys.mint(live=True)}")
    assert counting.asked == 1


async def test_a_stored_hash_is_no_password(pool, settings):
    _, row = await new_key(pool, settings)
    stored = await pool.fetchval("select encode(hash, 'hex') from identity.api_key where id = $1", row.id)
    with pytest.raises(Unauthorized):
        await Callers(pool, settings.secret).authenticate(f"Bearer {stored}")


async def test_nothing_is_cached_before_changes_are_heard(pool, settings):
    text, _ = await new_key(pool, settings)
    callers = Callers(pool, settings.secret)
    await callers.authenticate(f"Bearer {text}")
    assert callers.cached(f"Bearer {text}") is None


async def test_hits_ask_nobody_until_they_are_too_old(pool, settings, followed):
    text, _ = await new_key(pool, settings)
    now = [100.0]
    counting = Counting(pool)
    callers = Callers(counting, settings.secret, clock=lambda: now[0])
    callers.following()
    caller = await callers.authenticate(f"Bearer {text}")
    assert callers.cached(f"Bearer {text}") is caller
    assert await callers.authenticate(f"Bearer {text}") is caller
    assert counting.asked == 1
    now[0] += 5
    assert callers.cached(f"Bearer {text}") is None


async def test_a_revoked_key_is_out_at_once(pool, settings, followed):
    callers, _ = followed
    text, row = await new_key(pool, settings)
    await all_is_heard(pool, callers)
    await callers.authenticate(f"Bearer {text}")
    assert callers.cached(f"Bearer {text}") is not None
    first = await identity.revoke_key(pool, row.id)
    await eventually(lambda: callers.cached(f"Bearer {text}") is None)
    with pytest.raises(Unauthorized):
        await callers.authenticate(f"Bearer {text}")
    assert (await identity.revoke_key(pool, row.id)).revoked_at == first.revoked_at
    assert await pool.fetch("select identity.active_keys($1)", [row.id]) == []


async def test_a_change_of_limits_is_seen_at_once(pool, settings, followed):
    callers, _ = followed
    text, row = await new_key(pool, settings)
    await all_is_heard(pool, callers)
    assert (await callers.authenticate(f"Bearer {text}")).concurrency == 3
    await limits.set_for_team(pool, row.team_id, concurrency=7, key_rpm=20)
    await eventually(lambda: callers.cached(f"Bearer {text}") is None)
    caller = await callers.authenticate(f"Bearer {text}")
    assert (caller.concurrency, caller.rpm, caller.key_rpm) == (7, 1000, 20)


async def test_an_answer_older_than_a_change_is_not_kept(pool, settings):
    text, _ = await new_key(pool, settings)

    class Slow(Counting):
        async def fetch(self, *args):
            rows = await super().fetch(*args)
            callers.heard("")  # the notice overtakes the answer
            return rows

    callers = Callers(Slow(pool), settings.secret)
    callers.following()
    await callers.authenticate(f"Bearer {text}")
    assert callers.cached(f"Bearer {text}") is None


async def test_caching_stops_with_the_listening_connection_and_resumes(pool, settings, followed):
    callers, _ = followed
    text, _ = await new_key(pool, settings)
    await all_is_heard(pool, callers)
    await callers.authenticate(f"Bearer {text}")
    owner = await asyncpg.connect(settings.owner_database_url)
    lost = asyncio.Event()
    before, callers.lost = callers.lost, lambda: (before(), lost.set())
    # The role that listens may end its own connections.
    await pool.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'modellix-listen'"
    )
    await owner.close()
    async with asyncio.timeout(60):
        await lost.wait()
    assert callers.cached(f"Bearer {text}") is None
    await eventually(lambda: callers._hearing)
    await callers.authenticate(f"Bearer {text}")
    assert callers.cached(f"Bearer {text}") is not None


async def test_many_at_once_share_few_queries(pool, settings):
    made = [await new_key(pool, settings) for _ in range(20)]
    counting = Counting(pool)
    callers = Callers(counting, settings.secret)
    answers = await asyncio.gather(*(callers.authenticate(f"Bearer {text}") for text, _ in made * 5))
    assert [caller.key_id for caller in answers] == [row.id for _, row in made] * 5
    assert counting.asked <= 2


async def test_an_unreachable_database_is_503(settings):
    class Down:
        async def fetch(self, *args):
            raise ConnectionRefusedError

    with pytest.raises(Unavailable):
        await Callers(Down(), settings.secret).authenticate(f"Bearer {keys.mint(live=True)}")


async def test_names_of_teams(pool):
    name = unique("acme")
    team = await identity.create_team(pool, f" {name} ")
    assert await identity.find_team(pool, name) == team
    assert team in await identity.list_teams(pool)
    with pytest.raises(InvalidParameters):
        await identity.create_team(pool, name)
    for bad in ("", "  ", "x" * 65, "a\x1b[31m", "a\nb", "a\x00b"):
        with pytest.raises(InvalidParameters):
            await identity.create_team(pool, bad)
    with pytest.raises(NotFound):
        await identity.find_team(pool, name.upper())


async def test_keys_are_listed_by_team(pool, settings):
    _, mine = await new_key(pool, settings)
    _, other = await new_key(pool, settings)
    assert await identity.list_keys(pool, mine.team_id) == [mine]
    assert {mine, other} <= set(await identity.list_keys(pool))
    with pytest.raises(NotFound):
        await identity.create_key(pool, settings.secret, 2**40, live=True, name="k", created_by="test")
    with pytest.raises(NotFound):
        await identity.revoke_key(pool, 2**40)


@pytest.mark.parametrize(
    "statement",
    [
        "delete from identity.api_key",
        "delete from identity.team",
        "update identity.api_key set live = true",
        "update identity.api_key set hash = hash",
        "update identity.team set created_at = now()",
        "delete from identity.invitation",
        "update identity.invitation set email = 'x@example.com'",
        "delete from limits.team_limit",
    ],
)
async def test_the_application_may_not(pool, statement):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)


@pytest.mark.parametrize(
    "query",
    [
        "select * from identity.active_keys('{1,2}')",
        "select k.id, l.* from identity.api_key k cross join lateral limits.of_team(k.team_id) l where k.id = 1",
    ],
)
async def test_the_functions_fold_into_the_calling_query(pool, query):
    plan = "\n".join(row[0] for row in await pool.fetch("explain " + query))
    assert "Function Scan" not in plan, plan
