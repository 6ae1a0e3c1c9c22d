"""Wall clocks that jump: a library loaded before the program tells it the time.

It is GPL and comes with nothing of ours. The wheel `libfaketime` has it for x86-64; elsewhere Debian's package of that
name is used where it is installed.
"""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path


def faked(clock: Path) -> dict[str, str]:
    """Variables for a process whose wall clock is off by what the file says, such as `+7200`; none without the library.

    Its monotonic clock goes on as before.
    """
    library = next((place for place in _places() if place.is_file()), None)
    if library is None:
        return {}
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",  # seconds; without, each look at the clock would read the file
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _places() -> list[Path]:
    found = importlib.util.find_spec("libfaketime")
    machine = platform.machine()
    wheel = Path(*(found.submodule_search_locations or ())) if found and machine == "x86_64" else Path()
    return [
        wheel / "vendor/libfaketime/src/libfaketime.so.1",
        Path(f"/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1"),
    ]
