"""The pages of operators: the whole platform, whatever team the visitor shows."""

from modellix_server.console.dispatch import View
from modellix_server.console.pages.operator import (
    announcements,
    audit,
    codes,
    doctor,
    ledger,
    operators,
    overview,
    prices,
    reviews,
    teams,
    vendors,
)

_ACCOUNT = "/operator/vendors/{upstream}/{name}"
_TEAM = "/operator/teams/{team_id:int}"

OPERATOR_PAGES: tuple[tuple[str, str, View], ...] = (
    ("GET", "/operator", overview.show),
    ("GET", "/operator/vendors", vendors.show),
    ("POST", "/operator/vendors", vendors.add),
    ("GET", _ACCOUNT, vendors.read),
    ("POST", _ACCOUNT, vendors.change),
    ("POST", _ACCOUNT + "/key", vendors.replace),
    ("POST", _ACCOUNT + "/test", vendors.check),
    ("POST", _ACCOUNT + "/disable", vendors.disable),
    ("POST", _ACCOUNT + "/enable", vendors.enable),
    ("GET", "/operator/teams", teams.show),
    ("POST", "/operator/teams", teams.create),
    ("GET", _TEAM, teams.read),
    ("POST", _TEAM + "/credit", teams.credit),
    ("POST", _TEAM + "/limits", teams.change_limits),
    ("POST", _TEAM + "/freeze", teams.freeze),
    ("POST", _TEAM + "/unfreeze", teams.unfreeze),
    ("GET", "/operator/prices", prices.show),
    ("GET", "/operator/prices/change", prices.preview),
    ("POST", "/operator/prices/change", prices.save),
    ("GET", "/operator/prices/history", prices.history),
    ("GET", "/operator/codes", codes.show),
    ("POST", "/operator/codes", codes.create),
    ("POST", "/operator/codes/{batch_id:int}/revoke", codes.revoke),
    ("GET", "/operator/announcements", announcements.show),
    ("POST", "/operator/announcements", announcements.add),
    ("POST", "/operator/announcements/{number:int}/end", announcements.end),
    ("GET", "/operator/reviews", reviews.show),
    ("POST", "/operator/reviews/{review_id:int}", reviews.decide),
    ("GET", "/operator/tasks/{task_id}", reviews.task),
    ("GET", "/operator/ledger", ledger.show),
    ("POST", "/operator/ledger/check", ledger.check),
    ("POST", "/operator/ledger/unfreeze", ledger.unfreeze),
    ("GET", "/operator/audit", audit.show),
    ("POST", "/operator/audit/verify", audit.verify),
    ("GET", "/operator/operators", operators.show),
    ("POST", "/operator/operators", operators.add),
    ("POST", "/operator/operators/{user_id:int}/remove", operators.remove),
    ("GET", "/operator/doctor", doctor.show),
    ("POST", "/operator/doctor", doctor.examine),
)
"""Method, path, view."""
