"""Templates, and what they share: money, times, addresses of files, the frame around a page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context as TemplateContext
from markupsafe import Markup
from starlette.responses import HTMLResponse

from modellix_server.base.money import usd
from modellix_server.console import i18n, words
from modellix_server.console.i18n import pgettext
from modellix_server.operations.context import ServingContext
from modellix_server.web.assets import Assets
from modellix_server.web.page_template import PageTemplate


class Renderer:
    """Makes pages of templates and values."""

    def __init__(self, ctx: ServingContext, assets: Assets) -> None:
        self._environment = Environment(
            loader=PackageLoader("modellix_server.console"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.template_class = PageTemplate
        self._environment.install_gettext_callables(  # type: ignore[attr-defined]
            i18n.gettext, i18n.ngettext, newstyle=True, pgettext=i18n.pgettext
        )
        self._environment.globals |= {"asset": assets.url, "picture_of": assets.picture_of}
        self._environment.filters |= {
            "money": money,
            "moment": _moment,
            "role": words.role,
            "category": words.category,
            "failure": words.failure,
            "state": words.state,
            "outcome": words.outcome,
            "account": words.account,
            "model_type": words.model_type,
            "model_text": i18n.model_text,
            "said": i18n.said,
            "checked": words.checked,
            "recharge_in": words.recharge_in,
            "sentence": sentence,
            "exact": _exact,
            "length_of_time": length_of_time,
            "seconds": seconds,
            "size": size,
        }
        files = ctx.settings.results_origin
        payments = f"{ctx.settings.public_origin} https://checkout.stripe.com"  # a form may lead there
        self._policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            f"form-action 'self' {payments}; "
            f"img-src 'self' {files} data: blob:; media-src 'self' {files} blob:; "
            "frame-ancestors 'none'; base-uri 'none'"
        )

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page. It may load scripts, styles and pictures of this installation only, and is stored nowhere."""
        body = self._environment.get_template(template).render(**values)
        headers = {"Content-Security-Policy": self._policy, "Cache-Control": "no-store"}
        return HTMLResponse(body, status, headers)


def money(micros: int) -> str:
    """`17200` as `$0.0172`."""
    return f"-${usd(-micros)}" if micros < 0 else f"${usd(micros)}"


def sentence(text: str) -> str:
    """`it is gone` as `It is gone.`: what the platform says, in the reader's language and with its full stop."""
    text = i18n.said(text)
    stop = "." if text.isascii() else pgettext("end of a sentence", ".")
    return f"{text[:1].upper()}{text[1:]}{stop}"


def seconds(milliseconds: int) -> str:
    """`5000` as `5`, `5500` as `5.5`."""
    return f"{milliseconds / 1000:g}"


def length_of_time(milliseconds: int) -> str:
    """`620` as `0.62 s`, `75000` as `1:15 min`."""
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.2f} s" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"
    minutes, seconds = divmod(milliseconds // 1000, 60)
    return f"{minutes}:{seconds:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{seconds:02} h"


def size(count: int) -> str:
    """`1234567` bytes as `1.2 MB`."""
    if count < 1_000:
        return f"{count} B"
    amount, unit = next(((count / 1000**n, unit) for n, unit in ((1, "kB"), (2, "MB")) if count < 1000 ** (n + 1)),
                        (count / 1000**3, "GB"))  # fmt: skip
    return f"{amount:.1f} {unit}"


@pass_context
def _moment(context: TemplateContext, at: datetime) -> Markup:
    """A time in the viewer's zone, with UTC on hover; the script puts it in the browser's zone where none is chosen."""
    return _time(context, at, "%Y-%m-%d %H:%M", "minute")


@pass_context
def _exact(context: TemplateContext, at: datetime) -> Markup:
    """The same, to the second."""
    return _time(context, at, "%Y-%m-%d %H:%M:%S", "second")


def _time(context: TemplateContext, at: datetime, form: str, unit: str) -> Markup:
    name = context.get("time_zone")
    try:
        zone = ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        zone = None
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(  # format escapes what it is given
        utc.isoformat(timespec="seconds"),
        utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
        Markup("") if zone else Markup(' data-local="{}"').format(unit),
        at.astimezone(zone).strftime(form) if zone else utc.strftime(f"{form} UTC"),
    )
