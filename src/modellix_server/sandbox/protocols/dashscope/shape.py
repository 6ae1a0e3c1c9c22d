"""The size of a result, from the parameters of a submission."""

import re
from typing import Any

from modellix_server.sandbox.protocols.dashscope.fields import sides
from modellix_server.sandbox.protocols.dashscope.table import Param
from modellix_server.sandbox.rendering.paint import shape_like

COLOUR = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)
TIER_AREAS = {480: 832 * 480, 720: 1280 * 720, 1080: 1920 * 1080}
_KNOWN = {
    720: {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960), "4:3": (1088, 832), "3:4": (832, 1088)},
    1080: {"16:9": (1920, 1080), "9:16": (1080, 1920), "1:1": (1440, 1440), "4:3": (1632, 1248), "3:4": (1248, 1632)},
}
"""The vendor's sizes; other ratios have the same area."""


def clip_size(parameters: dict[str, Any]) -> tuple[int, int] | None:
    """A clip's size; None where it follows an input."""
    if parameters.get("size"):
        return sides(parameters["size"])
    ratio = parameters.get("ratio")
    if not ratio:
        return None
    tier = lines(parameters)
    width, _, height = ratio.partition(":")
    return _KNOWN.get(tier, {}).get(ratio) or shape_like((int(width), int(height)), TIER_AREAS[tier])


def lines(parameters: dict[str, Any]) -> int:
    """The price tier of a clip: as asked, or the smallest that holds its size; 720 where neither is said."""
    if "resolution" in parameters:
        return int(parameters["resolution"].removesuffix("P"))
    if "size" not in parameters:
        return 720
    width, height = sides(parameters["size"])
    return next(tier for tier, area in TIER_AREAS.items() if width * height <= area)


def preset_area(rule: Param, size: str) -> int:
    """Pixels of a picture that follows its input's shape."""
    preset = rule.presets.get(size, 1024)
    return preset * preset
