"""Invitations to a team: sent by mail, accepted by whoever signs in with the address."""

from collections.abc import Sequence

from modellix_server import audit, identity, mail
from modellix_server.base.database import Connection
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.identity import Invitation, Role
from modellix_server.operations.context import Context
from modellix_server.operations.members import needed_for, require_now
from modellix_server.operations.principal import Forbidden, Permission, Principal

_PATH = "/invitation/"


async def list_of_team(ctx: Context, who: Principal) -> list[Invitation]:
    """The invitations to the principal's team that nobody has accepted yet, oldest first."""
    who.require(Permission.READ_MEMBERS)
    return await identity.invitations_of_team(ctx.db, who.team.team_id)


async def invite(
    ctx: Context, who: Principal, email: str, role: Role, *, language: str | None = None
) -> tuple[str, int]:
    """Invite an address for 7 days, once, in place of an invitation before. Returns its link and number.

    It is sent by mail where mail can be sent. `language` is for somebody who is no user yet. Raises InvalidParameters
    for what is no address or a member's, Forbidden, SignInTooOld, TooManyInvitations.
    """
    who.require(Permission.MANAGE_MEMBERS)
    who.require_fresh()
    to, team_id = identity.plain_email(email), who.team.team_id
    assert who.user_id is not None
    async with ctx.transaction() as tx:
        team = await require_now(tx, who, *needed_for(role))
        user = await identity.user_by_email(tx, to)
        if user is not None and await identity.role_of(tx, team_id, user.id):
            raise InvalidParameters("this user belongs to the team already")
        token, number = await identity.create_invitation(tx, team_id, to, role, who.user_id)
        link = ctx.settings.public_origin + _PATH + token
        inviter = await identity.find_user(tx, who.user_id)
        if not mail.missing_settings(ctx.settings):
            await mail.enqueue(
                tx,
                to,
                "invitation",
                {
                    "team": mail.harmless(team.name),
                    "inviter": mail.harmless(inviter.name),
                    "role": role.value,
                    "email": to,
                    "link": link,
                },
                language=(user.language if user else None) or language,
                useless_after_s=identity.INVITATION_LASTS.total_seconds(),
            )
        await audit.record(tx, who.actor, "member.invite", f"address:{to}", team_id=team_id, role=role.value)
    return link, number


async def withdraw(ctx: Context, who: Principal, invitation_id: int) -> None:
    """Take an invitation to the principal's team back. Raises NotFound, Forbidden."""
    who.require(Permission.MANAGE_MEMBERS)
    async with ctx.transaction() as tx:
        await require_now(tx, who, Permission.MANAGE_MEMBERS)
        invitation = _pick(await identity.invitations_of_team(tx, who.team.team_id), invitation_id)
        await identity.close_invitation(tx, invitation.id)
        await audit.record(tx, who.actor, "member.withdraw", f"address:{invitation.email}", team_id=invitation.team_id)


async def read(ctx: Context, who: Principal, token: str) -> Invitation:
    """The invitation of a link. Raises NotFound for one that is used, withdrawn, replaced, old or unknown."""
    who.require(Permission.SIGN_IN)
    return await identity.find_invitation(ctx.db, token)


async def list_own(ctx: Context, who: Principal) -> list[Invitation]:
    """The invitations to the principal's address, oldest first."""
    who.require(Permission.USE_ACCOUNT)
    assert who.user_id is not None
    return await identity.invitations_to(ctx.db, (await identity.find_user(ctx.db, who.user_id)).email)


async def accept(ctx: Context, who: Principal, token: str) -> Invitation:
    """Join a team by a link; the session shows the team from then on.

    Raises NotFound as `read` does, Forbidden for another address than was invited, InvalidParameters for a member.
    """
    who.require(Permission.USE_ACCOUNT)
    async with ctx.transaction() as tx:
        return await _accept(tx, who, await identity.find_invitation(tx, token))


async def accept_own(ctx: Context, who: Principal, invitation_id: int) -> Invitation:
    """The same by the number of one of one's own invitations."""
    who.require(Permission.USE_ACCOUNT)
    assert who.user_id is not None
    async with ctx.transaction() as tx:
        email = (await identity.find_user(tx, who.user_id)).email
        return await _accept(tx, who, _pick(await identity.invitations_to(tx, email), invitation_id))


def _pick(among: Sequence[Invitation], invitation_id: int) -> Invitation:
    for one in among:
        if one.id == invitation_id:
            return one
    raise NotFound("this invitation was used already, was withdrawn, or is too old")


async def _accept(tx: Connection, who: Principal, invitation: Invitation) -> Invitation:
    assert who.user_id is not None
    assert who.session_id is not None
    if (await identity.find_user(tx, who.user_id)).email != invitation.email:
        raise Forbidden(f"this invitation is for {invitation.email}: sign in with that address")
    team_id = invitation.team_id
    await identity.lock_team(tx, team_id)
    await identity.close_invitation(tx, invitation.id, accepted_by=who.user_id)
    await identity.add_member(tx, team_id, who.user_id, invitation.role)
    await identity.show(tx, who.session_id, team_id, live=False)
    await audit.record(tx, who.actor, "member.join", f"user:{who.user_id}", team_id=team_id, role=invitation.role.value)
    return invitation
