"""Runs the ffmpeg program: only from a render process, with limits, never outliving it."""

import os
import resource
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import IO

import imageio_ffmpeg

from modellix_server.base.process import die_with_parent

TIMEOUT_S = 120
MEMORY_BYTES = 3 * 1024**3
FILE_BYTES = 512 * 1024**2
_COLOURS = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "animation", "-crf", "23", "-pix_fmt", "yuv420p", *_COLOURS)
AAC = ("-c:a", "aac", "-b:a", "128k")
MP4 = ("-threads", "1", "-filter_threads", "1", "-movflags", "+faststart", "-map_metadata", "-1", "-f", "mp4")


class FfmpegFailed(Exception):
    """It exited with an error; the text is the end of its output."""


@lru_cache(maxsize=1)
def _program() -> str:
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def run(arguments: list[str], feed: Iterable[bytes] = ()) -> None:
    """Run it to the end, giving it `feed` on standard input. Raises FfmpegFailed.

    Only local files and pipes can be opened, whatever an input file says.
    """
    command = [_program(), "-nostdin", "-hide_banner", "-v", "error", "-protocol_whitelist", "file,pipe", *arguments]
    with tempfile.TemporaryFile() as said, _started(command, said) as child:
        assert child.stdin is not None
        try:
            for piece in feed:
                child.stdin.write(piece)
            child.stdin.close()
        except BrokenPipeError:
            pass  # its exit status and words say why
        status = child.wait()
        if status != 0:
            said.seek(0)
            raise FfmpegFailed(f"status {status}: {said.read()[-500:].decode(errors='replace')}")


@contextmanager
def _started(command: list[str], said: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The running program, killed at the deadline and when the block is left early."""
    prepare = partial(_limit, os.getpid())
    # A render process has one thread, so running Python between fork and exec is safe here.
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=said,
        preexec_fn=prepare,  # noqa: PLW1509
    )
    deadline = threading.Timer(TIMEOUT_S, child.kill)
    deadline.start()
    try:
        yield child
    finally:
        deadline.cancel()
        deadline.join()
        child.kill()
        child.wait()


def _limit(parent_pid: int) -> None:
    die_with_parent(parent_pid)
    resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT_S, TIMEOUT_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
