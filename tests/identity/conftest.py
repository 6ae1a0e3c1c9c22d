"""A team with money and a key, as the tests of tasks have it."""

from tests.tasks.conftest import new_customer

__all__ = ["new_customer"]
