"""Pictures, clips and sounds to send."""

from __future__ import annotations

import base64
import io
import math
import os
import subprocess
import wave
from array import array
from pathlib import Path

import imageio_ffmpeg
from PIL import Image


class Draw:
    """Pictures for request bodies."""

    @staticmethod
    def picture(width: int = 512, height: int = 512, colour: str = "#a04020", format_name: str = "PNG") -> bytes:
        """A plain picture with a black corner, so that turning it shows."""
        image = Image.new("RGB", (width, height), colour)
        image.paste("black", (0, 0, width // 4, height // 4))
        buffer = io.BytesIO()
        image.save(buffer, format_name)
        return buffer.getvalue()

    @staticmethod
    def noise(size: int) -> bytes:
        """A PNG of about `size` bytes, another one each time."""
        side = int((size / 3) ** 0.5)
        buffer = io.BytesIO()
        Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(buffer, "PNG", compress_level=0)
        return buffer.getvalue()

    @staticmethod
    def data_uri(content: bytes, mime: str = "image/png") -> str:
        return f"data:{mime};base64,{base64.b64encode(content).decode()}"


class Film:
    """Makes clips and sounds, each of them once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str, seconds: float, size: str = "320x240") -> bytes:
        path = self._folder / f"{seconds}-{size}-{name}"
        if not path.exists():
            sound = ["-f", "lavfi", "-i", f"sine=duration={seconds}"]
            sight = ["-f", "lavfi", "-i", f"testsrc=size={size}:rate=10:duration={seconds}"]
            made = sound if name.endswith(("wav", "mp3")) else sight
            subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *made, str(path)], check=True)
        return path.read_bytes()


def photo(width: int, height: int) -> Image.Image:
    """Something with structure and colours."""
    grey = Image.effect_mandelbrot((width, height), (-2.2, -1.2, 0.8, 1.2), 60)
    return Image.merge("RGB", (grey, grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT), Image.new("L", grey.size, 120)))


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def tone(seconds: float) -> bytes:
    samples = array("h", (int(12_000 * math.sin(i * math.tau * 440 / 16_000)) for i in range(int(seconds * 16_000))))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(samples.tobytes())
    return file.getvalue()
