"""Vendor APIs that run models: one file each, found by scanning this folder. They only translate."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from modellix_server.upstreams.contract import Upstream


def load_all() -> Mapping[str, Upstream]:
    """Every adapter by name. TypeError for a module that ends without `upstream = …` under its own name."""
    found: dict[str, Upstream] = {}
    for module in iter_modules(__path__):
        if module.ispkg or module.name == "contract":
            continue
        upstream: Upstream | None = getattr(import_module(f"{__name__}.{module.name}"), "upstream", None)
        if upstream is None or upstream.name != module.name:
            raise TypeError(f"{__name__}.{module.name} does not define an upstream of that name")
        found[upstream.name] = upstream
    return MappingProxyType(found)
