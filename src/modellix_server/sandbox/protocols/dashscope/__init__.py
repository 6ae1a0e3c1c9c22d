"""DashScope, Alibaba Cloud's Model Studio: image and video generation over its native protocol."""

from modellix_server.sandbox.protocols.dashscope.service import app

__all__ = ["app"]
