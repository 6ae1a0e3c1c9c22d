"""Results that a vendor put into its answer, where a link is documented: paid for, so they are kept."""

from __future__ import annotations

import base64
import re

import pytest
from tests.contract.test_contract import Way, played, recorded

from modellix_server.upstreams.contract import Answer, Done, InlineFile, RemoteFile, UnmappedAnswer

LINK = re.compile(rb'"https?://[^"]+"')
FILE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
FORMS = {
    "base64": "data:image/png;base64," + base64.b64encode(FILE).decode(),
    "url-safe": "DATA:;base64," + base64.urlsafe_b64encode(FILE).decode().rstrip("="),
    "lines": "data:image/png;name=a.png;base64," + base64.encodebytes(FILE).decode().replace("\n", "\\n"),
    "percent": "data:image/png," + "".join(f"%{byte:02X}" for byte in FILE),
}


def told_in_place(answer: Answer, text: str) -> Answer:
    """The answer with this text in place of each link."""
    return Answer(answer.status, LINK.sub(lambda _: f'"{text}"'.encode(), answer.body), answer.headers)


@played("done")
@pytest.mark.parametrize("form", FORMS)
async def test_a_data_uri_in_place_of_a_link_is_the_file(way: Way, name: str, form: str) -> None:
    answers = recorded(way.upstream.name, name)
    as_told = await way.ends()(*answers)
    assert isinstance(as_told, Done)
    inside = [told_in_place(one, FORMS[form]) for one in answers]
    found = await way.ends()(*inside)
    assert isinstance(found, Done)
    assert [(one.kind, one.role) for one in found.files] == [(one.kind, one.role) for one in as_told.files]
    for linked, one in zip(as_told.files, found.files, strict=True):
        assert isinstance(one, InlineFile)
        assert one.data == FILE or isinstance(linked, InlineFile)


@played("done")
async def test_a_data_uri_that_is_broken_is_no_file(way: Way, name: str) -> None:
    answers = recorded(way.upstream.name, name)
    broken = [told_in_place(one, "data:image/png;base64,***") for one in answers]
    told = await way.ends()(*answers)
    if isinstance(told, Done) and any(isinstance(one, RemoteFile) for one in told.files):
        with pytest.raises(UnmappedAnswer):
            await way.ends()(*broken)
