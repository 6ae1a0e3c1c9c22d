"""Why a result could not be fetched: worth another try, or not."""

from __future__ import annotations


class FetchError(Exception):
    """A result file did not make it into our storage; the message may be shown to the team."""


class FetchLater(FetchError):
    """Network, vendor or storage trouble: the same fetch may succeed later."""


class FetchNever(FetchError):
    """Wrong type, too big, broken, or at an address we refuse: another try would end the same."""


class FetchGone(FetchNever):
    """The vendor answers 403, 404 or 410: expired, or not there yet; the caller decides how often to ask."""
