"""Signing in with a code that is sent by mail."""

from modellix_server import audit, identity, mail
from modellix_server.base.errors import Unauthorized, Unavailable
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.operations.sign_in import Browser
from modellix_server.operations.sign_up import admits, join


def missing_settings(ctx: Context) -> tuple[str, ...]:
    """The variables without which no code can be sent; none when it can."""
    return mail.missing_settings(ctx.settings)


async def send_code(ctx: Context, who: Principal, email: str, browser: Browser, *, language: str | None = None) -> None:
    """Have a code sent to an address that has a user or may sign up; does the same for another, but sends nothing.

    `language` is the browser's, for a user who has not chosen one. Raises InvalidParameters for what is no address,
    TooManyCodes, and Unavailable where no mail can be sent.
    """
    who.require(Permission.SIGN_IN)
    if missing := missing_settings(ctx):
        raise Unavailable(f"no code can be sent here: {' and '.join(missing)} must be set")
    to = identity.plain_email(email)
    async with ctx.transaction() as tx:
        user = await identity.user_by_email(tx, to)
        sign_up = await admits(tx, ctx.settings, to) and user is None
        code = await identity.create_code(
            tx, ctx.settings.secret, to, user.id if user else None, browser.address, sign_up=sign_up
        )
        await mail.enqueue(
            tx,
            to,
            "sign_in_code",
            {"origin": ctx.settings.public_origin, "code": code},
            language=(user.language if user else None) or language,
            useless_after_s=identity.CODE_LASTS.total_seconds(),
            send=user is not None or sign_up,
        )


async def use_code(ctx: Context, who: Principal, email: str, code: str, browser: Browser) -> str:
    """Sign a browser in, somebody new too: the text of its new cookie.

    Raises Unauthorized for a code that is wrong, old, used, replaced, or was guessed at too often: which of them, and
    whether the address is known, is not told. Raises InvalidParameters for what is no address.
    """
    who.require(Permission.SIGN_IN)
    code_id = await _guess(ctx, identity.plain_email(email), code)
    async with ctx.transaction() as tx:
        used = await identity.use_code(tx, code_id)
        if used is None:
            raise _wrong()
        if used.user_id is None:
            user = await identity.user_by_email(tx, used.email) or await join(tx, ctx.settings, used.email, who.origin)
        else:
            user = await identity.find_user(tx, used.user_id)
        cookie, session = await identity.open_session(
            tx, user.id, method="code", address=browser.address, agent=browser.agent
        )
        actor = audit.Actor(f"user:{user.id}", who.origin)
        await audit.record(tx, actor, "session.open", f"session:{session.id}", method="code")
    return cookie


async def confirm(ctx: Context, who: Principal, code: str) -> str:
    """Show anew who sits at a signed-in browser: the text of its new cookie, which replaces the one before.

    Raises Unauthorized as `use_code` does.
    """
    who.require(Permission.USE_ACCOUNT)
    assert who.user_id is not None
    assert who.session_id is not None
    code_id = await _guess(ctx, (await identity.find_user(ctx.db, who.user_id)).email, code)
    async with ctx.transaction() as tx:
        used = await identity.use_code(tx, code_id)
        if used is None or used.user_id != who.user_id:
            raise _wrong()
        cookie = await identity.renew_session(tx, who.session_id, method="code")
        await audit.record(tx, who.actor, "session.confirm", f"session:{who.session_id}", method="code")
    return cookie


async def _guess(ctx: Context, email: str, code: str) -> int:
    """The number of the code in force. Raises Unauthorized; the guess is counted in any case."""
    typed = identity.plain_code(code)
    async with ctx.transaction() as tx:  # committed whatever the guess was worth
        code_id = await identity.guess_code(tx, ctx.settings.secret, email, typed) if typed else None
    if code_id is None:
        raise _wrong()
    return code_id


def _wrong() -> Unauthorized:
    return Unauthorized("this code is wrong or no longer good: ask for a new one")
