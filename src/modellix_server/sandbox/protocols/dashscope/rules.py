"""Parsing of a submission, as strict as the vendor: what is not in the table is refused."""

from dataclasses import dataclass
from typing import Any

from modellix_server.sandbox import directives, media
from modellix_server.sandbox.protocols.dashscope import fields
from modellix_server.sandbox.protocols.dashscope.fields import DashScopeRefusal, invalid, only
from modellix_server.sandbox.protocols.dashscope.table import (
    DashScopeMedia,
    DashScopeModel,
    DashScopeRoute,
    DashScopeText,
    Need,
)

Files = dict[str, tuple[str, ...]]
"""Field -> links or data URIs, not loaded yet."""
_NO_TEXT = DashScopeText(longest=0)


@dataclass(frozen=True, slots=True)
class DashScopeJob:
    """A submission that keeps the rules."""

    model: str
    rules: DashScopeModel
    route: DashScopeRoute
    prompt: str
    negative_prompt: str
    media: Files
    parameters: dict[str, Any]
    """Of `parameters` and, for a few models, of `input`; defaults filled in."""
    given: frozenset[str]
    """The names that were given and not filled in."""
    asked: directives.Directives

    @property
    def count(self) -> int:
        """Pictures or clips to make."""
        if self.parameters.get("enable_interleave"):
            return int(self.parameters["max_images"])
        return int(self.parameters.get("n", 1))


def read(body: object, models: dict[str, DashScopeModel], path: str) -> tuple[str, DashScopeModel, DashScopeRoute]:
    """The model a body names and how it is called at `path`. Raises Refusal."""
    if not isinstance(body, dict):
        raise DashScopeRefusal(400, "InvalidParameter", "Required body invalid, please check the request body format.")
    name = body.get("model")
    if not name:
        raise DashScopeRefusal(400, "BadRequest.EmptyModel", 'Required parameter "model" missing from request.')
    model = models.get(name) if isinstance(name, str) else None
    if model is None:
        raise invalid("Model not exist.")
    route = model.route.get(path)
    if route is None:
        raise invalid("url error, please check url！")  # noqa: RUF001  (the vendor's own sign)
    return name, model, route


def check(body: dict[str, Any], name: str, model: DashScopeModel, route: DashScopeRoute) -> DashScopeJob:
    """The job a body asks for. Raises Refusal."""
    only(body, {"model", "input", "parameters"}, "")
    given = _object(body, "input", "BadRequest.EmptyInput", required=True)
    parameters = _object(body, "parameters", "BadRequest.EmptyParameters", required=False)
    texts: dict[str, Any] = given
    values: dict[str, Any] = {}
    match route.body:
        case "flat":
            given = texts = _flattened(given)
            inputs = _texts(model) | _file_fields(model, "")
            values = fields.read(given, model.input, "input", taken=inputs)
            files = _flat_files(given, parameters, model)
            taken = _file_fields(model, "parameters.")
        case "media":
            values = fields.read(given, model.input, "input", taken=_texts(model) | {"media"})
            files = _media_list(given.get("media"), model)
            taken = set()
        case "messages":
            content, files = _messages(given, model)
            texts = {**parameters, "prompt": content}
            taken = _texts(model) - {"prompt"}
    values |= fields.read(parameters, model.parameters, "parameters", taken=taken)
    prompt = _text(texts, "prompt", model.prompt or _NO_TEXT)
    negative_prompt = _text(texts, "negative_prompt", model.negative_prompt or _NO_TEXT)
    present = frozenset(given) | frozenset(parameters) | frozenset(files)
    for need in model.needs:
        _meet(need, values, present, files)
    if model.sets and not any(files.keys() == set(allowed) for allowed in model.sets):
        raise invalid(f"input.media: this combination is not supported: {', '.join(files) or 'nothing'}")
    return DashScopeJob(
        model=name,
        rules=model,
        route=route,
        prompt=prompt[: (model.prompt or _NO_TEXT).longest],
        negative_prompt=negative_prompt[: (model.negative_prompt or _NO_TEXT).longest],
        media=files,
        parameters=values,
        given=present,
        asked=_directives(prompt, negative_prompt, *(text for text in values.values() if isinstance(text, str))),
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
            raise DashScopeRefusal(400, empty, f'Required parameter "{key}" missing from request.')
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{key} must be an object")
    return {name: field for name, field in value.items() if field is not None}


def _flattened(given: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Fields of objects under dotted names, as the table has them."""
    flat: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, dict) and value and before.count(".") < 3:
            flat |= _flattened(value, f"{before}{name}.")
        elif value is not None and value != {}:
            flat[before + name] = value
    return flat


def _texts(model: DashScopeModel) -> set[str]:
    texts = {"prompt": model.prompt, "negative_prompt": model.negative_prompt}
    return {rule.name or name for name, rule in texts.items() if rule is not None}


def _text(given: dict[str, Any], name: str, rule: DashScopeText) -> str:
    name = rule.name or name
    value = given.get(name) if rule is not _NO_TEXT else None
    if value is None or value == "":
        if rule.required:
            raise invalid(f"Field required: {name}")
        return ""
    if not isinstance(value, str):
        raise invalid(f"{name} must be a string")
    return value


def _file_fields(model: DashScopeModel, before: str) -> set[str]:
    """The names of input files in `parameters` or, without `before`, in `input`."""
    inside = {name for name in model.media if name.startswith("parameters.")}
    return {name.removeprefix(before) for name in inside} if before else model.media.keys() - inside


def _flat_files(given: dict[str, Any], parameters: dict[str, Any], model: DashScopeModel) -> Files:
    files: Files = {}
    for field, limits in model.media.items():
        place = parameters if field.startswith("parameters.") else given
        value = place.get(field.removeprefix("parameters."))
        if value is not None and value != []:
            many = value if limits.many and isinstance(value, list) else [value]
            if limits.many and not isinstance(value, list):
                raise invalid(f"{field} must be a list")
            files[field] = _links(many, limits, field)
        elif limits.required:
            raise invalid(f"Field required: input.{field}")
    return files


def _media_list(items: Any, model: DashScopeModel) -> Files:
    if items is None:
        items = []
    if not isinstance(items, list):
        raise invalid("input.media must be a list")
    found: dict[str, list[Any]] = {}
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("type"), str):
            raise invalid("input.media: an item must be {type, url}")
        kind = item["type"]
        if kind not in model.media:
            raise invalid(f"input.media: type {kind} is not supported")
        only(
            item, {"type", "url"} | ({"reference_voice"} if kind.startswith("reference_") else set()), "input.media[]."
        )
        found.setdefault(kind, []).append(item.get("url"))
    for kind, limits in model.media.items():
        if limits.required and kind not in found:
            raise invalid(f"input.media: an item of type {kind} is required")
    return {kind: _links(links, model.media[kind], f"input.media {kind}") for kind, links in found.items()}


def _messages(given: dict[str, Any], model: DashScopeModel) -> tuple[Any, Files]:
    only(given, {"messages"}, "input.")
    messages = given.get("messages")
    if not isinstance(messages, list) or len(messages) != 1 or not isinstance(messages[0], dict):
        raise invalid("messages length only support 1")
    message = messages[0]
    only(message, {"role", "content"}, "input.messages[0].")
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
    limits = model.media.get("images")
    if limits is None:
        if images:
            raise invalid("this model takes no images")
        return texts[0], {}
    if not images:
        if limits.required:
            raise invalid("content must have at least one image")
        return texts[0], {}
    return texts[0], {"images": _links(images, limits, "image")}


def _links(values: list[Any], limits: DashScopeMedia, where: str) -> tuple[str, ...]:
    if not 1 <= len(values) <= limits.most:
        raise invalid(f"{where}: between 1 and {limits.most} files are supported")
    return tuple(_link(value, limits, where) for value in values)


def _link(value: Any, limits: DashScopeMedia, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise invalid(f"{where} must be a URL")
    if media.is_data_uri(value):
        if limits.data_uri:
            return value
        raise DashScopeRefusal(400, "InvalidURL", f"{where}: a public http or https URL is required")
    if not (media.is_link(value) or value.startswith("oss://")) or not value.isascii():
        raise DashScopeRefusal(
            400, "InvalidURL", f"{where}: the URL must be http or https without non-ASCII characters"
        )
    return value


def _meet(need: Need, values: dict[str, Any], present: frozenset[str], files: Files) -> None:
    """Raises Refusal where a rule across fields is broken."""
    if need.field and values.get(need.field) not in need.values:
        return
    when = f" with {need.field} {values[need.field]}" if need.field else ""
    if need.one_of and not present.intersection(need.one_of):
        raise invalid(f"one of {', '.join(need.one_of)} is required{when}")
    unwanted = sorted(present.intersection(need.none_of))
    if unwanted:
        raise invalid(f"{unwanted[0]} is not supported{when}")
    for names, most in need.at_most.items():
        if sum(_amount(name, values, files) for name in names.split("+")) > most:
            raise invalid(f"{names} must be at most {most}{when}")


def _amount(name: str, values: dict[str, Any], files: Files) -> int:
    if name in files:
        return len(files[name])
    value = values.get(name, 0)
    return value if isinstance(value, int) else 0
