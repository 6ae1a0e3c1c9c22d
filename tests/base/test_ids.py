"""Ids: UUIDs of version 7, as RFC 9562 has them."""

from __future__ import annotations

import functools
import operator
import time
import uuid

from modellix_server.base.ids import made_at_ms, uuid7


def test_a_uuid7_has_its_time_its_version_and_74_random_bits() -> None:
    before = time.time_ns() // 1_000_000
    made = [uuid7() for _ in range(2_000)]
    after = time.time_ns() // 1_000_000
    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}
    assert all(before <= made_at_ms(one) <= after for one in made)
    assert len(set(made)) == len(made)
    numbers = [one.int & ((1 << 80) - 1) for one in made]
    differ = functools.reduce(operator.or_, numbers) & ~functools.reduce(operator.and_, numbers)
    assert differ == 0x0FFF_3FFF_FFFF_FFFF_FFFF, "all bits but those of version and variant"
