"""The catalogue and the upstreams, checked against each other before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modellix_server.base.settings import BadSettings, Settings
from modellix_server.catalogue import BadModel, Catalogue
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Upstream


def load_models(settings: Settings) -> tuple[Catalogue, Mapping[str, Upstream]]:
    """Every model, and every upstream they run on.

    Raises BadSettings, naming the model, when a file is wrong or names a route its upstream cannot serve.
    """
    upstreams = load_all()
    try:
        own = Path(settings.catalogue_dir) if settings.catalogue_dir else None
        catalogue = Catalogue.load(own, settings.public_origin)
    except BadModel as error:
        raise BadSettings(str(error)) from error
    for model in catalogue:
        for route in model.routes:
            if route.upstream not in upstreams:
                raise BadSettings(f"model {model.slug} names an upstream that does not exist: {route.upstream}")
            try:
                upstreams[route.upstream].check(route)
            except ValueError as error:
                raise BadSettings(f"model {model.slug}: {error}") from error
    return catalogue, upstreams
