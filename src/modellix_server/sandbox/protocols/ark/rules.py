"""Reading a submission as strictly as the vendor: JSON null is absence, and what a model does not take is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from modellix_server.sandbox import directives, media, seeds
from modellix_server.sandbox.protocols.ark.table import PictureModel, Table

MOST_SEED = 2**31 - 1
MOST_IN_A_SET = 15
_SIZE = re.compile(r"(\d{2,5})x(\d{2,5})", re.ASCII)
_TYPES = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "TooManyRequests"}


class ArkRefusal(Exception):
    """An answer with an error: the submission is not accepted, or the task has failed."""

    def __init__(self, status: int, code: str, message: str, param: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param

    @property
    def type(self) -> str:
        """The word that goes with the HTTP status."""
        return _TYPES.get(self.status, "InternalServerError")


def invalid(param: str, message: str) -> ArkRefusal:
    """The vendor's word for a bad field."""
    return ArkRefusal(
        400, "InvalidParameter", f"The parameter `{param}` specified in the request is not valid: {message}."
    )


def missing(param: str) -> ArkRefusal:
    """The vendor's word for an absent field."""
    message = f"The request failed because it is missing `{param}` parameter."
    return ArkRefusal(400, "MissingParameter", message, param)


@dataclass(frozen=True, slots=True)
class PictureJob:
    """A call of the images endpoint that keeps the rules."""

    model: str
    rules: PictureModel
    prompt: str
    images: tuple[str, ...]
    size: tuple[int, int] | None
    """None where the picture put in decides."""
    seed: int
    count: int
    png: bool
    inline: bool
    stream: bool
    asked: directives.Directives


class ArkFields:
    """The fields of one JSON object, taken out one by one so that what is left over can be refused."""

    def __init__(self, given: dict[str, Any], where: str = "") -> None:
        self._left = {name: value for name, value in given.items() if value is not None}
        self._where = where

    def take(self, name: str) -> Any:
        """The value, or None."""
        return self._left.pop(name, None)

    def text(self, name: str, *, words: tuple[str, ...] = (), default: str = "") -> str:
        """A text, one of `words` if there are any."""
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, str) or (words and value not in words):
            raise invalid(self._where + name, f"expected {' or '.join(words) or 'a string'}")
        return value

    def yes(self, name: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise invalid(self._where + name, "expected a boolean")
        return default if value is None else value

    def whole(self, name: str, low: int, high: int, default: int) -> int:
        """A whole number within limits."""
        value = self.take(name)
        if value is None:
            return default
        if type(value) is not int or not low <= value <= high:
            raise invalid(self._where + name, f"expected an integer between {low} and {high}")
        return value

    def part(self, name: str) -> ArkFields:
        """An object, empty if it is absent."""
        value = self.take(name)
        if value is not None and not isinstance(value, dict):
            raise invalid(self._where + name, "expected an object")
        return ArkFields(value or {}, f"{self._where}{name}.")

    def tools(self, *, allowed: bool) -> None:
        """Web search, the only tool there is."""
        value = self.take("tools")
        if value is not None and not (allowed and value == [{"type": "web_search"}]):
            raise invalid("tools", "not supported by this model")

    def end(self) -> None:
        """Refuse fields that were not read."""
        for name in sorted(self._left):
            raise invalid(self._where + name, "not supported by this model")


def name_of(body: object, table: Table, *, pictures: bool) -> str:
    """The model a body names. Raises Refusal."""
    if not isinstance(body, dict):
        raise ArkRefusal(400, "InvalidParameter", "The request body is not a JSON object.")
    name = body.get("model")
    if not name:
        raise missing("model")
    known, other = (table.picture, table.clip) if pictures else (table.clip, table.picture)
    if not isinstance(name, str) or (name not in known and name not in other):
        message = f"The model or endpoint {str(name)[:100]} does not exist or you do not have access to it."
        raise ArkRefusal(404, "InvalidEndpointOrModel.NotFound", message)
    if name not in known:
        raise ArkRefusal(404, "UnsupportedModel", "The requested model does not support this api.")
    return name


def picture(body: dict[str, Any], name: str, rules: PictureModel) -> PictureJob:
    """The job a body of the images endpoint asks for. Raises Refusal."""
    fields = ArkFields(body)
    fields.take("model")
    prompt = fields.text("prompt")
    if not prompt:
        raise missing("prompt")
    images = _images(fields.take("image"), rules)
    size = _size(fields.text("size", default=rules.size), rules)
    seed = fields.whole("seed", -1, MOST_SEED, -1) if rules.seed else -1
    seed = seeds.seed_for(None if seed < 0 else seed)
    if rules.guidance is not None:
        scale = fields.take("guidance_scale")
        if scale is not None and (type(scale) not in (int, float) or not 1 <= scale <= 10):
            raise invalid("guidance_scale", "expected a number between 1 and 10")
    count = _count(fields, rules, len(images))
    if rules.optimize:
        options = fields.part("optimize_prompt_options")
        options.text("mode", words=rules.optimize)
        options.end()
    form = fields.text("output_format", words=rules.files) if rules.files else ""
    inline = fields.text("response_format", words=("url", "b64_json"), default="url") == "b64_json"
    fields.yes("watermark", default=True)
    stream = fields.yes("stream")
    if stream and not rules.sets:
        raise invalid("stream", "not supported by this model")
    fields.tools(allowed=rules.search)
    fields.end()
    return PictureJob(name, rules, prompt, images, size, seed, count, form == "png", inline, stream, asked(prompt))


def asked(prompt: str) -> directives.Directives:
    """The directives in a prompt. Raises Refusal."""
    try:
        return directives.read((prompt,))
    except directives.UnknownDirective as error:
        raise invalid("prompt", str(error)) from error


def link(value: object, param: str) -> str:
    """A web link or a data URI. Raises Refusal."""
    if not isinstance(value, str) or not value:
        raise ArkRefusal(400, "InvalidImageURL.EmptyURL", f"{param}: the URL is empty.")
    if not media.is_link(value) and not media.is_data_uri(value):
        raise ArkRefusal(400, "InvalidImageURL.InvalidFormat", f"{param}: neither a URL nor a data URI.")
    return value


def _images(value: object, rules: PictureModel) -> tuple[str, ...]:
    links = [] if value is None else value if isinstance(value, list) else [value]
    least, most = rules.images
    if len(links) < least:
        raise missing("image")
    if len(links) > most:
        raise invalid("image", f"at most {most} images are supported")
    return tuple(link(one, "image") for one in links)


def _size(text: str, rules: PictureModel) -> tuple[int, int] | None:
    if rules.size == "adaptive":
        if text != "adaptive":
            raise invalid("size", "only adaptive is supported")
        return None
    if text in rules.sizes:
        return rules.sizes[text], rules.sizes[text]
    found = _SIZE.fullmatch(text)
    if found is None:
        raise invalid("size", "expected WIDTHxHEIGHT")
    width, height = int(found[1]), int(found[2])
    assert rules.area is not None
    if not rules.area[0] <= width * height <= rules.area[1]:
        raise invalid("size", f"image size must be between {rules.area[0]} and {rules.area[1]} pixels")
    if max(width, height) > rules.ratio * min(width, height):
        raise invalid("size", f"the aspect ratio must be between 1/{rules.ratio:g} and {rules.ratio:g}")
    return width, height


def _count(fields: ArkFields, rules: PictureModel, images: int) -> int:
    """One picture, or as many as a set may have: those put in count towards its limit."""
    if not rules.sets:
        return 1
    mode = fields.text("sequential_image_generation", words=("auto", "disabled"), default="disabled")
    options = fields.part("sequential_image_generation_options")
    most = options.whole("max_images", 1, MOST_IN_A_SET, MOST_IN_A_SET)
    options.end()
    return min(most, MOST_IN_A_SET - images) if mode == "auto" else 1
