"""Users, teams, sessions, API keys, and authentication of callers."""

from modellix_server.identity.api_keys import (
    ANY_MODEL,
    AllowedModels,
    ApiKey,
    change_key,
    create_key,
    delete_key,
    find_key,
    key_names,
    list_keys,
    revoke_key,
    revoke_leaked,
    rotate_key,
)
from modellix_server.identity.callers import Callers
from modellix_server.identity.codes import (
    CODE_LASTS,
    TooManyCodes,
    create_code,
    guess_code,
    plain_code,
    use_code,
)
from modellix_server.identity.invitations import (
    INVITATION_LASTS,
    Invitation,
    TooManyInvitations,
    claim_starter_credit,
    close_invitation,
    create_invitation,
    find_invitation,
    invitations_of_team,
    invitations_to,
)
from modellix_server.identity.keys import genuine
from modellix_server.identity.members import (
    Member,
    change_role,
    change_user,
    delete_user,
    end_team,
    lock_team,
    members_of,
    remove_member,
    rename_team,
    require_team,
    revoke_keys,
    role_of,
)
from modellix_server.identity.outside import (
    AWAY_LASTS,
    ExternalIdentity,
    OutsideSignIn,
    TooManyDepartures,
    identities_of,
    link,
    note_departure,
    providers_of,
    take_departure,
    unlink,
    user_of,
)
from modellix_server.identity.people import (
    Membership,
    Role,
    User,
    add_member,
    create_user,
    find_user,
    first_operator,
    lock_user,
    memberships,
    operators,
    other_operators,
    plain_email,
    set_operator,
    user_by_email,
    user_names,
)
from modellix_server.identity.providers import Departure, OutsidePerson, Provider, ProviderRefused, departure
from modellix_server.identity.sessions import (
    Session,
    Visitor,
    create_link,
    end_other_sessions,
    end_session,
    find_visitor,
    open_session,
    read_link,
    renew_session,
    sessions_of,
    show,
    use_link,
)
from modellix_server.identity.store import (
    Caller,
    FoundTeam,
    Team,
    create_team,
    find_team,
    input_days,
    list_teams,
    search_teams,
    set_input_days,
    team_by_id,
    teams_without_inputs,
)
