"""Loaded by each Python process that finds this folder on PYTHONPATH: its look-ups of names ask TEST_NAME_SERVER."""

from __future__ import annotations

import importlib.util
import os

if "TEST_NAME_SERVER" in os.environ and importlib.util.find_spec("aiodns"):
    import aiodns

    class _Resolver(aiodns.DNSResolver):
        def __init__(self, *_: object, **about: object) -> None:
            super().__init__([os.environ["TEST_NAME_SERVER"]], **about)

    aiodns.DNSResolver = _Resolver
