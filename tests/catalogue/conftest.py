"""What a model's file allows and refuses, value by value, and the emulators in this process to try it on."""

from __future__ import annotations

import pytest
from tests.support.emulator_in_process import Emulator, NoStudio, emulator, no_web
from tests.support.model_bodies import Allowed

from modellix_server.upstreams import load_all as load_upstreams


@pytest.fixture
def allowed():
    return Allowed


@pytest.fixture(scope="session")
def emulators() -> dict[str, Emulator]:
    """Every vendor's emulator by its name; they accept or refuse, and make nothing."""
    return {name: emulator(name, NoStudio(), no_web) for name in load_upstreams()}


@pytest.fixture
def emulated():
    """`emulated(name, studio, fetch)`: an emulator over other parts."""
    return emulator
