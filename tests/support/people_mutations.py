"""Guards of members, invitations and signing in elsewhere; as in `source_mutations`."""

from __future__ import annotations

from tests.support.source_mutations import Mutation

OUTSIDE = "tests/operations/test_outside_sign_in.py"
MEMBERS = "tests/operations/test_members.py"

PEOPLE_MUTATIONS = (
    Mutation(
        "a token is for this sign-in",
        "identity/oidc.py",
        'nonce={"essential": True, "value": nonce},',
        "",
        (f"{OUTSIDE}::test_a_token_that_is_not_for_this_sign_in_opens_nothing",),
    ),
    Mutation(
        "a token is for us",
        "identity/oidc.py",
        'aud={"essential": True, "value": client_id},',
        'aud={"essential": True},',
        (f"{OUTSIDE}::test_a_token_that_is_not_for_this_sign_in_opens_nothing",),
    ),
    Mutation(
        "a browser comes back with the cookie that it left with",
        "identity/outside.py",
        "where state_hash = $1 and browser_hash = $2 and provider = $3",
        "where state_hash = $1 and $2::bytea is not null and provider = $3",
        (f"{OUTSIDE}::test_what_a_browser_brings_must_be_what_it_left_with",),
    ),
    Mutation(
        "an equal address takes nobody over",
        "operations/outside_sign_in.py",
        "    if await identity.user_by_email(tx, email) is not None:",
        "    if known := await identity.user_by_email(tx, email):\n        return known\n    if known:",
        (f"{OUTSIDE}::test_an_equal_address_takes_nobody_over",),
    ),
    Mutation(
        "who decides about members waits for who does so already",
        "identity/members.py",
        "where id = $1 and ended_at is null for no key update",
        "where id = $1 and ended_at is null",
        (f"{MEMBERS}::test_of_owners_who_go_at_once_one_stays",),
    ),
    Mutation(
        "a key is made for a team that has not ended",
        "identity/members.py",
        "where id = $1 and ended_at is null for share",
        "where id = $1",
        (f"{MEMBERS}::test_the_end_of_a_team",),
    ),
    Mutation(
        "a role is read anew when it is used",
        "operations/members.py",
        "if role is None or permission not in ROLE_PERMISSIONS[role]:",
        "if False:",
        (f"{MEMBERS}::test_a_role_lowered_meanwhile_counts",),
    ),
    Mutation(
        "an invitation is for its address",
        "operations/invitations.py",
        "if (await identity.find_user(tx, who.user_id)).email != invitation.email:",
        "if False:",
        (f"{MEMBERS}::test_an_invitation_lets_the_invited_address_in_once",),
    ),
    Mutation(
        "an address has its starter credit once",
        "operations/own_teams.py",
        "if micros and await identity.claim_starter_credit(tx, settings.secret, owner.email, team.id):",
        "if micros:",
        ("tests/operations/test_sign_up.py::test_an_open_installation_gives_everybody_a_team_and_credit_once",),
    ),
    Mutation(
        "heavy acts ask for a fresh sign-in",
        "operations/principal.py",
        "datetime.now(UTC) - self.signed_in_at > FRESH",
        "False",
        (f"{OUTSIDE}::test_linking_needs_a_fresh_sign_in",),
    ),
)
