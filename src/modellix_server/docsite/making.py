"""The library is made in a process of its own, and comes from it as the few objects that readers need.

Making it takes two seconds and leaves a heap that is full of holes: requests of the API would feel both.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from modellix_server.catalogue import Model
from modellix_server.docsite.finding import Finder, FinderGoneError, ProcessFinder
from modellix_server.docsite.site import Library, SiteAddress
from modellix_server.operations.models import ModelDetails

if TYPE_CHECKING:
    from modellix_server.catalogue.check import Checker

_LIMIT_S = 120.0
_PREFIX = "modellix-docs-"
PAGES, INDEX = "pages", "index"
"""Parts of the folder."""


class NotMadeError(Exception):
    """The process did not do it; the message says why."""


class MadeLibrary(NamedTuple):
    """A library, and what searches in it."""

    library: Library
    finder: Finder


async def made_elsewhere(details: list[ModelDetails], where: SiteAddress, spool_dir: str) -> MadeLibrary:
    """A library that is made by a process of its own, and searched by another one. Raises NotMadeError."""
    sent = await asyncio.to_thread(_sent, details, where)
    try:
        folder = await asyncio.to_thread(_new_folder, spool_dir)
        try:
            await _run(sent, folder)
            library = await asyncio.to_thread(_read, Path(folder), where)
            return MadeLibrary(library, await ProcessFinder.start(Path(folder, INDEX)))
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    except (OSError, FinderGoneError) as error:
        raise NotMadeError(str(error) or type(error).__name__) from error


def _new_folder(spool_dir: str) -> str:
    """An empty folder. Those that were left when their process was killed are removed."""
    for left in Path(spool_dir).glob(f"{_PREFIX}*"):
        if time.time() - left.stat().st_mtime > 2 * _LIMIT_S:
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=_PREFIX, dir=spool_dir)


class _Rules(NamedTuple):
    """What pages need of a model's compiled checks, which cannot be sent."""

    rules: tuple[str, ...]


def _sent(details: list[ModelDetails], where: SiteAddress) -> bytes:
    return pickle.dumps(([replace(one, model=_without_checks(one.model)) for one in details], where))


def _without_checks(model: Model) -> Model:
    return replace(model, checker=cast("Checker", _Rules(model.checker.rules)))


async def _run(sent: bytes, folder: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modellix_server.docsite.maker", str(os.getpid()), folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"LC_ALL": "C.UTF-8"},  # it needs no settings, and gets no secrets
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_LIMIT_S):
            _, said = await process.communicate(sent)
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
