"""Emulators are found by scanning, one for every adapter."""

from __future__ import annotations

import json
import urllib.request

from modellix_server.sandbox import load_all as load_emulators
from modellix_server.upstreams import load_all


def test_every_adapter_has_an_emulator_and_no_emulator_is_without_one() -> None:
    assert list(load_emulators()) == sorted([*load_all(), "stripe"])  # money comes in there: nothing is adapted


def test_all_of_them_are_served(sandbox) -> None:
    with urllib.request.urlopen(f"{sandbox.origin}/healthz") as answer:
        assert json.load(answer)["emulators"] == list(load_emulators())
    for name in load_emulators():
        with urllib.request.urlopen(f"{sandbox.origin}/{name}/_bill") as answer:
            assert set(json.load(answer)) == {"totals", "lines"}
