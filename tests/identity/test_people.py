"""Addresses of mail: what is kept of what people type."""

from __future__ import annotations

import pytest

from modellix_server.base.errors import InvalidParameters
from modellix_server.identity import plain_email

FIT = {
    " Ada@Example.com\n": "ada@example.com",
    "a+tag.x@b-c.example": "a+tag.x@b-c.example",
    "root@localhost": "root@localhost",
    "Ü@MÜNCHEN.de": "ü@münchen.de",
    "o'neil@example.com": "o'neil@example.com",
}
UNFIT = (
    *("", "a", "@", "a@", "@b.example", "a b@c.example", "a@b..example", "a@.example", "a@example.", "a@-b.example"),
    *("a@b@c.example", "<a@b.example>", "a,b@c.example", "a@b.example\nBcc: c@d.example", "a\0@b.example"),
    *("a@b.example,c@d.example", '"a b"@c.example', "x" * 250 + "@b.example"),
)


@pytest.mark.parametrize(("typed", "kept"), FIT.items())
def test_an_address_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert plain_email(typed) == kept


@pytest.mark.parametrize("typed", UNFIT)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(InvalidParameters):
        plain_email(typed)
