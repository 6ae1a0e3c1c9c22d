"""The library is made in a process of its own, and comes from it as the few objects that readers need.

Making it takes two seconds and leaves a heap that is full of holes: requests of the API would feel both. What was made
is kept in the spool directory for the next start, under a name that says what it was made of.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import pickle
import shutil
import stat
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import modellix_server
from modellix_server.base import log
from modellix_server.catalogue import Model
from modellix_server.docsite.finding import Finder, FinderGoneError, ProcessFinder
from modellix_server.docsite.index import Question
from modellix_server.docsite.search import Hit
from modellix_server.docsite.site import Library, SiteAddress
from modellix_server.docsite.written import TOP
from modellix_server.operations.models import ModelDetails

if TYPE_CHECKING:
    from modellix_server.catalogue.check import Checker

_LIMIT_S = 120.0
_KEPT, _UNDER_WAY = "modellix-docs-", "modellix-docs-new-"
_MOST_KEPT = 3
"""Of some MB each: of the prices in force and before, or of installations that share the spool directory."""
_MADE_OF = (".py", ".po", ".txt", ".json", ".toml", ".md")
_LOG = log.get("docs")
PAGES, INDEX = "pages", "index"
"""Parts of the folder."""


class NotMadeError(Exception):
    """The process did not do it; the message says why."""


@dataclass(frozen=True, slots=True)
class MadeLibrary:
    """A library, and what searches in it."""

    library: Library
    finder: Finder
    answers: dict[Question, list[Hit]] = field(default_factory=dict)
    """What it found lately: many ask the same."""


async def made_elsewhere(details: list[ModelDetails], where: SiteAddress, spool_dir: str) -> MadeLibrary:
    """A library that a process of its own makes, or made before, and that another one searches. Raises NotMadeError."""
    sent = await asyncio.to_thread(_sent, details, where)
    kept = Path(spool_dir, _KEPT + sent.mark)
    if await asyncio.to_thread(_is_ours, kept):
        try:
            await asyncio.to_thread(os.utime, kept)
            return await _opened(kept, where)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it can be made again
            _LOG.warning("the documentation of an earlier start cannot be read: it is made again", why=repr(error))
            await asyncio.to_thread(shutil.rmtree, kept, ignore_errors=True)
    try:
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=_UNDER_WAY, dir=spool_dir))
        try:
            await _run(sent.parts, folder)
            made = await _opened(folder, where)
            await asyncio.to_thread(_keep, folder, kept)
            return made
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    except (OSError, FinderGoneError) as error:
        raise NotMadeError(str(error) or type(error).__name__) from error


async def _opened(folder: Path, where: SiteAddress) -> MadeLibrary:
    library = await asyncio.to_thread(_read, folder, where)
    return MadeLibrary(library, await ProcessFinder.start(folder / INDEX))


def _is_ours(folder: Path) -> bool:
    """Whether a folder is there, and nobody else can have written it: what is in it is run, as pickles are."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _keep(folder: Path, kept: Path) -> None:
    """Put it where the next start looks, and remove those that nobody made or used for long."""
    with contextlib.suppress(OSError):  # another process was faster, or it is not ours
        folder.rename(kept)
    under_way = set(kept.parent.glob(f"{_UNDER_WAY}*"))
    for left in under_way:
        if time.time() - _used(left) > 2 * _LIMIT_S:
            shutil.rmtree(left, ignore_errors=True)
    others = sorted(set(kept.parent.glob(f"{_KEPT}*")) - under_way, key=_used, reverse=True)
    for left in others[_MOST_KEPT:]:
        shutil.rmtree(left, ignore_errors=True)


def _used(folder: Path) -> float:
    """When, in Unix seconds; 0 if it has gone meanwhile."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


class _Sent(NamedTuple):
    """What a library is made of."""

    parts: bytes
    mark: str
    """Another one for everything else, or for another release."""


class _Rules(NamedTuple):
    """What pages need of a model's compiled checks, which cannot be sent."""

    rules: tuple[str, ...]


def _sent(details: list[ModelDetails], where: SiteAddress) -> _Sent:
    parts = pickle.dumps(([replace(one, model=_without_checks(one.model)) for one in details], where))
    return _Sent(parts, hashlib.sha256(parts + _release()).hexdigest()[:32])


@cache
def _release() -> bytes:
    """A digest of our files, and of the names of the packages that are installed, which have their versions."""
    installed = sorted(one.name for one in Path(sysconfig.get_path("purelib")).iterdir())
    digest = hashlib.sha256(repr((sys.version, installed)).encode())
    for file in sorted(_files()):
        digest.update(hashlib.sha256(str(file).encode()).digest() + hashlib.sha256(file.read_bytes()).digest())
    return digest.digest()


def _files() -> Iterator[Path]:
    for top in (Path(modellix_server.__file__).parent, TOP / "docs", TOP / "CHANGELOG.md"):
        yield from (file for file in (top.rglob("*") if top.is_dir() else [top]) if file.suffix in _MADE_OF)


def _without_checks(model: Model) -> Model:
    return replace(model, checker=cast("Checker", _Rules(model.checker.rules)))


async def _run(parts: bytes, folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modellix_server.docsite.maker", str(os.getpid()), str(folder)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"LC_ALL": "C.UTF-8"},  # it needs no settings, and gets no secrets
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_LIMIT_S):
            _, said = await process.communicate(parts)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(error, TimeoutError | RuntimeError):  # a write to a pipe that was found closed is one of uvloop's
            raise NotMadeError(f"it was not done within {_LIMIT_S:.0f} s, or the process was killed") from error
        raise
    if process.returncode:
        raise NotMadeError(said.decode(errors="replace")[-2_000:])


def _read(folder: Path, where: SiteAddress) -> Library:
    found = []
    with (folder / PAGES).open("rb") as file:
        for _ in range(pickle.load(file)):  # noqa: S301 - written by our own process, into a folder that is ours alone
            found += pickle.load(file)  # noqa: S301
    library = Library.of_pieces(found, where)
    _ = library.chunks
    return library
