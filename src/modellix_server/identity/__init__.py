"""Teams, API keys, and authentication of callers."""

from modellix_server.identity.callers import Callers
from modellix_server.identity.store import (
    ApiKey,
    Caller,
    Team,
    create_key,
    create_team,
    find_team,
    list_keys,
    list_teams,
    revoke_key,
    revoke_leaked,
)
