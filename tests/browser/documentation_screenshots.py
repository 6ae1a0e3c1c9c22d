"""Pictures of ten pages of the documentation, in both languages and themes: `make screenshots`.

python -m tests.browser.documentation_screenshots [FOLDER]      # docs/images/docs, unless another is named
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from tests.support.browsers import open_browser, require_chinese_font
from tests.support.platform_processes import open_platform
from tests.support.postgres_server import open_server

FOLDER = Path(__file__).parents[2] / "docs" / "images" / "docs"
PAGES = (
    *("get-started/index", "get-started/pricing", "alibaba/qwen-image-plus", "ways-to-use/idempotency"),
    *("workflows/image-editing", "api-reference/query-task-result", "errors/rate-limit-exceeded"),
    *("self-hosting/install", "self-hosting/commands/admin-key-create", "search?q=webhook"),
)
_TALLEST_PX = 1_500


async def main(folder: Path) -> None:
    """Start a platform, and take the pictures."""
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
            for theme in ("light", "dark"):
                context = await browser.new_context(color_scheme=theme, viewport={"width": 1280, "height": 860})
                page = await context.new_page()
                for language, part in (("en", ""), ("zh", "/zh")):
                    for slug in PAGES:
                        await page.goto(f"{platform.origin}/docs{part}/{slug}", wait_until="networkidle")
                        shot = Image.open(io.BytesIO(await page.screenshot(full_page=True)))
                        shot = shot.crop((0, 0, shot.width, min(shot.height, _TALLEST_PX)))
                        name = slug.partition("?")[0].replace("/", "-")
                        shot.save(folder / f"{name}-{language}-{theme}.webp", quality=60, method=6)
                        sys.stdout.write(f"{name}-{language}-{theme}\n")
                await context.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
