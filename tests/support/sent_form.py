"""Forms of pages as browsers send them."""

from __future__ import annotations

from html.parser import HTMLParser


class Sent(HTMLParser):
    """What a browser sends of the form `form` when nobody touched it."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.fields: list[tuple[str, str]] = []
        self._inside = False
        self._area: str | None = None
        self._select: str | None = None
        self._text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._inside = given.get("id") == "form" if tag == "form" else self._inside
        name = given.get("name")
        if not self._inside:
            return
        if tag == "option" and self._select and "selected" in given:
            self.fields.append((self._select, given.get("value") or ""))
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area, self._text = name, ""
        elif tag == "input" and name and (given.get("type") not in ("radio", "checkbox") or "checked" in given):
            self.fields.append((name, given.get("value") or ""))

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "textarea" and self._area:
            self.fields.append((self._area, self._text))
            self._area = None
        elif tag == "select":
            self._select = None
