"""Why a result could not be fetched, and whether to try again."""


class FetchError(Exception):
    """A result file could not be stored; the message may be shown to the team."""


class FetchLater(FetchError):
    """Network, vendor or storage trouble: the same fetch may succeed later."""


class FetchNever(FetchError):
    """Wrong type, too big, broken, or at a refused address: another try would fail too."""


class FetchGone(FetchNever):
    """The vendor answers 403, 404 or 410: expired, or not there yet; the caller decides how often to ask."""
