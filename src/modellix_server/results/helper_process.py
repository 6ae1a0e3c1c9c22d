"""What the platform has examined in separate processes: files of strangers, and large bodies."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from modellix_server.base.errors import InvalidFormat, Unavailable
from modellix_server.inspection import Extract, Extracted, InputFile, Probe, Probed, Refused, Unkept, Wanted
from modellix_server.results.helper_lane import Crashed, HelperLane
from modellix_server.results.spool import Spool

_QUICK_BYTES = 256 * 1024
_SLOW_GIVES_WAY_BY = 15


def is_quick(kind: Wanted, size: int) -> bool:
    """Whether a file of so many bytes is examined beside small pictures."""
    return kind == "image" and size <= _QUICK_BYTES


class Helper:
    """Examines untrusted files in separate processes; one per platform process, `close` it at the end.

    Small images have processes of their own, so that a long video or a hostile file does not delay them. They have
    this process's priority: tasks wait for them. The others, which compute for seconds, yield to everybody. Of each
    kind there are two at most, the second started when it is needed: no team keeps both from others (`HelperLane`).
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._quick = HelperLane(processes=2, most=32, give_way_by=0)
        self._slow = HelperLane(processes=2, most=2, give_way_by=_SLOW_GIVES_WAY_BY)

    def get_ready(self) -> None:
        """Small pictures will come soon."""
        self._quick.get_ready()

    async def probe(self, kind: Wanted, content: bytes | Path, team_id: int | None = None) -> Probed | Refused:
        """The format of a file of an expected kind, or why it is refused.

        `team_id` is the team that it comes from; None: a vendor or the platform. Raises OSError if no helper starts.
        """
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        lane = self._quick if is_quick(kind, size) else self._slow
        if isinstance(content, Path):
            return await self._probe(lane, Probe(kind, None, str(content)), team_id)
        if size <= _QUICK_BYTES:
            return await self._probe(lane, Probe(kind, content, None), team_id)
        scratch = self._spool.scratch(len(content))  # a pipe takes it in a hundred small pieces
        try:
            await scratch.write(content)
            return await self._probe(self._slow, Probe(kind, None, str(scratch.path)), team_id)
        finally:
            scratch.close()

    async def probe_and_keep(self, kind: Wanted, data: bytes, place: Path) -> Probed | Refused:
        """As `probe`, for small pictures: what is one is written to a local file, whose name gets the format's ending.

        So a picture goes from process to process once, and its file costs no thread. Raises OSError, also when it
        could not be written.
        """
        try:
            reply = await self._quick.ask(Probe(kind, data, None, str(place)), None)
        except Crashed:  # of the file, or while it was written
            reply = await self.probe(kind, data)
            if isinstance(reply, Probed):
                raise OSError("the helper did not write the file") from None
        if isinstance(reply, Unkept):
            raise OSError(reply.why)
        assert isinstance(reply, Probed | Refused)
        return reply

    async def _probe(self, lane: HelperLane, request: Probe, team_id: int | None) -> Probed | Refused:
        try:
            reply = await lane.ask(request, team_id)
        except Crashed:
            return Refused("the file could not be examined safely")
        assert isinstance(reply, Probed | Refused)
        return reply

    async def extract(
        self, body: Path, media: Collection[str], team_id: int | None = None
    ) -> tuple[Any, list[InputFile]]:
        """`take_inputs` for a big JSON body in a file, without holding up the event loop.

        The files are scratch files, which the caller saves or drops. A body that is no object is returned unchanged.
        Raises InvalidFormat, or Unavailable if no helper starts or the file is gone.
        """
        target = self._spool.path()
        try:
            reply = await self._slow.ask(Extract(str(body), tuple(media), str(target)), team_id)
            if isinstance(reply, Refused):
                raise InvalidFormat(reply.why)
            assert isinstance(reply, Extracted)
        except BaseException as error:
            for left in target.parent.glob(f"{target.name}.*"):
                left.unlink()
            if isinstance(error, Crashed) and body.exists():
                raise InvalidFormat("a file in the request body could not be examined safely") from None
            if isinstance(error, Crashed | OSError):
                raise Unavailable("the request body could not be examined", retry_after_s=5) from None
            raise
        return msgspec.json.decode(reply.slim), [
            InputFile(file.sha256, file.mime, file.kind, file.size, Path(file.path), file.found, file.given)
            for file in reply.files
        ]

    async def close(self) -> None:
        """End the processes."""
        await self._quick.stop()
        await self._slow.stop()
