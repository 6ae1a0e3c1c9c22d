"""Where a model runs: all that an adapter needs to translate a request, as data."""

from typing import Any

import msgspec


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One upstream that runs the model, and how our parameters map to its body. A `[[route]]` of a model file."""

    upstream: str
    """Name of the adapter, such as `dashscope`."""
    models: dict[str, str]
    """Region of the vendor account -> name of the model there; an absent region does not offer it."""
    wire: dict[str, Any]
    """Settings of the adapter (endpoint, mode, result path …); only the adapter knows the keys."""
    to: dict[str, str]
    """Our parameter -> its path in the vendor's body, such as `parameters.size`."""
    values: dict[str, dict[str, Any]] = {}
    """Our parameter -> our value -> the value the vendor wants instead."""
    omit: dict[str, Any] = {}
    """Our parameter -> the value that is equivalent to leaving it out, and is left out."""
    constants: dict[str, Any] = {}
    """Path in the vendor's body -> value that is always sent."""
