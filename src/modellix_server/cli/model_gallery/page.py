"""A model gallery as one HTML page with everything in it."""

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from modellix_server.cli.model_gallery.draw import Cell, facts

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 24px; color: #1d2733; background: #eceff3 }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(480px, 1fr)); gap: 14px }
article { background: #fff; border-radius: 8px; padding: 10px 12px; overflow: hidden }
h3 { margin: 0; font-size: 16px } p { margin: 2px 0 } .pale { color: #6b7785; font-size: 12px }
.bad { color: #b3261e; font-weight: 600 } article:has(.bad) { outline: 2px solid #b3261e }
div { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; margin-top: 6px } img { max-width: 100% }
"""


def page(cells: Sequence[Cell], title: str) -> str:
    """The whole document; it loads nothing."""
    kinds = dict.fromkeys(one.run.type for one in cells)
    blocks = "".join(
        f"<h2>{escape(kind)}</h2><main>{''.join(_article(one) for one in cells if one.run.type == kind)}</main>"
        for kind in kinds
    )
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{escape(title)}</h1>{blocks}</body></html>\n'


def _article(one: Cell) -> str:
    run = one.run
    failed = f'<p class="bad">Failed: {escape(run.error)}</p>' if run.error else ""
    arrow = "<span>&rarr;</span>" if one.inputs and one.results else ""
    media = "".join(map(_image, one.inputs)) + arrow + "".join(map(_image, one.results))
    return (
        f"<article><h3>{escape(run.slug)}</h3>"
        f'<p class="pale">{escape(facts(run))}</p><p>{escape(run.words)}</p>{failed}<div>{media}</div></article>'
    )


def _image(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=82)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="" width="{picture.width}" height="{picture.height}" src="data:image/jpeg;base64,{data}">'
