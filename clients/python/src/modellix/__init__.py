"""Client of Modellix: images and videos of 100+ models, by one API.

    from modellix import Client

    task = Client().run("alibaba/qwen-image-plus", prompt="A cat in a garden")
    task.files[0].save("cat.png")

`AsyncClient` is the same for asyncio. What is used is loaded when it is first used, so that the import takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from modellix._version import VERSION

if TYPE_CHECKING:
    from modellix import errors, types, webhooks
    from modellix._async.client import AsyncClient
    from modellix._async.files import AsyncFile
    from modellix._async.task import AsyncTask
    from modellix._sync.client import Client
    from modellix._sync.files import File
    from modellix._sync.task import Task
    from modellix.errors import ModellixError

__version__ = VERSION
__all__ = [
    "Client",
    "Task",
    "File",
    "AsyncClient",
    "AsyncTask",
    "AsyncFile",
    "ModellixError",
    "errors",
    "types",
    "webhooks",
]

_PLACES = {
    "Client": "modellix._sync.client",
    "Task": "modellix._sync.task",
    "File": "modellix._sync.files",
    "AsyncClient": "modellix._async.client",
    "AsyncTask": "modellix._async.task",
    "AsyncFile": "modellix._async.files",
    "ModellixError": "modellix.errors",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562)."""
    if name in _PLACES:
        found: object = getattr(import_module(_PLACES[name]), name)
    elif name in __all__:
        found = import_module(f"modellix.{name}")
    else:
        raise AttributeError(f"module 'modellix' has no attribute {name!r}")
    globals()[name] = found
    return found
