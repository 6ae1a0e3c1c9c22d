"""A page that was rendered keeps nothing of the request that it was made for."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
from jinja2 import DictLoader, Environment, Template

from modellix_server.web.page_template import PageTemplate

PAGES = {
    "kept.html": "{% macro title() %}Title{% endmacro %}",
    "forms.html": "{% macro name() %}{{ page.name }}{% endmacro %}"
    "{% macro twice() %}{{ name() }}{{ name() }}{% endmacro %}",
    "frame.html": "{% from 'kept.html' import title %}{% macro entry() %}{{ page.name }}{% endmacro %}"
    "{{ title() }} {{ entry() }} {% block body %}{% endblock %}",
    "page.html": "{% extends 'frame.html' %}{% from 'forms.html' import twice with context %}"
    "{% block body %}{% from 'forms.html' import twice with context %}{{ twice() }}{{ page.fail() }}{% endblock %}",
}


class Page:
    """What templates are given of a request."""

    name = "a"

    def __init__(self, *, fails: bool = False) -> None:
        self._fails = fails

    def fail(self) -> str:
        if self._fails:
            raise RuntimeError("no page")
        return ""


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def render(template_class: type[Template]) -> weakref.ref[Page]:
    environment = Environment(loader=DictLoader(PAGES), autoescape=True)
    environment.template_class = template_class
    for _ in range(2):  # what is imported without a page's context is kept, and goes on to work
        page = Page()
        assert environment.get_template("page.html").render(page=page) == "Title a aa"
    kept = weakref.ref(page)
    del page
    with pytest.raises(RuntimeError, match="no page"):
        environment.get_template("page.html").render(page=Page(fails=True))
    assert environment.get_template("page.html").render(page=Page()) == "Title a aa"
    return kept


@pytest.mark.usefixtures("no_collector")
def test_a_page_that_was_rendered_keeps_nothing_of_its_request() -> None:
    assert render(PageTemplate)() is None
    assert render(Template)() is not None, "jinja2 has mended it itself"
