"""Pictures of every page, for the documentation and for looking at: `make screenshots`.

python -m tests.browser.screenshots [FOLDER]      # docs/images/console, unless another is named
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from tests.support import tour
from tests.support.browsers import open_browser, require_chinese_font
from tests.support.platform_processes import open_platform
from tests.support.postgres_server import open_server

FOLDER = Path(__file__).parents[2] / "docs" / "images" / "console"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 860}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 860}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
    "chinese": {"color_scheme": "light", "viewport": {"width": 1280, "height": 860}, "locale": "zh-CN"},
}
_TALLEST_PX = 2_400


async def main(folder: Path) -> None:
    """Start a platform, let a team work, and take the pictures."""
    require_chinese_font()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.webp"):
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="modellix-screenshots-") as place:
        async with (
            open_server() as server,
            open_platform(server, Path(place)) as platform,
            open_browser() as browser,
        ):
            made = await tour.prepare(platform)
            for look, options in LOOKS.items():
                context, other = await browser.new_context(**options), await browser.new_context(**options)
                own, strangers = await made.sign_in(context, platform), await other.new_page()
                for name, path in made.places.items():
                    page = strangers if name.startswith("public") else own
                    await page.goto(platform.origin + path, wait_until="networkidle")
                    shot = Image.open(io.BytesIO(await page.screenshot(full_page=True)))
                    shot = shot.crop((0, 0, shot.width, min(shot.height, _TALLEST_PX)))
                    shot.save(folder / f"{name}-{look}.webp", quality=70, method=6)
                    sys.stdout.write(f"{name}-{look}\n")
                await context.close()
                await other.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
