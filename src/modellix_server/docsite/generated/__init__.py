"""Pages that are made from what this installation is: its models with their prices, routes, errors and settings."""

from collections.abc import Callable

Say = Callable[[str], str]
"""A text in the language of the page."""
