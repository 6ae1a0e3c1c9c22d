"""Open connections to other hosts: whom they may reach, and how long they are kept."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import NamedTuple

from aiohappyeyeballs import AddrInfoType, start_connection

from modellix_server.base.addresses import Network, is_reachable
from modellix_server.base.http_connection import HttpConnection
from modellix_server.base.name_lookup import NameLookup

_CONNECT_TIMEOUT_S = 10.0
_NEXT_ADDRESS_S = 0.25  # until another address of the host is tried beside one that does not answer (RFC 8305)
_IDLE_S = 15.0  # a GET on a connection that the server closed meanwhile is repeated, so reuse is safe
_IDLE_PAID_S = 1.0  # any other method is not: well under the 5 s after which common servers close
_KNOWN_S = 10.0  # for which the addresses of a name are remembered
_MOST_KNOWN = 10_000

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses; OSError when there are none."""


class NotSent(Exception):
    """Proof that nothing was sent: name lookup failed, connection refused, TLS failed."""


class Blocked(NotSent):
    """The address is not allowed: private, an unusual port or scheme, credentials in the URL."""


class Place(NamedTuple):
    """Whose connections may serve a request. Those to named origins serve no other, and a paid one is soon too old."""

    scheme: str
    host: str
    port: int
    named: bool
    """An origin that an operator named: its address is not checked."""
    paid: bool
    """For requests that are never repeated."""


class HttpPool:
    """The connections of one `Outbound`; at most `most` have an exchange at a time."""

    def __init__(self, opened: Sequence[Network], most: int, lookup: Lookup | None) -> None:
        self._opened = opened
        self._names = NameLookup()
        self._lookup = lookup or self._names
        self._turns = asyncio.Semaphore(most)
        # The oldest first, each with the end of its time, by the event loop's clock.
        self._idle: dict[Place, list[tuple[HttpConnection, float]]] = {}
        self._known: dict[tuple[str, int], tuple[Sequence[str], float]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    async def take(self, place: Place, deadline: float, *, fresh: bool) -> tuple[HttpConnection, bool]:
        """A connection, and whether it had been used before, which `fresh` rules out; `give_back` it.

        The deadline is by the event loop's clock. Raises Blocked, or OSError when there is no way there.
        """
        if self._turns.locked():
            async with asyncio.timeout_at(deadline):
                await self._turns.acquire()
        else:
            await self._turns.acquire()
        try:
            if not fresh and (kept := self._kept(place)):
                return kept, True
            return await self._open(place, deadline), False
        except BaseException:
            self._turns.release()
            raise

    def give_back(self, place: Place, connection: HttpConnection) -> None:
        """Keep a connection for the next request, if it may have one."""
        self._turns.release()
        if not connection.reusable:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + (_IDLE_PAID_S if place.paid else _IDLE_S)
        self._idle.setdefault(place, []).append((connection, until))
        if self._sweep is None:
            self._sweep = loop.call_later(_IDLE_PAID_S, self._close_old)

    async def close(self) -> None:
        """Drop all connections that nobody uses."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for kept in self._idle.values():
            for connection, _ in kept:
                connection.abort()
        self._idle.clear()
        self._known.clear()
        await self._names.close()

    def _kept(self, place: Place) -> HttpConnection | None:
        waiting = self._idle.get(place)
        while waiting:
            connection, until = waiting.pop()
            if connection.reusable and until > asyncio.get_running_loop().time():
                return connection
            connection.abort()
        return None

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for place, waiting in list(self._idle.items()):
            for connection, until in waiting:
                if until <= now:
                    connection.abort()
            waiting[:] = [one for one in waiting if one[0].reusable]
            if not waiting:
                del self._idle[place]
        self._sweep = loop.call_later(_IDLE_PAID_S, self._close_old) if self._idle else None

    async def _open(self, place: Place, deadline: float) -> HttpConnection:
        """Dial exactly the addresses that were checked, with the host's own name for TLS."""
        loop, secure = asyncio.get_running_loop(), place.scheme == "https"
        async with asyncio.timeout_at(min(deadline, loop.time() + _CONNECT_TIMEOUT_S)):
            targets = [_target(address, place.port) for address in await self._addresses(place)]
            dialled = await start_connection(targets, happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1)
            dialled.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            try:
                _, connection = await loop.create_connection(
                    HttpConnection,
                    sock=dialled,
                    ssl=_tls() if secure else None,
                    server_hostname=place.host if secure else None,
                )
            except ssl.SSLError:  # which may be a ValueError as well
                raise
            except ValueError as error:
                raise OSError("no certificate can have this name") from error
        return connection

    async def _addresses(self, place: Place) -> Sequence[str]:
        """Of a host, each of them checked: one bad address refuses the whole host. Raises Blocked or OSError."""
        addresses = [place.host] if _is_address(place.host) else await self._looked_up(place.host, place.port)
        if not place.named and not all(is_reachable(one, place.port, self._opened) for one in addresses):
            what = "is not a public address" if addresses == [place.host] else "has an address that is not public"
            raise Blocked(f"{place.host} {what}, or {place.port} is no web port")
        return addresses

    async def _looked_up(self, host: str, port: int) -> Sequence[str]:
        now = asyncio.get_running_loop().time()
        known = self._known.get((host, port))
        if known is None or known[1] < now:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[host, port] = (await self._lookup(host, port), now + _KNOWN_S)
        return known[0]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _target(address: str, port: int) -> AddrInfoType:
    """An address as the dialler takes it; nothing is left to look up."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    at = (address, port, 0, 0) if ":" in address else (address, port)
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", at


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
