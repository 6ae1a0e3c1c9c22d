"""Redaction of texts: no file contents, no keys, no signed links, no credentials in headers.

File contents become their digest, URLs lose query, fragment and user, API keys all but their prefix. Applied to
stored texts and to every log line.
"""

import hashlib
import re

_DATA = re.compile(r"data:([\w.+/-]*(?:;[\w.=-]+)*);base64,([A-Za-z0-9+/=_%\\\s-]*)", re.ASCII | re.IGNORECASE)
_PERCENT = re.compile(r"(data:[\w.+-]+/[\w.+-]+(?:;[\w.=-]+)*),([!$-;=?-~]{100,})", re.ASCII | re.IGNORECASE)
"""A data URI without base64 (RFC 2397), if it is too long to be of interest."""
# Both match only at the start of a run: matching inside it would take quadratic time for a hostile body.
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_\\-])[A-Za-z0-9+/_\\-]{200,}={0,2}", re.ASCII)
_URL = re.compile(r"(?<!\w)(\w+:(?:\\?/){2})([^\s\"'<>]*)", re.ASCII)
_OWN_KEY = re.compile(r"mdlx-(?:test-)?[0-9A-Za-z]+", re.ASCII)
_FOREIGN_KEY = re.compile(r"(?<![A-Za-z0-9])((?:sk|rk|whsec)[-_])[A-Za-z0-9+/_=-]{8,}", re.ASCII)
_JWT = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII)  # MiniMax' keys
_NO_PORT = re.compile(r":(?![0-9]*$)", re.ASCII)
_BEARER = re.compile(r"(?i:\b(bearer|basic) +)[A-Za-z0-9+/_.=~-]{20,}", re.ASCII)


def holds_own_key(text: str) -> bool:
    """Whether an API key of ours stands in a text."""
    return "mdlx-" in text and _OWN_KEY.search(text) is not None


def redact_text(text: str) -> str:
    """One string without its secrets."""
    text = _DATA.sub(lambda found: f"data:{found[1]};base64,<{_digest(found[2])}>", text)
    text = _PERCENT.sub(lambda found: f"{found[1]},<{_digest(found[2])}>", text)
    text = _BASE64.sub(lambda found: f"<{_digest(found[0])}>", text)
    if "/" in text:
        text = _URL.sub(lambda found: found[1] + _without_secrets(found[2]), text)
    return redact_keys(text)


def redact_keys(text: str) -> str:
    """One string without our API keys, keys and signing secrets of the usual forms, and credentials."""
    if "mdlx-" in text:
        text = _OWN_KEY.sub("mdlx-<key>", text)
    text = _FOREIGN_KEY.sub(lambda found: f"{found[1]}<key>", text)
    if "eyJ" in text:
        text = _JWT.sub("<key>", text)
    return _BEARER.sub(lambda found: f"{found[1]} <key>", text)


def _without_secrets(rest: str) -> str:
    location = re.split(r"[?#]|\\u003[fF]", rest, maxsplit=1)[0]
    host, slash, path = location.partition("/")
    if "@" in path and _NO_PORT.search(host):  # a password with a slash in it
        host, slash, path = location.rpartition("@")[2].partition("/")
    return host.rpartition("@")[2] + slash + path


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}, {len(text)} characters"
