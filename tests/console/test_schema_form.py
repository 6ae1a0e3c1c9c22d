"""Every model's form stands for its example, and for what somebody typed."""

import pytest

from modellix_server.catalogue import Catalogue, Model
from modellix_server.console import schema_form
from modellix_server.console.schema_form import Field, Form

MODELS = list(Catalogue.load())


def sent(fields: list[Field]) -> list[tuple[str, str]]:
    """What a browser sends of a form that nobody touched."""
    found: list[tuple[str, str]] = []
    for one in fields:
        if one.widget in ("media", "checks"):
            found += [(one.name, value) for value in one.values]
        elif one.widget == "parts":
            found += sent(list(one.parts))
        elif one.widget == "rows":
            for row in one.rows:
                found += sent(list(row))
        elif one.widget == "switch":
            found += [(one.name, "false")] + ([(one.name, "true")] if one.value == "true" else [])
        else:
            found.append((one.name, one.value.replace("\n", "\r\n")))
    return found


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.slug)
def test_a_form_stands_for_the_body_that_filled_it(model: Model) -> None:
    for example in (model.example, *model.more):
        body = schema_form.body_of(model, Form(sent(schema_form.fields_of(model, example))))
        assert model.check(body) == model.check(dict(example))
