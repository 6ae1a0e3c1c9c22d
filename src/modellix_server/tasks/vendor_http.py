"""The HTTP that adapters get: bound to one account, remembering the vendor's last words for the record."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from modellix_server.base import faults
from modellix_server.base.outbound import Answer, Outbound
from modellix_server.requestlog import redact_text
from modellix_server.tasks.accounts import Account

_MOST_BYTES = 4_000_000  # a vendor's JSON, pictures in base64 included by none of them so far
_KEPT_CHARS = 2_000


class VendorHttp:
    """Implements `upstreams.contract.Http` for one account."""

    def __init__(self, account: Account, outbound: Outbound, timeout_s: float) -> None:
        self._account = account
        self._outbound = outbound
        self._timeout_s = timeout_s
        self._answer: Answer | None = None

    @property
    def status(self) -> int | None:
        """HTTP status of the last answer."""
        return self._answer.status if self._answer else None

    @property
    def words(self) -> str | None:
        """The last answer as a person may read it later: no key, no signed link, no bytes of media."""
        if self._answer is None:
            return None
        text = self._answer.body[: 4 * _KEPT_CHARS].decode("utf-8", "replace")
        return redact_text(text.replace(self._account.key, "***"))[:_KEPT_CHARS]

    async def call(
        self, method: str, path: str, *, json: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request to the account's base URL, never retried. Raises NotSent or AnswerLost."""
        body = msgspec.json.encode(json) if json is not None else None
        self._answer = answer = await self._outbound.call(
            method,
            self._account.base_url.rstrip("/") + path,
            headers={"Content-Type": "application/json", **(headers or {})} if body else dict(headers or {}),
            body=body,
            origins=self._account.origins,
            timeout_s=self._timeout_s,
            max_bytes=_MOST_BYTES,
        )
        if method == "POST":
            faults.point("answer_received")
        return answer
