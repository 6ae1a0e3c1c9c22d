"""Public links to results and inputs: signed, expiring, and built from the configured origin only."""

import hashlib
import hmac
import re
import time
from pathlib import Path
from uuid import UUID

from modellix_server.base.errors import InvalidFormat, NotFound
from modellix_server.base.ids import task_name
from modellix_server.base.settings import Settings
from modellix_server.catalogue import samples
from modellix_server.inspection import STORED, UPLOADED

_PATH = re.compile(r"/results/task-([0-9a-f]{32})/([0-9]{1,4}\.[a-z0-9]{2,5})", re.ASCII)
_FILE_PATH = re.compile(r"/files/(file-[0-9a-f]{32}|[0-9a-f]{64})\.([a-z0-9]{2,5})", re.ASCII)
_OWN_FOLDERS = ("/results/", "/files/", samples.PATH)
_QUERY = re.compile(r"expires=([0-9]{1,12})&signature=([0-9a-f]{64})", re.ASCII)


def stored_place(task_id: UUID, index: int) -> str:
    """Where a result file lies in the storage, but for its format, which ends the path after a dot."""
    return f"results/{task_id.hex}/{index}"


def link(settings: Settings, task_id: UUID, index: int, format_name: str, expires_at: int) -> str:
    """The public URL of a result file until `expires_at` (Unix seconds)."""
    return _signed(settings, f"/results/{task_name(task_id)}/{index}.{format_name}", expires_at)


def check_link(settings: Settings, path: str, query: str) -> str:
    """The storage path that a requested public path and its query string stand for.

    Raises NotFound for a link that is altered, expired or never was one: all look alike from outside.
    """
    place = _checked(settings, _PATH, path, query, "result")
    return f"results/{place[1]}/{place[2]}"


def own_link(settings: Settings, url: str) -> str | None:
    """The storage path of one of our own result links, None for any other URL.

    Raises InvalidFormat for a link of ours that is altered or expired: it is never fetched instead.
    """
    if (place := _place(settings, url, "/results/")) is None:
        return None
    try:
        return check_link(settings, *place)
    except NotFound:
        raise InvalidFormat("the result link is not valid or has expired") from None


def own_sample(settings: Settings, url: str) -> Path | None:
    """The file of one of our own sample links, None for any other URL.

    Raises InvalidFormat for a link of that form without a sample behind it: it is never fetched instead.
    """
    rest = _below(settings.public_origin, url)
    if rest is None or not rest.startswith(samples.PATH):
        return None
    path = samples.find(rest.removeprefix(samples.PATH))
    if path is None:
        raise InvalidFormat("there is no such sample")
    return path


def file_link(settings: Settings, name: str, format_name: str, expires_at: int) -> str:
    """The public URL until `expires_at` (Unix seconds) of an uploaded file, or of an input by its SHA-256."""
    return _signed(settings, f"/files/{name}.{format_name}", expires_at)


def check_file_link(settings: Settings, path: str, query: str) -> tuple[str, str]:
    """Id or SHA-256, and format, that a requested public path and its query string stand for.

    Raises NotFound for a link that is altered, expired or never was one: all look alike from outside.
    """
    place = _checked(settings, _FILE_PATH, path, query, "file")
    return place[1], place[2]


def own_file_link(settings: Settings, url: str) -> str | None:
    """Id or SHA-256 of one of our own links to files, None for any other URL.

    Raises InvalidFormat for a link of ours that is altered or expired: it is never fetched instead.
    """
    if (place := _place(settings, url, "/files/")) is None:
        return None
    try:
        return check_file_link(settings, *place)[0]
    except NotFound:
        raise InvalidFormat("the link is not valid or has expired") from None


def is_ours(settings: Settings, text: str) -> bool:
    """Whether a media value names a file of the platform, valid or not: bytes of a body, an upload, our own link."""
    if text.startswith((STORED, UPLOADED)):
        return True
    return any(rest.startswith(_OWN_FOLDERS) for one in _origins(settings) if (rest := _below(one, text)) is not None)


def _origins(settings: Settings) -> tuple[str, str]:
    """Origins of file links: the current one, and the one in use before `MODELLIX_RESULTS_URL` was set."""
    return settings.results_origin, settings.public_origin


def _place(settings: Settings, url: str, folder: str) -> tuple[str, str] | None:
    """Path and query of a link of ours into this folder; None for any other URL."""
    for origin in _origins(settings):
        rest = _below(origin, url)
        if rest is not None and rest.startswith(folder):
            path, _, query = rest.partition("?")
            return path, query
    return None


def _below(origin: str, url: str) -> str | None:
    """What follows an origin in a link, without a fragment, which is for readers; scheme and host have no case."""
    return url[len(origin) :].partition("#")[0] if url[: len(origin)].lower() == origin.lower() else None


def _signed(settings: Settings, path: str, expires_at: int) -> str:
    return f"{settings.results_origin}{path}?expires={expires_at}&signature={_sign(settings, path, str(expires_at))}"


def _checked(settings: Settings, form: re.Pattern[str], path: str, query: str, what: str) -> re.Match[str]:
    """The parts of a signed path. Raises NotFound when it has another form, another signature, or has expired."""
    place, proof = form.fullmatch(path), _QUERY.fullmatch(query)
    if place is None or proof is None:
        raise NotFound(f"no such {what}")
    if not hmac.compare_digest(_sign(settings, path, proof[1]), proof[2]) or int(proof[1]) <= time.time():
        raise NotFound(f"no such {what}, or its link has expired")
    return place


def _sign(settings: Settings, path: str, expires: str) -> str:
    key = settings.secret.derive("result-links")
    return hmac.digest(key, f"{path}?expires={expires}".encode(), hashlib.sha256).hex()
