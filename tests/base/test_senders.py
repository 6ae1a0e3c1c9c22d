"""Who sent a request that came through proxies: nobody can name somebody else."""

from __future__ import annotations

import ipaddress

import pytest

from modellix_server.base.addresses import sender_behind

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "sender"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # no proxy of ours: the header is a claim
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),  # what the client wrote itself stands before
        ("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "10.0.0.9", "10.0.0.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7:443", "10.0.0.1"),
        ("10.0.0.1", "<b>", "10.0.0.1"),
        ("unknown", "198.51.100.7", "unknown"),
    ],
)
def test_the_sender_of_a_request(peer: str, forwarded: str, sender: str) -> None:
    assert sender_behind(peer, forwarded, PROXIES) == sender


def test_without_trusted_proxies_the_header_is_nothing() -> None:
    assert sender_behind("10.0.0.1", "198.51.100.7", ()) == "10.0.0.1"
