"""Sound tracks: a soft tune of our own, or the client's, cut to length and followed by silence.

Tracks are 16-bit stereo samples at 44.1 kHz, left and right in turn.
"""

from __future__ import annotations

import hashlib
import math
import random
import tempfile
from array import array
from dataclasses import dataclass
from pathlib import Path

from modellix_server.sandbox.rendering import ffmpeg
from modellix_server.sandbox.rendering.paint import UnusableMedia

RATE_HZ = 44_100
FRAME_BYTES = 4
_FEWER = 4
_DRAFT_HZ = RATE_HZ // _FEWER
"""The tune is drafted in mono at a lower rate, which its low notes allow: sums in Python are slow."""
_BEATS = 16
_PENTATONIC = (0, 2, 4, 7, 9, 12, 14, 16)
_NOTE_S = 1.2


@dataclass(frozen=True, slots=True)
class Sound:
    """An input sound and the limits it must keep."""

    data: bytes
    most_bytes: int
    seconds: tuple[float, float]


def tune(text: str, seconds: float) -> bytes:
    """A few plucked notes that follow from `text`, played again and again for exactly `seconds`."""
    chance = random.Random(hashlib.sha256(text.encode(errors="replace")).digest())  # noqa: S311  (music)
    root_hz = 220 * 2 ** (chance.randint(-3, 4) / 12)
    step = int(chance.choice((0.25, 0.3, 0.4)) * _DRAFT_HZ)
    loop = array("l", bytes(array("l").itemsize * _BEATS * step))
    plucked: dict[int, array[int]] = {}
    place = chance.randrange(len(_PENTATONIC))
    for beat in range(_BEATS):
        place = min(len(_PENTATONIC) - 1, max(0, place + chance.choice((-2, -1, 1, 2))))
        if chance.random() < 0.2:
            continue
        if place not in plucked:
            plucked[place] = _pluck(root_hz * 2 ** (_PENTATONIC[place] / 12))
        for offset, value in enumerate(plucked[place], beat * step):
            loop[offset % len(loop)] += value
    draft = array("h", (max(-32_000, min(32_000, value)) for value in loop))
    full = array("h", bytes(FRAME_BYTES * _FEWER * len(draft)))
    for start in range(2 * _FEWER):  # the full rate, two channels
        full[start :: 2 * _FEWER] = draft
    wanted = round(seconds * RATE_HZ) * FRAME_BYTES
    return (full.tobytes() * (wanted // (FRAME_BYTES * _FEWER * len(draft)) + 1))[:wanted]


def _pluck(pitch_hz: float) -> array[int]:
    """One note: a sine with one overtone, fading."""
    turn = math.tau * pitch_hz / _DRAFT_HZ
    fade = -4.5 / (_DRAFT_HZ * _NOTE_S)
    rise = _DRAFT_HZ * 0.01
    return array(
        "l",
        (
            int(7000 * min(1.0, i / rise) * math.exp(fade * i) * (math.sin(turn * i) + 0.3 * math.sin(2 * turn * i)))
            for i in range(int(_DRAFT_HZ * _NOTE_S))
        ),
    )


def fitted(sound: Sound, seconds: float) -> bytes:
    """The client's sound for exactly `seconds`: cut, or silent after its end. Raises BadMedia."""
    if len(sound.data) > sound.most_bytes:
        raise UnusableMedia("size", f"The audio file must not be larger than {sound.most_bytes // 1024**2} MB.")
    samples = _decode(sound)
    length_s = len(samples) / FRAME_BYTES / RATE_HZ
    low, high = sound.seconds
    if not low <= length_s <= high:
        raise UnusableMedia("duration", f"The audio must be between {low:g} and {high:g} seconds long.")
    wanted = round(seconds * RATE_HZ) * FRAME_BYTES
    return samples[:wanted].ljust(wanted, b"\0")


def _decode(sound: Sound) -> bytes:
    container = _container(sound.data)
    with tempfile.TemporaryDirectory(prefix="sound-") as directory:
        source, decoded = Path(directory, "source"), Path(directory, "decoded")
        source.write_bytes(sound.data)
        limit = ["-t", f"{sound.seconds[1] + 1:g}"]
        shape = ["-vn", "-f", "s16le", "-ac", "2", "-ar", str(RATE_HZ)]
        try:
            ffmpeg.run(["-f", container, *limit, "-i", str(source), *shape, "-y", str(decoded)])
        except ffmpeg.FfmpegFailed as error:
            raise UnusableMedia("sound", "The audio could not be decoded.") from error
        return decoded.read_bytes()


def _container(data: bytes) -> str:
    """By its first bytes, so that ffmpeg is never left to guess: WAV or MP3, which is what vendors take."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        return "mp3"
    raise UnusableMedia("sound", "The audio must be WAV or MP3.")
