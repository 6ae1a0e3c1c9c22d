"""`/v1/models`: the catalogue as OpenAI's clients list it."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.responses import Response

from modellix_server.api.dispatch import Request
from modellix_server.api.openai_api.answers import answer
from modellix_server.api.openai_api.names import ModelNames
from modellix_server.operations import models
from modellix_server.operations.models import ModelFilter


class OpenAiModels:
    """The routes about models."""

    def __init__(self, names: ModelNames) -> None:
        self._names = names

    async def list_openai_models(self, request: Request) -> Response:
        """`GET /v1/models`: the operator's names first, then every model."""
        entries = models.list_all(request.ctx, request.who, ModelFilter())
        mapped = [_model(name, model.provider) for name, model in self._names.mapped.items()]
        data = [*mapped, *(_model(entry["slug"], entry["provider"]) for entry in entries)]
        return answer({"object": "list", "data": data}, request.context.rate).response()

    async def retrieve_openai_model(self, request: Request) -> Response:
        """`GET /v1/models/{name}`, or `{provider}/{model}`."""
        name = unquote("/".join(request.path_params.values()))  # clients write the slash as %2F
        found = models.describe(request.ctx, request.who, self._names.model(name).slug)
        return answer(_model(name, found.model.provider), request.context.rate).response()


def _model(name: str, owner: str) -> dict[str, object]:
    # When a model was made is not known here.
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}
