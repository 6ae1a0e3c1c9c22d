import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from modellix_server.base.scheduling import take_short_turns

SHOW = """
import os
from modellix_server.base.scheduling import give_way, leave_a_core
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


SHOW_TURNS = """
import ctypes, os, struct
from modellix_server.base.scheduling import give_way, take_short_turns
def turn_ns():
    attributes = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall({number}, 0, attributes, 48, 0) == 0
    return struct.unpack("=IIQiIQQQ", attributes.raw)[5]
usual = turn_ns()
take_short_turns(os.getpid())
short = turn_ns()
give_way(3)
print(usual, short, turn_ns(), os.nice(0))
"""
SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}


@pytest.mark.skipif(
    tuple(map(int, platform.release().split(".")[:2])) < (6, 12) or platform.machine() not in SCHED_GETATTR,
    reason="this kernel has no turns of a chosen length",
)
def test_turns_are_short_until_a_process_gives_way() -> None:
    script = SHOW_TURNS.format(number=SCHED_GETATTR[platform.machine()])
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    usual, short, after, niceness = map(int, shown.stdout.split())
    assert short == 100_000 < usual
    assert after == usual
    assert niceness == min(os.nice(0) + 3, 19)


def test_who_has_ended_takes_no_turns() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    take_short_turns(ended.pid)


SHOW_SESSION = """
import os
from modellix_server.base.scheduling import give_way
give_way(3)
print(open("/proc/self/autogroup").read(), os.nice(0))
"""


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists() or not Path("/proc/self/autogroup").read_text(),
    reason="cores are not shared out by session here",
)
def test_a_session_gives_way_with_its_leader_only() -> None:
    own, others = (
        subprocess.run(
            [sys.executable, "-c", SHOW_SESSION], capture_output=True, check=True, text=True, start_new_session=alone
        ).stdout.split()
        for alone in (True, False)
    )
    assert own[-2] == own[-1]
    assert others[-2] == Path("/proc/self/autogroup").read_text().split()[-1]
