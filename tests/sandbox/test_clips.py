"""Clips, taken apart again: size, length, pixels over time, sound."""

from __future__ import annotations

import subprocess
from array import array
from itertools import pairwise

import imageio_ffmpeg
import pytest
from PIL import Image, ImageChops, ImageStat
from pymediainfo import MediaInfo

from modellix_server.sandbox.rendering import ffmpeg, sound
from modellix_server.sandbox.rendering.clips import Clip, film
from modellix_server.sandbox.rendering.paint import Source, UnusableMedia
from modellix_server.sandbox.rendering.sound import Sound

PROGRAM = imageio_ffmpeg.get_ffmpeg_exe()


def decode(path, *options: str) -> bytes:
    done = subprocess.run([PROGRAM, "-v", "error", "-i", path, *options, "pipe:1"], capture_output=True, check=True)
    return done.stdout


def frames(path, size, count: int) -> list[Image.Image]:
    """The first, the last, and some between."""
    raw = decode(path, "-f", "rawvideo", "-pix_fmt", "rgb24")
    length = size[0] * size[1] * 3
    total = len(raw) // length
    places = [round(index * (total - 1) / (count - 1)) for index in range(count)]
    return [Image.frombytes("RGB", size, raw[place * length : (place + 1) * length]) for place in places]


def loudness(path, start_s: float, end_s: float) -> float:
    """Root mean square of the samples, 0..32767."""
    samples = array("h", decode(path, "-f", "s16le", "-ac", "1", "-ar", "8000"))
    part = samples[int(start_s * 8000) : int(end_s * 8000)]
    return (sum(value * value for value in part) / len(part)) ** 0.5


def difference(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def check_container(path, size, seconds: float, *, audio: bool) -> None:
    tracks = {track.track_type: track for track in MediaInfo.parse(str(path)).tracks}
    assert ("Audio" in tracks) is audio
    video = tracks["Video"]
    assert (video.format, video.chroma_subsampling) == ("AVC", "4:2:0")
    assert (video.width, video.height) == size
    for track in tracks.values():
        assert abs(track.duration / 1000 - seconds) < 0.05
    if audio:
        assert tracks["Audio"].format == "AAC"


def test_a_landscape_in_motion_with_a_tune(tmp_path):
    path = tmp_path / "a.mp4"
    assert film(Clip("waves", 1, "m", 3, (1280, 720), dubbed=True), path) == (1280, 720)
    check_container(path, (1280, 720), 3, audio=True)
    shown = frames(path, (1280, 720), 4)
    for one, other in pairwise(shown):
        assert difference(one, other) > 1
    assert loudness(path, 0, 3) > 300
    assert loudness(path, 2, 3) > 100


@pytest.mark.full
def test_the_largest_and_the_longest(tmp_path):
    film(Clip("waves", 1, "m", 2, (1440, 1440)), tmp_path / "a.mp4")
    check_container(tmp_path / "a.mp4", (1440, 1440), 2, audio=False)
    film(Clip("waves", 1, "m", 15, (832, 480)), tmp_path / "b.mp4")
    check_container(tmp_path / "b.mp4", (832, 480), 15, audio=False)


def test_a_given_sound_is_heard_then_silence(tmp_path, material):
    path = tmp_path / "a.mp4"
    film(Clip("x", 1, "m", 5, (832, 480), dubbed=True, sound=Sound(material.tone(3), 15 << 20, (3, 30))), path)
    check_container(path, (832, 480), 5, audio=True)
    assert loudness(path, 0.2, 2.8) > 5000
    assert loudness(path, 3.2, 4.9) < 20


def test_a_given_sound_is_cut(tmp_path, material):
    path = tmp_path / "a.mp4"
    film(Clip("x", 1, "m", 2, (832, 480), sound=Sound(material.tone(4), 15 << 20, (3, 30))), path)
    check_container(path, (832, 480), 2, audio=True)
    assert loudness(path, 1.5, 1.9) > 5000


def test_mp3_is_understood(tmp_path, material):
    (tmp_path / "a.wav").write_bytes(material.tone(3))
    mp3 = decode(tmp_path / "a.wav", "-f", "mp3")
    assert len(sound.fitted(Sound(mp3, 15 << 20, (2.9, 30)), 5)) == 5 * sound.RATE_HZ * sound.FRAME_BYTES


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (lambda m: Sound(m.tone(1), 15 << 20, (3, 30)), "duration"),
        (lambda m: Sound(m.tone(4), 15 << 20, (1, 3)), "duration"),
        (lambda m: Sound(m.tone(4), 1000, (3, 30)), "size"),
        (lambda m: Sound(b"#EXTM3U\nfile:///etc/passwd", 15 << 20, (3, 30)), "sound"),
        (lambda m: Sound(b"RIFF....WAVE" + b"\0" * 100, 15 << 20, (3, 30)), "sound"),
    ],
)
def test_a_sound_that_breaks_a_limit(material, given, what):
    with pytest.raises(UnusableMedia) as bad:
        sound.fitted(given(material), 5)
    assert bad.value.what == what


def source(material, image: Image.Image) -> Source:
    return Source(material.png(image), 10 << 20, (100, 4000))


def test_a_clip_starts_with_its_picture_and_leaves_it(tmp_path, material):
    photo = material.photo(900, 600)
    path = tmp_path / "a.mp4"
    size = film(Clip("x", 1, "m", 2, None, 832 * 480, first=source(material, photo)), path)
    assert abs(size[0] * size[1] - 832 * 480) < 20_000
    assert abs(size[0] / size[1] - 1.5) < 0.05
    check_container(path, size, 2, audio=False)
    first, middle, last = frames(path, size, 3)
    assert difference(first, photo.resize(size)) < 4
    assert difference(last, photo.resize(size)) > 6
    assert difference(middle, last) > 3


def test_a_clip_between_two_pictures(tmp_path, material):
    photo, red = material.photo(640, 480), Image.new("RGB", (640, 480), (200, 40, 30))
    path = tmp_path / "a.mp4"
    size = film(Clip("", 1, "m", 2, None, 832 * 480, source(material, photo), source(material, red)), path)
    first, middle, last = frames(path, size, 3)
    assert difference(first, photo.resize(size)) < 4
    assert difference(last, red.resize(size)) < 4
    assert difference(middle, first) > 15
    assert difference(middle, last) > 15


def test_a_failing_ffmpeg_says_why(tmp_path):
    with pytest.raises(ffmpeg.FfmpegFailed, match="status"):
        ffmpeg.run(["-i", str(tmp_path / "none"), "-f", "null", "-"])
    with pytest.raises(ffmpeg.FfmpegFailed, match="rotocol"):
        ffmpeg.run(["-i", "http://127.0.0.1:9/a.mp4", "-f", "null", "-"])
