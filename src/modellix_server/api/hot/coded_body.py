"""Bodies that their senders compressed: decoded before any endpoint reads them, within the endpoint's own limits."""

from __future__ import annotations

from modellix_server.api.dispatch import Message, Receive, Scope
from modellix_server.base.content_coding import BrokenCoding, DecodedBody, UnknownCoding
from modellix_server.base.errors import InvalidFormat, UnsupportedCoding

CODED = "modellix.coded"
"""In `scope["extensions"]` of a request whose body must be received through `receive` alone."""

_SIZE_AND_CODING = (b"content-encoding", b"content-length")


def decoded(scope: Scope, receive: Receive) -> Receive:
    """The `receive` for the decoded body; the scope is changed to tell of that one.

    Raises UnsupportedCoding or InvalidFormat when the body is received: the caller is known by then.
    """
    header = ", ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"content-encoding")
    scope["headers"] = [one for one in scope["headers"] if one[0] not in _SIZE_AND_CODING]
    scope.setdefault("extensions", {})[CODED] = True
    body: DecodedBody | None = None

    async def take() -> Message:
        nonlocal body
        try:
            body = body or DecodedBody(receive, header)
            return await body()
        except UnknownCoding as unknown:
            raise UnsupportedCoding(f"the request body has {unknown}") from None
        except BrokenCoding as broken:
            raise InvalidFormat(f"the request body has a content coding, and {broken}") from None

    return take
