"""Files that a team uploads before it uses them: kept for some days, listed, linked, deleted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from modellix_server.base.batcher import Batcher
from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidFormat, NotFound, OutOfRange
from modellix_server.base.ids import file_name, uuid7
from modellix_server.base.settings import Settings
from modellix_server.inspection import FORMATS, InputFile, Kind, Refused
from modellix_server.results.helper_process import Helper
from modellix_server.results.inputs import INPUT_TTL_S, hold_inputs, stored_input_path
from modellix_server.results.links import file_link
from modellix_server.results.storage import Storage

MOST_UPLOAD_BYTES: dict[Kind, int] = {"image": 32 << 20, "audio": 32 << 20, "video": 200 << 20}
"""By kind: no model takes larger audio or video, and only one (100 MB) larger images."""

_UPLOADS = """
    select id, team_id, live, encode(sha256, 'hex'), kind, format, size, width, height, duration_ms, filename,
        created_at, expires_at
    from results.upload where expires_at > now()"""

_UNTIL_NOTED_S = 3600
"""Bytes that were stored but never recorded (quota full, or a crash) are deleted after this long."""
_ROOM_KNOWN_S, _MOST_TEAMS = 10.0, 1_000
"""For so long the room of a team need not be asked for again; of so many it is kept."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a team."""

    id: UUID
    team_id: int
    live: bool
    sha256: str
    kind: Kind
    format: str
    size: int
    """Bytes."""
    width: int | None
    """Pixels; None for audio."""
    height: int | None
    duration_ms: int | None
    filename: str
    created_at: datetime
    expires_at: datetime

    @property
    def path(self) -> str:
        """In the storage."""
        return stored_input_path(self.sha256)

    def link(self, settings: Settings) -> str:
        """Its public URL, until it expires or is deleted."""
        return file_link(settings, file_name(self.id), self.format, int(self.expires_at.timestamp()))


class Uploads:
    """Uploaded files of all teams."""

    def __init__(self, settings: Settings, db: Pool, storage: Storage, helper: Helper) -> None:
        self._settings = settings
        self._db = db
        self._storage = storage
        self._helper = helper
        self._room: dict[tuple[int, bool], tuple[int, float]] = {}
        """Of a team and mode: bytes that it could still keep, and until when (monotonic) that is believed."""
        self._look_up: Batcher[UUID, Upload | None] = Batcher(self._find_all)

    async def require_room(self, team_id: int, size: int, *, live: bool) -> None:
        """Refuse a file early that the team has no room for; `add` is sure of it. Raises OutOfRange."""
        whose, now = (team_id, live), time.monotonic()
        room, until = self._room.get(whose, (0, 0.0))
        if size <= room and now < until:
            return
        kept: int = await self._db.fetchval(
            """select coalesce(sum(size), 0)::bigint from results.upload
               where team_id = $1 and live = $2 and expires_at > now()""",
            team_id,
            live,
        )
        if kept + size > self._settings.upload_quota_bytes:
            raise self._no_room(kept, size)
        if len(self._room) >= _MOST_TEAMS:
            self._room.clear()
        self._room[whose] = self._settings.upload_quota_bytes - kept, now + _ROOM_KNOWN_S

    async def add(
        self, team_id: int, content: bytes | Path, sha256: str, kind: Kind, filename: str, *, live: bool
    ) -> Upload:
        """Examine and keep a received file; one on disk may be moved.

        Raises InvalidFormat for one that is broken, OutOfRange when the team keeps too much, storage.TROUBLE.
        """
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        await self.require_room(team_id, size, live=live)
        found = await self._helper.probe(kind, content, team_id)
        if isinstance(found, Refused):
            raise InvalidFormat(f"parameter 'file': {found.why}")
        file = InputFile(sha256, FORMATS[found.format].mime, kind, size, None)
        await hold_inputs(self._db, [file], _UNTIL_NOTED_S)
        if isinstance(content, Path):
            await self._storage.move_in(stored_input_path(sha256), content)
        else:
            await self._storage.put(stored_input_path(sha256), content)
        file_id, of_file = uuid7(), (kind, found.format, size, found.width, found.height, found.duration_ms, filename)
        row = await self._db.fetchrow(
            """select results.add_upload($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13),
                      now(), now() + make_interval(secs => $12)""",  # as the row has them
            file_id, team_id, live, bytes.fromhex(sha256), *of_file,
            self._settings.upload_ttl_s, self._settings.upload_quota_bytes,
        )  # fmt: skip
        assert row is not None
        kept, created_at, expires_at = row
        if kept is not None:
            self._room.pop((team_id, live), None)
            raise self._no_room(kept, size)
        return Upload(file_id, team_id, live, sha256, *of_file, created_at, expires_at)

    def _no_room(self, kept: int, size: int) -> OutOfRange:
        most = self._settings.upload_quota_bytes
        return OutOfRange(
            f"uploaded files of the team must have at most {most:,} bytes together, got {size:,} beside {kept:,}"
        )

    async def find(self, file_id: UUID) -> Upload | None:
        """A file of any team; None when there is none or it has expired."""
        return await self._look_up(file_id)

    async def _find_all(self, file_ids: Sequence[UUID]) -> list[Upload | None]:
        """Those behind hundreds of links that are opened at once, in one round trip: other requests need some too."""
        found = {row["id"]: Upload(*row) for row in await self._db.fetch(f"{_UPLOADS} and id = any ($1)", file_ids)}
        return [found.get(file_id) for file_id in file_ids]

    async def with_digest(self, team_id: int, sha256: str, *, live: bool) -> Upload | None:
        """The team's latest file with these bytes; None when it has none, or it has expired."""
        own = "sha256 = $1 and team_id = $2 and live = $3 order by id desc limit 1"
        row = await self._db.fetchrow(f"{_UPLOADS} and {own}", bytes.fromhex(sha256), team_id, live)
        return None if row is None else Upload(*row)

    async def page(self, team_id: int, before: UUID | None, limit: int, *, live: bool) -> list[Upload]:
        """A team's files, newest first; with `before` those older than that one."""
        older = "team_id = $1 and live = $2 and ($3::uuid is null or id < $3) order by id desc limit $4"
        return [Upload(*row) for row in await self._db.fetch(f"{_UPLOADS} and {older}", team_id, live, before, limit)]

    async def delete(self, team_id: int, file_id: UUID, *, live: bool) -> None:
        """Delete a file: link and id stop working at once, the bytes are removed when no accepted task can need them.

        Raises NotFound, for another team's file too.
        """
        gone = "select results.delete_upload($1, $2, $3, $4)"
        if not await self._db.fetchval(gone, file_id, team_id, live, INPUT_TTL_S):
            raise NotFound(f"file '{file_name(file_id)}' not found")


async def redact_names(db: Pool | Connection, team_id: int, before: datetime) -> int:
    """Replace the names of files that a team uploaded before a time; returns how many had one of their own."""
    done = await db.execute(
        """update results.upload set filename = 'file.' || format
           where team_id = $1 and created_at < $2 and filename <> 'file.' || format""",
        team_id,
        before,
    )
    return int(done.rpartition(" ")[2])
