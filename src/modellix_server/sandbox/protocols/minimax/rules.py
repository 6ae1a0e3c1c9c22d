"""Reading a submission as strictly as the vendor: what its API reference does not have is refused."""

import io
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image, UnidentifiedImageError

from modellix_server.sandbox import directives, media
from modellix_server.sandbox.protocols.minimax.table import MiniMaxModel, Mode

RATIOS = {
    "1:1": (1024, 1024),
    "16:9": (1280, 720),
    "4:3": (1152, 864),
    "3:2": (1248, 832),
    "2:3": (832, 1248),
    "3:4": (864, 1152),
    "9:16": (720, 1280),
    "21:9": (1344, 576),
}
MIB = 1024 * 1024
LONGEST_PROMPT = {"picture": 1500, "clip": 2000}
FAILURES = {"InternalError.Algo": 0, "DataInspectionFailed": 1027, "InvalidParameter": 2013}
"""Codes that `[sandbox:fail=…]` may name, as other vendors call them, and what they are here."""


class MiniMaxRefusal(Exception):
    """An answer with a status code other than 0; the vendor's HTTP status is 200 all the same."""

    def __init__(self, code: int, message: str, *, http_status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status


def invalid(message: str) -> MiniMaxRefusal:
    """The vendor's code for a bad or missing field."""
    return MiniMaxRefusal(2013, f"invalid params, {message}")


@dataclass(frozen=True, slots=True)
class MiniMaxLimits:
    """What an input picture must keep: bytes, and for clips its shape."""

    most_bytes: int
    formats: tuple[str, ...]
    short_side_above: int = 0
    ratio: float | None = None
    """The longer side over the shorter one, at most."""


FRAME = MiniMaxLimits(20 * MIB, ("JPEG", "PNG", "WEBP"), short_side_above=300, ratio=2.5)
PORTRAIT = MiniMaxLimits(10 * MIB, ("JPEG", "PNG"))


@dataclass(frozen=True, slots=True)
class MiniMaxJob:
    """A submission that keeps the rules."""

    model: str
    makes: Literal["picture", "clip"]
    prompt: str
    asked: directives.Directives
    first: str | None = None
    last: str | None = None
    subjects: tuple[str, ...] = ()
    """Links or data URIs, not loaded yet."""
    count: int = 1
    size: tuple[int, int] | None = None
    seed: int | None = None
    base64: bool = False
    """Pictures are answered themselves in place of links to them."""
    resolution: str = "720P"
    seconds: int = 6
    mark: bool = False
    """Whether the result bears the vendor's mark."""
    callback: str = ""
    """The client's callback URL for changes; empty for none."""


def read(body: object, models: dict[str, MiniMaxModel], makes: Literal["picture", "clip"]) -> MiniMaxJob:
    """The job a body asks for. Raises Refusal."""
    if not isinstance(body, dict):
        raise invalid("the body must be a JSON object")
    fields = MiniMaxFields({name: value for name, value in body.items() if value is not None})
    name = fields.text("model", 100, required=True)
    model = models.get(name)
    if model is None or model.makes != makes:
        raise invalid(f"unsupported model: {name}")
    job = _picture(name, model, fields) if makes == "picture" else _clip(name, model, fields)
    fields.end()
    return job


class MiniMaxFields:
    """The fields of a body, taken one by one; what is left in the end is unknown to the vendor."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._left = given

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def end(self) -> None:
        """Raise Refusal when something is left."""
        for name in sorted(self._left):
            raise invalid(f"unknown field: {name}")

    def text(self, name: str, longest: int, *, required: bool = False) -> str:
        """A text; empty when it is not there."""
        value = self._left.pop(name, "")
        if not isinstance(value, str) or len(value) > longest:
            raise invalid(f"{name} must be a string of at most {longest} characters")
        if required and not value:
            raise invalid(f"{name} is required")
        return value

    def integer(self, name: str, least: int, most: int) -> int | None:
        """A whole number, or None."""
        value = self._left.pop(name, None)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most):
            raise invalid(f"{name} must be an integer between {least} and {most}")
        return value

    def flag(self, name: str) -> bool:
        """A boolean; False when it is not there."""
        value = self._left.pop(name, False)
        if not isinstance(value, bool):
            raise invalid(f"{name} must be a boolean")
        return value

    def word(self, name: str, allowed: tuple[str, ...], otherwise: str) -> str:
        """One of a list of words."""
        value = self._left.pop(name, otherwise)
        if value not in allowed:
            raise invalid(f"{name} must be one of {', '.join(allowed)}")
        return str(value)

    def address(self, name: str) -> str:
        """The address of a web server; empty when it is not there."""
        value = self.text(name, 2000)
        if value and not media.is_link(value):
            raise invalid(f"{name} must be a URL")
        return value

    def picture(self, name: str) -> str | None:
        """A link or a data URI, or None."""
        value = self._left.pop(name, None)
        return None if value is None else picture(value, name)

    def subjects(self, key: str, *, most: int) -> tuple[str, ...]:
        """Pictures of `subject_reference`: a text under `image_file`, a list of one under `image`."""
        given = self._left.pop("subject_reference", [])
        if not isinstance(given, list) or len(given) > most:
            raise invalid(f"subject_reference must be a list of at most {most}")
        found = []
        for one in given:
            if not isinstance(one, dict) or set(one) != {"type", key} or one["type"] != "character":
                raise invalid(f"a subject_reference must be {{type: character, {key}}}")
            value = one[key]
            if key == "image":
                if not isinstance(value, list) or len(value) != 1:
                    raise invalid("subject_reference.image must be a list of one picture")
                value = value[0]
            found.append(picture(value, f"subject_reference.{key}"))
        return tuple(found)


def picture(value: object, where: str) -> str:
    """A value that may name a picture. Raises Refusal."""
    if isinstance(value, str) and (media.is_data_uri(value) or media.is_link(value)):
        return value
    raise invalid(f"{where} must be a URL or a data URL")


def check(data: bytes, limits: MiniMaxLimits) -> None:
    """Raise Refusal when an input picture breaks its limits; only its header is read."""
    if len(data) > limits.most_bytes:
        raise invalid(f"image must be smaller than {limits.most_bytes // MIB} MB")
    try:
        with Image.open(io.BytesIO(data), formats=limits.formats) as image:
            short, long = sorted(image.size)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise invalid(f"image must be one of {', '.join(limits.formats)}") from error
    if short <= limits.short_side_above:
        raise invalid(f"the short side of the image must be above {limits.short_side_above} px")
    if limits.ratio and long > limits.ratio * short:
        raise invalid("the aspect ratio of the image must be between 2:5 and 5:2")


def _picture(name: str, model: MiniMaxModel, fields: MiniMaxFields) -> MiniMaxJob:
    prompt = fields.text("prompt", LONGEST_PROMPT["picture"], required=True)
    shaped = "aspect_ratio" in fields
    ratios = tuple(ratio for ratio in RATIOS if model.wide or ratio != "21:9")
    size = RATIOS[fields.word("aspect_ratio", ratios, "1:1")]
    if model.sides:
        sides = fields.integer("width", 512, 2048), fields.integer("height", 512, 2048)
        if (sides[0] is None) != (sides[1] is None):
            raise invalid("width and height must be given together")
        if sides[0] is not None and sides[1] is not None:
            if sides[0] % 8 or sides[1] % 8:
                raise invalid("width and height must be multiples of 8")
            size = size if shaped else (sides[0], sides[1])
    fields.flag("prompt_optimizer")
    return MiniMaxJob(
        model=name,
        makes="picture",
        prompt=prompt,
        asked=_directives(prompt),
        subjects=fields.subjects("image_file", most=model.subjects),
        count=fields.integer("n", 1, 9) or 1,
        size=size,
        seed=fields.integer("seed", -(2**63), 2**63 - 1),
        base64=fields.word("response_format", ("url", "base64"), "url") == "base64",
        mark=fields.flag("aigc_watermark"),
    )


def _clip(name: str, model: MiniMaxModel, fields: MiniMaxFields) -> MiniMaxJob:
    prompt = fields.text("prompt", LONGEST_PROMPT["clip"])
    first, last = fields.picture("first_frame_image"), fields.picture("last_frame_image")
    subjects = fields.subjects("image", most=1)
    if subjects and (first or last):
        raise invalid("subject_reference cannot be combined with frames")
    mode: Mode = "last" if last else "first" if first else "subject" if subjects else "text"
    if mode not in model.mode:
        raise invalid(f"model {name} does not support {mode} to video")
    if mode == "text" and not prompt:
        raise invalid("prompt is required")
    lengths = model.mode[mode]
    resolution, seconds = "720P", 6
    if lengths:
        resolution = fields.word("resolution", tuple(lengths), next(iter(lengths)))
        seconds = fields.integer("duration", 1, 60) or lengths[resolution][0]
        if seconds not in lengths[resolution]:
            raise invalid(f"model {name} does not support {seconds} seconds at {resolution}")
    fields.flag("prompt_optimizer")
    if model.rewriting:
        fields.flag("fast_pretreatment")
    return MiniMaxJob(
        model=name,
        makes="clip",
        prompt=prompt,
        asked=_directives(prompt),
        first=first,
        last=last,
        subjects=subjects,
        resolution=resolution,
        seconds=seconds,
        mark=fields.flag("aigc_watermark"),
        callback=fields.address("callback_url"),
    )


def _directives(prompt: str) -> directives.Directives:
    try:
        asked = directives.read([prompt])
    except directives.UnknownDirective as error:
        raise invalid(str(error)) from error
    if asked.fail and asked.fail not in FAILURES:
        raise invalid(f"sandbox directive fail can be {', '.join(FAILURES)} here")
    return asked
