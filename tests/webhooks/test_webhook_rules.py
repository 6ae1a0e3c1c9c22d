"""When a delivery is tried again, when an endpoint is given up, and who may take up how much room."""

from __future__ import annotations

import ipaddress

import pytest

from modellix_server.base.errors import InvalidParameters
from modellix_server.webhooks import check_url, rules
from modellix_server.webhooks.rules import Lanes, Outcome

DAY_S = 86_400
OK, BUSY, WRONG, SILENT = Outcome(204, None, 5), Outcome(503, None, 5), Outcome(404, None, 5), Outcome(None, "x", 5)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_whole_schedule_takes_three_days_and_a_bit() -> None:
    """Lived through by the clock: when each try happens, and that the tenth is the last."""
    clock, tries, moments = 0.0, 0, []
    while (wait := 0 if tries == 0 else rules.again_in_s(tries, lambda: 0.0)) is not None:
        clock += wait
        tries += 1
        moments.append(clock)
    assert moments == [0, 5, 305, 2105, 9305, 27305, 63305, 113705, 185705, 272105]
    assert tries == 10


def test_jitter_only_lengthens_a_wait_and_by_a_tenth_at_most() -> None:
    for tries in range(1, 10):
        least, most = (rules.again_in_s(tries, lambda share=share: share) for share in (0.0, 1.0))
        assert least == rules.SCHEDULE_S[tries]
        assert most == pytest.approx(least * 1.1)


def test_an_endpoint_is_given_up_after_five_days_without_a_success() -> None:
    first_failure = 0.0
    for day, expected in (
        (0, None),
        (1, None),
        (4.9, None),
        (5, "it has failed for 5 days"),
        (30, "it has failed for 5 days"),
    ):
        assert rules.why_disable(BUSY, day * DAY_S - first_failure) == expected
    assert rules.why_disable(OK, 30 * DAY_S) is None
    assert rules.why_disable(BUSY, None) is None, "its first failure"
    assert rules.why_disable(Outcome(410, None, 1), None) == "it answered 410 Gone"


@pytest.mark.parametrize(("status", "delivered", "overloaded"), [
    (200, True, False), (204, True, False), (299, True, False), (301, False, False), (302, False, False),
    (400, False, False), (404, False, False), (410, False, False), (429, False, True), (500, False, True),
    (503, False, True), (199, False, False), (None, False, True),
])  # fmt: skip
def test_what_a_status_means(status: int | None, delivered: bool, overloaded: bool) -> None:
    outcome = Outcome(status, None, 1)
    assert (outcome.delivered, outcome.overloaded) == (delivered, overloaded)


def fly(lanes: Lanes, name: str, team: int = 1) -> bool:
    """Start one on this lane if there is room."""
    room = lanes.rooms().get(name, lanes.usual_room)
    if room <= 0 or team in lanes.full_teams() or lanes.left <= 0:
        return False
    lanes.started(name, team)
    return True


def test_a_lane_grows_while_it_delivers_and_shrinks_to_one_in_trouble() -> None:
    lanes = Lanes(Clock())
    rooms = []
    for _ in range(6):
        assert fly(lanes, "a")
        lanes.ended("a", 1, OK)
        rooms.append(lanes.rooms()["a"])
    assert rooms == [8, 16, 32, 64, 64, 64]
    assert fly(lanes, "a")
    lanes.ended("a", 1, SILENT)
    assert lanes.rooms() == {"a": 1}
    assert fly(lanes, "a")
    assert not fly(lanes, "a")
    lanes.ended("a", 1, WRONG)  # it lives, whatever it thinks of the message
    assert lanes.rooms() == {"a": 2}


def test_a_receiver_that_asks_for_time_gets_it_within_reason() -> None:
    clock = Clock()
    lanes = Lanes(clock)
    for asked, given in ((30.0, 30.0), (1e9, 600.0)):
        assert fly(lanes, "a")
        lanes.ended("a", 1, Outcome(429, None, 1, asked))
        clock.now += given - 1
        assert not fly(lanes, "a")
        clock.now += 1


def test_dead_lanes_leave_most_of_the_room_to_the_others() -> None:
    lanes = Lanes(Clock())
    dead = [f"dead {number}" for number in range(300)]
    for number, name in enumerate(dead):
        assert fly(lanes, name, team=number)
        lanes.ended(name, number, SILENT)
    flying = [name for number, name in enumerate(dead) if fly(lanes, name, team=number)]
    assert len(flying) == 64
    assert lanes.left > 150
    assert fly(lanes, "alive", team=999)
    for name in flying:
        lanes.ended(name, int(name.split()[1]), OK)
    assert fly(lanes, dead[0], team=0)


def test_a_team_cannot_take_all_the_room_with_many_hosts() -> None:
    lanes = Lanes(Clock())
    started = sum(fly(lanes, f"host {number}", team=7) for number in range(500))
    assert started == 128
    assert fly(lanes, "other", team=8)


@pytest.mark.parametrize("url", [
    "http://example.com/hook", "ftp://example.com/", "https://", "https:///hook", "//example.com/", "hook", "",
    "https://user:pass@example.com/", "https://example.com/#part", "https://example.com:8443/", "https://localhost/",
    "https://a.localhost/", "https://127.0.0.1/", "https://10.0.0.1/", "https://169.254.169.254/latest", "https://[::1]/",
    "https://[::ffff:127.0.0.1]/", "https://2130706433/", "https://127.1/", "https://0/", "https://100.64.0.1/",
    "https://example.com/\r\nX: y", "https://exa mple.com/", "https://example.com/é",
    "https://example.com/" + "x" * 2048,
    "https://example.com:99999/", "https://[fe80::1%25eth0]/",
])  # fmt: skip
def test_links_that_are_refused(url: str) -> None:
    with pytest.raises(InvalidParameters, match=r"^parameter 'url' "):
        check_url(url, (), "parameter 'url'")


def test_links_that_are_taken() -> None:
    for url in ("https://example.com/hook?token=1", "https://example.com:443/", "https://93.184.216.34/"):
        check_url(url, (), "parameter 'url'")
    opened = [ipaddress.ip_network("127.0.0.0/8")]
    assert check_url("http://127.0.0.1:9000/x", opened, "u") == "http://127.0.0.1:9000/x"
    for url in ("http://10.0.0.1/", "http://example.com/", "http://localhost:9000/"):
        with pytest.raises(InvalidParameters):
            check_url(url, opened, "u")
