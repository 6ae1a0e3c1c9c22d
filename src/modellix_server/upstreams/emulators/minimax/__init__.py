"""MiniMax: Hailuo clips in three calls and image-01 pictures in one."""

from modellix_server.upstreams.emulators.minimax.service import app
from modellix_server.upstreams.emulators.minimax.work import Task

__all__ = ["Task", "app"]
