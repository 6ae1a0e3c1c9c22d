"""`admin upstream`: the operator's accounts at the vendors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modellix_server.cli.command import command
from modellix_server.cli.context import UNREACHED, CommandContext

if TYPE_CHECKING:
    from modellix_server.tasks import Breaker
    from modellix_server.vault import ListedAccount

app = typer.Typer(help="Your accounts at the vendors.", no_args_is_help=True)

UpstreamName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the upstream, such as dashscope.")]
AccountName = Annotated[str, typer.Option("--account", help="Which of your accounts there.")]
Weight = Annotated[
    int | None, typer.Option(help="Share of new tasks among your enabled accounts there, 1 to 100; 1 at first.")
]
_MAIN = "main"  # vault.MAIN, without its imports


@command(app, "set")
async def store(
    context: CommandContext,
    upstream: UpstreamName,
    account: AccountName = _MAIN,
    weight: Weight = None,
    base_url: Annotated[str | None, typer.Option(help="Instead of the vendor's usual address.")] = None,
    region: Annotated[str | None, typer.Option(help="The vendor's region of the account.")] = None,
    result_origin: Annotated[
        list[str] | None, typer.Option(help="A further origin that results may come from; may be repeated.")
    ] = None,
    polls_per_second: Annotated[float | None, typer.Option(help="Instead of the vendor's usual limit.")] = None,
) -> None:
    """Store your account at a vendor. The key is read from standard input, or asked for at a terminal."""
    from modellix_server.operations import vendor_accounts

    vendor_accounts.find_upstream(upstream)  # before a key is asked for
    stored = await vendor_accounts.store(
        context.operations,
        context.who,
        upstream,
        _read_key(upstream),
        name=account,
        base_url=base_url,
        region=region,
        origins=result_origin or [],
        polls_per_s=polls_per_second,
        weight=weight,
    )
    context.show(_row(stored))


@command(app, "list")
async def list_all(context: CommandContext) -> None:
    """Show your accounts at vendors; of each key only the end."""
    from modellix_server.operations import vendor_accounts
    from modellix_server.upstreams import load_all

    found = await vendor_accounts.list_all(context.operations, context.who)
    context.show_all(
        [{**_row(one.account), "answers": _answers(one.breaker)} for one in found],
        none=f"No vendor accounts: live requests get 503. Known upstreams: {', '.join(load_all())}",
    )


@command(app, "test")
async def check_key(context: CommandContext, upstream: UpstreamName, account: AccountName = _MAIN) -> int:
    """Ask the vendor whether it takes the key. Costs nothing; exit code 1 when refused, 3 when not reached."""
    from modellix_server.operations import vendor_accounts

    check = await vendor_accounts.check_key(context.operations, context.who, upstream, account)
    context.show(
        {
            "upstream": upstream,
            "account": account,
            "verdict": check.verdict,
            "http_status": check.http_status,
            "vendor_says": check.vendor_says,
        }
    )
    return {vendor_accounts.ACCEPTED: 0, vendor_accounts.UNREACHABLE: UNREACHED}.get(check.verdict, 1)


@command(app, "enable")
async def enable(
    context: CommandContext, upstream: UpstreamName, account: AccountName = _MAIN, weight: Weight = None
) -> None:
    """Let an account take new tasks; with --weight, another share of them."""
    await _change(context, upstream, account, enabled=True, weight=weight)


@command(app, "disable")
async def disable(context: CommandContext, upstream: UpstreamName, account: AccountName = _MAIN) -> None:
    """Send no new tasks to an account; those that it has are followed to their end."""
    await _change(context, upstream, account, enabled=False, weight=None)


async def _change(context: CommandContext, upstream: str, account: str, *, enabled: bool, weight: int | None) -> None:
    from modellix_server.operations import vendor_accounts

    changed = await vendor_accounts.change(
        context.operations, context.who, upstream, account, enabled=enabled, weight=weight
    )
    context.show(_row(changed))


def _read_key(name: str) -> str:
    """The vendor's key, never from the command line, where every process of the machine could read it."""
    if sys.stdin.isatty():
        return str(typer.prompt(f"API key of {name}", hide_input=True)).strip()
    return sys.stdin.readline().strip()


def _answers(broken: Breaker | None) -> str:
    if broken is None:
        return "yes"
    return f"no, since {broken.opened_at:%Y-%m-%d %H:%M} UTC: {broken.reason}"


def _row(one: ListedAccount) -> dict[str, Any]:
    return {
        "upstream": one.upstream,
        "account": one.name,
        "enabled": one.enabled,
        "weight": one.weight,
        "base_url": one.base_url,
        "region": one.region,
        "key": f"…{one.last4}" if one.last4 else "cannot be opened: stored under another master key, or changed",
        "result_origins": list(one.origins),
        "polls_per_s": one.polls_per_s,
        "updated_at": one.updated_at,
    }
