"""What is wrong with a path that leads nowhere."""

_OF_OPENAI = ("/chat/completions", "/images/edits", "/images/generations", "/responses", "/videos")
OPENAI_WITHOUT_BASE = frozenset((*_OF_OPENAI, *(f"/api/v1{path}" for path in _OF_OPENAI)))
"""Where OpenAI's clients ask whose base URL is not the one for them."""


def no_such_route(path: str) -> str:
    """The detail of a 404, which names slips that are hard to see."""
    if "//" in path:
        return "no such route: the path has an empty part ('//')"
    if path.endswith("/") and path != "/":
        return "no such route: the path must not end with '/'"
    if path in OPENAI_WITHOUT_BASE:
        return "no such route: the base URL of OpenAI's clients is this address with '/v1' alone behind it"
    if path.startswith("/v1/"):
        return "no such route: of OpenAI's API there are images, videos and models"
    return "no such route"
