"""What endpoints work with; one per process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property, partial

from modellix_server.identity import Callers
from modellix_server.limits import AddressLimit, Windows
from modellix_server.operations.context import ServingContext
from modellix_server.tasks import CallbackNotifier, Callbacks

_ADDRESSES = 1_000  # that may use up their limit in one minute; memory is bounded by it


@dataclass(eq=False, kw_only=True)
class ApiContext(ServingContext):
    """The context of operations, and what only HTTP needs."""

    callers: Callers
    windows: Windows
    callbacks: Callbacks
    callback_notifier: CallbackNotifier
    reports: AddressLimit = field(default_factory=partial(AddressLimit, "reports", each=30, together=3000))
    """Rate limit of leak reports, which need no key."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process has been asked to end, some time before it stops accepting connections."""

    @cached_property
    def strangers(self) -> AddressLimit:
        """Rate limit of requests without a known API key."""
        each = self.settings.address_rpm
        return AddressLimit("requests without an API key", each=each, together=each * _ADDRESSES)
