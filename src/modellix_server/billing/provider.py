"""What a payment provider must be able to do: open a checkout, and say what became of it."""

from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from modellix_server.base.errors import PlatformError

MICROS_PER_CENT = 10_000


class ForgedEvent(PlatformError):
    """An event without a valid signature, or too old."""

    status, category, code = 400, "Invalid parameters", "forged_event"


class PaymentsOff(PlatformError):
    """Nobody has set up payments in this mode."""

    status, category, code = 503, "Service unavailable", "payments_off"


class ProviderFailed(PlatformError):
    """The payment provider cannot be reached, or refuses."""

    status, category, code = 503, "Service unavailable", "payment_provider_failed"


@dataclass(frozen=True, slots=True)
class RechargeOrder:
    """What a checkout is for. `amount` in micro-dollars, whole cents."""

    recharge_id: UUID
    amount: int
    currency: str
    title: str
    paid_url: str
    left_url: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """An open checkout: the provider's name of it, and the page where one pays."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as the provider's own record has it now, whatever the event said. Amounts in micro-dollars."""

    recharge_id: UUID | None
    """The recharge that the checkout was opened for; None when it is not one of ours."""
    checkout_id: str
    payment_id: str | None
    state: Literal["open", "waiting", "paid", "expired", "failed"]
    live: bool
    amount: int
    currency: str
    taken_back: int = 0
    """Refunded, or withdrawn because of a dispute that is not won."""


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """A verified event, and the checkout that it is about; None when it is about none."""

    id: str
    type: str
    checkout_id: str | None


class PaymentProvider(Protocol):
    """A payment provider in one mode."""

    name: str

    async def create_order(self, wanted: RechargeOrder) -> Checkout:
        """Open a checkout; the same recharge twice gives the same. Raises ProviderFailed."""
        ...

    async def look(self, checkout_id: str) -> Payment:
        """What became of a checkout. Raises NotFound, ProviderFailed."""
        ...

    async def read_event(self, body: bytes, signature: str) -> PaymentEvent:
        """Verify an event and find the checkout that it is about. Raises ForgedEvent, ProviderFailed."""
        ...

    async def close(self) -> None:
        """Drop connections."""
        ...
