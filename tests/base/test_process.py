import os
import subprocess
import sys

import pytest

SHOW = """
import os
from modellix_server.base.process import give_way, leave_a_core
{first}
give_way(3)
leave_a_core()
print(os.nice(0), os.sched_getscheduler(0), *sorted(os.sched_getaffinity(0)))
"""


def after(first: str = "") -> list[int]:
    shown = subprocess.run([sys.executable, "-c", SHOW.format(first=first)], capture_output=True, check=True)
    return [int(word) for word in shown.stdout.split()]


def test_a_process_gives_way() -> None:
    niceness, policy, *cores = after()
    assert niceness == min(os.nice(0) + 3, 19)
    assert policy == os.SCHED_BATCH
    ours = sorted(os.sched_getaffinity(0))
    assert cores == (ours[1:] or ours)


@pytest.mark.parametrize(
    ("first", "policy"),
    [("os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))", os.SCHED_IDLE), ("", os.SCHED_BATCH)],
)
def test_who_is_last_already_is_not_brought_forward(first: str, policy: int) -> None:
    assert after(first)[1] == policy


def test_the_only_core_is_not_left() -> None:
    core = max(os.sched_getaffinity(0))
    assert after(f"os.sched_setaffinity(0, {{{core}}})")[2:] == [core]
