"""The special picture tasks: try-on, parsing, out-painting, translation, WordArt and edits by function.

Each visibly does what it is named for, with Pillow alone; what real models understand is imitated by simple means.
Runs in a render process.
"""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from modellix_server.sandbox.rendering import caption
from modellix_server.sandbox.rendering.crafts import backdrop, letters, outpaint, retouch, sketch, translate, tryon
from modellix_server.sandbox.rendering.crafts.brief import Craft, Crafted, Made

_WORKS: dict[str, Callable[[Craft], Made]] = {
    "tryon": tryon.dress,
    "refine": tryon.refine,
    "parse": tryon.parse,
    "outpaint": outpaint.outpaint,
    "translate": translate.translate,
    "imageedit": retouch.edit,
    "background": backdrop.place,
    "sketch": sketch.paint_sketch,
    "repaint": sketch.repaint,
    "wordart": letters.deform,
    "texture": letters.texture,
}


def craft(order: Craft, stem: Path) -> Crafted:
    """Do the task; its files begin with `stem`. Raises BadMedia."""
    made = _WORKS[order.work](order)
    pictures = [_marked(picture) for picture in made.pictures] if order.mark else made.pictures
    files = [_save(picture, made, stem.with_name(f"{stem.name}-{index}")) for index, picture in enumerate(pictures)]
    companions = [
        _save_companion(companion, stem.with_name(f"{stem.name}-c{index}"))
        for index, companion in enumerate(made.companions)
    ]
    return Crafted(tuple(files), pictures[0].size, tuple(companions), made.boxes, made.message)


def _marked(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    label = caption.watermark(*picture.size)
    picture.paste(label, (0, picture.height - label.height), label)
    return picture


def _save(picture: Image.Image, made: Made, path: Path) -> Path:
    if made.form == "PNG":
        file = path.with_suffix(".png")
        picture.save(file, "PNG", compress_level=1)
        if made.most_bytes is None or file.stat().st_size <= made.most_bytes:
            return file
        picture.save(file, "PNG", compress_level=6)
        if file.stat().st_size <= made.most_bytes:
            return file
        file.unlink()
    file = path.with_suffix(".jpg")
    picture.convert("RGB").save(file, "JPEG", quality=92 if made.most_bytes is None else 85)
    return file


def _save_companion(companion: Image.Image | str | None, path: Path) -> Path | None:
    if companion is None:
        return None
    if isinstance(companion, str):
        file = path.with_suffix(".svg")
        file.write_text(companion, "utf-8")
    else:
        file = path.with_suffix(".png")
        companion.save(file, "PNG", compress_level=1)
    return file
