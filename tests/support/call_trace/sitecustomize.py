"""Loaded by each Python process that finds this folder on PYTHONPATH: writes down which of our files call which.

While the file `on` exists in CALL_TRACE_FOLDER, each new pair of files is a line `caller callee` of
`calls-<process>.txt` there. Names are relative to CALL_TRACE_SOURCE; `-` is a call from outside of it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from types import FrameType


def _trace(folder: Path, source: str) -> None:
    seen: set[tuple[str, str]] = set()
    active = False

    def name_of(frame: FrameType | None) -> str:
        while frame is not None and not frame.f_code.co_filename.startswith(source):
            frame = frame.f_back
        return frame.f_code.co_filename.removeprefix(source) if frame else "-"

    def note(frame: FrameType, event: str, _: object) -> None:
        if active and event == "call" and frame.f_code.co_filename.startswith(source):
            pair = (name_of(frame.f_back), frame.f_code.co_filename.removeprefix(source))
            if pair not in seen:
                seen.add(pair)
                with (folder / f"calls-{os.getpid()}.txt").open("a") as file:
                    file.write(" ".join(pair) + "\n")

    def look() -> None:
        nonlocal active
        while True:
            active = (folder / "on").exists()
            time.sleep(0.02)

    threading.Thread(target=look, daemon=True).start()
    threading.setprofile(note)
    sys.setprofile(note)


if "CALL_TRACE_FOLDER" in os.environ:
    _trace(Path(os.environ["CALL_TRACE_FOLDER"]), os.environ["CALL_TRACE_SOURCE"])
