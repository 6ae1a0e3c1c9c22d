"""What the limits refuse."""

from modellix_server.base.errors import PlatformError


class RateLimited(PlatformError):
    """More requests in a minute than the key or the team may send; `retry_after_s` is exact."""

    status, category, code = 429, "Rate limit exceeded", "rate_limited"
