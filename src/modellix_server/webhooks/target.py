"""Which URLs are allowed for webhooks. The addresses of a name are checked again at every delivery, by the dialler."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from modellix_server.base.addresses import Network, is_reachable
from modellix_server.base.base64_text import without_blanks
from modellix_server.base.errors import InvalidParameters
from modellix_server.base.external_link import ExternalLink
from modellix_server.base.redaction import holds_own_key
from modellix_server.base.team_mode import TeamMode

_MOST_CHARS = 2048
_HTTPS = 443


def check_url(text: str, opened: Sequence[Network], what: str) -> str:
    """The link, as it was given but for blanks around it; `what` names it in a refusal. Raises InvalidParameters.

    Public https only. In networks that the operator has allowed, http and any port are allowed too.
    """

    def refuse(why: str) -> InvalidParameters:
        return InvalidParameters(f"{what} {why}")

    text = without_blanks(text)
    if not 1 <= len(text) <= _MOST_CHARS:
        raise refuse(f"must be a link of at most {_MOST_CHARS} ASCII characters, got {len(text)} characters")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise refuse(f"must be a link of at most {_MOST_CHARS} ASCII characters, without blanks")
    if holds_own_key(text):  # it is stored and shown as it is
        raise refuse("must not hold an API key")
    try:
        link = ExternalLink.parse(text)
    except ValueError:
        raise refuse("must be an https link") from None
    host, port = link.host, link.port
    if link.has_credentials or link.has_fragment:
        raise refuse("must not carry a user, a password or a fragment")
    inside = _is_opened(host, opened)
    if link.scheme != "https" and not inside:
        raise refuse("must be an https link")
    looks_like_address = ":" in host or host.replace(".", "").isdigit()
    if (
        host == "localhost"
        or host.endswith(".localhost")
        or (looks_like_address and not is_reachable(host, port, opened))
    ):
        raise refuse("must lead to a public address")
    if port != _HTTPS and not inside and not opened:
        raise refuse("must use port 443")
    return text


@dataclass(frozen=True, slots=True)
class TaskLink:
    """A link given with one task, as `webhooks.subscribe` takes it in SQL."""

    url: str
    lane: str


def task_link(url: str, team: TeamMode) -> TaskLink:
    """For a link that `check_url` has passed."""
    return TaskLink(url, lane(url, team.team_id, live=team.live))


def lane(url: str, team_id: int, *, live: bool) -> str:
    """The lane of a message: one per team, mode and origin."""
    scheme, host, port = ExternalLink.parse(url).origin
    return f"{team_id}:{'live' if live else 'test'}:{scheme}://{host}:{port}"


def _is_opened(host: str, opened: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in opened)
