"""Commands about models: what there is, what each takes, what a task would cost."""

from __future__ import annotations

import difflib

import click

from modellix import Client, errors
from modellix.cli import flags, output
from modellix.types import ModelDetails, Price

AS_JSON = click.option("--json", is_flag=True, help="Print JSON.")
ANY_FLAGS = {"ignore_unknown_options": True, "allow_extra_args": True}


def model_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Models that begin so, for the completion of shells; none where the platform does not answer."""
    try:
        with Client(max_retries=0, timeout_s=2) as client:
            return [model.slug for model in client.models() if model.slug.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - a shell completes, whatever there is
        return []


def named(client: Client, name: str) -> ModelDetails:
    """The model of a name, or of an id that only one provider has. Raises NotFound or UsageError with the closest."""
    unknown: errors.NotFound | None = None
    if "/" in name:
        try:
            return client.model(name)
        except errors.NotFound as error:
            unknown = error
    slugs = [model.slug for model in client.models()]
    alike = [slug for slug in slugs if slug.partition("/")[2] == name]
    if len(alike) == 1:
        return client.model(alike[0])
    close = alike or difflib.get_close_matches(name, slugs, 1, 0.5)
    hint = f"did you mean {close[0]}?" if close else "`modellix models` lists all"
    if unknown is None:
        raise click.UsageError(f"there is no model {name!r}: {hint}")
    raise errors.NotFound(
        f"{unknown.message}: {hint}", status=404, request_id=unknown.request_id, docs_url=unknown.docs_url
    )


OF_MODEL = click.argument("model", shell_complete=model_names)


@click.command()
@click.argument("words", nargs=-1)
@click.option("--type", "type_", help="Such as text-to-image.")
@click.option("--provider", help="Such as alibaba.")
@click.option("--category", type=click.Choice(["image", "video"]), help="What they make.")
@click.option("--featured", is_flag=True, help="The few to begin with.")
@AS_JSON
def models(
    words: tuple[str, ...],
    type_: str | None,
    provider: str | None,
    category: str | None,
    *,
    featured: bool,
    json: bool,
) -> None:
    """List the models, or those with all of WORDS."""
    with Client() as client:
        listed = client.models(type=type_, provider=provider, category=category, featured=featured)
    found = [one for one in listed if all(word.lower() in f"{one.slug} {one.description}".lower() for word in words)]
    if json:
        output.as_json(found)
    elif not found:
        output.note("no model fits; `modellix models` lists all")
    else:
        rows = ((one.slug, one.type, price(one.price), one.description) for one in found)
        output.table(("model", "type", "price", "about"), rows, right=("price",), cut=True)
        output.note(f"{len(found)} models; `modellix schema MODEL` shows what one takes")


@click.command()
@OF_MODEL
@AS_JSON
def schema(model: str, *, json: bool) -> None:
    """Show the flags of a model; with --json its JSON Schema."""
    with Client() as client:
        found = named(client, model)
    if json:
        output.as_json(found.schema)
    else:
        show_flags(found)


def show_flags(model: ModelDetails) -> None:
    """The flags of a model for people."""
    click.echo(f"{output.bold(model.slug)}  {model.type}  {price(model.price)}")
    click.echo(click.wrap_text(model.description, output.console().width))
    rows = ((f.words, "yes" if f.required else "", f.values, f.about) for f in flags.of_model(model))
    output.table(("flag", "needed", "takes", "about"), rows)
    click.echo(output.dim(model.docs_url))


@click.command(context_settings=ANY_FLAGS)
@OF_MODEL
@AS_JSON
@click.pass_context
def quote(ctx: click.Context, model: str, *, json: bool) -> None:
    """Ask what a task would cost, with the flags of `modellix run`."""
    with Client() as client:
        details = named(client, model)
        found = client.quote(details.slug, flags.parse(details, ctx.args))
    if json:
        output.as_json(found)
    else:
        click.echo(f"{output.usd(found.cost)} at most: {found.units:g} x {output.usd(found.unit_cost)} ({found.tier})")


def price(found: Price | None) -> str:
    """A price or its range."""
    if found is None:
        return "-"
    low, high = (found.fixed, found.fixed) if found.fixed is not None else (found.min, found.max)
    amount = f"{low:g}" if low == high else f"{low:g}-{high:g}"
    return f"{amount} {found.unit}"


COMMANDS = (models, schema, quote)
