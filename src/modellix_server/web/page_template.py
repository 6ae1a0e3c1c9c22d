"""Jinja's templates without what they leave behind."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from jinja2 import Template
from jinja2.environment import TemplateModule
from jinja2.runtime import Context

_MADE: ContextVar[list[Context] | None] = ContextVar("contexts_of_this_page", default=None)


class PageTemplate(Template):
    """A template that lets go of a page's values as soon as it is rendered.

    What a page imports with its context are macros that know the context, which knows them: a cycle, which kept the
    request, and with it the client's connection, until the garbage collector's next run.
    """

    def new_context(self, *args: Any, **kwargs: Any) -> Context:
        """As of jinja2."""
        made = super().new_context(*args, **kwargs)
        if (contexts := _MADE.get()) is not None:
            contexts.append(made)
        return made

    def render(self, *args: Any, **kwargs: Any) -> str:
        """As of jinja2."""
        contexts: list[Context] = []
        before = _MADE.set(contexts)
        try:
            return super().render(*args, **kwargs)
        finally:
            _MADE.reset(before)
            for one in contexts:
                one.vars.clear()

    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:
        """Macros without a page's context, which are kept."""
        before = _MADE.set(None)
        try:
            return super()._get_default_module(ctx)
        finally:
            _MADE.reset(before)
