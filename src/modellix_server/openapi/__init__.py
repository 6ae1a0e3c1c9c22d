"""The OpenAPI document: the requests and answers of every route, published at `/api/v1/openapi.json`."""

from modellix_server.openapi.document import Undescribed, describe
