"""All SQL of the vault."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from modellix_server.base.database import Connection, Pool, Row
from modellix_server.base.envelope import CannotOpen, Keyring, SealBroken, UnknownMasterKey
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.sealed import SealedColumn, Tally
from modellix_server.base.secret import Secret


class OldForm(NamedTuple):
    """A key as version 0.1.0 stored it: AES-256-GCM directly under the master key, until a rotation."""

    ciphertext: bytes
    nonce: bytes
    key_id: str

    def open(self, keys: Sequence[Secret], *, upstream: str, base_url: str) -> str:
        """The vendor key; raises UnknownMasterKey, or SealBroken for a changed row."""
        bound = json.dumps([upstream, base_url]).encode()
        for key in keys:
            if self.key_id == old_key_id(key):
                try:
                    return AESGCM(key.derive("vault")).decrypt(self.nonce, self.ciphertext, bound).decode()
                except InvalidTag:
                    raise SealBroken("the stored key was changed, or is not where it was stored for") from None
        raise UnknownMasterKey(f"stored under the master key {self.key_id}, which is not given here")


def old_key_id(master: Secret) -> str:
    """The id by which version 0.1.0 refers to a master key; it reveals nothing about the key."""
    return master.derive("vault key id").hex()[:16]


class UnusableAccount(RuntimeError):
    """A stored key cannot be decrypted: the master key is another one, or the row was changed."""


ACCOUNT_KEYS = SealedColumn("vault.account", "sealed", row=("upstream",), bound=("upstream", "base_url"))
CANARY = SealedColumn("vault.canary", "sealed", row=("only_one",), bound=("only_one",))

MAIN = "main"
"""The account of an upstream that is meant when none is named."""

_COLUMNS = (
    "id, upstream, weight, enabled, base_url, region, sealed, origins, polls_per_s, updated_at, "
    "key_ciphertext, key_nonce, key_id"
)
_OF_UPSTREAM = "upstream = $1 or starts_with(upstream, $1 || '/')"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
_KEY_MOST = 4096
_WEIGHT_MOST = 100


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account at a vendor, with its key decrypted."""

    id: int
    upstream: str
    name: str
    weight: int
    """Its share of new submissions among the enabled accounts of the upstream: 1 to 100."""
    enabled: bool
    """False: it takes no new submissions; tasks that it has are polled to their end."""
    base_url: str
    """The only place the key is sent to."""
    region: str
    key: str = field(repr=False)
    origins: tuple[str, ...]
    """Further origins that results may come from."""
    polls_per_s: float | None
    """Instead of the vendor's usual limit on status queries."""


@dataclass(frozen=True, slots=True)
class ListedAccount:
    """An account as an operator sees it: of the key only the last four characters."""

    id: int
    upstream: str
    name: str
    weight: int
    enabled: bool
    base_url: str
    region: str
    last4: str | None
    """None when the key cannot be opened any more."""
    origins: tuple[str, ...]
    polls_per_s: float | None
    updated_at: datetime


async def set_account(
    db: Pool | Connection,
    keys: Keyring,
    upstream: str,
    key: str,
    *,
    name: str = MAIN,
    base_url: str,
    region: str,
    origins: Sequence[str] = (),
    polls_per_s: float | None = None,
    weight: int | None = None,
) -> None:
    """Store an account, replacing the one of the same name. Without `weight` it keeps its weight; the first is 1.

    The key is required each time, so that a stored key cannot be redirected to another address. Raises
    InvalidParameters.
    """
    if not key or len(key) > _KEY_MOST or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidParameters("the vendor key must be printable ASCII without spaces")
    if polls_per_s is not None and not 0 < polls_per_s <= 10_000:
        raise InvalidParameters(f"polls per second must be above 0 and at most 10000, got {polls_per_s}")
    if not _NAME.fullmatch(name):
        raise InvalidParameters("an account's name is 1 to 32 of a-z, 0-9, '-' and '_'")
    base_url, account = _checked(base_url), _address(upstream, name)
    await db.execute(
        """insert into vault.account as a (upstream, base_url, region, sealed, origins, polls_per_s, weight)
           values ($1, $2, $3, $4, $5, $6, coalesce($7, 1))
           on conflict (upstream) do update set
               base_url = excluded.base_url, region = excluded.region, sealed = excluded.sealed,
               key_ciphertext = null, key_nonce = null, key_id = null, origins = excluded.origins,
               polls_per_s = excluded.polls_per_s, weight = coalesce($7, a.weight), updated_at = now()""",
        account,
        base_url,
        region,
        keys.seal(key, *ACCOUNT_KEYS.context(account, base_url)),
        [_origin(origin) for origin in origins],
        polls_per_s,
        _checked_weight(weight),
    )


async def change_account(
    db: Pool | Connection, upstream: str, name: str = MAIN, *, weight: int | None = None, enabled: bool | None = None
) -> None:
    """Change the weight of an account, enable or disable it. Raises InvalidParameters or NotFound."""
    found = await db.fetchval(
        """update vault.account set weight = coalesce($2, weight), enabled = coalesce($3, enabled), updated_at = now()
           where upstream = $1 returning true""",
        _address(upstream, name),
        _checked_weight(weight),
        enabled,
    )
    if not found:
        raise NotFound(f"there is no account '{name}' at {upstream}")


async def open_account(db: Pool | Connection, keys: Keyring, upstream: str, name: str = MAIN) -> StoredAccount | None:
    """One account at an upstream, or None. Raises UnusableAccount if its key cannot be decrypted."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from vault.account where upstream = $1",  # noqa: S608 - a constant
        _address(upstream, name),
    )
    return None if row is None else _opened(row, keys)


async def open_accounts(
    db: Pool | Connection, keys: Keyring, upstream: str
) -> tuple[list[StoredAccount], list[UnusableAccount]]:
    """The accounts at an upstream, enabled ones first, then oldest first; and why others cannot be decrypted."""
    opened, unusable = [], []
    for row in await db.fetch(
        f"select {_COLUMNS} from vault.account where {_OF_UPSTREAM} order by enabled desc, id",  # noqa: S608
        upstream,
    ):
        try:
            opened.append(_opened(row, keys))
        except UnusableAccount as error:
            unusable.append(error)
    return opened, unusable


async def has_account(db: Pool | Connection, upstream: str, name: str) -> bool:
    """Whether there is an account of this name."""
    found: bool = await db.fetchval(
        "select exists (select from vault.account where upstream = $1)", _address(upstream, name)
    )
    return found


async def list_accounts(db: Pool | Connection, keys: Keyring) -> list[ListedAccount]:
    """All accounts, by upstream, oldest first."""
    rows = await db.fetch(
        f"select {_COLUMNS} from vault.account order by split_part(upstream, '/', 1), id"  # noqa: S608 - a constant
    )
    return [
        ListedAccount(*_facts(row), _last4(row, keys), tuple(row["origins"]), row["polls_per_s"], row["updated_at"])
        for row in rows
    ]


async def move_old_keys(db: Pool | Connection, keys: Keyring, *, dry_run: bool = False) -> Tally:
    """Seal keys that version 0.1.0 stored, row by row; a row that changes meanwhile is skipped."""
    tally = Tally()
    for row in await db.fetch(f"select {_COLUMNS} from vault.account where sealed is null order by upstream"):  # noqa: S608
        upstream, base_url = row["upstream"], row["base_url"]
        try:
            key = _key(row, keys)
        except CannotOpen as error:
            tally.unopened.append(f"{ACCOUNT_KEYS.table} {upstream}: {error}")
            continue
        if not dry_run:
            await db.execute(
                """update vault.account set sealed = $1, key_ciphertext = null, key_nonce = null, key_id = null
                   where upstream = $2 and base_url = $3 and key_ciphertext = $4""",
                keys.seal(key, *ACCOUNT_KEYS.context(upstream, base_url)),
                upstream,
                base_url,
                row["key_ciphertext"],
            )
        tally.rewrapped += 1
    return tally


async def old_key_ids(db: Pool | Connection) -> set[str]:
    """Ids of the master keys of values in the form of version 0.1.0."""
    return {row[0] for row in await db.fetch("select distinct key_id from vault.account where sealed is null")}


async def plant_canary(db: Pool | Connection, keys: Keyring, *, over: bytes | None = None) -> None:
    """Store a canary if there is none, or replace the given one."""
    sealed = keys.seal("canary", *CANARY.context("true"))
    if over is None:
        await db.execute("insert into vault.canary (sealed) values ($1) on conflict do nothing", sealed)
    else:
        await db.execute("update vault.canary set sealed = $1 where sealed = $2", sealed, over)


async def read_canary(db: Pool | Connection) -> bytes | None:
    """The stored canary; None before the first start."""
    sealed: bytes | None = await db.fetchval("select sealed from vault.canary")
    return sealed


def _key(row: Row, keys: Keyring) -> str:
    upstream, base_url = row["upstream"], row["base_url"]
    if row["sealed"] is not None:
        return keys.open(row["sealed"], *ACCOUNT_KEYS.context(upstream, base_url))
    old = OldForm(row["key_ciphertext"], row["key_nonce"], row["key_id"])
    return old.open(keys.keys, upstream=upstream, base_url=base_url)


def _opened(row: Row, keys: Keyring) -> StoredAccount:
    _, upstream, name, *_ = _facts(row)
    again = f"`admin upstream set {upstream}" + ("`" if name == MAIN else f" --account {name}`")
    try:
        key = _key(row, keys)
    except UnknownMasterKey:
        raise UnusableAccount(
            f"the key of account '{name}' at {upstream} was stored under another master key: set MODELLIX_MASTER_KEY "
            f"to that one, or give it in MODELLIX_OLD_MASTER_KEYS, or store the key again with {again}"
        ) from None
    except CannotOpen:
        raise UnusableAccount(
            f"the account '{name}' at {upstream} was changed in the database; store its key again with {again}"
        ) from None
    return StoredAccount(*_facts(row), key, tuple(row["origins"]), row["polls_per_s"])


def _address(upstream: str, name: str) -> str:
    """The primary key of the account's row: see migration 0027."""
    return upstream if name == MAIN else f"{upstream}/{name}"


def _facts(row: Row) -> tuple[int, str, str, int, bool, str, str]:
    """What both forms of an account begin with."""
    upstream, _, name = row["upstream"].partition("/")
    return row["id"], upstream, name or MAIN, row["weight"], row["enabled"], row["base_url"], row["region"]


def _last4(row: Row, keys: Keyring) -> str | None:
    try:
        return _key(row, keys)[-4:]
    except CannotOpen:
        return None


def _checked_weight(weight: int | None) -> int | None:
    if weight is not None and not 1 <= weight <= _WEIGHT_MOST:
        raise InvalidParameters(f"a weight is from 1 to {_WEIGHT_MOST}, got {weight}")
    return weight


def _checked(url: str) -> str:
    """Validate a URL that a key may be sent to: https, or http on this machine. Without its trailing slash."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # the port is checked by reading it
    except ValueError:
        raise InvalidParameters(f"not a URL: {url!r}") from None
    if parts.scheme not in ("https", "http") or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidParameters(f"not an https URL: {url!r}")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidParameters("the URL must have no user, query or fragment")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise InvalidParameters(f"a key is sent over https only, or over http to this machine: {url!r}")
    return url.rstrip("/")


def _origin(url: str) -> str:
    parts = urlsplit(_checked(url))
    if parts.path:
        raise InvalidParameters(f"an origin is scheme, host and port alone: {url!r}")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
