"""`ledger`: whether the money adds up, and which accounts take no new tasks because it does not."""

from typing import Annotated

import typer

from modellix_server.base.money import usd
from modellix_server.base.team_mode import TeamMode, mode_word
from modellix_server.cli.command import TestMode, command
from modellix_server.cli.context import CommandContext

app = typer.Typer(help="Check the ledger.", no_args_is_help=True)

_EVERYBODY = "(all teams)"


@command(app, "verify")
async def verify(context: CommandContext) -> int:
    """Check that balances, transfers, holds, captures, slots and tasks agree, as of one moment.

    Transfers that were sealed in the audit log must be as they were then, and that log as it was written.
    Exit code 0 when all is well, 1 when something does not add up.
    """
    from modellix_server.operations import reconciliation

    findings = await reconciliation.verify(context.operations, context.who)
    return context.show_findings(findings, none="The ledger is clean: balances, transfers, holds and tasks agree.")


@command(app, "frozen")
async def frozen(context: CommandContext) -> None:
    """Show the accounts that take no new tasks because their ledger was found wrong."""
    from modellix_server.ledger.monitor import ALL_TEAMS
    from modellix_server.operations import freezes

    def whose(team_id: int, name: str | None) -> str:
        if team_id == ALL_TEAMS:
            return _EVERYBODY
        return name or f"number {team_id}, which does not exist"

    rows = [
        {
            "team": whose(one.team_id, name),
            "mode": mode_word(live=one.live),
            "since": one.since,
            "reason": one.reason,
        }
        for one, name in await freezes.list_all(context.operations, context.who)
    ]
    context.show_all(rows, none="No account is frozen.")


@command(app, "unfreeze")
async def unfreeze(
    context: CommandContext,
    note: Annotated[str, typer.Option(help="What was wrong and what was done, for the audit log.")],
    team: Annotated[str | None, typer.Argument(help="Name of the team; without one, the freeze of all teams.")] = None,
    test: TestMode = False,
    restate: Annotated[
        bool, typer.Option("--restate", help="First make the balance what the transfers say, and end stray holds.")
    ] = False,
) -> None:
    """Let an account take new tasks again, once its ledger adds up."""
    from modellix_server.ledger.monitor import ALL_TEAMS
    from modellix_server.operations import freezes

    of = TeamMode(ALL_TEAMS, live=not test) if team is None else await context.team_mode(team, test=test)
    done = await freezes.unfreeze(context.operations, context.who, of, note, restate=restate)
    holds = {} if done.stray_holds is None else {"stray_holds": done.stray_holds}
    context.show(
        {
            "team": team or _EVERYBODY,
            "mode": of.mode,
            "note": note,
            "restated": restate,
            **holds,
            "available_usd": usd(done.balance.available),
        }
    )
