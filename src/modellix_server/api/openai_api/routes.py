"""The routes of OpenAI's API."""

from __future__ import annotations

from collections.abc import Iterator

from modellix_server.api.context import ApiContext
from modellix_server.api.dispatch import Guarded, Handler
from modellix_server.api.hot.exchange import HotEndpoint, HotHandler
from modellix_server.api.openai_api.answers import failure
from modellix_server.api.openai_api.images import OpenAiImages
from modellix_server.api.openai_api.models import OpenAiModels
from modellix_server.api.openai_api.names import ModelNames
from modellix_server.api.openai_api.videos import OpenAiVideos
from modellix_server.api.openai_api.xai_videos import XaiVideos
from modellix_server.openapi.operation import Access, Declared
from modellix_server.operations.principal import Permission

PATHS = "/v1/"
"""Where they begin."""


def openai_routes(ctx: ApiContext) -> Iterator[Declared]:
    """All of them. Raises BadSettings for an operator's name that stands for no model."""
    names = ModelNames(ctx.catalogue, ctx.settings.openai_models)
    images, videos, models = OpenAiImages(names), OpenAiVideos(names), OpenAiModels(names)
    made: tuple[tuple[str, HotHandler], ...] = (
        ("/v1/images/generations", images.generate_images),
        ("/v1/images/edits", images.edit_images),
        ("/v1/videos", videos.create_video),
        ("/v1/videos/edits", videos.edit_video),
        ("/v1/videos/{video_id}/remix", videos.remix_video),
        ("/v1/videos/generations", XaiVideos(names).generate_xai_video),
    )
    others: tuple[tuple[str, str, Handler, Permission], ...] = (
        ("GET", "/v1/videos", videos.list_videos, Permission.READ_TASKS),
        ("GET", "/v1/videos/{video_id}", videos.retrieve_video, Permission.READ_TASKS),
        ("DELETE", "/v1/videos/{video_id}", videos.delete_video, Permission.USE_MODELS),
        ("GET", "/v1/videos/{video_id}/content", videos.video_content, Permission.READ_TASKS),
        ("GET", "/v1/models", models.list_openai_models, Permission.READ_MODELS),
        ("GET", "/v1/models/{name}", models.retrieve_openai_model, Permission.READ_MODELS),
        ("GET", "/v1/models/{provider}/{model}", models.retrieve_openai_model, Permission.READ_MODELS),
    )
    for path, maker in made:
        endpoint = HotEndpoint(ctx, maker, Permission.USE_MODELS, failure)
        yield Declared(path, endpoint, Access.KEY, endpoint.permission, ["POST"])
    for method, path, handler, permission in others:
        yield Declared(path, Guarded(ctx, handler, Access.KEY, permission, failure), Access.KEY, permission, [method])
