"""From the first release to this one while clients are at work: both side by side on one schema."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.old_release import installed

FIRST_RELEASE = "0cba01253416e73cef65dcfcd52661887e3439f0"  # v0.1.0; by its hash, as a clone may lack the tag


@pytest.fixture(scope="module")
def first_release(tmp_path_factory) -> tuple[str, ...]:
    return installed(FIRST_RELEASE, "modellix_server.main.cli", tmp_path_factory.mktemp("first-release"))


@pytest.mark.full
@pytest.mark.timeout(300)
async def test_rolling_upgrade_from_the_first_release(fleet, front, load, first_release: tuple[str, ...]) -> None:
    old = first_release
    fleet.env["MODELLIX_DOCS_AFTER_S"] = "3"  # as is usual
    await fleet.command("migrate", program=old)
    await fleet.emulate("dashscope", program=old)
    await fleet.team(program=old)
    key = await fleet.key(program=old)
    (old_api, old_port), (old_work, old_worker) = await fleet.serve(program=old), await fleet.work(program=old)
    async with front() as entrance:
        entrance.add(old_port)
        async with load(f"http://127.0.0.1:{entrance.port}", key, per_s=5, keep_alive=False) as clients:
            await asyncio.sleep(3)
            applied = await fleet.command("migrate")
            assert "applied 0019_steer.sql" in applied
            await asyncio.sleep(2)

            new_api, new_port = await fleet.serve()
            entrance.add(new_port)
            to_the_new = [
                await clients.submit("accepted by the new, carried out by the old", f"http://127.0.0.1:{new_port}")
                for _ in range(5)
            ]
            await asyncio.gather(*(clients.follow(task) for task in to_the_new))
            assert await fleet.ended_by(to_the_new) == {old_worker}

            new_work, new_worker = await fleet.work()
            slow = [
                await clients.submit("[sandbox:slow=8] accepted by the old", f"http://127.0.0.1:{old_port}")
                for _ in range(4)
            ]
            await fleet.stop(old_work)
            await entrance.drain(old_port)
            await fleet.stop(old_api)
            await asyncio.gather(*(clients.follow(task) for task in slow))
            assert await fleet.ended_by(slow) == {new_worker}
            await asyncio.sleep(2)
            await clients.finish()
    assert clients.failures == [], fleet.log()
    assert len(clients.accepted) > 40
    await fleet.nothing_is_lost_or_doubled(clients.accepted)
    assert await fleet.ended_by(clients.accepted) == {old_worker, new_worker}
    await fleet.stop(new_work)
    await fleet.stop(new_api)
    print(f"{clients.requests} requests, {len(clients.accepted)} tasks, slowest {clients.slowest_s:.2f} s")
