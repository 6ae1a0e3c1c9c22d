"""What the render processes do for this vendor: its limits on input pictures, clips from material, closing frames."""

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from modellix_server.sandbox.rendering import clips, footage, montage, paint
from modellix_server.sandbox.rendering.clips import Clip
from modellix_server.sandbox.rendering.footage import Footage, Take
from modellix_server.sandbox.rendering.montage import Montage
from modellix_server.sandbox.rendering.paint import Picture, Source, UnusableMedia

MIB = 1024 * 1024
MOST_PIXELS = 36_000_000
MOST_FOOTAGE_S = 15


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture to make, from pictures of these formats and at most this shape (longer side over shorter)."""

    picture: Picture
    formats: tuple[str, ...]
    shape: float


@dataclass(frozen=True, slots=True)
class ArkShot:
    """A clip to make: from its own pictures, or beginning and ending like the clips put in."""

    clip: Clip
    takes: tuple[Take, ...]
    last_frame: bool
    formats: tuple[str, ...]
    shape: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A clip that was made; `last` is its closing frame as a PNG, where it was asked for."""

    size: tuple[int, int]
    last: Path | None


def draw(order: Drawing, path: Path) -> tuple[int, int]:
    """Make the picture at `path`; its size. Raises BadMedia."""
    for source in order.picture.sources:
        check(source, order.formats, order.shape)
    return paint.paint(order.picture, path)


def check(source: Source, formats: tuple[str, ...], shape: float) -> None:
    """What the vendor asks of an input picture beyond bytes and sides. Raises BadMedia."""
    try:
        with Image.open(io.BytesIO(source.data), formats=formats) as image:
            width, height = image.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnusableMedia("format", "The image could not be decoded.") from error
    if width * height > MOST_PIXELS:
        raise UnusableMedia("resolution", f"The image must not have more than {MOST_PIXELS} pixels.")
    if max(width, height) > shape * min(width, height):
        raise UnusableMedia("resolution", f"The image's sides must not differ by more than {shape:g} times.")


def shoot(order: ArkShot, path: Path) -> Shown:
    """Make the clip at `path`. Raises BadMedia."""
    clip = order.clip
    for source in (clip.first, clip.last):
        if source is not None:
            check(source, order.formats, order.shape)
    with tempfile.TemporaryDirectory(prefix="takes-", dir=path.parent) as scratch:
        taken = [footage.develop(take, Path(scratch, str(index))) for index, take in enumerate(order.takes)]
        if sum(one.seconds for one in taken) > MOST_FOOTAGE_S + 0.05:
            raise UnusableMedia("duration", f"The videos must not be longer than {MOST_FOOTAGE_S} seconds together.")
        size = montage.cut(_restyled(order), path).size if taken else clips.film(clip, path)
        last = None
        if order.last_frame:
            last = path.with_suffix(".last.png")
            made = Footage(path, "mov", size, clip.seconds, sound=False)
            footage.frame(made, clip.seconds - 1.5 / clips.FRAMES_PER_S).save(last, "PNG", compress_level=1)
            path.with_name(path.name + ".png").unlink(missing_ok=True)
    return Shown(size, last)


def _restyled(order: ArkShot) -> Montage:
    clip = order.clip
    return Montage(
        work="restyle",
        prompt=clip.prompt,
        seed=clip.seed,
        model=clip.model,
        size=clip.size,
        area=clip.area,
        options={"duration": clip.seconds},
        pictures={},
        takes={"reference_video": order.takes},
        dubbed=clip.dubbed,
        sound=clip.sound,
        mark=clip.mark,
    )
