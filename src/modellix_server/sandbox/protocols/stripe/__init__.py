"""Stripe, as far as recharges need it: Checkout Sessions with their page, refunds, disputes, signed webhooks.

From the vendor's API reference (2026-10-28) and the source of its own client (16.1). No money is anywhere near.
"""

from modellix_server.sandbox.protocols.stripe.service import app

__all__ = ["app"]
