"""Seeds of what is made: the same one gives the same again."""

import secrets

_MOST = 2**31


def seed_for(given: int | None) -> int:
    """The one that was given, or one drawn for this job, as vendors do."""
    return secrets.randbelow(_MOST) if given is None else given
