"""OpenAI's image API: generations and edits, answered at once with the pictures in base64.

From the vendor's API reference and the source of its own client (3.57).
"""

import asyncio
import base64
import io
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec
from PIL import Image, UnidentifiedImageError

from modellix_server.sandbox import directives, forms, media, seeds, wire
from modellix_server.sandbox.bill import Bill, BillLine
from modellix_server.sandbox.callbacks import Post
from modellix_server.sandbox.front import Front
from modellix_server.sandbox.rendering import paint
from modellix_server.sandbox.rendering.canvas import Canvas, Format, draw
from modellix_server.sandbox.rendering.paint import UnusableMedia
from modellix_server.sandbox.rendering.studio import Studio

BODY_LIMIT_BYTES = 256 * 1024 * 1024
QUEUE_LIMIT = 2000
NEVER_S = 24 * 3600.0
FAILS_AFTER_S = 1.0
MOST_IMAGES, MOST_IMAGE_BYTES, MOST_MASK_BYTES = 16, 50 * 1024 * 1024, 4 * 1024 * 1024
FORMATS: tuple[Format, ...] = ("png", "jpeg", "webp")
PRESETS = ("1024x1024", "1536x1024", "1024x1536")
STEP_PX, LONGEST_PX, MOST_RATIO = 16, 3840, 3
AREA_PX = (655_360, 3840 * 2160)
TOKENS = {"low": 272, "medium": 1056, "high": 4160}
"""Of a picture of 1024x1024; larger ones have more in proportion."""
PATHS = {"/v1/images/generations": False, "/v1/images/edits": True}
_BOTH = {
    *("model", "prompt", "n", "size", "quality", "background", "output_format", "output_compression"),
    *("stream", "partial_images", "user", "safety_identifier"),
}
_KNOWN = {False: _BOTH | {"moderation"}, True: _BOTH | {"image", "mask", "input_fidelity"}}
_decode = msgspec.json.Decoder().decode
Word = TypeVar("Word", bound=str)


class OpenAIModel(msgspec.Struct, frozen=True):
    """What differs between the models."""

    any_size: bool = False
    fidelity: bool = False


MODELS = {"gpt-image-1.5": OpenAIModel(fidelity=True), "gpt-image-2": OpenAIModel(any_size=True)}


class OpenAIRefusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, kind: str, code: str | None, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code
        self.said = {"message": message, "type": kind, "param": param, "code": code}


def invalid(code: str, message: str, param: str | None = None) -> OpenAIRefusal:
    """The vendor's words for a request that breaks a rule."""
    return OpenAIRefusal(400, "invalid_request_error", code, message, param)


def blocked() -> OpenAIRefusal:
    """The vendor's content check."""
    words = "Your request was rejected by the safety system. safety_violations=[sexual]."
    return OpenAIRefusal(400, "image_generation_user_error", "moderation_blocked", words)


def fault() -> OpenAIRefusal:
    """The vendor's own failure."""
    return OpenAIRefusal(500, "server_error", None, "The server had an error while processing your request.")


def throttled() -> OpenAIRefusal:
    """The limit on pictures per minute."""
    words = "Rate limit reached for gpt-image in organization org-sandbox on images per min. Please try again in 2s."
    return OpenAIRefusal(429, "input_images", "rate_limit_exceeded", words)


@dataclass(frozen=True, slots=True)
class OpenAIJob:
    """A submission that keeps the rules."""

    canvas: Canvas
    asked: directives.Directives
    quality: str
    count: int


def read(given: dict[str, Any], edit: bool) -> OpenAIJob:  # noqa: FBT001 - which of the two endpoints
    """The job a body asks for; files are lists of bytes. Raises Refusal."""
    fields = {name: value for name, value in given.items() if value is not None}
    for name in sorted(fields.keys() - _KNOWN[edit]):
        raise invalid("unknown_parameter", f"Unknown parameter: '{name}'.", name)
    for name in ("model", "prompt", *(["image"] if edit else [])):
        if not fields.get(name):
            raise invalid("missing_required_parameter", f"Missing required parameter: '{name}'.", name)
    name, prompt = fields["model"], fields["prompt"]
    model = MODELS.get(name) if isinstance(name, str) else None
    if model is None:
        words = f"The model '{str(name)[:100]}' does not exist or you do not have access to it."
        raise OpenAIRefusal(404, "invalid_request_error", "model_not_found", words, "model")
    if not isinstance(prompt, str) or len(prompt) > 32_000:
        raise invalid("string_above_max_length", "Invalid 'prompt': string too long or no string.", "prompt")
    if fields.get("stream") not in (None, False, "false") or "partial_images" in fields:
        raise invalid("unsupported_value", "This imitation does not stream.", "stream")
    if "input_fidelity" in fields and not model.fidelity:
        raise invalid("unsupported_parameter", f"input_fidelity is not supported by {name}.", "input_fidelity")
    _word(fields, "moderation", ("auto", "low"))
    _word(fields, "input_fidelity", ("low", "high"))
    quality = _word(fields, "quality", ("auto", "low", "medium", "high"))
    background = _word(fields, "background", ("auto", "transparent", "opaque"))
    kind: Format = _word(fields, "output_format", FORMATS)
    if background == "transparent" and kind == "jpeg":
        raise invalid("invalid_value", "A transparent background needs the output format png or webp.", "background")
    if "output_compression" in fields and kind == "png":
        raise invalid("invalid_value", "Compression is for jpeg and webp.", "output_compression")
    images: tuple[bytes, ...] = tuple(fields.get("image", ()))
    for data in images:
        _opened(data, "image", MOST_IMAGE_BYTES, ("PNG", "JPEG", "WEBP"))
    canvas = Canvas(
        prompt=prompt,
        model=name,
        seed=seeds.seed_for(None),
        size=_size(fields.get("size", "auto"), model),
        images=images,
        mask=_mask(fields["mask"][0], images) if "mask" in fields else None,
        transparent=background == "transparent",
        format=kind,
        quality=_integer(fields, "output_compression", 0, 100, otherwise=100),
    )
    return OpenAIJob(
        canvas, _asked(prompt), "high" if quality == "auto" else quality, _integer(fields, "n", 1, 10, otherwise=1)
    )


def _asked(prompt: str) -> directives.Directives:
    try:
        asked = directives.read([prompt])
    except directives.UnknownDirective as unknown:
        raise invalid("invalid_value", str(unknown), "prompt") from unknown
    if lost := {"vanish", "badword"} & asked.names:
        raise invalid("invalid_value", f"Without links and tasks there is no {min(lost)}.", "prompt")
    return asked


def _word(fields: dict[str, Any], name: str, allowed: tuple[Word, ...]) -> Word:
    """One of a list of words; the first when it is not there."""
    value = fields.get(name, allowed[0])
    for word in allowed:
        if word == value:
            return word
    words = f"Invalid value: '{str(value)[:50]}'. Supported values are: {', '.join(allowed)}."
    raise invalid("invalid_value", words, name)


def _integer(fields: dict[str, Any], name: str, least: int, most: int, *, otherwise: int) -> int:
    """A whole number; in a form it is a text."""
    value = fields.get(name, otherwise)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise invalid("invalid_value", f"Invalid '{name}': expected an integer from {least} to {most}.", name)
    return value


def _size(value: object, model: OpenAIModel) -> tuple[int, int]:
    if value == "auto":
        return (1024, 1024)
    width, _, height = str(value).partition("x")
    fits = width.isascii() and height.isascii() and width.isdigit() and height.isdigit() and len(str(value)) < 12
    sides = (int(width), int(height)) if fits else (0, 0)
    if model.any_size:
        low, high = min(sides), max(sides)
        fits = fits and low > 0 and not any(side % STEP_PX for side in sides) and high <= LONGEST_PX
        fits = fits and high <= low * MOST_RATIO and AREA_PX[0] <= low * high <= AREA_PX[1]
    if not fits or (not model.any_size and value not in PRESETS):
        raise invalid("invalid_value", f"Invalid value: '{str(value)[:50]}' is not a size of this model.", "size")
    return sides


def _mask(data: bytes, images: tuple[bytes, ...]) -> bytes:
    mask = _opened(data, "mask", MOST_MASK_BYTES, ("PNG",))
    if mask.size != Image.open(io.BytesIO(images[0])).size:
        raise invalid("invalid_image_file", "The mask and the first image must have the same size.", "mask")
    if not mask.has_transparency_data:
        raise invalid("invalid_image_file", "The mask must have an alpha channel.", "mask")
    return data


def _opened(data: bytes, name: str, most_bytes: int, formats: tuple[str, ...]) -> Image.Image:
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=formats)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise invalid("invalid_image_file", f"Invalid image file for '{name}'.", name) from error
    if len(data) > most_bytes:
        raise invalid("image_too_large", f"The file for '{name}' is too large.", name)
    return image


def app(studio: Studio, _fetch: media.Fetch, _post: Post, *, instant: bool = False) -> wire.App:
    """The emulator. With `instant` every picture is one small ready-made PNG."""
    bill = Bill()
    ready = None
    if instant:
        path = studio.spool.new_path(".png")
        paint.paint(paint.Picture("instant", 0, "openai", (64, 64)), path)
        ready = path.read_bytes()
    return Front(OpenAIService(studio, bill, ready), studio.spool, bill, "OpenAI images emulator")


class OpenAIService:
    """The vendor's API below `/v1`. `ready` is a picture that is given out in place of all without directives."""

    def __init__(self, studio: Studio, bill: Bill, ready: bytes | None) -> None:
        self._studio = studio
        self._bill = bill
        self._ready = ready
        self._first_times = directives.FirstTimes()

    async def __call__(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        """Answer one request."""
        path = wire.path_in_app(scope)
        edit = PATHS.get(path)
        if edit is not None and scope["method"] == "POST":
            await self._post(edit, scope, receive, send)
            return
        try:
            _authenticate(scope)
            name = path.removeprefix("/v1/models/")
            if scope["method"] != "GET" or name not in MODELS:
                code = "model_not_found" if path.startswith("/v1/models/") else None
                raise OpenAIRefusal(404, "invalid_request_error", code, f"Nothing at {path[:100]}.")
            await _answer(send, 200, {"id": name, "object": "model", "created": 1_760_000_000, "owned_by": "system"})
        except OpenAIRefusal as refusal:
            await _answer(send, refusal.status, {"error": refusal.said})

    async def _post(self, edit: bool, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:  # noqa: FBT001
        line = self._bill.post(wire.header(scope, b"x-client-request-id"))
        try:
            _authenticate(scope)
            given = _parse(scope, await wire.read_body(receive, BODY_LIMIT_BYTES), edit=edit)
            line.describe(str(given.get("model", "")), str(given.get("prompt", "")))
            job = await asyncio.to_thread(read, given, edit)
            self._admit(job, line)
            self._bill.accept(line, "", "running")
            if job.asked.names & {"lost", "garbage", "error-accepted"}:
                await self._make(job, line)
                await _misbehave(job, scope, receive, send)
                return
            await _answer_job(send, receive, job, await wire.unless_gone(receive, self._make(job, line)))
        except OpenAIRefusal as refusal:
            line.code, line.state = refusal.code or "server_error", "failed" if line.accepted else "refused"
            await _answer(send, refusal.status, {"error": refusal.said})
        except wire.BodyOverCap:
            line.code = "content_too_large"
            await _answer(send, 413, {"error": invalid("content_too_large", "The request is too large.").said})
        except wire.Gone:
            line.code = "ClientGone"

    def _admit(self, job: OpenAIJob, line: BillLine) -> None:
        asked = job.asked
        if "refuse" in asked:
            raise invalid("invalid_value", "Refused, as the prompt asked for.", "prompt")
        if "moderate" in asked:
            raise blocked()
        if "arrears" in asked:
            raise OpenAIRefusal(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota.")
        first = self._first_times.fault(asked, line.model + line.prompt_sha256)
        if first == "throttle":
            raise throttled()
        if first == "error":
            raise fault()
        if self._studio.waiting > QUEUE_LIMIT:
            raise throttled()

    async def _make(self, job: OpenAIJob, line: BillLine) -> list[bytes]:
        """The images, charged when they are finished. Raises Refusal."""
        asked = job.asked
        await asyncio.sleep(NEVER_S if "never" in asked else asked.queue_s + asked.slow_s)
        if asked.fail:
            await asyncio.sleep(FAILS_AFTER_S)
            raise {"DataInspectionFailed": blocked(), "InvalidParameter": invalid("invalid_value", "Bad input.")}.get(
                asked.fail, fault()
            )
        count = job.count - ("partial" in asked)
        if not count:
            raise blocked()
        if self._ready is not None and not asked.names:
            made = [self._ready] * count
        else:
            made = await asyncio.gather(*(self._draw(job, index) for index in range(count)))
        self._bill.charge(line, images=count + ("overbill" in asked))
        line.finished_at, line.state = time.time(), "succeeded"
        return made

    async def _draw(self, job: OpenAIJob, index: int) -> bytes:
        try:
            async with self._studio.place():
                path, _ = await self._studio.make(f".{job.canvas.format}", draw, replace(job.canvas, index=index))
        except UnusableMedia as bad:
            raise invalid("invalid_image_file", bad.message, "image") from bad
        data = path.read_bytes()
        path.unlink()
        return b"<!doctype html><title>Oops</title>" if "mistyped" in job.asked else data


def _authenticate(scope: wire.Scope) -> None:
    if wire.bearer(scope) is None:
        words = "Incorrect API key provided."
        raise OpenAIRefusal(401, "invalid_request_error", "invalid_api_key", words)


def _parse(scope: wire.Scope, body: bytes, *, edit: bool) -> dict[str, Any]:
    """The fields of a body: JSON, or for an edit a form, in which the files are lists of bytes. Raises Refusal."""
    kind = wire.header(scope, b"content-type") or ""
    if not edit:
        try:
            said = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said = None
        if not isinstance(said, dict) or kind.partition(";")[0].strip().lower() != "application/json":
            raise invalid("invalid_json", "We could not parse the JSON body of your request.")
        return said
    fields: dict[str, Any] = {}
    try:
        for part in forms.read(kind, body):
            name = part.name.removesuffix("[]")
            if (name in ("image", "mask")) != (part.filename is not None):
                raise invalid("invalid_type", f"'{name}' is a file, or must not be one.", name)
            if part.filename is None and name in fields:
                raise invalid("duplicate_parameter", f"'{name}' is there twice.", name)
            if part.filename is None:
                fields[name] = part.text
            else:
                fields.setdefault(name, []).append(part.data)
    except forms.BrokenForm as broken:
        raise invalid("invalid_form", f"Could not parse multipart form: {broken}.") from broken
    if len(fields.get("image", ())) > MOST_IMAGES or len(fields.get("mask", ())) > 1:
        raise invalid("array_above_max_length", f"At most {MOST_IMAGES} images and one mask.", "image")
    return fields


async def _misbehave(job: OpenAIJob, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
    if "lost" in job.asked:
        await wire.cut(scope, receive)
    elif "garbage" in job.asked:
        await wire.answer(send, 200, b"<html><body>It works!</body></html>", b"text/html")
    else:
        await _answer(send, 500, {"error": fault().said})


async def _answer_job(send: wire.Send, receive: wire.Receive, job: OpenAIJob, made: list[bytes]) -> None:
    """The pictures, or with `huge` one that never ends."""
    if "huge" in job.asked:
        await wire.answer_without_end(send, receive, b"application/json", b'{"data": [{"b64_json": "', b"A" * 65_536)
        return
    width, height = job.canvas.size
    text = len(job.canvas.prompt) // 4 + 1
    seen = 323 * len(job.canvas.images)
    drawn = round(TOKENS[job.quality] * width * height / 1024**2) * len(made)
    usage = {
        "input_tokens": text + seen,
        "input_tokens_details": {"text_tokens": text, "image_tokens": seen},
        "output_tokens": drawn,
        "total_tokens": text + seen + drawn,
    }
    said = {
        "created": int(time.time()),
        "background": "transparent" if job.canvas.transparent else "opaque",
        "data": [{"b64_json": base64.b64encode(one).decode()} for one in made],
        "output_format": job.canvas.format,
        "quality": job.quality,
        "size": f"{width}x{height}",
        "usage": usage,
    }
    await _answer(send, 200, said)


async def _answer(send: wire.Send, status: int, said: dict[str, Any]) -> None:
    await wire.answer_json(send, status, said, (b"x-request-id", b"req_" + secrets.token_hex(16).encode()))
