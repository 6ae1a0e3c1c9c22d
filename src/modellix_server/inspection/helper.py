"""The helper process: examines untrusted files and large bodies for the other processes.

Started as `python -m modellix_server.inspection.helper <parent pid> <steps of niceness>`; reads batches of requests
from standard input, writes batches of replies to standard output, and ends with its parent. Before the first one it
writes an empty frame: from then on, an exit of the process is blamed on a file.
"""

import os
import sys
import warnings
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

import msgspec

from modellix_server.base import json_body
from modellix_server.base.errors import InvalidFormat
from modellix_server.base.process import die_with_parent, reuse_memory
from modellix_server.inspection.confine import confine, renew_time
from modellix_server.inspection.formats import Kind
from modellix_server.inspection.inputs import take_inputs
from modellix_server.inspection.messages import (
    LENGTH,
    MOST_SLIM_BYTES,
    Extract,
    Extracted,
    ExtractedFile,
    Probe,
    Probed,
    Refused,
    Reply,
    Unkept,
    decode_requests,
    encode_replies,
)
from modellix_server.inspection.probing import Unfit, open_file, probe
from modellix_server.inspection.vectors import probe_vector


def main() -> None:
    """Serve until standard input ends."""
    die_with_parent(int(sys.argv[1]))
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints must not reach the pipe
    warnings.simplefilter("ignore")  # a library's, each with words of the file's own
    confine(give_way_by=int(sys.argv[2]))
    reuse_memory()
    _write(replies, LENGTH.pack(0))  # ready
    while head := requests.read(LENGTH.size):
        renew_time()
        batch = decode_requests(requests.read(*LENGTH.unpack(head)))
        answer = encode_replies([_serve(request) for request in batch])
        _write(replies, LENGTH.pack(len(answer)) + answer)


def _write(pipe: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[pipe.write(rest) :]


def _serve(request: Probe | Extract) -> Reply:
    try:
        if isinstance(request, Extract):
            return _extract(request)
        with open_file(request.data, request.path) as file:
            found = probe_vector(file) if request.kind == "vector" else probe(request.kind, file)
        if request.keep_at is not None and request.data is not None:
            _keep(Path(f"{request.keep_at}.{found.format}"), request.data)
        return found
    except (Unfit, InvalidFormat) as refusal:
        return Refused(str(refusal))
    except MemoryError:
        return Refused("the file takes too much memory to look at")
    except _Unkept as error:
        return Unkept(str(error))


class _Unkept(Exception):
    """A file could not be written."""


def _keep(place: Path, data: bytes) -> None:
    """Write a file that nobody reads before this is done; one that is there already is replaced at once."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if not _write_new(place, data):
            beside = place.with_name(f"{place.name}#{os.getpid()}")  # for the storage, a file that is being written
            beside.unlink(missing_ok=True)
            _write_new(beside, data)
            beside.replace(place)
    except OSError as error:
        raise _Unkept(type(error).__name__) from error


def _write_new(place: Path, data: bytes) -> bool:
    """Write a file, whole or not at all; False when there is one already."""
    try:
        file = place.open("xb", buffering=0)
    except FileExistsError:
        return False
    try:
        with file:
            _write(file, data)
    except OSError:
        place.unlink()
        raise
    return True


def _probe(kind: Kind, path: Path) -> Probed | Refused:
    """Examine a file that is on disk."""
    try:
        with path.open("rb") as file:
            return probe(kind, file)
    except Unfit as unfit:
        return Refused(str(unfit))


def _extract(request: Extract) -> Extracted:
    """The body in the file without its media; those go into files beside `target`."""
    try:
        with (
            Path(request.path).open("rb") as source,
            mmap(source.fileno(), 0, access=ACCESS_READ) as body,
            memoryview(body) as whole,
        ):
            params = json_body.read(whole)
    except ValueError:  # an empty file cannot be mapped
        raise InvalidFormat("invalid JSON format") from None
    files = []
    if isinstance(params, dict):
        params, taken = take_inputs(params, request.media)
        for number, file in enumerate(taken):
            assert isinstance(file.content, bytes)
            path = Path(f"{request.target}.{number}")
            path.write_bytes(file.content)
            found = _probe(file.kind, path)
            files.append(ExtractedFile(file.sha256, file.mime, file.kind, file.size, str(path), found, file.given))
    slim = msgspec.json.encode(params)
    if len(slim) > MOST_SLIM_BYTES:
        raise InvalidFormat("the body is too large without its media")
    return Extracted(slim, tuple(files))


if __name__ == "__main__":
    main()
