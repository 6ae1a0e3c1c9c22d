"""The one family of errors that callers of the platform can see.

Every refusal is a subclass of `PlatformError` with its HTTP status, its category in the public
contract's words and a stable code of its own. One handler in `api` renders them all.
"""

from typing import ClassVar


def docs_path(error: str) -> str:
    """Where a category of refusals, or the code of a failed task, is explained, below the documentation's address."""
    return f"errors/{error.lower().replace(' ', '-').replace('_', '-')}"


class PlatformError(Exception):
    """A refusal that a client may read; `detail` must never contain a secret, a path or SQL."""

    status: ClassVar[int] = 500
    category: ClassVar[str] = "Internal server error"
    code: ClassVar[str] = "internal"

    def __init__(self, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s

    @property
    def message(self) -> str:
        """The contract's message: `<Category>: <detail>`."""
        return f"{self.category}: {self.detail}"


class InvalidParameters(PlatformError):
    """A value of the wrong type, an unknown field, or fields that do not go together."""

    status, category, code = 400, "Invalid parameters", "invalid_parameters"


class MissingParameter(PlatformError):
    """A required field is absent."""

    status, category, code = 400, "Missing required parameter", "missing_parameter"


class InvalidFormat(PlatformError):
    """The shape is wrong: broken JSON or UTF-8, a size that is not `width*height`."""

    status, category, code = 400, "Invalid format", "invalid_format"


class OutOfRange(PlatformError):
    """A number, a length or a choice outside what the model allows."""

    status, category, code = 400, "Value out of range", "out_of_range"


class Unauthorized(PlatformError):
    """No key, a malformed key, an unknown key, a revoked key."""

    status, category, code = 401, "Authentication failed", "unauthorized"


class NotFound(PlatformError):
    """Unknown, or another team's: clients cannot tell the two apart."""

    status, category, code = 404, "Resource not found", "not_found"


class Unavailable(PlatformError):
    """Nothing was done, and the same request may succeed later."""

    status, category, code = 503, "Service unavailable", "unavailable"


class BodyTooLarge(PlatformError):
    """The body is over the cap."""

    status: ClassVar[int] = 413
    category: ClassVar[str] = "Invalid format"
    code: ClassVar[str] = "body_too_large"


class UnsupportedCoding(PlatformError):
    """The body has a content coding that is not decoded here."""

    status: ClassVar[int] = 415
    category: ClassVar[str] = "Invalid format"
    code: ClassVar[str] = "unsupported_coding"


class BodyTooSlow(PlatformError):
    """The body did not arrive in time."""

    status: ClassVar[int] = 408
    category: ClassVar[str] = "Invalid format"
    code: ClassVar[str] = "body_too_slow"


def too_slow(within_s: float) -> BodyTooSlow:
    """The refusal of a body that did not arrive in time."""
    return BodyTooSlow(f"the request body did not arrive within {within_s:.0f} seconds")


def too_large(most_bytes: int, what: str = "the request body") -> BodyTooLarge:
    """The refusal of a body, or of a file in it, above its cap."""
    return BodyTooLarge(f"{what} is larger than {most_bytes / (1 << 20):.0f} MB")
