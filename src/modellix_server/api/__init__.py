"""HTTP for programs: the public contract under `/api/v1`, result files, health."""

from modellix_server.api.asgi import build_app
from modellix_server.api.platform import Platform

__all__ = ["Platform", "build_app"]
