"""Models as data: find one, check its inputs, quote and charge it. Pure: no database, no network."""

from modellix_server.catalogue import samples
from modellix_server.catalogue.media import (
    Facts,
    Form,
    Limits,
    MediaInput,
    MediaKind,
    form,
    refusal,
    refusal_beside,
    refusal_together,
)
from modellix_server.catalogue.model import Confidence, Model, ModelType, Retirement, Route
from modellix_server.catalogue.modelfile import BadModel
from modellix_server.catalogue.price import (
    Adjustment,
    ImpossibleMeasurement,
    Measurement,
    Prices,
    PriceTable,
    Quote,
    Tier,
    Unit,
    Unpriced,
    capture,
)
from modellix_server.catalogue.registry import Catalogue
from modellix_server.catalogue.wording import show
