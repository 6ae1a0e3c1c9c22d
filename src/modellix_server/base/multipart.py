"""Bodies of `multipart/form-data` (RFC 7578), for vendors that take files beside fields."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form: a field as text, or a file as bytes with a name and a type."""

    name: str
    data: str | bytes = field(repr=False)
    filename: str | None = None
    content_type: str | None = None


async def encode_form(parts: Sequence[Part]) -> tuple[str, bytes]:
    """Content type and body of a form. Raises ValueError for a name or type that would break out of its header."""
    form = aiohttp.FormData(default_to_multipart=True, quote_fields=False)
    for part in parts:
        data = io.BytesIO(part.data) if isinstance(part.data, bytes) else part.data  # long bytes it warns about
        form.add_field(part.name, data, filename=part.filename, content_type=part.content_type)
    writer = form()
    return writer.headers["Content-Type"], await writer.as_bytes()
