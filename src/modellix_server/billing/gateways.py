"""The payment providers of an installation: Stripe in live mode, where it is set up, and its emulator in test mode."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property
from urllib.parse import parse_qsl

from modellix_server.base.errors import NotFound
from modellix_server.base.external_link import Origins
from modellix_server.base.outbound import Answer, AnswerLost, NotSent, Outbound
from modellix_server.base.settings import Settings
from modellix_server.billing.provider import ForgedEvent, PaymentEvent, PaymentProvider, PaymentsOff, ProviderFailed
from modellix_server.billing.stripe import StripeCheckout

EVENTS_PATH = "/payments/stripe/events"
EMULATOR_PAGE = "/sandbox/checkout/"
_SESSION = re.compile(r"cs_test_[0-9a-f]{32}", re.ASCII)
_PAGE_BYTES, _PAGE_TIMEOUT_S = 64 * 1024, 10.0


class Gateways:
    """Opened by who needs one first; `close` at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._outbound: Outbound | None = None

    def of(self, *, live: bool) -> PaymentProvider:
        """The provider of a mode. Raises PaymentsOff."""
        found = self._live if live else self._test
        if found is None:
            raise PaymentsOff("recharging is not set up here: whoever runs this installation can add credit")
        return found

    def open(self, *, live: bool) -> bool:
        """Whether a team can be recharged in this mode."""
        return not live or self._live is not None

    async def read_event(self, body: bytes, signature: str) -> tuple[PaymentProvider, PaymentEvent]:
        """An event, and the provider whose signature it has. Raises ForgedEvent, ProviderFailed."""
        for provider in self._all():
            try:
                return provider, await provider.read_event(body, signature)
            except ForgedEvent:
                continue
        raise ForgedEvent("this event is not signed, or too old")

    async def emulated_page(self, session: str, form: str | None) -> Answer:
        """The emulator's page of a checkout in test mode, or what it answers to the form on it.

        Raises NotFound, ProviderFailed.
        """
        if not _SESSION.fullmatch(session):
            raise NotFound("there is no such checkout")
        if self._outbound is None:
            self._outbound = Outbound()
        sandbox = self._settings.sandbox_url.rstrip("/")
        given = {name: value for name, value in parse_qsl(form or "") if name == "do"}
        try:
            answer = await self._outbound.call(
                "GET" if form is None else "POST",
                f"{sandbox}/stripe/checkout/{session}",
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=None if form is None else f"do={given.get('do', '')}".encode(),
                origins=Origins.of(sandbox),
                timeout_s=_PAGE_TIMEOUT_S,
                max_bytes=_PAGE_BYTES,
            )
        except (NotSent, AnswerLost):
            raise ProviderFailed("the payment emulator cannot be reached: is the sandbox running?") from None
        if answer.status not in (200, 303):
            raise NotFound("there is no such checkout")
        return answer

    async def close(self) -> None:
        """Drop connections."""
        for provider in self._all():
            await provider.close()
        if self._outbound is not None:
            await self._outbound.close()

    def _all(self) -> Iterator[PaymentProvider]:
        if self._live is not None:
            yield self._live
        yield self._test

    @cached_property
    def _live(self) -> PaymentProvider | None:
        settings = self._settings
        if not settings.stripe_secret_key:
            return None
        return StripeCheckout(
            "stripe",
            live=True,
            key=settings.stripe_secret_key,
            secrets=settings.stripe_webhook_secrets,
            url=settings.stripe_url,
        )

    @cached_property
    def _test(self) -> PaymentProvider:
        settings = self._settings
        key = f"sk_test_{settings.secret.derive('payment emulator').hex()}"
        endpoint = settings.public_origin + EVENTS_PATH
        secret = hashlib.sha256(f"{key}\n{endpoint}".encode()).hexdigest()  # as the emulator makes it
        return StripeCheckout(
            "emulator",
            live=False,
            key=key,
            secrets=(f"whsec_{secret}",),
            url=f"{settings.sandbox_url.rstrip('/')}/stripe",
            page=settings.public_origin + EMULATOR_PAGE,
            endpoint=endpoint,
        )
