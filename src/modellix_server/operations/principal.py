"""Who acts, however they came in, and what they may do."""

from enum import StrEnum

import msgspec

from modellix_server.audit import Actor
from modellix_server.base.errors import PlatformError
from modellix_server.base.team_mode import TeamMode
from modellix_server.identity import Caller


class Permission(StrEnum):
    """A named right; each operation requires one (`operations.table`)."""

    __hash__ = str.__hash__  # on the hot path; that of Enum is a Python function

    USE_MODELS = "use models"
    """Submit, quote, cancel, delete results."""
    READ_MODELS = "read models and prices"
    READ_TASKS = "read tasks and their results"
    READ_LOGS = "read the request log"
    READ_MONEY = "read balance, ledger and usage"
    READ_FILES = "read uploads"
    MANAGE_FILES = "upload and delete files"
    READ_WEBHOOKS = "read webhooks and deliveries"
    MANAGE_WEBHOOKS = "create and change webhooks"
    READ_KEYS = "read API keys"
    MANAGE_KEYS = "create and revoke API keys"
    READ_TEAM = "read the team and its limits"
    REPORT_LEAKS = "report leaked API keys"
    OPERATE = "run the platform: teams, credit, vendor accounts, prices, reviews, audit, maintenance"


OF_ANYBODY = frozenset({Permission.REPORT_LEAKS})
"""Without a credential."""
OF_AN_API_KEY = frozenset(Permission) - {
    Permission.READ_KEYS,
    Permission.MANAGE_KEYS,
    Permission.OPERATE,
}
"""What an API key may do with its own team's things, in its own mode."""
OF_AN_OPERATOR = frozenset(Permission)


class Forbidden(PlatformError):
    """The principal does not have the permission."""

    status, category, code = 403, "Permission denied", "forbidden"


class Principal(msgspec.Struct, frozen=True):
    """Who acts: an API key, a session, the command line, or the system itself.

    A Struct, as TeamMode: one is made for each request, at a quarter of a frozen dataclass's cost.
    """

    id: str
    """For records: `key:7`, `admin:anna`, `first start`."""
    permissions: frozenset[Permission]
    origin: str
    """Address of a client, host of a command."""
    scope: TeamMode | None = None
    """The team and mode that it acts for; None for who acts for the whole platform."""
    key_id: int | None = None
    """Of the API key that signed the request."""
    concurrency: int = 0
    """Unfinished tasks that its team may have, as of its authentication."""

    @property
    def actor(self) -> Actor:
        """As the audit log names it."""
        return Actor(self.id, self.origin)

    @property
    def team(self) -> TeamMode:
        """The team and mode that it acts for. Raises Forbidden when it acts for none."""
        if self.scope is None:
            raise Forbidden("this needs a team")
        return self.scope

    def require(self, permission: Permission, of: TeamMode | None = None) -> None:
        """Raise Forbidden without the permission, or when `of` is another team's or of another mode."""
        scope = self.scope
        elsewhere = of is not scope and of is not None and scope is not None and of != scope
        if elsewhere or permission not in self.permissions:
            raise Forbidden(f"you may not {permission}")


def api_key(caller: Caller, origin: str) -> Principal:
    """An API key, as the dispatcher authenticated it."""
    return Principal(
        f"key:{caller.key_id}",
        OF_AN_API_KEY,
        origin,
        TeamMode(caller.team_id, caller.live),
        caller.key_id,
        caller.concurrency,
    )


def anybody(origin: str) -> Principal:
    """A client without a credential."""
    return Principal("anybody", OF_ANYBODY, origin)


def operator(user: str, origin: str) -> Principal:
    """Somebody at the command line of this installation, who may do everything."""
    return Principal(f"admin:{user}", OF_AN_OPERATOR, origin)


def system(name: str, origin: str) -> Principal:
    """The platform itself, by what it is doing: `first start`, `ledger monitor`."""
    return Principal(name, OF_AN_OPERATOR, origin)
