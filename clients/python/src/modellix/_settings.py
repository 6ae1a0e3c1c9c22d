"""Address and key: from arguments, from the environment, or from what `modellix login` saved."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from modellix.errors import NotConfigured

LOCAL = "http://127.0.0.1:8000"
"""Where `make up` of Modellix listens."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API is, and the key for it."""

    origin: str
    key: str = field(repr=False)


def find(key: str | None = None, base_url: str | None = None) -> Access:
    """What to use. A saved key is sent to the address it was saved with, and nowhere else. Raises NotConfigured."""
    saved = read_saved()
    origin = origin_of(base_url or os.environ.get("MODELLIX_BASE_URL") or (saved.origin if saved else LOCAL))
    key = key or os.environ.get("MODELLIX_API_KEY")
    if not key and saved and saved.origin == origin:
        key = saved.key
    if not key:
        raise NotConfigured(f"no API key for {origin}: set MODELLIX_API_KEY, or run `modellix login`")
    return Access(origin, key_of(key))


def origin_of(url: str) -> str:
    """The origin of an API. Raises NotConfigured for what is none."""
    trimmed = url.strip().rstrip("/").removesuffix("/api/v1")
    parts = urlsplit(trimmed)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query or parts.username:
        raise NotConfigured(f"the base URL {url!r} is no origin such as https://modellix.example.com")
    return f"{parts.scheme}://{parts.netloc}"


def key_of(text: str) -> str:
    """A key as pasted. Raises NotConfigured, without repeating it."""
    key = text.strip()
    if not key:
        raise NotConfigured("no API key was given")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise NotConfigured("the API key has characters that no key has")
    return key


def config_file() -> Path:
    """Where `modellix login` saves (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "modellix" / "config.json"


def read_saved() -> Access | None:
    """What was saved. Raises NotConfigured for a file that is none of ours."""
    file = config_file()
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Access(origin_of(found["base_url"]), key_of(found["api_key"]))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotConfigured(f"{file} is damaged: run `modellix login` again") from None


def save(access: Access) -> Path:
    """Save for the user alone (0600), at once or not at all. Raises OSError."""
    file = config_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, draft = tempfile.mkstemp(dir=file.parent)  # which makes files 0600
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        json.dump({"base_url": access.origin, "api_key": access.key}, opened)
    Path(draft).replace(file)
    return file
