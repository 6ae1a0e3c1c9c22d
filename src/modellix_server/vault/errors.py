"""What goes wrong with a stored account. For the operator: the messages name no secret."""

from __future__ import annotations


class UnusableAccount(RuntimeError):
    """A stored key cannot be opened: another master key, or a row that was changed around it."""
