"""Where attempts of tests go."""

from __future__ import annotations

from modellix_server.catalogue import Catalogue
from modellix_server.tasks.routing import Destination

MAIN = Destination(Catalogue.load().models["alibaba/qwen-image-plus"].routes[0], "main", "cn")
"""The main account of the first route of the model that most tests take."""
