"""Who acts, however they came in, and what they may do."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

import msgspec

from modellix_server.audit import Actor
from modellix_server.base.errors import PlatformError
from modellix_server.base.team_mode import TeamMode
from modellix_server.identity import AllowedModels, Caller, Role, Visitor


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
    MANAGE_OWN_KEYS = "create API keys, and revoke one's own"
    MANAGE_KEYS = "revoke API keys of others"
    READ_TEAM = "read the team and its limits"
    READ_MEMBERS = "read the members and what they did"
    MANAGE_MEMBERS = "invite, change and remove members"
    MANAGE_OWNERS = "invite, change and remove owners"
    MANAGE_TEAM = "change the team's name, budgets and policies"
    END_TEAM = "end the team"
    RECHARGE = "recharge the team's account"
    PAY = "pay for a recharge, and say that it was paid"
    """Without a credential: what is said is believed by its signature only, or asked for at the payment provider."""
    USE_ACCOUNT = "use one's own account and sessions"
    SIGN_IN = "sign in"
    REPORT_LEAKS = "report leaked API keys"
    OPERATE = "run the platform: teams, credit, vendor accounts, prices, reviews, audit, maintenance"


OF_ANYBODY = frozenset({Permission.READ_MODELS, Permission.REPORT_LEAKS, Permission.SIGN_IN, Permission.PAY})
"""Without a credential."""
OF_AN_API_KEY = frozenset(
    {
        Permission.USE_MODELS,
        Permission.READ_MODELS,
        Permission.READ_TASKS,
        Permission.READ_LOGS,
        Permission.READ_MONEY,
        Permission.READ_FILES,
        Permission.MANAGE_FILES,
        Permission.READ_WEBHOOKS,
        Permission.MANAGE_WEBHOOKS,
        Permission.READ_TEAM,
        Permission.REPORT_LEAKS,
    }
)
"""What an API key may do with its own team's things, in its own mode."""
OF_AN_OPERATOR = frozenset(Permission)

_OF_A_USER = frozenset(
    {Permission.PAY, Permission.USE_ACCOUNT, Permission.READ_MODELS, Permission.REPORT_LEAKS, Permission.SIGN_IN}
)
_OF_A_BILLING_MEMBER = _OF_A_USER | {Permission.READ_MONEY, Permission.READ_TEAM, Permission.RECHARGE}
_OF_A_VIEWER = _OF_A_USER | {
    Permission.READ_TASKS,
    Permission.READ_LOGS,
    Permission.READ_MONEY,
    Permission.READ_FILES,
    Permission.READ_WEBHOOKS,
    Permission.READ_TEAM,
    Permission.READ_MEMBERS,
}
_OF_A_DEVELOPER = _OF_A_VIEWER | {
    Permission.USE_MODELS,
    Permission.MANAGE_FILES,
    Permission.MANAGE_WEBHOOKS,
    Permission.READ_KEYS,
    Permission.MANAGE_OWN_KEYS,
}
_OF_AN_ADMIN = _OF_A_DEVELOPER | {
    Permission.MANAGE_KEYS,
    Permission.MANAGE_MEMBERS,
    Permission.MANAGE_TEAM,
    Permission.RECHARGE,
}
ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.OWNER: _OF_AN_ADMIN | {Permission.MANAGE_OWNERS, Permission.END_TEAM},
        Role.ADMIN: _OF_AN_ADMIN,
        Role.DEVELOPER: _OF_A_DEVELOPER,
        Role.BILLING: _OF_A_BILLING_MEMBER,
        Role.VIEWER: _OF_A_VIEWER,
    }
)
"""What a member of a team may do there: the table that the team page shows and every operation enforces."""


class Forbidden(PlatformError):
    """The principal does not have the permission."""

    status, category, code = 403, "Permission denied", "forbidden"


class SignInTooOld(Forbidden):
    """What is asked for needs a recent proof of who sits at the browser: it must sign in again."""

    code = "sign_in_again"


FRESH = timedelta(hours=12)
"""How old a sign-in may be for acts that weigh heavily."""


class Principal(msgspec.Struct, frozen=True):
    """Who acts: an API key, a session, the command line, or the system itself.

    A Struct, as TeamMode: one is made for each request, at a quarter of a frozen dataclass's cost.
    """

    id: str
    """For records: `key:7`, `user:3`, `admin:anna`, `first start`."""
    permissions: frozenset[Permission]
    origin: str
    """Address of a client, host of a command."""
    scope: TeamMode | None = None
    """The team and mode that it acts for; None for who acts for the whole platform."""
    key_id: int | None = None
    """Of the API key that signed the request."""
    concurrency: int = 0
    """Unfinished tasks that its team may have, as of its authentication."""
    user_id: int | None = None
    """Of the user at a signed-in browser."""
    session_id: int | None = None
    signed_in_at: datetime | None = None
    """When that user last proved who it is."""
    allowed: AllowedModels | None = None
    """The models that its API key may use; None: every one."""

    @property
    def actor(self) -> Actor:
        """As the audit log names it; of a user with the session."""
        origin = self.origin if self.session_id is None else f"{self.origin}, session {self.session_id}"
        return Actor(self.id, origin)

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

    def require_fresh(self) -> None:
        """Raise SignInTooOld for a user whose last sign-in is older than `FRESH`; nobody else signs in."""
        if self.signed_in_at is not None and datetime.now(UTC) - self.signed_in_at > FRESH:
            raise SignInTooOld("your last sign-in is too old for this: sign in again")


def api_key(caller: Caller, origin: str) -> Principal:
    """An API key, as the dispatcher authenticated it."""
    return Principal(
        f"key:{caller.key_id}",
        OF_AN_API_KEY,
        origin,
        TeamMode(caller.team_id, caller.live),
        caller.key_id,
        caller.concurrency,
        allowed=caller.allowed,
    )


def member(visitor: Visitor, scope: TeamMode, role: Role, origin: str) -> Principal:
    """A user at a signed-in browser, in one of its teams."""
    return _signed_in(visitor, ROLE_PERMISSIONS[role], origin, scope)


def user(visitor: Visitor, origin: str) -> Principal:
    """A user at a signed-in browser, for what belongs to no team; an operator may run the platform."""
    return _signed_in(visitor, OF_AN_OPERATOR if visitor.user.operator else _OF_A_USER, origin, None)


def _signed_in(visitor: Visitor, permissions: frozenset[Permission], origin: str, scope: TeamMode | None) -> Principal:
    session = visitor.session
    return Principal(
        f"user:{visitor.user.id}",
        permissions,
        origin,
        scope,
        user_id=visitor.user.id,
        session_id=session.id,
        signed_in_at=session.signed_in_at,
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
