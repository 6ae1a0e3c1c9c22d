"""A link that somebody else wrote: its text as given, and its parts for checks.

Storage services and receivers sign or route by the exact bytes of a link, and two spellings that mean the same
(RFC 3986, 6.2) have different signatures. So a link is never decoded and encoded anew: not when it is kept, shown or
sent on, not when it is requested, and not after a redirect.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urljoin

from yarl import URL

_LINK = re.compile(r"(https?)://([^/?#]*)([^#]*)(#.*)?", re.ASCII | re.IGNORECASE | re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNSENDABLE = re.compile(r"[^!-~]+")
_QUERY = re.compile(r"[?#]")
_SHORT = 1000  # characters: of longer texts none is remembered
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ExternalLink:
    """An http or https link."""

    text: str
    """As it was given."""
    scheme: str
    """In lower case, as the host is."""
    host: str
    """In ASCII; an IPv6 address without its brackets."""
    port: int
    target: str
    """What a request asks for: path and query as given, only encoded where a request line cannot hold a character."""
    has_credentials: bool
    has_fragment: bool

    @classmethod
    def parse(cls, text: str) -> ExternalLink:
        """The link of a text. Raises ValueError, without the text in it, for what is not an http or https link."""
        return _known(text) if len(text) <= _SHORT else cls._parsed(text)

    @classmethod
    def _parsed(cls, text: str) -> ExternalLink:
        found = _LINK.fullmatch(text)
        if found is None or _CONTROL.search(text):
            raise ValueError("not an http or https URL with a host")
        scheme, authority, rest, fragment = found[1].lower(), found[2], found[3], found[4]
        host, port = _place(scheme, authority)
        rest = _UNSENDABLE.sub(lambda run: quote(run[0], safe="", errors="surrogateescape"), rest)
        target = rest if rest.startswith("/") else f"/{rest}"
        return cls(text, scheme, host, port, target, "@" in authority, bool(fragment))

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port

    def joined(self, location: str) -> ExternalLink:
        """Where a redirect leads (RFC 3986, 5.2), its own characters as they are. Raises ValueError."""
        authority = self.text.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
        if _ABSOLUTE.match(location):
            return self.parse(location)
        if location.startswith("//"):
            return self.parse(f"{self.scheme}:{location}")
        base = f"{self.scheme}://{authority}"
        if location.startswith("/"):
            return self.parse(base + location)
        if not location or location.startswith("#"):
            return self.parse(base + self.target + location)
        path = self.target.partition("?")[0]
        place = _QUERY.split(location, maxsplit=1)[0]
        if not place:
            return self.parse(base + path + location)
        merged = f"{base}{path.rpartition('/')[0]}/{place}"
        if {".", ".."}.intersection(place.split("/")):  # the library drops what has no meaning for it, such as a last ;
            merged = urljoin(base + path, place)
        return self.parse(merged + location[len(place) :])


@lru_cache(1000)  # a vendor's address is asked for again and again, and the link to a result is looked at several times
def _known(text: str) -> ExternalLink:
    return ExternalLink._parsed(text)  # noqa: SLF001


@lru_cache(1000)
def _place(scheme: str, authority: str) -> tuple[str, int]:
    """Host and port, by the library's rules for names, addresses and ports. Raises ValueError."""
    place = URL(f"{scheme}://{authority}/")
    if not place.raw_host or not place.port:
        raise ValueError("not an http or https URL with a host")
    return place.raw_host, place.port


@dataclass(frozen=True, slots=True)
class Origins:
    """Origins that an operator named: their address and port are not checked."""

    exact: frozenset[tuple[str, str, int]] = frozenset()
    """Scheme, host, port."""

    @classmethod
    def of(cls, *urls: str) -> Origins:
        """The origins of these URLs; ValueError for one that is not an http(s) URL with a host."""
        return cls(frozenset(ExternalLink.parse(url).origin for url in urls))

    def __contains__(self, link: ExternalLink) -> bool:
        return link.origin in self.exact

    def names(self, text: str) -> bool:
        """Whether a text is a URL at one of these origins."""
        try:
            return ExternalLink.parse(text) in self
        except ValueError:
            return False


PUBLIC_ONLY = Origins()
