"""What is typed into the forms of operators, read."""

from datetime import UTC, datetime

from modellix_server.base.errors import InvalidParameters
from modellix_server.base.money import micros_from_usd
from modellix_server.base.team_mode import TeamMode
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import viewer_zone
from modellix_server.console.i18n import gettext as _


def micros(text: str) -> int:
    """`25`, `$0.50` or `-3` in micro-dollars. Raises InvalidParameters."""
    try:
        return micros_from_usd(text.strip().replace("$", "", 1))
    except ValueError:
        raise InvalidParameters(_("the amount must be in USD, such as 25 or 0.50")) from None


def whole(text: str) -> int | None:
    """A number of at least 0; None for nothing. Raises InvalidParameters."""
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise InvalidParameters(_("a number must be whole and at least 0"))
    return int(text)


def moment(request: PageRequest, name: str) -> datetime | None:
    """A time in the viewer's zone; None for nothing. Raises InvalidParameters."""
    text = request.fields.get(name, "").strip()
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=viewer_zone(request))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidParameters(_("a time is not one")) from None


def mode(request: PageRequest, team_id: int) -> TeamMode:
    """The account of a team in the mode that the form names. Raises InvalidParameters."""
    word = request.fields.get("mode", "")
    if word not in ("live", "test"):
        raise InvalidParameters(_("choose a mode"))
    return TeamMode(team_id, live=word == "live")


def before(request: PageRequest) -> int | None:
    """The place in a list, from the address."""
    text = request.query_params.get("before", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
