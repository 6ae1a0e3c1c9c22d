"""Requests per minute."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from modellix_server.limits import Windows


@dataclass(frozen=True)
class Subject:
    key_id: int = 1
    team_id: int = 1
    live: bool = True
    rpm: int = 1000
    key_rpm: int = 100


class Clock:
    def __init__(self, now=1_000_000.7):
        self.now = now

    def __call__(self):
        return self.now


def test_remaining_falls_by_one_and_the_next_is_refused():
    windows = Windows(Clock())
    verdicts = [windows.take(Subject()) for _ in range(101)]
    assert [v.remaining for v in verdicts] == [*range(99, -1, -1), 0]
    assert [v.allowed for v in verdicts] == [True] * 100 + [False]
    assert {v.limit for v in verdicts} == {100}
    assert verdicts[-1].error().message == "Rate limit exceeded: 100 requests per minute for this API key"


def test_reset_is_the_first_moment_that_lets_in_again():
    clock = Clock()
    windows = Windows(clock)
    one = Subject(key_rpm=1)
    first = windows.take(one)
    assert first.reset_epoch_s == 1_000_060
    clock.now = first.reset_epoch_s - 0.001
    refused = windows.take(one)
    assert not refused.allowed
    assert refused.reset_epoch_s == first.reset_epoch_s
    assert refused.retry_after_s == 1
    clock.now = float(first.reset_epoch_s)
    assert windows.take(one).allowed


def test_headers_in_full():
    windows = Windows(Clock())
    one = Subject(key_rpm=1)
    assert windows.take(one).headers() == [
        (b"x-ratelimit-limit", b"1"),
        (b"x-ratelimit-remaining", b"0"),
        (b"x-ratelimit-reset", b"1000060"),
    ]
    refused = windows.take(one)
    assert refused.headers()[3:] == [(b"retry-after", b"60")]
    assert refused.error().retry_after_s == 60


def test_the_team_limit_counts_over_all_its_keys():
    windows = Windows(Clock())
    verdicts = [windows.take(Subject(key_id=n, rpm=5)) for n in range(6)]
    assert [(v.allowed, v.scope, v.remaining) for v in verdicts] == [
        (True, "team", 4),
        (True, "team", 3),
        (True, "team", 2),
        (True, "team", 1),
        (True, "team", 0),
        (False, "team", 0),
    ]
    assert verdicts[-1].error().message == "Rate limit exceeded: 5 requests per minute for this team"


def test_test_and_live_are_counted_apart():
    windows = Windows(Clock())
    assert windows.take(Subject(key_id=1, rpm=1)).allowed
    assert windows.take(Subject(key_id=2, rpm=1, live=False)).allowed
    assert not windows.take(Subject(key_id=3, rpm=1)).allowed


def test_a_refused_request_counts_nowhere():
    windows = Windows(Clock())
    for _ in range(50):
        windows.take(Subject(key_id=1, key_rpm=1, rpm=3))
    assert windows.take(Subject(key_id=2, key_rpm=9, rpm=3)).remaining == 1


def test_when_both_are_full_the_later_end_is_told():
    clock = Clock(0.0)
    windows = Windows(clock)
    windows.take(Subject(key_id=1, rpm=2))
    clock.now = 30.0
    both = Subject(key_id=2, key_rpm=1, rpm=2)
    windows.take(both)
    assert windows.take(both).reset_epoch_s == 90


def test_a_changed_limit_holds_at_once():
    windows = Windows(Clock())
    for _ in range(10):
        windows.take(Subject())
    lowered = windows.take(Subject(key_rpm=5))
    assert (lowered.allowed, lowered.limit, lowered.remaining) == (False, 5, 0)
    assert windows.take(Subject(key_rpm=200)).remaining == 189


def test_a_clock_that_steps_back_locks_nobody_out():
    clock = Clock()
    windows = Windows(clock)
    one = Subject(key_rpm=1)
    windows.take(one)
    clock.now -= 3600
    verdict = windows.take(one)
    assert verdict.allowed
    assert verdict.reset_epoch_s == int(clock.now) + 60


def test_memory_is_that_of_one_minute():
    clock = Clock()
    windows = Windows(clock)
    for key_id in range(20_000):
        clock.now += 0.06  # 1,000 new keys a minute
        windows.take(Subject(key_id=key_id, team_id=key_id))
    assert len(windows) < 2 * 1_050


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 3), st.integers(1, 2), st.booleans()), max_size=80))
def test_what_is_told_is_what_was_let_in(steps):
    """Limit - remaining = requests let in during the minute that ends at Reset, whichever window is told."""
    clock = Clock(0.0)
    windows = Windows(clock)
    let_in: dict[tuple, list[int]] = {}
    for wait, key, team, live in steps:
        clock.now += wait
        now = int(clock.now)
        subject = Subject(key_id=key + 10 * team + 100 * live, team_id=team, live=live, rpm=4, key_rpm=2)
        names = {"key": ("key", subject.key_id), "team": ("team", team, live)}
        verdict = windows.take(subject)
        if verdict.allowed:
            for name in names.values():
                let_in.setdefault(name, []).append(now)
        end = verdict.reset_epoch_s
        assert now < end <= now + 60
        assert verdict.limit == {"key": 2, "team": 4}[verdict.scope]
        counted = sum(end - 60 <= at < end for at in let_in.get(names[verdict.scope], []))
        assert verdict.limit - verdict.remaining == counted <= verdict.limit
        assert verdict.allowed or (verdict.remaining == 0 and verdict.retry_after_s == end - now)
