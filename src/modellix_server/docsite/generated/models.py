"""The page of a model, and the pages that list all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modellix_server.base.money import usd
from modellix_server.catalogue import Limits, Model, Tier
from modellix_server.docsite.generated import Say
from modellix_server.docsite.markdown import anchor_of, block, code, heading, inline, table
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.written import shown_files
from modellix_server.operations.models import ModelDetails
from modellix_server.web.code_samples import pretty, samples

_LANGUAGES = {"curl": "sh", "Python": "python", "JavaScript": "javascript", "CLI": "sh"}


def model_page(details: ModelDetails, origin: str, language: str, _: Say, told: Say) -> DocPage:
    """Everything that a caller of a model needs; `told` translates what its file says."""
    model = details.model
    parts = [
        f"# {inline(model.name)}",
        inline(told(model.summary)),
        *_picture(model, _),
        *_facts(details, _),
        heading(_("Price")),
        *_prices(details, _),
        heading(_("Parameters")),
        _("The body of the request. Parameters stand at its top level."),
        table(
            [_("parameter"), _("type"), _("default"), _("allowed"), _("meaning")],
            list(_rows(model.schema, _, told)),
        ),
        *_rules(model, _),
        *_media(model, _),
        heading(_("Example")),
        *_examples(model, origin, _),
        heading(_("Answer")),
        _(
            "The answer has a `task_id`. [Follow the task](/docs/following-a-task) until its `status` is "
            "`success` or "
            "`failed`: `result.resources` then has the links to the files, `billing.amount` the charge in USD."
        ),
        *_retirement(model, _),
        heading(_("How sure this is")),
        _("Parameters: %(inputs)s. Price: %(price)s.")
        % {"inputs": inline(model.confidence.inputs), "price": inline(model.confidence.price)},
    ]
    names = (model.slug, model.id, model.docs_slug)
    return DocPage(f"{model.provider}/{model.docs_slug}", language, Kind.MODEL, "\n\n".join(parts) + "\n", "", names)


def pricing_page(models: list[ModelDetails], language: str, _: Say) -> DocPage:
    """What every model costs."""
    parts = [
        heading(_("Pricing"), 1),
        _(
            "What every model of this installation costs now. Images are charged per image, videos per second, "
            "and only "
            "what was delivered: a failed task costs nothing. The operator sets these prices; an accepted task "
            "keeps its quote."
        ),
    ]
    for provider in dict.fromkeys(one.model.provider for one in models):
        rows = [
            [
                f"[{inline(one.model.name)}](/docs/{_slug(one.model)})",
                inline(tier.tier),
                _amount(tier.micros, one.model, _),
                code(one.model.slug),
            ]
            for one in models
            if one.model.provider == provider
            for tier in one.prices
        ]
        parts += [f"## {provider}", table([_("model"), _("tier"), _("price"), _("id")], rows)]
    parts += [
        heading(_("Know the price before")),
        _(
            "`POST /api/v1/quote` computes what a task would cost at most, without running it. The header "
            "`X-Max-Cost` refuses "
            "a task that would cost more. See [Money](/docs/money)."
        ),
    ]
    return DocPage("get-started/pricing", language, Kind.GUIDE, "\n\n".join(parts) + "\n")


def models_page(models: list[ModelDetails], language: str, _: Say, told: Say) -> DocPage:
    """Every model, by what it makes."""
    parts = [
        heading(_("Models"), 1),
        _("Every model of this installation, by what it takes and makes, with its price."),
    ]
    for type_ in dict.fromkeys(one.model.type for one in models):
        rows = [
            [
                f"[{inline(one.model.name)}](/docs/{_slug(one.model)})",
                code(one.model.slug),
                _range(one, _),
                inline(told(one.model.summary)),
            ]
            for one in models
            if one.model.type == type_
        ]
        parts += [f"## {type_}", table([_("model"), _("id"), _("price"), _("what for")], rows)]
    return DocPage("get-started/models", language, Kind.GUIDE, "\n\n".join(parts) + "\n")


def new_models_page(models: list[ModelDetails], language: str, _: Say) -> DocPage:
    """The models that the vendors retire, and where new ones are announced."""
    ending = [(one.model.retires.date, one.model) for one in models if one.model.retires]
    rows = [
        [
            *(f"[{inline(model.name)}](/docs/{_slug(model)})", code(model.slug), str(date)),
            _("yes") if model.retires and model.retires.verified else _("no"),
        ]
        for date, model in sorted(ending, key=lambda one: one[0])
    ]
    parts = [
        heading(_("New models"), 1),
        _("Which models this installation has, and which ones their vendors are going to retire."),
        heading(_("In the catalogue")),
        _(
            "%d models. [All of them](/docs/get-started/models), and [their prices](/docs/get-started/pricing). "
            "New ones are told in the [product updates](/docs/changelog/product-updates)."
        )
        % len(models),
        heading(_("Retirements")),
        table([_("model"), _("id"), _("date"), _("said by the vendor itself")], rows) if rows else _("None is known."),
    ]
    return DocPage("changelog/new-models", language, Kind.GUIDE, "\n\n".join(parts) + "\n")


def _slug(model: Model) -> str:
    return f"{model.provider}/{model.docs_slug}"


def _picture(model: Model, _: Say) -> Iterator[str]:
    name = f"models/{model.slug}.webp"
    if name in shown_files():
        about = _("What the example below makes in the sandbox")
        yield f"![{about}](/docs/files/{name})"


def _facts(details: ModelDetails, _: Say) -> Iterator[str]:
    model = details.model
    minutes = model.deadline_s // 60
    yield table(
        ["", ""],
        [
            [_("id"), code(model.slug)],
            [_("type"), code(model.type)],
            [_("price"), _range(details, _)],
            [_("submit with"), code(f"POST /api/v1/{model.type}/{model.slug}/async")],
            [_("deadline"), _("%d minutes: a task that has not ended by then fails and costs nothing") % minutes],
        ],
    )
    if model.retires:
        title, when = _("Retirement"), _("End of service at the vendor: %s") % model.retires.date
        yield f"**{when}**: [{title}](#{anchor_of(title)})"


def _amount(micros: int | None, model: Model, _: Say) -> str:
    if micros is None:
        return _("no price yet: refused in live mode")
    return (_("%s USD an image") if model.price.unit == "image" else _("%s USD a second")) % usd(micros)


def _range(details: ModelDetails, _: Say) -> str:
    known = [one.micros for one in details.prices if one.micros is not None]
    if not known or min(known) == max(known):
        return _amount(known[0] if known else None, details.model, _)
    return f"{usd(min(known))} - {_amount(max(known), details.model, _)}"


def _prices(details: ModelDetails, _: Say) -> Iterator[str]:
    rows = []
    for tier, price in zip(details.model.price.tiers, details.prices, strict=True):
        rows.append([inline(price.tier), _amount(price.micros, details.model, _), _conditions(details.model, tier, _)])
    yield table([_("tier"), _("price"), _("when")], rows)
    yield _(
        "Only what was delivered is charged, and never more than the quote that was held at the start: "
        "[Money](/docs/money)."
    )


def _conditions(model: Model, tier: Tier, _: Say) -> str:
    """The values of the parameters that choose a tier, as far as they distinguish it from others."""
    table_ = model.price
    said = []
    for place, name in enumerate((*table_.by, *table_.given)):
        values = {key[place]: None for key, found in table_.cells.items() if found is tier}
        if len(values) < len({key[place] for key in table_.cells}):
            is_presence = place >= len(table_.by)
            shown = (
                [_("given") if value else _("not given") for value in values]
                if is_presence
                else [code(_literal(value)) for value in values]
            )
            said.append(f"{code(name)}: {', '.join(shown)}")
    return "; ".join(said) or _("always")


def _rows(schema: Mapping[str, Any], _: Say, told: Say, prefix: str = "") -> Iterator[list[str]]:
    for name, said in schema["properties"].items():
        needed = name in schema.get("required", ())
        kind = said.get("type", "string")
        default = code(_literal(said["default"])) if "default" in said else (_("required") if needed else "-")
        yield [code(prefix + name), kind, default, _allowed(said, _), inline(told(said.get("description", "")))]
        inner = said if kind == "object" else said.get("items", {})
        if "properties" in inner:
            yield from _rows(inner, _, told, f"{prefix}{name}{'[]' if kind == 'array' else ''}.")


def _literal(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _allowed(said: Mapping[str, Any], _: Say) -> str:
    if choices := said.get("enum"):
        return ", ".join(code(_literal(one)) for one in choices)
    found = []
    if "minimum" in said:
        found.append(_("%(low)s to %(high)s") % {"low": said["minimum"], "high": said["maximum"]})
    if "multipleOf" in said:
        found.append(_("a multiple of %s") % said["multipleOf"])
    if said.get("type") == "string" and "maxLength" in said and said["maxLength"] < 1_000_000 and "pattern" not in said:
        found.append(_("at most %s characters") % said["maxLength"])
    if "maxItems" in said:
        found.append(_("%(low)s to %(high)s items") % {"low": said.get("minItems", 0), "high": said["maxItems"]})
    return ", ".join(found) or "-"


def _rules(model: Model, _: Say) -> Iterator[str]:
    if model.checker.rules:
        yield heading(_("Rules between parameters"))
        yield _("A request that breaks one of these is refused with 400 and this message:")
        yield "\n".join(f"- {inline(message)}" for message in model.checker.rules)


def _media(model: Model, _: Say) -> Iterator[str]:
    rows = [
        [code(medium.name), kind, *_limits(limits, _)]
        for medium in model.media
        for kind, limits in medium.limits.items()
    ]
    if rows:
        yield heading(_("Media inputs"))
        yield _(
            "Each takes a link, a data URI, base64, the `file_id` of an [upload](/docs/api-reference/upload-file) "
            "or the link of "
            "an earlier result; the platform converts to what the vendor takes."
        )
        yield table([_("parameter"), _("kind"), _("formats"), _("limits")], rows)


def _limits(limits: Limits, _: Say) -> list[str]:
    found = []
    if limits.max_bytes:
        found.append(_("at most %s MB") % round(limits.max_bytes / 1_048_576, 1))
    if limits.min_side_px or limits.max_side_px:
        found.append(
            _("sides %(low)s to %(high)s pixels") % {"low": limits.min_side_px or 1, "high": limits.max_side_px or "…"}
        )
    if limits.max_pixels:
        found.append(_("at most %s pixels") % limits.max_pixels)
    if limits.max_ratio:
        found.append(_("ratio 1:%(most)s to %(most)s:1") % {"most": f"{limits.max_ratio:g}"})
    if limits.min_ms or limits.max_ms:
        low, high = (limits.min_ms or 0) / 1000, (limits.max_ms or 0) / 1000
        found.append(_("%(low)s to %(high)s seconds") % {"low": f"{low:g}", "high": f"{high:g}" if high else "…"})
    return [", ".join(limits.formats) or "-", ", ".join(found) or "-"]


def _examples(model: Model, origin: str, _: Say) -> Iterator[str]:
    for sample in samples(origin, model, model.example):
        yield heading(sample.language, 3)
        yield block(_LANGUAGES[sample.language], sample.text)
    yield heading(_("Any HTTP client"), 3)
    yield _("`POST %s` with this body:") % f"{origin}/api/v1/{model.type}/{model.slug}/async"
    yield block("json", pretty(model.example))
    for number, more in enumerate(model.more, 2):
        yield heading(_("Another body %d") % (number - 1), 3)
        yield block("json", pretty(more))


def _retirement(model: Model, _: Say) -> Iterator[str]:
    if model.retires:
        yield heading(_("Retirement"))
        sure = _("The vendor itself says so.") if model.retires.verified else _("This is not confirmed by the vendor.")
        when = _("The vendor ends its service on %s.") % model.retires.date
        source = _("Source: %s.") % inline(model.retires.source)
        yield f"{when} {sure} {source}"
