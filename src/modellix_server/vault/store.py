"""All SQL of the vault."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from modellix_server.base.database import Connection, Pool, Row
from modellix_server.base.errors import InvalidParameters
from modellix_server.base.settings import Secret
from modellix_server.vault import sealing
from modellix_server.vault.errors import UnusableAccount
from modellix_server.vault.sealing import Sealed

_COLUMNS = "upstream, base_url, region, key_ciphertext, key_nonce, key_id, origins, polls_per_s, updated_at"
_KEY_MOST = 4096


@dataclass(frozen=True, slots=True)
class Account:
    """An account at a vendor, opened."""

    upstream: str
    base_url: str
    """The only place the key is sent to."""
    region: str
    key: str = field(repr=False)
    origins: tuple[str, ...]
    """Further origins that results may come from."""
    polls_per_s: float | None
    """Instead of the vendor's usual limit on status queries."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An account for people: of the key only the end."""

    upstream: str
    base_url: str
    region: str
    last4: str | None
    """None when the key cannot be opened any more."""
    origins: tuple[str, ...]
    polls_per_s: float | None
    updated_at: datetime


async def set_account(
    db: Pool | Connection,
    master: Secret,
    upstream: str,
    key: str,
    *,
    base_url: str,
    region: str,
    origins: Sequence[str] = (),
    polls_per_s: float | None = None,
) -> None:
    """Store an account, over the former one of this upstream.

    The key is asked for each time, so nobody can point a stored one at another address. Raises
    InvalidParameters for a key or an address that cannot be right.
    """
    if not key or len(key) > _KEY_MOST or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidParameters("the vendor key must be printable ASCII without spaces")
    if polls_per_s is not None and not 0 < polls_per_s <= 10_000:
        raise InvalidParameters(f"polls per second must be above 0 and at most 10000, got {polls_per_s}")
    base_url = _checked(base_url)
    sealed = sealing.seal(key, master, upstream=upstream, base_url=base_url)
    await db.execute(
        f"""insert into vault.account ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, now())
            on conflict (upstream) do update set
                base_url = excluded.base_url, region = excluded.region, key_ciphertext = excluded.key_ciphertext,
                key_nonce = excluded.key_nonce, key_id = excluded.key_id, origins = excluded.origins,
                polls_per_s = excluded.polls_per_s, updated_at = excluded.updated_at""",  # noqa: S608 - a constant
        upstream,
        base_url,
        region,
        *sealed,
        [_origin(origin) for origin in origins],
        polls_per_s,
    )


async def open_account(db: Pool | Connection, master: Secret, upstream: str) -> Account | None:
    """The account at an upstream, None without one; raises UnusableAccount when its key cannot be opened."""
    row = await db.fetchrow(f"select {_COLUMNS} from vault.account where upstream = $1", upstream)  # noqa: S608
    if row is None:
        return None
    return Account(
        row["upstream"], row["base_url"], row["region"], _key(row, master), tuple(row["origins"]), row["polls_per_s"]
    )


async def list_accounts(db: Pool | Connection, master: Secret) -> list[Listed]:
    """Every account, by name of the upstream."""
    rows = await db.fetch(f"select {_COLUMNS} from vault.account order by upstream")  # noqa: S608 - a constant
    return [
        Listed(
            row["upstream"],
            row["base_url"],
            row["region"],
            _last4(row, master),
            tuple(row["origins"]),
            row["polls_per_s"],
            row["updated_at"],
        )
        for row in rows
    ]


def _key(row: Row, master: Secret) -> str:
    sealed = Sealed(row["key_ciphertext"], row["key_nonce"], row["key_id"])
    return sealing.unseal(sealed, master, upstream=row["upstream"], base_url=row["base_url"])


def _last4(row: Row, master: Secret) -> str | None:
    try:
        return _key(row, master)[-4:]
    except UnusableAccount:
        return None


def _checked(url: str) -> str:
    """An address a key may be sent to, without a trailing slash: https, or plain http on this machine."""
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
