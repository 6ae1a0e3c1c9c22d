"""Ark, ByteDance's model service: Seedream pictures and Seedance clips over its data-plane protocol."""

from modellix_server.upstreams.emulators.ark.service import app
from modellix_server.upstreams.emulators.ark.work import KEEP_S, Task

__all__ = ["KEEP_S", "Task", "app"]
