"""Sealed values: who opens them, and what a change to them does."""

from __future__ import annotations

import secrets

import pytest

from modellix_server.base.envelope import KEY_ID, CannotOpen, Keyring, SealBroken, UnknownMasterKey
from modellix_server.base.secret import Secret

HERE = ("room.table.column", "7", "https://vendor.test")


def fresh() -> Secret:
    return Secret(secrets.token_bytes(32))


@pytest.mark.parametrize("text", ["", "sk-abc", "grüße", "k" * 4096])
def test_what_was_sealed_opens_where_it_was_sealed_for(text):
    keys = Keyring(fresh())
    sealed = keys.seal(text, *HERE)
    assert keys.open(sealed, *HERE) == text
    assert sealed != keys.seal(text, *HERE)
    assert not text or text.encode() not in sealed


def test_every_changed_bit_is_noticed():
    keys = Keyring(fresh())
    sealed = keys.seal("sk-abc", *HERE)
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(UnknownMasterKey if at in range(KEY_ID.start, KEY_ID.stop) else SealBroken):
            keys.open(changed, *HERE)
    for cut in (b"", sealed[:5], sealed[:-1], sealed[:69], sealed + b"x"):
        with pytest.raises(CannotOpen):
            keys.open(cut, *HERE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        ("room.other.column", "7", "https://vendor.test"),
        ("room.table.column", "8", "https://vendor.test"),
        ("room.table.column", "7", "https://evil.test"),
        ("room.table.column", "7"),
        ("room.table.column", "7,https://vendor.test"),
    ],
)
def test_a_value_moved_elsewhere_opens_for_nobody(elsewhere):
    keys = Keyring(fresh())
    sealed = keys.seal("sk-abc", *HERE)
    with pytest.raises(SealBroken):
        keys.open(sealed, *elsewhere)
    with pytest.raises(SealBroken):
        keys.rewrap(sealed, *elsewhere)


def test_a_rotation_replaces_the_wrapping_alone():
    first, second = fresh(), fresh()
    sealed = Keyring(first).seal("sk-abc", *HERE)
    with pytest.raises(UnknownMasterKey) as refused:
        Keyring(second).open(sealed, *HERE)
    assert "sk-abc" not in str(refused.value)
    both = Keyring(second, [first])
    assert both.open(sealed, *HERE) == "sk-abc"
    moved = both.rewrap(sealed, *HERE)
    assert Keyring(second).open(moved, *HERE) == "sk-abc"
    assert moved[69:] == sealed[69:]
    with pytest.raises(UnknownMasterKey):
        Keyring(first).open(moved, *HERE)


def test_a_value_that_is_broken_inside_is_not_rewrapped():
    keys = Keyring(fresh())
    sealed = keys.seal("sk-abc", *HERE)
    with pytest.raises(SealBroken):
        keys.rewrap(sealed[:-1] + bytes([sealed[-1] ^ 1]), *HERE)


def test_keys_that_change_under_a_process_are_found():
    first, second = fresh(), fresh()
    now: list[tuple[Secret, tuple[Secret, ...]]] = [(first, ())]
    keys = Keyring(first, reread=lambda: now[0])
    now[0] = (second, (first,))
    assert keys.open(Keyring(second).seal("sk-abc", *HERE), *HERE) == "sk-abc"
    now[0] = (first, ())
    assert keys.seal("x", *HERE)[KEY_ID] == Keyring(first).current_id


def test_nothing_of_a_key_is_printed():
    key = Secret(b"\x01\x02" * 16)
    assert "x01" not in repr(key)
    assert "x01" not in repr(Keyring(key))
