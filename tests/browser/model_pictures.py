"""A small picture for each model, shown in the list of models: what the sandbox makes of its example.

make model-pictures
"""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg
from PIL import Image, ImageOps
from tests.support.api_client import Team
from tests.support.platform_processes import open_platform
from tests.support.postgres_server import open_server

from modellix_server.catalogue import Catalogue, Model

FOLDER = Path(__file__).parents[2] / "src" / "modellix_server" / "web" / "static" / "models"
_SIZE_PX = (128, 96)
_AT_ONCE = 4


async def main() -> None:
    """Run the example of every model that has no picture yet, and keep one of each."""
    with tempfile.TemporaryDirectory(prefix="modellix-pictures-") as place:
        async with open_server() as server, open_platform(server, Path(place)) as platform:
            team = await platform.team(micros=1_000_000_000)
            few = asyncio.Semaphore(_AT_ONCE)
            missing = [model for model in Catalogue.load() if not _path(model).exists()]
            await asyncio.gather(*(_keep(team, model, platform.origin, few) for model in missing))


async def _keep(team: Team, model: Model, origin: str, few: asyncio.Semaphore) -> None:
    async with few:
        example = Catalogue.load(origin=origin).models[model.slug].example
        done = await team.run(f"{model.type}/{model.slug}", within_s=240, **example)
        pictures = [one for one in done["result"]["resources"] if one["type"] in ("image", "video")]
        async with team.http.get(pictures[0]["url"]) as answer:
            content = await answer.read()
        frame = await asyncio.to_thread(_first_frame, content) if pictures[0]["type"] == "video" else content
        with Image.open(io.BytesIO(frame)) as opened:
            small = ImageOps.fit(opened.convert("RGBA"), _SIZE_PX)
        ground = Image.new("RGBA", _SIZE_PX, "#e5e8eb")
        ground.alpha_composite(small)
        path = _path(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        ground.convert("RGB").save(path, quality=45, method=6)
        sys.stdout.write(f"{model.slug}\n")


def _path(model: Model) -> Path:
    return FOLDER / f"{model.slug}.webp"


def _first_frame(clip: bytes) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(clip)
        file.flush()
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-ss", "0.5", "-i", file.name]
        more = ["-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-"]
        return subprocess.run([*command, *more], check=True, capture_output=True).stdout


if __name__ == "__main__":
    asyncio.run(main())
