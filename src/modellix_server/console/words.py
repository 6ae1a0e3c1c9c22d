"""The names that pages give to roles, permissions and audit entries, in the reader's language."""

import json
import re

from modellix_server.audit import AuditEntry
from modellix_server.base.money import usd
from modellix_server.console.i18n import gettext as _
from modellix_server.console.i18n import pgettext
from modellix_server.identity import Role
from modellix_server.operations.principal import Permission


def role(value: Role | str) -> str:
    """`owner` as readers know it."""
    return {
        Role.OWNER: _("Owner"),
        Role.ADMIN: _("Admin"),
        Role.DEVELOPER: _("Developer"),
        Role.BILLING: pgettext("role", "Billing"),
        Role.VIEWER: _("Viewer"),
    }[Role(value)]


_RECHARGE = re.compile(r"recharge ([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b")
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    *(("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows")),
    *(("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux")),
)


def browser(agent: str) -> str:
    """`Firefox, Linux` of what a browser calls itself; all of it, where it says nothing that is known."""
    known = [next((name for mark, name in marks if mark in agent), "") for marks in (_BROWSERS, _SYSTEMS)]
    return ", ".join(filter(None, known)) if known[0] else agent


def category(value: str) -> str:
    """The kind of a refusal, which the API gives in English."""
    return {
        "Authentication failed": _("Authentication failed"),
        "Budget exceeded": _("Budget exceeded"),
        "Concurrent limit exceeded": _("Concurrent limit exceeded"),
        "Conflict": _("Conflict"),
        "Insufficient balance": _("Insufficient balance"),
        "Internal server error": _("Internal server error"),
        "Invalid format": _("Invalid format"),
        "Invalid parameters": _("Invalid parameters"),
        "Missing required parameter": _("Missing required parameter"),
        "Permission denied": _("Permission denied"),
        "Rate limit exceeded": _("Rate limit exceeded"),
        "Resource not found": _("Resource not found"),
        "Service unavailable": _("Service unavailable"),
        "Value out of range": _("Value out of range"),
    }.get(value, value)


def failure(code: str) -> str:
    """Why a task failed."""
    return {
        "canceled": _("Canceled"),
        "content_rejected": _("Content rejected"),
        "deadline": _("Deadline"),
        "invalid_input": _("Invalid input"),
        "quarantined": _("Quarantined"),
        "result_unavailable": _("Result unavailable"),
        "submission_outcome_unknown": _("Submission outcome unknown"),
        "upstream_refused": _("Upstream refused"),
    }.get(code, code)


def state(name: str) -> str:
    """What a task has come to, as its timeline says it."""
    return {
        "queued": _("Queued"),
        "preparing": _("Preparing the inputs"),
        "submitting": _("Sending to the vendor"),
        "running": _("Running at the vendor"),
        "storing": _("Storing the result"),
        "succeeded": _("Succeeded"),
        "failed": _("Ended without a result"),
    }.get(name, name)


def outcome(name: str) -> str:
    """What became of an attempt at a vendor."""
    return {
        "accepted": _("accepted"),
        "done": _("done at once"),
        "refused": _("refused"),
        "busy": _("busy, tried again later"),
        "not_sent": _("could not be sent"),
        "unknown": _("outcome unknown"),
    }.get(name, name)


def checked(name: str) -> str:
    """What the doctor looks at."""
    return {
        "settings": _("Settings"),
        "catalogue": pgettext("checked", "Catalogue"),
        "disk": _("Disk"),
        "storage": _("Storage"),
        "mail": _("Mail"),
        "API": _("API"),
        "sandbox": _("Sandbox"),
        "database": _("Database"),
        "clock": _("Clock"),
        "tables": _("Tables"),
        "workers": _("Workers"),
        "queue": _("Queue"),
        "vendors": _("Vendors"),
        "request log": _("Request log"),
        "outbox": _("Outbox"),
        "reviews": _("Reviews"),
        "frozen accounts": _("Frozen accounts"),
        "ledger": _("Ledger"),
    }.get(name, name)


def recharge_in(note: str) -> str | None:
    """The recharge that a note of the ledger is about (`operations.recharges`)."""
    found = _RECHARGE.match(note)
    return found[1] if found else None


def account(name: str) -> str:
    """An account of the ledger."""
    return {
        "team": pgettext("account", "team"),
        "held": pgettext("account", "held"),
        "revenue": pgettext("account", "revenue"),
    }.get(name, name)


def model_type(value: str) -> str:
    """`text-to-image` as readers know it."""
    return {
        "text-to-image": _("text to image"),
        "image-to-image": _("image to image"),
        "text-to-video": _("text to video"),
        "image-to-video": _("image to video"),
        "video-to-video": _("video to video"),
    }.get(value, value)


def permissions() -> dict[Permission, str]:
    """What roles differ in, in the order of the team page's table."""
    return {
        Permission.READ_MODELS: _("See models and prices"),
        Permission.USE_MODELS: _("Run models, cancel tasks, delete results"),
        Permission.READ_TASKS: _("See tasks, prompts and results"),
        Permission.READ_LOGS: _("See the request log"),
        Permission.READ_FILES: _("See uploaded files"),
        Permission.MANAGE_FILES: _("Upload and delete files"),
        Permission.READ_KEYS: _("See API keys"),
        Permission.MANAGE_OWN_KEYS: _("Create API keys, and revoke their own"),
        Permission.MANAGE_KEYS: _("Revoke API keys of others"),
        Permission.READ_WEBHOOKS: _("See webhooks and deliveries"),
        Permission.MANAGE_WEBHOOKS: _("Create and change webhooks"),
        Permission.READ_MONEY: _("See balance, ledger and usage"),
        Permission.RECHARGE: _("Recharge the account"),
        Permission.READ_TEAM: _("See the team's limits and policies"),
        Permission.READ_MEMBERS: _("See members, invitations and history"),
        Permission.MANAGE_MEMBERS: _("Invite, change and remove members"),
        Permission.MANAGE_OWNERS: _("Invite, change and remove owners"),
        Permission.MANAGE_TEAM: _("Change name, budgets and policies"),
        Permission.END_TEAM: _("End the team"),
    }


def action(entry: AuditEntry) -> str:
    """What was done; an action that has no words here keeps its own name."""
    return {
        "key.create": _("API key created"),
        "key.change": _("API key changed"),
        "key.rotate": _("API key rotated"),
        "key.tag": _("Tag of an API key changed"),
        "key.revoke": _("API key revoked"),
        "key.delete": _("API key deleted"),
        "key.leaked": _("Leaked API key revoked"),
        "ledger.freeze": _("Account frozen"),
        "ledger.unfreeze": _("Account unfrozen"),
        "member.invite": _("Invitation sent"),
        "member.withdraw": _("Invitation withdrawn"),
        "member.join": _("Member joined"),
        "member.role": _("Role changed"),
        "member.remove": _("Member left or was removed"),
        "team.create": _("Team created"),
        "team.rename": _("Team renamed"),
        "team.budget": _("Budget changed"),
        "team.inputs": _("Keeping of inputs changed"),
        "team.limits": _("Limits changed"),
        "team.credit": _("Credit granted"),
        "team.end": _("Team ended"),
        "webhook.create": _("Webhook created"),
        "webhook.change": _("Webhook changed"),
        "webhook.rotate": _("Webhook secret rotated"),
        "webhook.delete": _("Webhook deleted"),
        "webhook.replay": _("Webhook deliveries replayed"),
        "alert.budgets": _("Alerts of budgets changed"),
        "alert.add": _("Alert added"),
        "alert.remove": _("Alert removed"),
        "announcement.add": _("Announcement made"),
        "announcement.end": _("Announcement ended"),
        "backup.create": _("Backup made"),
        "code.create": _("Redemption codes made"),
        "code.redeem": _("Redemption code redeemed"),
        "code.revoke": _("Redemption codes revoked"),
        "identity.link": _("Way to sign in linked"),
        "identity.unlink": _("Way to sign in unlinked"),
        "ledger.check": _("Ledger checked"),
        "ledger.seal": _("Transfers sealed"),
        "operator.add": _("Operator added"),
        "operator.remove": _("Operator removed"),
        "price.set": _("Price set"),
        "price.clear": _("Price taken back"),
        "recharge.collect": _("Owed money collected"),
        "recharge.correct": _("Recharge corrected"),
        "recharge.paid": _("Recharge paid"),
        "recharge.start": _("Recharge started"),
        "review.decide": _("Review decided"),
        "session.confirm": _("Signed in again"),
        "session.end": _("Signed out"),
        "session.open": _("Signed in"),
        "sign_in.link": _("Sign-in link made"),
        "upstream.set": _("Vendor account stored"),
        "upstream.change": _("Vendor account changed"),
        "user.change": _("Account of a user changed"),
        "user.create": _("User signed up"),
        "user.delete": _("User deleted"),
        "vault.rotate": _("Master key rotated"),
    }.get(entry.action, entry.action)


def detail_name(name: str) -> str:
    """`available_micros` as `available`: what a detail of an audit entry is, in English."""
    return name.removesuffix("micros").removesuffix("_bp").strip("_").replace("_", " ") or "amount"


def details(entry: AuditEntry) -> str:
    """The values of an audit entry that say most."""
    found = json.loads(entry.details)
    match entry.action:
        case "member.role":
            return f"{role(found['before'])} → {role(found['role'])}"
        case "member.invite" | "member.join":
            return role(found["role"])
        case "team.rename":
            return f"{found['before']} → {found['name']}"
        case "team.credit" | "team.budget" if found.get("micros") is not None:
            return f"{usd(found['micros'])} USD"
        case "team.inputs" if found["days"] is not None:
            return str(found["days"])
        case _:
            return str(found.get("name") or "")
