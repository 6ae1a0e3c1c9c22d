"""Ark, ByteDance's model service: Seedream pictures and Seedance clips over its data-plane protocol."""

from modellix_server.sandbox.protocols.ark.service import app

__all__ = ["app"]
