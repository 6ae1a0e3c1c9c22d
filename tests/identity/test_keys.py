"""The text of an API key."""

import re

import pytest

from modellix_server.identity import keys


@pytest.mark.parametrize(("live", "prefix"), [(True, "mdlx-"), (False, "mdlx-test-")])
def test_a_new_key_is_accepted_and_tells_its_mode(live, prefix):
    text = keys.mint(live=live)
    assert re.fullmatch(prefix + r"[0-9A-Za-z]{36}", text)
    assert keys.presented(f"Bearer {text}") == text
    assert keys.presented(f"bearer  {text}") == text


def test_keys_differ():
    assert len({keys.mint(live=True) for _ in range(1000)}) == 1000


def test_every_single_typing_error_is_caught():
    text = keys.mint(live=True)
    for place in range(len("mdlx-"), len(text)):
        other = "a" if text[place] != "a" else "b"
        assert keys.presented(f"Bearer {text[:place]}{other}{text[place + 1 :]}") is None


def test_the_checksum_covers_the_mode():
    """A live key cannot be passed off as a test key, nor the other way round."""
    live, test = keys.mint(live=True), keys.mint(live=False)
    assert keys.presented(f"Bearer mdlx-test-{live.removeprefix('mdlx-')}") is None
    assert keys.presented(f"Bearer mdlx-{test.removeprefix('mdlx-test-')}") is None


def test_other_headers_are_not_keys():
    text = keys.mint(live=True)
    for header in (
        None,
        "",
        text,
        f"Basic {text}",
        f"Bearer{text}",
        f"Bearer {text} ",
        f"Bearer {text}\n",
        f"Bearer\t{text}",
        f" Bearer {text}",
        f"Bearer {text},Bearer {text}",
        f"Bearer {text.upper()}",
        f"Bearer {text[:-1]}",
        f"Bearer {text}0",
        f"Bearer {text[:-1]}٣",
        "Bearer " + "9" * 100_000,
        "Bearer \udcff",
    ):
        assert keys.presented(header) is None, header


def test_the_stored_form_depends_on_the_pepper():
    text = keys.mint(live=True)
    assert keys.stored_form(text, b"a" * 32) != keys.stored_form(text, b"b" * 32)
    assert len(keys.stored_form(text, b"a" * 32)) == 32


def test_what_is_shown_does_not_give_the_key_away():
    text = keys.mint(live=False)
    prefix, last4 = keys.shown_form(text)
    assert text.startswith(prefix)
    assert text.endswith(last4)
    assert len(text) - len(prefix) - len(last4) == 28
