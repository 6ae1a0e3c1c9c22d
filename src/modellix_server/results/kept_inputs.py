"""Media that an earlier request brought, used once more while it is kept."""

from __future__ import annotations

from dataclasses import dataclass

from modellix_server.base.database import Pool
from modellix_server.base.errors import InvalidFormat
from modellix_server.inspection import InputFile, Kind, Probed, Refused
from modellix_server.results.helper_process import Helper
from modellix_server.results.inputs import stored_input_path
from modellix_server.results.spool import Spool
from modellix_server.results.storage import Storage
from modellix_server.results.store import find_inputs


@dataclass(frozen=True, slots=True)
class KeptInputs:
    """The stored inputs of all teams, by their digests. Who names one must have proved that it is its own."""

    db: Pool
    storage: Storage
    helper: Helper
    spool: Spool

    async def examine(self, digest: str, team_id: int) -> InputFile:
        """A stored input, examined again for a team: for a submission it is as good as bytes in a body.

        Raises InvalidFormat when it is not kept any more, or cannot be used; storage.TROUBLE.
        """
        file = (await find_inputs(self.db, [digest])).get(digest)
        if file is None:
            raise InvalidFormat("the file is not kept any more")
        found = await self.look(stored_input_path(digest), file.kind, team_id)
        return InputFile(digest, file.mime, file.kind, file.size, None, found)

    async def look(self, stored: str, kind: Kind, team_id: int) -> Probed:
        """What a file of the storage is, an input or a result. Raises what `examine` raises."""
        path = self.spool.path()
        try:
            opened = await self.storage.open(stored)
            with path.open("xb") as copy:
                async for chunk in opened.chunks:
                    copy.write(chunk)
            found = await self.helper.probe(kind, path, team_id)
        except FileNotFoundError:
            raise InvalidFormat("the file is not kept any more") from None
        finally:
            path.unlink(missing_ok=True)
        if isinstance(found, Refused):
            raise InvalidFormat(found.why)
        return found
