"""The operator's prices and margins over the catalogue's list prices."""

from modellix_server.pricing.pricebook import PriceBook
from modellix_server.pricing.store import Price, book, history, list_prices, lock, prices_of, set_price
