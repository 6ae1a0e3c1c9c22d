"""A team in one mode: money, limits, tasks and lists are separate per mode."""

import msgspec


class TeamMode(msgspec.Struct, frozen=True):
    """A team in one mode."""

    team_id: int
    live: bool

    @property
    def mode(self) -> str:
        """The mode as a word."""
        return mode_word(live=self.live)


def mode_word(*, live: bool) -> str:
    """`live` or `test`."""
    return "live" if live else "test"
