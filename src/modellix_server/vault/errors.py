"""Errors about stored accounts. Their messages are for the operator and contain no secret."""


class UnusableAccount(RuntimeError):
    """A stored key cannot be decrypted: the master key is another one, or the row was changed."""
