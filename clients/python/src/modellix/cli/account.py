"""Commands about the key and the team: sign in, money, requests."""

from __future__ import annotations

import os
import sys
import time
from itertools import islice

import click

from modellix import Client, _settings, errors
from modellix.cli import output
from modellix.cli.catalogue import AS_JSON
from modellix.types import Budget, Call

_KEYS_PAGE = "/console/api-key"
_LOGS = "/api/v1/logs"
_FOLLOW_S = 2.0


@click.command()
@click.option("--base-url", default=_settings.LOCAL, envvar="MODELLIX_BASE_URL", help="Where the platform is.")
@click.option("--key-stdin", is_flag=True, help="Read the key from standard input, also from a terminal.")
@click.option("--browser/--no-browser", default=True, help="Open the page of API keys.")
@AS_JSON
def login(base_url: str, *, key_stdin: bool, browser: bool, json: bool) -> None:
    """Save an API key for this user.

    It is made on the console's page of API keys, which is opened, and pasted here. Where standard input is no terminal,
    the key is read from there.
    """
    origin = _settings.origin_of(base_url)
    if key_stdin or not sys.stdin.isatty():
        text = sys.stdin.readline()
    else:
        page = origin + _KEYS_PAGE
        output.note(f"Make an API key and paste it here: {output.bold(page)}")
        if browser:
            import webbrowser

            webbrowser.open(page)
        text = click.prompt("API key", hide_input=True)
    access = _settings.Access(origin, _settings.key_of(text))
    with Client(access.key, base_url=origin) as client:
        key = client.key()
    file = _settings.save(access)
    if json:
        output.as_json({"signed_in": True, "base_url": origin, "key": key, "file": str(file)})
    output.note(
        f"Signed in to {origin} with the {key.mode} key {output.bold(key.name)} ({key.looks_like}); saved in {file}"
    )
    for name in ("MODELLIX_API_KEY", "MODELLIX_BASE_URL"):
        if os.environ.get(name):
            output.note(click.style(f"{name} is set, and is used in place of what was saved.", fg="yellow"))


@click.command()
@AS_JSON
def logout(*, json: bool) -> None:
    """Forget the saved key. It stays valid: revoke it in the console."""
    _settings.config_file().unlink(missing_ok=True)
    if json:
        output.as_json({"signed_in": False})


@click.command()
@AS_JSON
def keys(*, json: bool) -> None:
    """Show what the key in use may do, and what it has spent."""
    with Client() as client:
        key, page = client.key(), client.base_url + _KEYS_PAGE
    if json:
        output.as_json(key)
        return
    may = [*(key.types or ()), *(key.models or ())]
    rows = [
        ("key", f"{key.name} ({key.looks_like})"),
        ("mode", key.mode),
        ("made", output.moment(key.created_at)),
        ("expires", output.moment(key.expires_at) if key.expires_at else "never"),
        ("models", ", ".join(may) or "all"),
        ("requests a minute", f"{key.limits.requests_per_minute} (team: {key.limits.team_requests_per_minute})"),
        ("tasks at a time", f"{key.limits.team_running_tasks} of the team"),
        ("budget", _budget(key.budget)),
        ("budget of the team", _budget(key.team_budget)),
    ]
    output.table(("", ""), rows)
    output.note(f"All keys of the team: {page}")


def _budget(budget: Budget | None) -> str:
    if budget is None:
        return "none"
    return f"{output.usd(budget.left)} left of {output.usd(budget.amount)}, {budget.period}"


@click.command()
@AS_JSON
def balance(*, json: bool) -> None:
    """Show what the team has left."""
    with Client() as client:
        amount = client.balance()
    if json:
        output.as_json({"balance": amount})
    else:
        click.echo(output.usd(amount))


@click.command()
@click.option("--by", type=click.Choice(["day", "model", "key", "member", "tag"]), default="day", show_default=True)
@click.option("--since", help="ISO 8601, such as 2026-11-01.")
@click.option("--until", help="ISO 8601; not included.")
@AS_JSON
def usage(by: str, since: str | None, until: str | None, *, json: bool) -> None:
    """Sum up tasks and their cost."""
    with Client() as client:
        found = client.usage(by=by, since=since, until=until)
    if json:
        output.as_json(found)
        return
    rows = [
        (
            one.day or one.model or one.key_name or one.member_name or one.tag or "-",
            str(one.succeeded),
            str(one.failed),
            output.usd(one.cost),
        )
        for one in found
    ]
    output.table((by, "succeeded", "failed", "cost"), rows, right=("succeeded", "failed", "cost"))


@click.command()
@click.option("--status", help="404, 4xx or refused.")
@click.option("--task", "task_id", help="Of one task.")
@click.option("--request", "request_id", help="X-Request-Id of an answer.")
@click.option("--follow", "-f", is_flag=True, help="Go on with new ones, until Ctrl-C.")
@click.option("--limit", type=click.IntRange(min=0), default=20, help="At most so many of the past.", show_default=True)
@click.option("--json", is_flag=True, help="Print JSON Lines.")
def logs(
    status: str | None, task_id: str | None, request_id: str | None, limit: int, *, follow: bool, json: bool
) -> None:
    """Show the requests to the API, oldest first.

    With --follow those for the log itself are left out.
    """
    seen: set[tuple[object, ...]] = set()
    since = None
    with Client() as client:
        while True:
            found = client.logs(status=status, task_id=task_id, request_id=request_id, since=since)
            try:
                new = [one for one in (found if since else islice(found, limit)) if _name(one) not in seen]
            except (errors.ConnectionFailed, errors.ServerError, errors.RateLimited):
                if not follow:
                    raise
                new = []
            for call in reversed(new):
                if not follow or call.path != _LOGS:  # or whoever follows would see nothing but that
                    output.as_json_line(call) if json else click.echo(_line(call))
            seen = {_name(one) for one in new} or seen
            since = new[0].at.isoformat() if new else since or _now()
            if not follow:
                return
            time.sleep(_FOLLOW_S)


def _name(call: Call) -> tuple[object, ...]:
    return call.at, call.request_id, call.path


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _line(call: Call) -> str:
    took = "-" if call.latency_ms is None else f"{call.latency_ms:.0f} ms"
    cost = f"  {output.usd(call.cost)}" if call.cost else ""
    color = "red" if call.status >= 500 else "yellow" if call.status >= 400 else "green"
    told = click.style(str(call.status), fg=color)
    what = f"{call.method} {call.path}"
    return f"{output.moment(call.at)}  {told}  {took:>8}  {what}{cost}  {call.request_id or ''}"


COMMANDS = (login, logout, keys, balance, usage, logs)
