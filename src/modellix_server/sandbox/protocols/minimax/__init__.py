"""MiniMax: Hailuo clips in three calls and image-01 pictures in one."""

from modellix_server.sandbox.protocols.minimax.service import app

__all__ = ["app"]
