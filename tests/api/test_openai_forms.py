"""Forms of OpenAI's API leave nothing behind, also when their sender goes in the middle."""

from __future__ import annotations

import asyncio
import threading
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from modellix_server.api.openai_api import bodies
from modellix_server.api.openai_api.form_reader import FormReader
from modellix_server.base.aside import Aside

FORM = (
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.gif"\r\n\r\nGIF89a'
    + b"\0" * 50
    + b"\r\n--b--\r\n"
)


async def test_who_goes_while_a_form_is_parsed_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, let_go, numbers, feed = threading.Event(), threading.Event(), count(), FormReader.feed
    made: list[Path] = []

    def new_path() -> Path:
        made.append(tmp_path / str(next(numbers)))
        return made[-1]

    def slow(reader: FormReader, data: bytes) -> None:
        begun.set()
        let_go.wait(30)
        feed(reader, data)

    monkeypatch.setattr(FormReader, "feed", slow)
    ctx = SimpleNamespace(aside=Aside(), spool=SimpleNamespace(path=new_path))
    request = SimpleNamespace(ctx=ctx, who=SimpleNamespace(team=SimpleNamespace(team_id=1)))
    reading = asyncio.create_task(bodies._read_form(request, FORM, "multipart/form-data; boundary=b", ()))  # type: ignore[arg-type]
    await asyncio.to_thread(begun.wait, 30)
    reading.cancel()
    await asyncio.sleep(0)
    let_go.set()
    await asyncio.wait([reading])
    await ctx.aside.run(1, str)  # what the thread was at has ended
    assert reading.cancelled()
    assert made
    assert not list(tmp_path.iterdir())
