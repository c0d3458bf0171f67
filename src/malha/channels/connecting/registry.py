"""Which connectors there are: those of this program, and those that installed packages bring.

A package brings some by entry points of the group `malha.connectors`: `key = "package.module:Class"`. One that cannot
be loaded is told and left out: the others work. None takes the key of one of ours.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import msgspec
import structlog

from malha.channels.connecting.errors import UnknownConnector
from malha.channels.connectors.erp_files import ErpFiles
from malha.channels.connectors.generic import Generic
from malha.channels.connectors.partner_files import PartnerFiles
from malha.channels.connectors.partner_http import PartnerHttp
from malha.channels.connectors.shopify import Shopify
from malha.channels.connectors.tryton import Tryton
from malha.channels.connectors.vendure import Vendure
from malha.channels.connectors.woocommerce.connector import WooCommerce
from malha.channels.contract import (
    CancelRefundSink,
    Capability,
    CatalogSink,
    CatalogSource,
    Connector,
    DocumentRules,
    DocumentSink,
    FileSource,
    FulfillmentSink,
    OrderSource,
    PriceSink,
    ShipmentSink,
    StockSink,
    StockSource,
    SummarySource,
    TokenRefresher,
    WebhookReceiver,
)

log = structlog.get_logger(__name__)

GROUP = "malha.connectors"
OWN: tuple[type[Connector], ...] = (Generic, Vendure, Shopify, WooCommerce, Tryton, ErpFiles, PartnerFiles, PartnerHttp)
PROTOCOLS: Mapping[Capability, type] = {
    Capability.CATALOG_SOURCE: CatalogSource,
    Capability.CATALOG_SINK: CatalogSink,
    Capability.STOCK: StockSink,
    Capability.STOCK_SOURCE: StockSource,
    Capability.PRICES: PriceSink,
    Capability.ORDERS: OrderSource,
    Capability.SHIPMENTS: ShipmentSink,
    Capability.CANCELS: CancelRefundSink,
    Capability.WEBHOOKS: WebhookReceiver,
    Capability.SUMMARIES: SummarySource,
    Capability.TOKENS: TokenRefresher,
    Capability.FULFILMENT: FulfillmentSink,
    Capability.FILES: FileSource,
    Capability.DOCUMENTS: DocumentSink,
}

BY_FILES = frozenset({Capability.CATALOG_SOURCE, Capability.ORDERS})  # what files can tell instead of methods

# What is done with orders, listings or prices is done on a sales channel.
SELLING = frozenset(Capability) - {
    Capability.FULFILMENT,
    Capability.FILES,
    Capability.WEBHOOKS,
    Capability.TOKENS,
}


def is_selling(connector: Connector) -> bool:
    """Tell whether a connection of a connector is to a sales channel; one to a logistics partner is not."""
    return bool(connector.capabilities & SELLING)


def is_asked(connector: Connector, capability: Capability) -> bool:
    """Tell whether a connector has a capability, and methods for it: what its files tell it is not asked for."""
    return capability in connector.capabilities and isinstance(connector, PROTOCOLS[capability])


def connectors() -> Mapping[str, Connector]:
    """Return the connectors by key."""
    return _found()


@cache
def _found() -> dict[str, Connector]:
    found: dict[str, Connector] = {made.key: made for made in (kind() for kind in OWN)}
    for point in entry_points(group=GROUP):
        try:
            made = point.load()()
            problems = list(flaws_of(made)) + ([f"{made.key} is taken"] if made.key in found else [])
        except Exception as error:  # someone else's code: whatever it does, the others work
            log.exception("connector_not_loaded", name=point.name, error=str(error))
            continue
        if problems:
            log.error("connector_not_loaded", name=point.name, problems=problems)
            continue
        found[made.key] = made
    return found


def flaws_of(connector: Any) -> Iterator[str]:
    """Yield what a connector promises and does not keep, as far as that shows without a peer."""
    for name in ("key", "name", "config_model", "secrets", "capabilities", "limits", "evidence"):
        if not hasattr(connector, name):
            yield f"it has no {name}"
            return
    if not issubclass(connector.config_model, msgspec.Struct):
        yield "its config_model is no msgspec.Struct"
    if Capability.DOCUMENTS in connector.capabilities and not issubclass(connector.config_model, DocumentRules):
        yield "it takes documents and its config_model is no DocumentRules"
    by_files = BY_FILES if Capability.FILES in connector.capabilities else frozenset()
    for capability in sorted(connector.capabilities - by_files):
        if not isinstance(connector, PROTOCOLS[capability]):
            yield f"it says {capability.value} and lacks methods of {PROTOCOLS[capability].__name__}"


def connector_of(key: str) -> Connector:
    """Return a connector.

    Raises:
        UnknownConnector: there is none of this key.
    """
    found = connectors().get(key)
    if found is None:
        raise UnknownConnector(key=key)
    return found
