"""Verifies the chain from its beginning and names every entry that was changed.

The hashes are computed here and not by the database's own function: whoever can change entries could have
changed that as well.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from modellix_server.base.database import Connection, Row

_BEGINNING = bytes(32)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})", re.ASCII)
_MOST_FINDINGS = 100


@dataclass(frozen=True, slots=True)
class Head:
    """The number and hash of an entry that was the latest one at some time."""

    seq: int
    hash: bytes

    @classmethod
    def of(cls, text: str) -> Head:
        """Read what `str` wrote; ValueError for anything else."""
        found = _HEAD.fullmatch(text.strip())
        if found is None:
            raise ValueError("not a head")
        return cls(int(found[1]), bytes.fromhex(found[2]))

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"


async def verify(db: Connection, noted: Iterable[Head] = ()) -> list[str]:
    """All errors in the log, each naming its entry; empty when there are none.

    Without a noted head the chain proves that no entry was changed; only a head proves that the end is complete.
    Run it in a REPEATABLE READ transaction.
    """
    wanted = {head.seq: head.hash for head in noted}
    found: list[str] = []
    last, last_hash = 0, _BEGINNING
    async for row in db.cursor(
        """select seq, at, actor, origin, action, subject, team_id, details::text, previous, hash
           from audit.audit_entry order by seq""",
        prefetch=1000,
    ):
        seq = row["seq"]
        if seq != last + 1:
            found.append(
                f"entry {last + 1} is missing" if seq == last + 2 else f"entries {last + 1} to {seq - 1} are missing"
            )
        elif row["previous"] != last_hash:
            found.append(f"entry {seq} does not follow the entry {last} that is there: one of them was changed")
        if row["hash"] != _hash(row):
            found.append(f"entry {seq} was changed")
        if wanted.pop(seq, row["hash"]) != row["hash"]:
            found.append(f"entry {seq} is not the one whose hash was noted")
        last, last_hash = seq, row["hash"]
        if len(found) >= _MOST_FINDINGS:
            return [*found, "and perhaps more"]
    wanted.pop(0, None)
    found += [f"entry {seq}, whose hash was noted, is missing" for seq in sorted(wanted)]
    head = await db.fetchrow("select seq, hash from audit.head")
    if head is None or (head["seq"], head["hash"]) != (last, last_hash):
        says = "nothing" if head is None else f"entry {head['seq']}"
        found.append(f"the log ends with entry {last}, and its end was noted as {says} with another hash")
    return found


def _hash(row: Row) -> bytes:
    fields = (
        str(row["seq"]),
        str((row["at"] - _EPOCH) // timedelta(microseconds=1)),
        *(row[name] for name in ("actor", "origin", "action", "subject")),
        "-" if row["team_id"] is None else str(row["team_id"]),
        row["details"],
    )
    encoded = (field.encode() for field in fields)
    digest: bytes = hashlib.sha256(row["previous"] + b"".join(b"%d:%s," % (len(one), one) for one in encoded)).digest()
    return digest
