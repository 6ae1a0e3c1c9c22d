"""The OpenAPI document: what every route takes and answers, said once and published at `/api/v1/openapi.json`."""

from modellix_server.api.openapi.document import Undescribed, describe
from modellix_server.api.openapi.publish import Document

__all__ = ["Document", "Undescribed", "describe"]
