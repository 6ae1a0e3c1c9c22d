import ipaddress

import pytest

from modellix_server.base.addresses import is_public_https, is_reachable

DENIED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.9", "192.0.0.255", "192.0.2.1",
    "192.88.99.0", "192.88.99.255", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1",
    "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "3fff::1", "3fff:fff::1", "5f00::1",
    "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip
NOT_AN_ADDRESS = [
    "",
    "localhost",
    "2130706433",
    "127.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "127.0.0.1.",
    "8.8.8.8\n",
    "1.1.1.1 ",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.1.1", "198.20.0.1", "223.255.255.255",
          "2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "2400:cb00::1", "::ffff:8.8.8.8"]  # fmt: skip


@pytest.mark.parametrize("address", DENIED + NOT_AN_ADDRESS)
def test_inner_addresses_are_denied(address):
    assert not is_reachable(address, 443)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reachable_on_web_ports_only(address):
    assert is_reachable(address, 443)
    assert is_reachable(address, 80)
    assert not is_reachable(address, 5432)


def test_an_opened_network_opens_itself_on_any_port_and_nothing_else():
    opened = (ipaddress.ip_network("10.1.0.0/16"),)
    assert is_reachable("10.1.2.3", 9000, opened)
    assert is_reachable("::ffff:10.1.2.3", 9000, opened)
    assert not is_reachable("10.2.0.1", 443, opened)
    assert not is_reachable("8.8.8.8", 9000, opened)


@pytest.mark.parametrize(
    ("origin", "public"),
    [
        ("https://pictures.example.com", True),
        ("https://pictures.example.com:8443", True),
        ("https://93.184.216.34", True),
        ("http://pictures.example.com", False),
        ("https://127.0.0.1", False),
        ("https://10.1.2.3", False),
        ("https://[::1]", False),
        ("https://localhost", False),
        ("https://media", False),
        ("https://media.internal", False),
        ("https://media.local.", False),
        ("https://[broken", False),
        ("", False),
    ],
)
def test_what_a_vendor_could_fetch_from(origin: str, public: bool) -> None:
    assert is_public_https(origin) is public
