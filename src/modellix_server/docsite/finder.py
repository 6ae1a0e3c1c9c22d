"""Searches for another process, which asks for it (`docsite/finding.py`).

Started as `python -m modellix_server.docsite.finder <parent pid> <folder>`: opens the index in the folder, says so with
an empty line, and answers questions, each in a line of JSON, until there are no more.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path

import msgspec

from modellix_server.base.process import die_with_parent
from modellix_server.base.scheduling import give_way
from modellix_server.docsite.finding import Asked, FoundPieces
from modellix_server.docsite.index import SearchIndex

_GIVE_WAY_BY = 10
_AT_ONCE_BYTES = 64 * 1024
_HOLD_S = 0.003
"""For so long answers wait for others, so that their reader is woken less often."""


def main() -> None:
    """Open it, and answer."""
    die_with_parent(int(sys.argv[1]))
    index = SearchIndex.opened(Path(sys.argv[2]))
    give_way(_GIVE_WAY_BY)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    _say(b"\n")
    decoder, rest = msgspec.json.Decoder(Asked), b""
    while received := os.read(sys.stdin.fileno(), _AT_ONCE_BYTES):
        *lines, rest = (rest + received).split(b"\n")
        answers, since = bytearray(), time.perf_counter()
        for line in lines:
            answers += msgspec.json.encode(_answer(index, decoder.decode(line))) + b"\n"
            if time.perf_counter() - since > _HOLD_S:
                _say(answers)
                answers, since = bytearray(), time.perf_counter()
        _say(answers)


def _answer(index: SearchIndex, asked: Asked) -> FoundPieces:
    try:
        return FoundPieces(asked.number, index.find(asked.question))
    except Exception as error:  # noqa: BLE001 - of one question: who asked it hears of it
        return FoundPieces(asked.number, [], repr(error))


def _say(data: bytes | bytearray) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]


if __name__ == "__main__":
    main()
