"""HTTP for programs: the public contract under `/api/v1`, result files, health."""

from modellix_server.api.asgi import build_app
from modellix_server.api.platform import Platform
from modellix_server.api.protocol import HttpProtocol
from modellix_server.api.security import on_every_answer

__all__ = ["Platform", "HttpProtocol", "build_app", "on_every_answer"]
