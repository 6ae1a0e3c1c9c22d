"""Limits of keys and teams: requests per minute, and unfinished tasks at a time."""

from modellix_server.limits.store import RateLimited, TeamLimits, of_team, set_for_team
from modellix_server.limits.windows import AddressLimit, RateDecision, Subject, Windows
