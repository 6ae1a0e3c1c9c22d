"""Whoever hands us a link, nothing on this machine or its network is reached: one table, tried at every door.

A door is a way of the outbound client, or what stands right in front of one. A new way needs a row in `DOORS`.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import ipaddress
from pathlib import Path
from uuid import UUID

import pytest

import modellix_server
from modellix_server.base.external_link import Origins
from modellix_server.base.outbound import Blocked, NotSent, Outbound
from modellix_server.results import Fetcher, FetchLater, FetchNever, Helper, RemoteResult, Spool, Storage

SOURCE = Path(modellix_server.__file__).parent

# Svix' table of addresses, and those that Python's is_global takes for public.
ADDRESSES = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.255", "192.0.2.1", "192.88.99.0",
    "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1",
    "2001:10::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fec0::1", "ff02::1",
]  # fmt: skip
# Other ways to write 127.0.0.1 and 169.254.169.254, names of this machine, and tricks that parsers disagree on.
HOSTS = [
    "2130706433", "017700000001", "0x7f000001", "0x7F.0.0.1", "0x7f.1", "127.1", "127.0.1", "0177.0.0.1", "0177.1",
    "127.0.0.1.", "127.000.000.001", "2852039166", "0xa9fea9fe", "0xA9.254.0251.254", "0251.0376.0251.0376",
    "①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "⑯⑨.②⑤④.⑯⑨.②⑤④",  # noqa: RUF001
    "localhost", "LOCALHOST", "localhost.", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "0", "0x0", "00000000000", "[::]", "[0:0:0:0:0:0:0:1]",
    "[0000::1]", "[::127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:0x7f000001]", "[fe80::1%25lo]", "[::1%25lo]",
    "user@127.0.0.1", "good.test@127.0.0.1", "127.0.0.1%00.good.test", "127.0.0.1%2f.good.test",
    "127.0.0.1\\@good.test", "good.test\\@127.0.0.1", "good.test%40127.0.0.1", "127.0.0.1%E3%80%82good.test",
    "127.0.0.1:80@good.test",
]  # fmt: skip
SCHEMES = [
    "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:6379/_", "dict://127.0.0.1:11211/", "ldap://127.0.0.1/",
    "unix:///run/postgresql", "//127.0.0.1/", "http:127.0.0.1", "http:///127.0.0.1", "javascript:1", "data:,x", "",
]  # fmt: skip
PORTS = [22, 25, 5432, 6379, 8000, 11211]


def literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


URLS = [
    *(f"http://{literal(address)}/" for address in ADDRESSES),
    *(f"https://{literal(address)}/" for address in ADDRESSES),
    *(f"http://{host}/" for host in HOSTS),
    *SCHEMES,
    *(f"http://8.8.8.8:{port}/" for port in PORTS),
]


async def api_call(http: Outbound, url: str, _fetcher: Fetcher) -> None:
    """A vendor's API at an address that nobody named as an origin; webhooks and uploads go the same way."""
    await http.call(
        "POST", url, headers={}, body=b"{}", origins=Origins.of("https://vendor.test"), timeout_s=3, max_bytes=1000
    )


async def download(http: Outbound, url: str, _fetcher: Fetcher) -> None:
    """A file: a result, or an input that is looked at."""
    async with http.stream(url, origins=Origins.of("https://vendor.test"), timeout_s=3, max_bytes=1000):
        pass


async def result(_http: Outbound, url: str, fetcher: Fetcher) -> None:
    """A link that a vendor gave as the result of a task."""
    remote = RemoteResult(UUID(int=1), 0, url, "image")
    try:
        await fetcher.fetch(remote, Origins.of("https://vendor.test"))
    except (FetchNever, FetchLater) as error:
        if isinstance(error.__cause__, NotSent):
            raise error.__cause__ from None
        raise


async def notice(http: Outbound, url: str, _fetcher: Fetcher) -> None:
    """A webhook."""
    await http.call("POST", url, headers={}, body=b"{}", timeout_s=3, max_bytes=0)


DOORS = {"call": api_call, "stream": download, "result": result, "notify": notice}


@pytest.fixture(scope="module")
async def examining(tmp_path_factory):
    spool = Spool(str(tmp_path_factory.mktemp("spool")))
    helper = Helper(spool)
    yield spool, helper
    await helper.close()
    spool.close()


@pytest.fixture
async def enter(examining, tmp_path):
    """Goes through a door with an outbound client of its own."""
    opened: list[Outbound] = []

    async def go(door: str, url: str, **client) -> None:
        http = Outbound(**client)
        opened.append(http)
        fetcher = Fetcher(http, http, Storage(tmp_path.as_uri()), examining[1], examining[0])
        await DOORS[door](http, url, fetcher)

    yield go
    for http in opened:
        await http.close()


class Witness:
    """Listens on every address of this machine and counts who comes; `answer` is what they get."""

    def __init__(self) -> None:
        self.visits: list[str] = []
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    async def __call__(self, reader, writer) -> None:
        self.visits.append(writer.get_extra_info("sockname")[0])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def witness():
    found = Witness()
    server = await asyncio.start_server(found, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()


def test_every_way_out_has_a_row():
    ways = {
        name
        for name, member in inspect.getmembers(Outbound)
        if not name.startswith("_") and callable(member) and name != "close"
    }
    assert ways <= DOORS.keys(), "a new way out of the platform: give it a row in DOORS"


def test_nothing_else_in_the_source_can_reach_the_network():
    """Every door leads through `base.outbound`, as nobody else has a client or opens connections."""
    clients = {
        "aiohttp",
        "httpx",
        "requests",
        "urllib3",
        "http.client",
        "urllib.request",
        "ftplib",
        "smtplib",
        "socket",
    }
    allowed = {
        "base/http_pool.py": "the connections of the one client",
        "base/name_lookup.py": "asks name servers for the one client",
        "base/multipart.py": "writes forms, opens nothing",
        "operations/maintenance/doctor.py": "an operator asks about the addresses of the operator's own settings",
        "cli/model_gallery/gallery.py": "an operator asks the operator's own platform",
        "cli/model_gallery/runs.py": "an operator asks the operator's own platform",
        "api/hot/connection_limit.py": "bounds what the kernel keeps for a client, opens nothing",
        "processes/metrics.py": "listens for the operator's scrapes",
        "processes/serve.py": "listens for clients",
        "embedded/instance_lock.py": "asks the own port on this machine",
        "cli/context.py": "the name of this host",
        "operations/maintenance/restore.py": "the name of this host",
        "processes/up.py": "the name of this host",
        "processes/work.py": "the name of this host",
    }
    for path in SOURCE.rglob("*.py"):
        where = str(path.relative_to(SOURCE))
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Attribute) and node.attr in ("open_connection", "create_connection"):
                names = ["socket"]
            reached = {name for name in names if any(name == one or name.startswith(f"{one}.") for one in clients)}
            assert not reached or where in allowed, f"{where} imports {reached}"


@pytest.mark.parametrize("door", DOORS)
async def test_no_inner_address_is_reached_however_it_is_written(enter, door):
    for url in URLS:
        with pytest.raises(NotSent):
            await enter(door, url)


@pytest.mark.parametrize("door", DOORS)
async def test_no_name_that_leads_inside_is_followed(enter, door):
    for address in ADDRESSES:
        for answers in ([address], ["8.8.8.8", address], [address, "2606:4700::1111"]):

            async def lookup(_host, _port, answers=answers):
                return answers

            for scheme in ("http", "https"):
                with pytest.raises(Blocked):
                    await enter(door, f"{scheme}://rebind.test/", lookup=lookup)


@pytest.mark.parametrize("door", DOORS)
async def test_other_spellings_lead_to_this_machine_and_are_blocked_for_that(enter, witness, door):
    """Without the guard these would be reached: the system's own resolver takes them for 127.0.0.1."""
    for host in ("2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost"):
        reached = await asyncio.get_running_loop().getaddrinfo(host, witness.port)
        assert any(info[4][0] in ("127.0.0.1", "::1") for info in reached), host
        with pytest.raises(Blocked):
            await enter(door, f"http://{host}:{witness.port}/")
    assert witness.visits == []


async def test_the_control_reaches_this_machine_when_its_network_is_opened(enter, witness):
    """Negative control: with the guard out of the way the same doors do get here."""
    opened = (ipaddress.ip_network("127.0.0.0/8"),)
    await enter("call", f"http://127.0.0.1:{witness.port}/", allow_networks=opened)
    await enter(
        "stream", f"http://localhost:{witness.port}/", allow_networks=(*opened, ipaddress.ip_network("::1/128"))
    )
    assert len(witness.visits) == 2


@pytest.mark.parametrize("door", [name for name in DOORS if name not in ("call", "notify")])
async def test_no_redirect_leads_inside(enter, witness, door):
    """The first hop is a place we may go to; where it points is checked like any link."""
    first = f"http://127.0.0.2:{witness.port}/"
    server = await asyncio.start_server(hop := Witness(), "127.0.0.2", witness.port)
    try:
        for target in [
            *URLS,
            f"http://127.0.0.1:{witness.port}/",
            f"//127.1:{witness.port}/",
            f"http://[::1]:{witness.port}",
        ]:
            if not target.isprintable() or not target:
                continue
            location = target.encode("utf-8")
            hop.answer = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location
            with pytest.raises((NotSent, FetchNever)):
                await enter(door, first, allow_networks=(ipaddress.ip_network("127.0.0.2/32"),))
        assert len(hop.visits) > len(URLS) / 2
    finally:
        server.close()
    assert witness.visits == []


@pytest.mark.parametrize("door", ["call", "notify"])
async def test_an_api_call_and_a_webhook_follow_no_redirect_at_all(enter, witness, door):
    hop = Witness()
    hop.answer = b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % witness.port
    server = await asyncio.start_server(hop, "127.0.0.2", witness.port)
    await enter(door, f"http://127.0.0.2:{witness.port}/", allow_networks=(ipaddress.ip_network("127.0.0.2/32"),))
    server.close()
    assert len(hop.visits) == 1
    assert witness.visits == []


@pytest.mark.parametrize("door", DOORS)
async def test_a_name_whose_answer_changes_is_dialled_where_it_was_checked(enter, witness, door):
    """Checked as 127.0.0.2, which is opened here for want of a public address; asked again it says 127.0.0.1."""
    asked = []

    async def lookup(_host, _port):
        asked.append(1)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    server = await asyncio.start_server(good := Witness(), "127.0.0.2", witness.port)
    try:
        url = f"http://rebind.test:{witness.port}/"
        client = {"lookup": lookup, "allow_networks": (ipaddress.ip_network("127.0.0.2/32"),)}
        with contextlib.suppress(FetchNever):  # it comes, and is no picture
            await enter(door, url, **client)
        assert (len(asked), good.visits) == (1, ["127.0.0.2"])
        with pytest.raises(Blocked):
            await enter(door, url, **client)
    finally:
        server.close()
    assert witness.visits == []
