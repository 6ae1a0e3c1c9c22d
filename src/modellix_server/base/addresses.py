"""Which network addresses a request on somebody else's behalf may reach.

The ranges are listed here: Python's `ipaddress.is_global` treats 6to4, NAT64, multicast and others as public,
although they can lead to internal addresses (ranges: IANA special-purpose registries for IPv4 and IPv6).
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS = (80, 443)
_LONGEST = 100
"""Characters of an address, with the name of an interface; others are none."""
_INSIDE = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test", ".invalid", ".example")
_DENIED_4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_DENIED_6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "::/3",  # all below global unicast: loopback, v4-compatible, NAT64 64:ff9b::/96 and 64:ff9b:1::/48, discard
        "2001::/23",  # IETF protocol assignments: Teredo, ORCHID, benchmarking
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which embeds any IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
        "4000::/2",  # unassigned; SRv6 5f00::/16
        "8000::/1",  # unassigned; unique local fc00::/7, link-local fe80::/10, site-local fec0::/10, multicast ff00::/8
    )
)


def is_public_https(origin: str) -> bool:
    """Whether an origin looks as if a vendor could fetch from it: https, a public address or a name that may have one.

    No name is resolved.
    """
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme != "https":
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." in host.rstrip(".") and not host.rstrip(".").endswith(_INSIDE)
    return is_reachable(host, port or 443)


def is_reachable(text: str, port: int, opened: Iterable[Network] = ()) -> bool:
    """Whether this is a public address and a web port, or in a network opened on purpose (then any port).

    `text` is as the resolver wrote it; False for anything that is not exactly one address, scoped ones
    (`fe80::1%eth0`) included.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        address = address.ipv4_mapped or address
    if any(address in network for network in opened):
        return True
    denied = _DENIED_4 if address.version == 4 else _DENIED_6
    return port in _PORTS and not any(address in network for network in denied)


@lru_cache(maxsize=1_000)
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address; what is none is not kept. Raises ValueError."""
    if len(text) > _LONGEST:
        raise ValueError
    return ipaddress.ip_address(text)


def sender_behind(peer: str, forwarded: str, trusted: Iterable[Network]) -> str:
    """Who sent a request: the peer, or, behind trusted proxies, the last address of `X-Forwarded-For` that is none.

    What stands before that address may have been written by anybody.
    """
    sender = peer
    for part in reversed(forwarded.split(",")):
        try:
            address = _parsed(sender)
            before = _parsed(part.strip())
        except ValueError:
            return sender
        if not any(address in network for network in trusted):
            return sender
        sender = str(before)
    return sender


def subscriber_of(address: str) -> str:
    """Whom a limit per address counts: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = _parsed(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
        return str(parsed.ipv4_mapped)
    return str(parsed)


def local_origin(host: str, port: int) -> str:
    """The address at which a program on this machine reaches a server bound to `host`."""
    reached = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
