"""Where people find help, as a setting."""

from __future__ import annotations

import pytest

from modellix_server.base.support_contact import SupportContact


@pytest.mark.parametrize(
    ("text", "href", "shown"),
    [
        ("help@example.com", "mailto:help@example.com", "help@example.com"),
        ("https://example.com/help/", "https://example.com/help/", "example.com/help"),
    ],
)
def test_an_address_becomes_a_link(text: str, href: str, shown: str) -> None:
    found = SupportContact.of(text)
    assert (found.href, found.text) == (href, shown)


@pytest.mark.parametrize(
    "text",
    ["", "help", "javascript:alert(1)", "a@b?body=x", "https://", "https://u:p@example.com", "ftp://example.com"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be an address"):
        SupportContact.of(text)
