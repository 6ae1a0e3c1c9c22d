"""The OpenAPI document: what every route takes and answers, said once and published at `/api/v1/openapi.json`."""

from modellix_server.openapi.document import Undescribed, describe
