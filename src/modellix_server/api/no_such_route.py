"""What is wrong with a path that leads nowhere."""

_OF_OPENAI = ("/chat/completions", "/images/edits", "/images/generations", "/responses", "/videos")
OPENAI_WITHOUT_BASE = frozenset((*_OF_OPENAI, *(f"/api/v1{path}" for path in _OF_OPENAI)))
"""Where OpenAI's clients ask whose base URL is not the one for them."""

OPENAI_NOT_HERE = {
    "/v1/files": "upload with POST /api/v1/media/files, and give the file_id where a picture goes",
    "/v1/images/variations": "no variations are made here, POST /v1/images/edits changes a picture",
    "/v1/videos/characters": "no characters are kept here, give pictures of them with each video",
    "/v1/videos/extensions": "no video is extended here, POST /v1/videos goes on from a picture as 'input_reference'",
}
"""What else of OpenAI's API there is no route for, and what to do."""


def no_such_route(path: str) -> str:
    """The detail of a 404, which names slips that are hard to see."""
    if "//" in path:
        return "no such route: the path has an empty part ('//')"
    if path.endswith("/") and path != "/":
        return "no such route: the path must not end with '/'"
    if path in OPENAI_WITHOUT_BASE:
        return "no such route: the base URL of OpenAI's clients is this address with '/v1' alone behind it"
    if path in OPENAI_NOT_HERE:
        return f"no such route: {OPENAI_NOT_HERE[path]}"
    if path.startswith("/v1/"):
        return "no such route: of OpenAI's API there are images, videos and models"
    return "no such route"
