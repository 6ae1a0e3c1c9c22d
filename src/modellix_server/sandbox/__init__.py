"""Imitations of the vendors' wire protocols for test mode: one ASGI app per vendor, run by the sandbox process.

A vendor is one folder in `protocols`, under its adapter's name, with a function `app`; it is found by scanning.
`rendering` makes what the emulators deliver. The modules here are what the vendors share: `spool` (result files),
`store` (task state), `bill` (what was received and charged), `directives` (faults on request), `media` (input
files), `callbacks` (calls to the client) and `wire` (ASGI). A vendor's rules are its own table, written from its
documents and not derived from our catalogue, so that the two check each other.
"""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Protocol

from modellix_server.sandbox import protocols
from modellix_server.sandbox.callbacks import Post
from modellix_server.sandbox.media import Fetch
from modellix_server.sandbox.rendering.studio import Studio
from modellix_server.sandbox.wire import App


class MakeApp(Protocol):
    """What a vendor's module must define as `app`."""

    def __call__(self, studio: Studio, fetch: Fetch, post: Post, *, instant: bool = False) -> App:
        """The emulator, which loads its input files with `fetch` and calls its clients back with `post`.

        With `instant` every picture without directives is one small ready-made file, answered at once.
        """
        ...


def load_all() -> Mapping[str, MakeApp]:
    """Every vendor's `app` by name, in the order of the names."""
    found: dict[str, MakeApp] = {}
    for module in iter_modules(protocols.__path__):
        make: MakeApp | None = getattr(import_module(f"{protocols.__name__}.{module.name}"), "app", None)
        if make is not None:
            found[module.name] = make
    return MappingProxyType(found)
