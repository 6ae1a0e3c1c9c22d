"""What the API works with: one a process."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from modellix_server.api.hot.body_read_limiter import BodyReadLimiter
from modellix_server.identity import Callers
from modellix_server.limits import Reports, Windows
from modellix_server.operations.context import ServingContext
from modellix_server.requestlog import Writer
from modellix_server.tasks import CallbackNotifier, Callbacks


@dataclass(eq=False, kw_only=True)
class ApiContext(ServingContext):
    """What operations work with, and what only HTTP needs besides."""

    callers: Callers
    windows: Windows
    request_log: Writer
    callbacks: Callbacks
    callback_notifier: CallbackNotifier
    reports: Reports = field(default_factory=Reports)
    """Reports of leaked keys, which need no key to send."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this process has been asked to end, some time before it takes no more connections."""
    body_reads: BodyReadLimiter = field(default_factory=BodyReadLimiter)
    """Large bodies are read in turn."""
    uploading: Counter[int] = field(default_factory=Counter)
    """Team -> its uploads that are coming in just now."""
