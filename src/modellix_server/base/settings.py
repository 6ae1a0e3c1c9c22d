"""Settings: read once from the environment, typed, frozen; no room below `main` reads it for itself.

`main.home` fills the same fields from a data directory in the embedded mode.
"""

from __future__ import annotations

import ipaddress
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from modellix_server.base.addresses import Network
from modellix_server.base.envelope import Keyring, MasterKeys
from modellix_server.base.secret import Secret, weakness

__all__ = ["BadSettings", "Secret", "Settings", "load", "master_keys_of"]


class BadSettings(ValueError):
    """A variable is missing, malformed or too weak; the message names it."""


@dataclass(frozen=True)
class Settings:
    """Everything a process needs to know about where it runs. Times are seconds."""

    database_url: str = field(repr=False)
    """Application role: cannot change ledger transfers."""
    owner_database_url: str = field(repr=False)
    """Owner role: migrations and roles only."""
    storage_url: str
    """`file:///…`, `s3://…`, `gs://…` or `az://…`."""
    secret: Secret
    """Pepper of API keys and signature of result links."""
    master_key: Secret
    """Encrypts stored secrets of others: keys at vendors, signing secrets. Used through `keyring`."""
    sandbox_url: str
    """Origin of the emulators that test keys are sent to."""
    public_url: str = "http://127.0.0.1:8000"
    """Origin that result links are built from; never the Host header."""
    results_url: str = ""
    """Another origin for result links, so that files of vendors never share one with pages; empty: `public_url`."""
    host: str = "127.0.0.1"
    port: int = 8000
    spool_dir: str = field(default_factory=tempfile.gettempdir)
    """Local scratch space for files on their way to the storage."""
    allow_networks: tuple[Network, ...] = ()
    """Private ranges that outbound requests may reach (development)."""
    catalogue_dir: str | None = None
    """Operator's own model files, over the built-in ones."""
    lease_s: float = 30.0
    """A worker silent for this long has lost its tasks."""
    drain_s: float = 5.0
    """How long an API process that is asked to end still takes connections, so that load balancers notice."""
    result_ttl_s: int = 86_400
    """Results are deleted this long after completion."""
    upload_ttl_s: int = 7 * 86_400
    """Uploaded files are deleted this long after they came."""
    upload_quota_bytes: int = 2_000_000_000
    """Of files that a team may keep at once, in each mode."""
    log_level: str = "info"
    metrics_address: str = ""
    """`HOST:PORT` where this process answers `GET /metrics`; empty: nowhere."""
    old_master_keys: tuple[Secret, ...] = ()
    """Former master keys, which still open what they sealed until a rotation has seen to it."""
    reread_master_keys: Callable[[], MasterKeys] | None = field(default=None, compare=False)
    """Asks again for the master keys, where they can change under a running process (embedded mode)."""

    @cached_property
    def keyring(self) -> Keyring:
        """Seals and opens what is stored encrypted."""
        return Keyring(self.master_key, self.old_master_keys, reread=self.reread_master_keys)

    @cached_property
    def public_origin(self) -> str:
        """`public_url` without a trailing slash."""
        return self.public_url.rstrip("/")

    @cached_property
    def results_origin(self) -> str:
        """Where result links lead, without a trailing slash."""
        return (self.results_url or self.public_url).rstrip("/")


def load(env: Mapping[str, str], given: Mapping[str, str] | None = None) -> Settings:
    """Settings from `MODELLIX_*` variables over `given` defaults (field names); BadSettings names what is wrong."""
    values = {**(given or {})}
    values |= {
        name.removeprefix("MODELLIX_").lower(): value for name, value in env.items() if name.startswith("MODELLIX_")
    }

    def need(name: str) -> str:
        if not values.get(name):
            raise BadSettings(f"MODELLIX_{name.upper()} is not set")
        return values[name]

    def number(name: str, default: float) -> float:
        try:
            return float(values.get(name) or default)
        except ValueError:
            raise BadSettings(f"MODELLIX_{name.upper()} is not a number: {values[name]!r}") from None

    secret, (master_key, old_master_keys) = _given_secret("secret", need("secret")), master_keys_of(values)
    if secret == master_key:
        raise BadSettings("MODELLIX_MASTER_KEY must not be the same as MODELLIX_SECRET")
    port = int(number("port", 8000))
    host = values.get("host") or "127.0.0.1"
    return Settings(
        database_url=need("database_url"),
        owner_database_url=values.get("owner_database_url") or need("database_url"),
        storage_url=need("storage_url"),
        secret=secret,
        master_key=master_key,
        sandbox_url=need("sandbox_url"),
        public_url=values.get("public_url") or f"http://{host}:{port}",
        results_url=values.get("results_url", ""),
        host=host,
        port=port,
        spool_dir=values.get("spool_dir") or tempfile.gettempdir(),
        allow_networks=_networks(values.get("allow_networks", "")),
        catalogue_dir=values.get("catalogue_dir") or None,
        lease_s=_at_least(1, "lease_s", number("lease_s", 30)),
        drain_s=_at_least(0, "drain_s", number("drain_s", 5)),
        result_ttl_s=int(number("result_ttl_s", 86_400)),
        upload_ttl_s=int(_at_least(60, "upload_ttl_s", number("upload_ttl_s", 7 * 86_400))),
        upload_quota_bytes=int(_at_least(0, "upload_quota_bytes", number("upload_quota_bytes", 2_000_000_000))),
        log_level=values.get("log_level") or "info",
        metrics_address=values.get("metrics_address", ""),
        old_master_keys=old_master_keys,
    )


def master_keys_of(values: Mapping[str, str]) -> MasterKeys:
    """The master keys among values named like the fields of `Settings`; BadSettings names what is wrong."""
    if not values.get("master_key"):
        raise BadSettings("MODELLIX_MASTER_KEY is not set")
    old = (part.strip() for part in values.get("old_master_keys", "").split(","))
    return (
        _given_secret("master_key", values["master_key"]),
        tuple(_given_secret("old_master_keys", part) for part in old if part),
    )


def _given_secret(name: str, text: str) -> Secret:
    try:
        secret = Secret.of(text)
    except ValueError as error:
        raise BadSettings(f"MODELLIX_{name.upper()} {error}") from None
    if why := weakness(secret):
        raise BadSettings(f"MODELLIX_{name.upper()} {why}: make one with `openssl rand -base64 32`")
    return secret


def _at_least(least: float, name: str, value: float) -> float:
    if not value >= least:
        raise BadSettings(f"MODELLIX_{name.upper()} must be {least:g} or more, not {value:g}")
    return value


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise BadSettings(f"MODELLIX_ALLOW_NETWORKS: {error}") from None
