"""The pages: every route, declared once with who may see it."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from modellix_server.console.dispatch import Audience, View, ViewEndpoint, not_found
from modellix_server.console.pages import (
    account,
    api_keys,
    billing,
    compare,
    emulated_checkout,
    files,
    frame,
    home,
    invitation,
    logs,
    models,
    outside,
    playground,
    sign_in,
    sign_in_again,
    statements,
    task,
    task_events,
    tasks,
    team,
    usage,
    webhooks,
)
from modellix_server.console.pages.operator import OPERATOR_PAGES
from modellix_server.console.render import Renderer
from modellix_server.operations.context import ServingContext
from modellix_server.operations.principal import Permission
from modellix_server.web.assets import Assets
from modellix_server.web.compression import LEAST_BYTES, LEVEL

_MODEL = "/console/models/{provider}/{model_id}"

PAGES: tuple[tuple[str, str, View, Audience, Permission | None], ...] = (
    ("GET", "/", home.welcome, Audience.PUBLIC, None),
    ("GET", "/sign-in", sign_in.show, Audience.PUBLIC, None),
    ("POST", "/sign-in", sign_in.send_code, Audience.PUBLIC, None),
    ("POST", "/sign-in/code", sign_in.use_code, Audience.PUBLIC, None),
    ("GET", "/sign-in/link/{token}", sign_in.offer_link, Audience.PUBLIC, None),
    ("POST", "/sign-in/link/{token}", sign_in.use_link, Audience.PUBLIC, None),
    ("POST", "/sign-in/with/{provider}", outside.start, Audience.PUBLIC, None),
    ("GET", "/sign-in/with/{provider}/callback", outside.come_back, Audience.PUBLIC, None),
    ("POST", "/sign-in/again", sign_in_again.send_code, Audience.SESSION, None),
    ("POST", "/sign-in/again/code", sign_in_again.use_code, Audience.SESSION, None),
    ("GET", "/sandbox/checkout/{checkout}", emulated_checkout.show, Audience.PUBLIC, None),
    ("POST", "/sandbox/checkout/{checkout}", emulated_checkout.act, Audience.PUBLIC, None),
    ("POST", "/sign-out", sign_in.sign_out, Audience.SESSION, None),
    ("GET", "/invitation/{token}", invitation.offer, Audience.PUBLIC, None),
    ("POST", "/invitation/{token}", invitation.accept, Audience.SESSION, None),
    ("GET", "/console", home.home, Audience.SESSION, None),
    ("POST", "/console/switch", frame.switch, Audience.SESSION, None),
    ("GET", "/models", models.show_public, Audience.PUBLIC, None),
    ("GET", "/models/{provider}/{model_id}", models.describe_public, Audience.PUBLIC, None),
    ("GET", "/console/compare", compare.show, Audience.TEAM, Permission.USE_MODELS),
    ("GET", "/console/compare/total", compare.total, Audience.TEAM, Permission.USE_MODELS),
    ("POST", "/console/compare", compare.run, Audience.TEAM, Permission.USE_MODELS),
    ("GET", "/console/models", models.show, Audience.TEAM, Permission.READ_MODELS),
    ("GET", _MODEL, playground.show, Audience.TEAM, Permission.READ_MODELS),
    ("POST", _MODEL, playground.show_typed, Audience.TEAM, Permission.READ_MODELS),
    ("POST", _MODEL + "/draft", playground.draft, Audience.TEAM, Permission.READ_MODELS),
    ("POST", _MODEL + "/run", playground.run, Audience.TEAM, Permission.USE_MODELS),
    ("GET", "/console/webhooks", webhooks.show, Audience.TEAM, Permission.READ_WEBHOOKS),
    ("POST", "/console/webhooks", webhooks.create, Audience.TEAM, Permission.MANAGE_WEBHOOKS),
    ("POST", "/console/webhooks/secret", webhooks.team_secret, Audience.TEAM, Permission.MANAGE_WEBHOOKS),
    (
        *("POST", "/console/webhooks/deliveries/{message_id}/replay", webhooks.replay),
        *(Audience.TEAM, Permission.MANAGE_WEBHOOKS),
    ),
    ("POST", "/console/webhooks/{endpoint_id}", webhooks.change, Audience.TEAM, Permission.MANAGE_WEBHOOKS),
    ("POST", "/console/webhooks/{endpoint_id}/delete", webhooks.delete, Audience.TEAM, Permission.MANAGE_WEBHOOKS),
    ("POST", "/console/webhooks/{endpoint_id}/rotate", webhooks.rotate, Audience.TEAM, Permission.MANAGE_WEBHOOKS),
    (
        "POST",
        "/console/webhooks/{endpoint_id}/replay",
        webhooks.replay_failed,
        Audience.TEAM,
        Permission.MANAGE_WEBHOOKS,
    ),
    ("GET", "/console/files", files.show, Audience.TEAM, Permission.READ_FILES),
    ("POST", "/console/files", files.add, Audience.TEAM, Permission.MANAGE_FILES),
    ("POST", "/console/files/{file_id}/delete", files.delete, Audience.TEAM, Permission.MANAGE_FILES),
    ("POST", "/console/files/upload", files.upload, Audience.TEAM, Permission.MANAGE_FILES),
    ("GET", "/console/tasks", tasks.listed, Audience.TEAM, Permission.READ_TASKS),
    ("GET", "/console/tasks/events", task_events.follow, Audience.TEAM, Permission.READ_TASKS),
    ("GET", "/console/tasks/{task_id}/card", task.card, Audience.TEAM, Permission.READ_TASKS),
    ("GET", "/console/tasks/{task_id}", task.show, Audience.TEAM, Permission.READ_TASKS),
    ("POST", "/console/tasks/{task_id}/again", task.run_again, Audience.TEAM, Permission.USE_MODELS),
    ("POST", "/console/tasks/{task_id}/cancel", task.cancel, Audience.TEAM, Permission.USE_MODELS),
    ("POST", "/console/tasks/{task_id}/result/delete", task.delete_result, Audience.TEAM, Permission.USE_MODELS),
    ("GET", "/console/logs", logs.listed, Audience.TEAM, Permission.READ_LOGS),
    ("GET", "/console/logs/download", logs.download, Audience.TEAM, Permission.READ_LOGS),
    ("GET", "/console/logs/{place}", logs.show, Audience.TEAM, Permission.READ_LOGS),
    ("GET", "/console/api-key", api_keys.show, Audience.TEAM, Permission.READ_KEYS),
    ("POST", "/console/api-key", api_keys.create, Audience.TEAM, Permission.MANAGE_OWN_KEYS),
    ("POST", "/console/api-key/env", api_keys.download, Audience.TEAM, Permission.MANAGE_OWN_KEYS),
    ("GET", "/console/api-key/{key_id:int}", api_keys.read, Audience.TEAM, Permission.MANAGE_OWN_KEYS),
    ("POST", "/console/api-key/{key_id:int}", api_keys.change, Audience.TEAM, Permission.MANAGE_OWN_KEYS),
    ("POST", "/console/api-key/{key_id:int}/rotate", api_keys.rotate, Audience.TEAM, Permission.MANAGE_OWN_KEYS),
    ("POST", "/console/api-key/{key_id:int}/revoke", api_keys.revoke, Audience.TEAM, Permission.MANAGE_OWN_KEYS),
    ("POST", "/console/api-key/{key_id:int}/delete", api_keys.delete, Audience.TEAM, Permission.MANAGE_OWN_KEYS),
    ("GET", "/console/usage", usage.show, Audience.TEAM, Permission.READ_MONEY),
    ("GET", "/console/usage/download", usage.download, Audience.TEAM, Permission.READ_MONEY),
    ("GET", "/console/billing", billing.show, Audience.TEAM, Permission.READ_MONEY),
    ("POST", "/console/billing/recharge", billing.recharge, Audience.TEAM, Permission.RECHARGE),
    ("GET", "/console/billing/recharges", statements.listed, Audience.TEAM, Permission.READ_MONEY),
    ("GET", "/console/billing/recharges/{recharge_id}", statements.receipt, Audience.TEAM, Permission.READ_MONEY),
    ("GET", "/console/billing/statement", statements.monthly, Audience.TEAM, Permission.READ_MONEY),
    ("GET", "/console/billing/statement/download", statements.download, Audience.TEAM, Permission.READ_MONEY),
    ("POST", "/console/billing/alerts", billing.add_alert, Audience.TEAM, Permission.READ_MONEY),
    ("POST", "/console/billing/alerts/budgets", billing.change_budget_alert, Audience.TEAM, Permission.READ_MONEY),
    (
        "POST",
        "/console/billing/alerts/{alert_id:int}/remove",
        billing.remove_alert,
        Audience.TEAM,
        Permission.READ_MONEY,
    ),
    ("POST", "/console/billing/redeem", billing.redeem, Audience.TEAM, Permission.RECHARGE),
    ("GET", "/console/team", team.show, Audience.TEAM, Permission.READ_TEAM),
    ("POST", "/console/team/invite", team.invite, Audience.TEAM, Permission.MANAGE_MEMBERS),
    (
        *("POST", "/console/team/invitations/{invitation_id:int}/withdraw", team.withdraw),
        *(Audience.TEAM, Permission.MANAGE_MEMBERS),
    ),
    ("POST", "/console/team/members/{user_id:int}/role", team.change_role, Audience.TEAM, Permission.MANAGE_MEMBERS),
    ("POST", "/console/team/members/{user_id:int}/remove", team.remove, Audience.TEAM, Permission.MANAGE_MEMBERS),
    ("POST", "/console/team/leave", team.leave, Audience.TEAM, None),
    ("POST", "/console/team/name", team.rename, Audience.TEAM, Permission.MANAGE_TEAM),
    ("POST", "/console/team/budget", team.change_budget, Audience.TEAM, Permission.MANAGE_TEAM),
    ("POST", "/console/team/inputs", team.keep_inputs, Audience.TEAM, Permission.MANAGE_TEAM),
    ("POST", "/console/team/end", team.end, Audience.TEAM, Permission.END_TEAM),
    ("POST", "/console/teams", team.create, Audience.SESSION, None),
    ("POST", "/console/invitations/{invitation_id:int}/accept", invitation.accept_own, Audience.SESSION, None),
    ("GET", "/console/account", account.show, Audience.SESSION, None),
    ("POST", "/console/account", account.change, Audience.SESSION, None),
    ("POST", "/console/account/sessions/{session_id:int}/end", account.end_session, Audience.SESSION, None),
    ("POST", "/console/account/sessions/others/end", account.end_other_sessions, Audience.SESSION, None),
    ("POST", "/console/account/link/{provider}", outside.start_linking, Audience.SESSION, None),
    ("POST", "/console/account/unlink", outside.unlink, Audience.SESSION, None),
    ("POST", "/console/account/delete", account.delete, Audience.SESSION, None),
    *((method, path, view, Audience.OPERATOR, None) for method, path, view in OPERATOR_PAGES),
)
"""Method, path, view, who may see it, and the permission that a member of the team needs."""


def build_console(ctx: ServingContext) -> Starlette:
    """The application of all pages."""
    assets = Assets(__package__)
    renderer = Renderer(ctx, assets)
    routes = [
        Route(path, ViewEndpoint(ctx, renderer, view, access, permission), methods=[method])
        for method, path, view, access, permission in PAGES
    ]
    app = Starlette(
        routes=[*routes, Route("/static/{name:path}", assets.endpoint, methods=["GET"])],
        middleware=[Middleware(GZipMiddleware, minimum_size=LEAST_BYTES, compresslevel=LEVEL)],
        exception_handlers={HTTPException: not_found(ctx, renderer)},
    )
    app.router.redirect_slashes = False
    return app
