import asyncio
from uuid import UUID

import pytest

from modellix_server.base.ids import uuid7
from modellix_server.inspection import take_inputs
from modellix_server.results import delete_expired, delete_orphans, delete_result, discard, save_inputs
from modellix_server.results.storage import Storage

KEEP = "select results.keep($1::uuid[], $2::bigint[], $3::boolean[], $4::text[], $5::bigint[], $6)"


async def keep(pool, *tasks, ttl_s=86_400):
    n = len(tasks)
    await pool.execute(KEEP, tasks, [1] * n, [True] * n, ["{}"] * n, [10] * n, ttl_s)


async def paths(storage, folder="results"):
    return sorted([path async for page in storage.names(folder) for path in page])


async def test_expired_results_go_with_their_files_and_others_stay(pool, storage):
    old, fresh = uuid7(), uuid7()
    for path in (f"{old.hex}/0.png", f"{old.hex}/1.mp4", f"{fresh.hex}/0.png"):
        await storage.put(f"results/{path}", b"x")
    await keep(pool, old, ttl_s=-1)
    await keep(pool, fresh)
    assert [row["task_id"] for row in await pool.fetch("select * from results.of_tasks($1)", [old, fresh])] == [fresh]
    assert await delete_expired(pool, storage) == 1
    assert await paths(storage) == [f"results/{fresh.hex}/0.png"]
    assert await pool.fetchval("select array_agg(task_id) from results.result") == [fresh]
    assert await delete_expired(pool, storage) == 0


async def test_files_go_first_so_a_crash_is_made_up_for(pool, tmp_path, monkeypatch):
    storage, task = Storage((tmp_path / "s").as_uri()), uuid7()
    await storage.put(f"results/{task.hex}/0.png", b"x")
    await keep(pool, task, ttl_s=-1)

    async def broken(_):
        raise OSError("storage is away")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", broken)
        with pytest.raises(OSError, match="away"):
            await delete_expired(pool, storage)
    assert await pool.fetchval("select count(*) from results.result") == 1
    await discard(storage, task)  # as if the crash came after the files
    assert await delete_expired(pool, storage) == 0  # the claim of the crashed one still holds
    await pool.execute("update results.result set deleting_until = now()")
    assert await delete_expired(pool, storage) == 1
    assert await pool.fetchval("select count(*) from results.result") == 0
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["inputs"]  # no empty folders of results either
    await storage.put(f"results/{task.hex}/0.png", b"x")


async def test_a_result_deleted_on_request_is_told_of_no_more_even_while_its_files_cannot_go(
    pool, storage, monkeypatch
):
    task, other = uuid7(), uuid7()
    for one in (task, other):
        await storage.put(f"results/{one.hex}/0.png", b"x")
    await keep(pool, task, other)

    async def broken(_):
        raise OSError("storage is away")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", broken)
        with pytest.raises(OSError, match="away"):
            await delete_result(pool, storage, task)
    told = await pool.fetch("select task_id from results.of_tasks($1)", [task, other])
    assert [row["task_id"] for row in told] == [other]
    await pool.execute("update results.result set deleting_until = now()")
    assert await delete_expired(pool, storage) == 1
    await delete_result(pool, storage, task)
    assert await paths(storage) == [f"results/{other.hex}/0.png"]
    await delete_result(pool, storage, other)
    assert (await paths(storage), await pool.fetchval("select count(*) from results.result")) == ([], 0)


async def test_several_processes_share_the_work(pool, storage):
    tasks = [uuid7() for _ in range(60)]
    for task in tasks:
        await storage.put(f"results/{task.hex}/0.png", b"x")
    await keep(pool, *tasks, ttl_s=-1)
    done = await asyncio.gather(*(delete_expired(pool, storage, limit=20) for _ in range(4)))
    assert sum(done) == 60
    assert await paths(storage) == []


async def test_an_input_that_is_needed_again_while_it_is_being_deleted_survives(pool, storage, picture):
    import base64

    _, files = take_inputs({"image": base64.b64encode(picture()).decode()}, ("image",))
    await save_inputs(pool, storage, files, ttl_s=-1)
    real, reached, go_on = storage.delete, asyncio.Event(), asyncio.Event()

    async def slow(some):
        reached.set()
        await go_on.wait()
        await real(some)

    storage.delete = slow
    deleting = asyncio.create_task(delete_expired(pool, storage))
    await reached.wait()
    saving = asyncio.create_task(save_inputs(pool, storage, files))
    await asyncio.sleep(0.1)
    assert not saving.done()  # waits for the deletion to finish, then stores anew
    go_on.set()
    assert await deleting == 1
    await saving
    assert len(await paths(storage, "inputs")) == 1
    assert await pool.fetchval("select count(*) from results.input where expires_at > now()") == 1


async def test_files_without_a_row_go_when_their_task_is_long_over(pool, storage):
    def made(milliseconds):
        return UUID(int=(milliseconds << 80) | 7 << 76 | 2 << 62 | 5)

    old_orphan, old_kept, young_orphan = made(1_700_000_000_000), made(1_700_000_000_001), uuid7()
    for task in (old_orphan, old_kept, young_orphan):
        await storage.put(f"results/{task.hex}/0.png", b"x")
    await keep(pool, old_kept)
    await storage.put("results/readme.txt", b"somebody else's")
    assert await delete_orphans(pool, storage) == 1
    kept = [f"results/{task.hex}/0.png" for task in (old_kept, young_orphan)]
    assert await paths(storage) == sorted([*kept, "results/readme.txt"])
