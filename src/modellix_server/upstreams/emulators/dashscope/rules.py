"""Reading a submission as strictly as the vendor: what is not in the table is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from modellix_server.upstreams.emulators import directives, media
from modellix_server.upstreams.emulators.dashscope.table import Media, Model, Param, Route, Text

_SIZE = re.compile(r"(\d{2,5})\*(\d{2,5})", re.ASCII)
_TOLERATED: dict[str, dict[str, tuple[object, ...]]] = {
    "input": {"extend_prompt": (True, False), "function": ("video-synthesis",)},
    "parameters": {"is_async": (True, False)},
}
"""What the vendor's Python client 1.x sends on its own account and the service takes without using it."""


class Refusal(Exception):
    """An answer with an error code: the submission is not accepted."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def invalid(message: str) -> Refusal:
    """The vendor's word for a bad or missing field."""
    return Refusal(400, "InvalidParameter", message)


@dataclass(frozen=True, slots=True)
class Job:
    """A submission that keeps the rules."""

    model: str
    rules: Model
    route: Route
    prompt: str
    negative_prompt: str
    media: dict[str, tuple[str, ...]]
    """Field -> links or data URIs, not loaded yet."""
    parameters: dict[str, Any]
    """Defaults filled in."""
    asked: directives.Directives

    @property
    def count(self) -> int:
        """Pictures or clips to make."""
        return int(self.parameters.get("n", 1))


def read(body: object, models: dict[str, Model], path: str) -> tuple[str, Model, Route]:
    """The model a body names and how it is called at `path`. Raises Refusal."""
    if not isinstance(body, dict):
        raise Refusal(400, "InvalidParameter", "Required body invalid, please check the request body format.")
    name = body.get("model")
    if not name:
        raise Refusal(400, "BadRequest.EmptyModel", 'Required parameter "model" missing from request.')
    model = models.get(name) if isinstance(name, str) else None
    if model is None:
        raise invalid("Model not exist.")
    route = model.route.get(path)
    if route is None:
        raise invalid("url error, please check url！")  # noqa: RUF001  (the vendor's own sign)
    return name, model, route


def check(body: dict[str, Any], name: str, model: Model, route: Route) -> Job:
    """The job a body asks for. Raises Refusal."""
    _only(body, {"model", "input", "parameters"}, "")
    given = _object(body, "input", "BadRequest.EmptyInput", required=True)
    parameters = _object(body, "parameters", "BadRequest.EmptyParameters", required=False)
    if route.body == "flat":
        prompt, negative_prompt, files = _flat(given, model)
        values = _fields(parameters, model.parameters, "parameters", taken=set())
    else:
        prompt, files = _messages(given, model)
        negative_prompt = _text(parameters, "negative_prompt", model.negative_prompt, "parameters")
        values = _fields(parameters, model.parameters, "parameters", taken={"negative_prompt"})
    return Job(
        model=name,
        rules=model,
        route=route,
        prompt=prompt[: model.prompt.longest],
        negative_prompt=negative_prompt[: model.negative_prompt.longest],
        media=files,
        parameters=values,
        asked=_directives(prompt, negative_prompt),
    )


def _directives(*texts: str) -> directives.Directives:
    try:
        return directives.read(texts)
    except directives.UnknownDirective as error:
        raise invalid(str(error)) from error


def _object(body: dict[str, Any], key: str, empty: str, *, required: bool) -> dict[str, Any]:
    value = body.get(key)
    if value is None:
        if required:
            raise Refusal(400, empty, f'Required parameter "{key}" missing from request.')
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{key} must be an object")
    return {name: field for name, field in value.items() if field is not None}


def _only(given: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(given.keys() - known)
    if unknown:
        raise invalid(f"Unknown field: {where}{unknown[0]}")


def _flat(given: dict[str, Any], model: Model) -> tuple[str, str, dict[str, tuple[str, ...]]]:
    texts = {"prompt", "negative_prompt"}
    _fields(given, model.input, "input", taken=texts | model.media.keys())
    files: dict[str, tuple[str, ...]] = {}
    for field, limits in model.media.items():
        if field in given:
            value = given[field]
            many = value if limits.most > 1 and isinstance(value, list) else [value]
            files[field] = _links(many, limits, f"input.{field}")
        elif limits.required:
            raise invalid(f"Field required: input.{field}")
    prompt = _text(given, "prompt", model.prompt, "input")
    return prompt, _text(given, "negative_prompt", model.negative_prompt, "input"), files


def _messages(given: dict[str, Any], model: Model) -> tuple[str, dict[str, tuple[str, ...]]]:
    _only(given, {"messages"}, "input.")
    messages = given.get("messages")
    if not isinstance(messages, list) or len(messages) != 1 or not isinstance(messages[0], dict):
        raise invalid("messages length only support 1")
    message = messages[0]
    _only(message, {"role", "content"}, "input.messages[0].")
    if message.get("role") != "user" or not isinstance(message.get("content"), list):
        raise invalid("input.messages[0] must have role user and a list of content")
    texts: list[Any] = []
    images: list[Any] = []
    for part in message["content"]:
        if not isinstance(part, dict) or len(part) != 1 or part.keys() - {"text", "image"}:
            raise invalid("a content part must be {text} or {image}")
        (texts if "text" in part else images).extend(part.values())
    if len(texts) != 1:
        raise invalid("content must have exactly one text part")
    prompt = _text({"prompt": texts[0]}, "prompt", model.prompt, "text")
    limits = model.media.get("images")
    if limits is None:
        if images:
            raise invalid("this model takes no images")
        return prompt, {}
    if not images:
        raise invalid("content must have at least one image")
    return prompt, {"images": _links(images, limits, "image")}


def _text(given: dict[str, Any], key: str, rule: Text, where: str) -> str:
    value = given.get(key)
    if value is None or value == "":
        if rule.required:
            raise invalid(f"Field required: {where}.{key}")
        return ""
    if not isinstance(value, str):
        raise invalid(f"{where}.{key} must be a string")
    return value


def _links(values: list[Any], limits: Media, where: str) -> tuple[str, ...]:
    if not 1 <= len(values) <= limits.most:
        raise invalid(f"{where}: between 1 and {limits.most} files are supported")
    return tuple(_link(value, limits, where) for value in values)


def _link(value: Any, limits: Media, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise invalid(f"{where} must be a URL")
    if media.is_data_uri(value):
        if limits.data_uri:
            return value
        raise Refusal(400, "InvalidURL", f"{where}: a public http or https URL is required")
    if not value.startswith(("http://", "https://")) or not value.isascii():
        raise Refusal(400, "InvalidURL", f"{where}: the URL must be http or https without non-ASCII characters")
    return value


def _fields(given: dict[str, Any], rules: dict[str, Param], where: str, *, taken: set[str]) -> dict[str, Any]:
    tolerated = _TOLERATED[where]
    for name in given.keys() & tolerated.keys():
        if given[name] not in tolerated[name]:
            raise invalid(f"{where}.{name} is not supported")
    _only(given, rules.keys() | taken | tolerated.keys(), f"{where}.")
    values: dict[str, Any] = {}
    for name, rule in rules.items():
        if name in given:
            _check(given[name], rule, f"{where}.{name}")
            values[name] = given[name]
        elif rule.default is not None:
            values[name] = rule.default
    return values


def _check(value: Any, rule: Param, where: str) -> None:
    match rule.type:
        case "integer":
            right = isinstance(value, int) and not isinstance(value, bool)
        case "boolean":
            right = isinstance(value, bool)
        case "text":
            right = isinstance(value, str)
        case "size":
            right = isinstance(value, str) and _SIZE.fullmatch(value) is not None
    if not right:
        raise invalid(f"{where} must be {'W*H' if rule.type == 'size' else rule.type}")
    if rule.any_of and value not in rule.any_of:
        raise invalid(f"{where} must be one of {', '.join(map(str, rule.any_of))}")
    if (rule.min is not None and value < rule.min) or (rule.max is not None and value > rule.max):
        raise invalid(f"{where} must be between {rule.min} and {rule.max}")
    if rule.type == "size":
        _check_size(*sides(value), rule, where)


def sides(size: str) -> tuple[int, int]:
    """Width and height of "W*H"."""
    width, _, height = size.partition("*")
    return int(width), int(height)


def _check_size(width: int, height: int, rule: Param, where: str) -> None:
    if rule.sides and not (rule.sides[0] <= min(width, height) and max(width, height) <= rule.sides[1]):
        raise invalid(f"{where}: each side must be between {rule.sides[0]} and {rule.sides[1]}")
    if rule.area and not rule.area[0] <= width * height <= rule.area[1]:
        raise invalid(f"{where}: total pixels must be between {rule.area[0]} and {rule.area[1]}")
    if rule.ratio and max(width, height) > rule.ratio * min(width, height):
        raise invalid(f"{where}: the aspect ratio must be between 1:{rule.ratio:g} and {rule.ratio:g}:1")
