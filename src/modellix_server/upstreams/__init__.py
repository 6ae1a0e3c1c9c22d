"""Vendor APIs that run models: one file each in `adapters`, found by scanning that folder. They only translate."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from modellix_server.upstreams import adapters
from modellix_server.upstreams.contract import Upstream


def load_all() -> Mapping[str, Upstream]:
    """Every adapter by name. TypeError for a module that ends without `upstream = …` under its own name."""
    found: dict[str, Upstream] = {}
    for module in iter_modules(adapters.__path__):
        if module.name.startswith("_"):
            continue
        upstream: Upstream | None = getattr(import_module(f"{adapters.__name__}.{module.name}"), "upstream", None)
        if upstream is None or upstream.name != module.name:
            raise TypeError(f"{adapters.__name__}.{module.name} does not define an upstream of that name")
        found[upstream.name] = upstream
    return MappingProxyType(found)
