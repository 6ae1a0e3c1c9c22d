"""A team's uploads, and the files behind signed links."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from modellix_server.base.errors import NotFound, Unavailable
from modellix_server.base.ids import parse_file_name
from modellix_server.base.team_mode import TeamMode
from modellix_server.operations.context import ServingContext
from modellix_server.operations.principal import Permission, Principal
from modellix_server.results import (
    Opened,
    Upload,
    UploadBody,
    check_file_link,
    check_link,
    given_file,
    received_file,
    stored_input_path,
)
from modellix_server.tasks import ConcurrencyExceeded

_AT_ONCE = 8
"""Of a team in this process."""
_AT_ONCE_OF_ALL = 32
"""They occupy the spool meanwhile."""


async def receive(ctx: ServingContext, who: Principal, of: TeamMode, body: UploadBody) -> Upload:
    """Receive, examine and keep the one file of a multipart body.

    Raises InvalidFormat for one that is broken, OutOfRange when the team keeps too much, ConcurrencyExceeded,
    Unavailable, what `results.received_file` raises, and context.OUT_OF_REACH.
    """
    who.require(Permission.MANAGE_FILES, of)
    await ctx.uploads.require_room(of.team_id, 1, live=of.live)
    with _one_of_few(ctx.uploading, of.team_id):
        async with received_file(ctx.spool, ctx.aside, of.team_id, body) as file:
            about = (file.content, file.sha256, file.kind, file.filename)
            return await ctx.uploads.add(of.team_id, *about, live=of.live)


async def keep(ctx: ServingContext, who: Principal, of: TeamMode, filename: str, content: bytes) -> Upload:
    """Examine and keep a file that came inside another message. Raises what `receive` raises."""
    who.require(Permission.MANAGE_FILES, of)
    await ctx.uploads.require_room(of.team_id, len(content), live=of.live)
    with _one_of_few(ctx.uploading, of.team_id):
        file = await ctx.aside.run(of.team_id, given_file, filename, content)
        about = (file.content, file.sha256, file.kind, file.filename)
        return await ctx.uploads.add(of.team_id, *about, live=of.live)


@contextmanager
def _one_of_few(uploading: Counter[int], team_id: int) -> Iterator[None]:
    if uploading[team_id] >= _AT_ONCE:
        raise ConcurrencyExceeded(f"team limit of {_AT_ONCE} uploads at once", retry_after_s=5)
    if uploading.total() >= _AT_ONCE_OF_ALL:
        raise Unavailable("too many uploads at once", retry_after_s=5)
    uploading[team_id] += 1
    try:
        yield
    finally:
        uploading[team_id] -= 1
        if not uploading[team_id]:
            del uploading[team_id]


async def list_all(
    ctx: ServingContext, who: Principal, of: TeamMode, *, before: UUID | None = None, most: int
) -> list[Upload]:
    """Up to `most` files, the latest first; those older than `before` when it is given."""
    who.require(Permission.READ_FILES, of)
    return await ctx.uploads.page(of.team_id, before, most, live=of.live)


async def delete(ctx: ServingContext, who: Principal, of: TeamMode, file_id: UUID) -> None:
    """Delete a file: its link and id stop working at once, and its bytes no longer count. Raises NotFound."""
    who.require(Permission.MANAGE_FILES, of)
    await ctx.uploads.delete(of.team_id, file_id, live=of.live)


async def open_result(
    ctx: ServingContext, path: str, query: str, byte_range: str | None, if_range: str | None
) -> tuple[Opened, str]:
    """A result file, or a range of it, and its format, for the bearer of its signed link.

    Raises NotFound, FileNotFoundError, RangeNotSatisfiable, context.OUT_OF_REACH.
    """
    stored = check_link(ctx.settings, path, query)
    return await ctx.storage.open(stored, byte_range, if_range), stored.rpartition(".")[2]


async def open_input(
    ctx: ServingContext, path: str, query: str, byte_range: str | None, if_range: str | None
) -> tuple[Opened, str]:
    """An uploaded file by its id, or an input by its digest, as vendors fetch it; like `open_result`."""
    name, format_name = check_file_link(ctx.settings, path, query)
    file_id = parse_file_name(name)
    if file_id is None:
        return await ctx.storage.open(stored_input_path(name), byte_range, if_range), format_name
    upload = await ctx.uploads.find(file_id)
    if upload is None:
        raise NotFound("no such file")
    return await ctx.storage.open(upload.path, byte_range, if_range), upload.format
