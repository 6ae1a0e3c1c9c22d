"""What a texture is made of, told from the words of a prompt: its colours, its grain, and what lies on it."""

import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageChops, ImageDraw, ImageOps

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stuff:
    """A material: words that name it, colours from dark to light, and how it is drawn."""

    words: str
    """Words of a prompt, and Chinese ones, between spaces."""
    colours: tuple[str, str, str]
    grain: Callable[[random.Random, Size], Image.Image]


@dataclass(frozen=True, slots=True)
class Scatter:
    """Things strewn over a material."""

    words: str
    colours: tuple[str, ...]
    draw: Callable[[ImageDraw.ImageDraw, random.Random, tuple[float, float], float, str], None]


def woven(chance: random.Random, size: Size, prompt: str, plain: tuple[str, str, str]) -> Image.Image:
    """A texture of this size (RGB) as the prompt says; of these colours where it names no material and no colour."""
    words = _words(prompt)
    stuff = next((one for word in words for one in MATERIALS if word in one.words.split()), None)
    strewn = [one for one in SCATTERS if {*words} & {*one.words.split()}]
    named = [colour for name, colour in COLOURS.items() if {*words} & {*name.split()}]
    colours = stuff.colours if stuff else plain
    if named and stuff is None:
        colours = (_mixed(named[0], "#000000", 0.55), named[0], _mixed(named[-1], "#ffffff", 0.5))
    grain = stuff.grain if stuff else clouds
    made = ImageOps.colorize(ImageOps.autocontrast(grain(chance, size), cutoff=0.5), colours[0], colours[2], colours[1])
    draw = ImageDraw.Draw(made)
    for scatter in strewn:
        unit = min(size) / 16
        shown = named if named and stuff is not None else scatter.colours
        for _ in range(round(3.2 * size[0] * size[1] / (unit * 4) ** 2)):
            place = (chance.uniform(0, size[0]), chance.uniform(0, size[1]))
            scatter.draw(draw, chance, place, unit * chance.uniform(0.5, 1.1), chance.choice(shown))
    return made


def _words(prompt: str) -> list[str]:
    """The words of a prompt in their order, in the singular too; of Chinese, the longest ones that are known."""
    found = []
    for word in re.findall("[a-z]+|[\u4e00-\u9fff]+", prompt.lower()):
        if word.isascii():
            found += [word, re.sub("ies$", "y", word), word.removesuffix("es"), word.removesuffix("s")]
        else:
            found += _chinese_words(word)
    return found


def _chinese_words(run: str) -> Iterator[str]:
    at = 0
    while at < len(run):
        longest = next(run[at : at + n] for n in (4, 3, 2, 1) if n == 1 or run[at : at + n] in _known())
        yield longest
        at += len(longest)


@cache
def _known() -> frozenset[str]:
    """Every word below, and those that only look as if they named one of them: watercolours are no water."""
    tables = (*(one.words for one in MATERIALS), *(one.words for one in SCATTERS), *COLOURS)
    return frozenset(word for words in (*tables, _NEITHER) for word in words.split())


def clouds(chance: random.Random, size: Size, scale: float = 1.0) -> Image.Image:
    """Soft noise of several sizes (L)."""
    made = Image.new("L", size, 128)
    for part, share in ((5, 0.5), (11, 0.4), (24, 0.33), (60, 0.25)):
        cells = (max(2, round(part * scale * size[0] / max(size))), max(2, round(part * scale * size[1] / max(size))))
        noise = Image.frombytes("L", cells, chance.randbytes(cells[0] * cells[1]))
        made = Image.blend(made, noise.resize(size, Image.Resampling.BICUBIC), share)
    return made


def grains(chance: random.Random, size: Size) -> Image.Image:
    """Fine, uneven grains: moss, sand, felt, snow."""
    fine = clouds(chance, size, 5)
    return Image.blend(clouds(chance, size), fine, 0.6)


def veins(chance: random.Random, size: Size) -> Image.Image:
    """Thin light lines through soft noise: marble, ice, rock."""
    folded = clouds(chance, size, 0.8).point([255 - min(255, abs(value - 128) * 9) for value in range(256)])
    return ImageChops.lighter(
        Image.blend(folded, clouds(chance, size), 0.35), clouds(chance, size, 2).point(lambda v: v // 2)
    )


def ripples(chance: random.Random, size: Size) -> Image.Image:
    """Waves one behind the other."""
    return _lined(chance, size, lines=14, sway=0.03)


def planks(chance: random.Random, size: Size) -> Image.Image:
    """Long, nearly even lines: wood, fur."""
    return _lined(chance, size, lines=30, sway=0.012)


def _lined(chance: random.Random, size: Size, *, lines: int, sway: float) -> Image.Image:
    column = Image.new("L", (1, 512))
    phase = chance.random() * math.tau
    for y in range(512):
        value = math.sin(y / 512 * lines * math.tau + phase + 2 * math.sin(y / 60 + phase))
        column.putpixel((0, y), round(128 + 100 * value))
    lined = column.resize(size, Image.Resampling.BICUBIC)
    draw_from = Image.blend(lined, clouds(chance, size, 2), 0.25)
    width, height = size
    turns, start = chance.uniform(1.5, 3), chance.random() * math.tau
    strips = 48
    mesh = []
    for strip in range(strips):
        left, right = width * strip // strips, width * (strip + 1) // strips
        lifts = [height * sway * math.sin(x / width * turns * math.tau + start) for x in (left, right)]
        corners = (left, lifts[0], left, height + lifts[0], right, height + lifts[1], right, lifts[1])
        mesh.append(((left, 0, right, height), corners))
    return draw_from.transform(size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def flames(chance: random.Random, size: Size) -> Image.Image:
    """Bright below, in tongues, dark above."""
    tall = clouds(chance, (size[0], max(2, size[1] // 4)), 2).resize(size, Image.Resampling.BICUBIC)
    return Image.blend(tall, Image.linear_gradient("L").resize(size), 0.55)


def sheen(chance: random.Random, size: Size) -> Image.Image:
    """Broad slanting bands of light: metal, silk, glass."""
    width, height = size
    band = Image.new("L", (256, 1))
    phase = chance.random() * math.tau
    for x in range(256):
        band.putpixel((x, 0), round(128 + 90 * math.sin(x / 256 * 3 * math.tau + phase) + 30 * math.sin(x / 7 + phase)))
    wide = band.resize((width + height, height), Image.Resampling.BICUBIC)
    slanted = wide.transform(size, Image.Transform.AFFINE, (1, 0.6, 0, 0, 1, 0), Image.Resampling.BILINEAR)
    return Image.blend(slanted, clouds(chance, size, 4), 0.15)


def glow(chance: random.Random, size: Size) -> Image.Image:
    """From dark above to light below, with soft bands: sky, dusk."""
    return Image.blend(Image.linear_gradient("L").resize(size), clouds(chance, size), 0.3)


def bricks(chance: random.Random, size: Size) -> Image.Image:
    """Rows of stones with light joints."""
    image = Image.blend(clouds(chance, size, 4), Image.new("L", size, 90), 0.5)
    draw = ImageDraw.Draw(image)
    high = max(8, min(size) // 10)
    for row in range(size[1] // high + 1):
        draw.line((0, row * high, size[0], row * high), fill=255, width=max(1, high // 9))
        for x in range(-(row % 2) * high, size[0] + high, 2 * high):
            draw.line((x, row * high, x, (row + 1) * high), fill=255, width=max(1, high // 9))
    return image


def _flower(
    draw: ImageDraw.ImageDraw, chance: random.Random, place: tuple[float, float], unit: float, colour: str
) -> None:
    x, y = place
    turn, petals = chance.random() * math.tau, 5
    for petal in range(petals):
        angle = turn + petal / petals * math.tau
        px, py, r = x + math.cos(angle) * unit * 0.55, y + math.sin(angle) * unit * 0.55, unit * 0.42
        draw.ellipse((px - r, py - r, px + r, py + r), fill=colour)
    r = unit * 0.3
    draw.ellipse((x - r, y - r, x + r, y + r), fill="#ffd54a")


def _leaf(
    draw: ImageDraw.ImageDraw, chance: random.Random, place: tuple[float, float], unit: float, colour: str
) -> None:
    x, y = place
    angle, points = chance.random() * math.tau, []
    for step in range(13):
        turn = step / 12 * math.tau
        along, aside = unit * (1 - math.cos(turn)), unit * 0.5 * math.sin(turn)
        points.append(
            (
                x + along * math.cos(angle) - aside * math.sin(angle),
                y + along * math.sin(angle) + aside * math.cos(angle),
            )
        )
    draw.polygon(points, fill=colour)


def _dot(draw: ImageDraw.ImageDraw, _: random.Random, place: tuple[float, float], unit: float, colour: str) -> None:
    x, y = place
    r = unit * 0.3
    draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def _star(
    draw: ImageDraw.ImageDraw, chance: random.Random, place: tuple[float, float], unit: float, colour: str
) -> None:
    x, y = place
    turn = chance.random() * math.tau
    points = []
    for step in range(10):
        reach = unit * (0.5 if step % 2 else 0.2) * 0.8
        points.append(
            (x + reach * math.cos(turn + step * math.pi / 5), y + reach * math.sin(turn + step * math.pi / 5))
        )
    draw.polygon(points, fill=colour)


def _fruit(
    draw: ImageDraw.ImageDraw, chance: random.Random, place: tuple[float, float], unit: float, colour: str
) -> None:
    x, y = place
    r = unit * 0.8
    draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    draw.ellipse((x - r * 0.55, y - r * 0.6, x - r * 0.15, y - r * 0.2), fill=_mixed(colour, "#ffffff", 0.6))
    _leaf(draw, chance, (x, y - r * 0.9), r * 0.35, "#2e7d32")


_NEITHER = "水彩 水墨 水平 水瓶 水管 火车 火箭 火星 石油 金鱼 木马 草书 草图 毛笔 星期 花纹 花边 秋千 白天 黑板"
MATERIALS = (
    Stuff(
        "fruit apple pear pineapple watermelon melon strawberry berry banana mango grape lemon peach "
        "水果 苹果 菠萝 西瓜 草莓 浆果 香蕉 芒果 葡萄 柠檬 桃子 木瓜 火龙果 石榴",
        ("#3f6d1c", "#f4b63f", "#fff0b8"),
        clouds,
    ),
    Stuff("moss grass meadow lawn 苔藓 草 草地", ("#12300f", "#4c8a2c", "#b6d96a"), grains),
    Stuff("fire flame lava burning magma 火 火焰 熔岩 岩浆", ("#240400", "#e2450c", "#ffe66b"), flames),
    Stuff("water sea ocean wave river lake 水 海 海洋 海浪 河 湖", ("#062b5c", "#1f7fc4", "#d4f3ff"), ripples),
    Stuff("ice frozen glacier crystal 冰 冰川 水晶", ("#3f86b5", "#a9dcf2", "#ffffff"), veins),
    Stuff("snow frost winter 雪 霜 冬", ("#a9c3d9", "#e3eef6", "#ffffff"), grains),
    Stuff("wood wooden bark oak timber 木 木头 树皮", ("#3a1f0c", "#8f5a2b", "#d9a866"), planks),
    Stuff("gold golden brass 金 金色 黄金", ("#5c3a00", "#d69a1e", "#fff2b0"), sheen),
    Stuff("silver steel iron chrome metal metallic 银 钢 铁 金属", ("#2b3036", "#98a3ad", "#ffffff"), sheen),
    Stuff("copper bronze rust rusty 铜 青铜 锈", ("#3d1a0b", "#b4632d", "#f3b98a"), grains),
    Stuff("marble 大理石", ("#6d7278", "#d8dadd", "#ffffff"), veins),
    Stuff("stone rock granite concrete 石 石头 岩石", ("#3a3c40", "#85888d", "#d3d5d8"), grains),
    Stuff("brick wall 砖 砖墙", ("#7a2a1b", "#b9482f", "#efe3d3"), bricks),
    Stuff("sunset dusk sunrise dawn 日落 夕阳 晚霞 黄昏 日出", ("#3a1d66", "#e8577a", "#ffd27a"), glow),
    Stuff("sky cloud cloudy 天空 云", ("#2f7fd0", "#8cc4f0", "#ffffff"), clouds),
    Stuff("space galaxy night cosmos nebula 太空 星空 银河 夜", ("#05061a", "#3b2a7a", "#c77fd8"), clouds),
    Stuff("sand desert dune beach 沙 沙漠 沙滩", ("#9a6b33", "#d9b070", "#fbe8bf"), ripples),
    Stuff("chocolate cocoa coffee 巧克力 咖啡", ("#24110a", "#5b2f1b", "#a4714d"), sheen),
    Stuff("candy cream cake sugar 糖 糖果 奶油 蛋糕", ("#d24d86", "#ff9ec4", "#fff3f8"), ripples),
    Stuff("fur wool fluffy furry 毛 毛茸茸 羊毛", ("#6b4a2b", "#b98d5f", "#f1dcc0"), planks),
    Stuff("silk satin velvet 丝 丝绸 天鹅绒", ("#4a0f2b", "#a32a5d", "#f3a9c8"), sheen),
    Stuff("jade emerald 玉 翡翠", ("#0c4a35", "#2f9c74", "#c6f2dc"), veins),
    Stuff("glass 玻璃", ("#5d8f9c", "#b5dbe2", "#ffffff"), sheen),
    Stuff(
        "forest jungle tree leaf foliage garden spring 森林 树 树叶 花园 春 春天",
        ("#0b2a14", "#2f7a3a", "#a8d68a"),
        grains,
    ),
    Stuff(
        "flower blossom bloom rose daisy tulip petal floral cherry 花 鲜花 花朵 玫瑰 樱花 花瓣",
        ("#8a2f5c", "#e88ab4", "#ffe6f1"),
        clouds,
    ),
    Stuff("autumn fall maple 秋 秋天 枫", ("#5c1a08", "#c8581b", "#ffc65c"), grains),
)
SCATTERS = (
    Scatter(MATERIALS[0].words, ("#e53935", "#fbc02d", "#7cb342", "#fb8c00", "#d81b60", "#8e24aa"), _fruit),
    Scatter(
        "flower blossom bloom rose daisy tulip petal floral cherry 花 鲜花 花朵 玫瑰 樱花 花瓣",
        ("#ff7fae", "#fff4fa", "#f5c542", "#d86bd8", "#ff5e5e"),
        _flower,
    ),
    Scatter("leaf leaves foliage forest jungle ivy 树叶 叶 叶子 森林", ("#2e7d32", "#81b84a", "#1b5e20"), _leaf),
    Scatter("autumn maple 秋 秋天 枫", ("#c0392b", "#e67e22", "#f1c40f"), _leaf),
    Scatter("star stars starry galaxy night 星 星星 星空 夜", ("#ffffff", "#ffe9a8", "#cfe3ff"), _star),
    Scatter("bubble foam pearl rain drop dew 泡 泡沫 泡泡 珍珠 雨 露", ("#ffffff", "#e4f6ff"), _dot),
    Scatter("snow snowflake 雪 雪花", ("#ffffff",), _dot),
    Scatter("spark ember glitter confetti 火花 亮片 彩纸", ("#ffd54a", "#ff8f3c", "#fff3c4"), _dot),
)
COLOURS = {
    "red scarlet crimson 红 红色": "#d32f2f",
    "orange 橙 橙色": "#f57c00",
    "yellow 黄 黄色": "#fbc02d",
    "green 绿 绿色": "#388e3c",
    "blue 蓝 蓝色": "#1976d2",
    "purple violet 紫 紫色": "#7b1fa2",
    "pink 粉 粉色": "#ec5f9a",
    "brown 棕 棕色": "#795548",
    "black 黑 黑色": "#2b2b30",
    "white 白 白色": "#eceff1",
    "grey gray 灰 灰色": "#8a9096",
    "turquoise teal cyan 青 青色": "#1aa3a3",
}


def _mixed(one: str, other: str, share: float) -> str:
    parts = [round(int(one[at : at + 2], 16) * (1 - share) + int(other[at : at + 2], 16) * share) for at in (1, 3, 5)]
    return f"#{parts[0]:02x}{parts[1]:02x}{parts[2]:02x}"
