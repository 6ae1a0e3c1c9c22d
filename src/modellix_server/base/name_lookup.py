"""Names of hosts to addresses, by c-ares: a name server that does not answer holds up no thread and nobody else.

The system's own resolver takes a thread for each look-up, of which there are four, and half a minute for a dead name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from aiodns import DNSResolver
from aiodns.error import DNSError

_FIRST_TRY_S, _TRIES = 1.5, 2  # the second try takes twice as long as the first: 4.5 s for a dead name
_MOST_AT_ONCE = 512


class NameLookup:
    """Look-ups with a limit of their own on how many run at a time; the hosts file goes before the name servers.

    `servers` are name servers as `address:port` in place of the system's.
    """

    def __init__(self, servers: Sequence[str] = (), *, most_at_once: int = _MOST_AT_ONCE) -> None:
        self._servers = servers
        self._turns = asyncio.Semaphore(most_at_once)
        self._resolver: DNSResolver | None = None

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a host; raises OSError when there are none, or no name server has answered."""
        if addresses := _spelled_out(host):
            return addresses
        async with self._turns:
            if self._resolver is None:  # it needs a running loop
                self._resolver = DNSResolver(self._servers or None, timeout=_FIRST_TRY_S, tries=_TRIES)
            try:
                found = await self._resolver.getaddrinfo(host, port=port, type=socket.SOCK_STREAM)
            except DNSError as error:
                raise OSError(f"the name is not resolved: {error.args[-1]}") from error
        return list(dict.fromkeys(node.addr[0].decode("ascii") for node in found.nodes))

    async def close(self) -> None:
        """Give up what is being looked up."""
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            await resolver.close()


def _spelled_out(host: str) -> list[str]:
    """The address that a host is in any of its spellings, such as `0x7f.1`; asks nobody."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []
    return [str(one[4][0]) for one in found]
