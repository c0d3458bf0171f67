"""The conformance kit: what every connector must do right, as tests that a connector's author inherits.

    class TestMine(ConnectorContract):
        connector = MyConnector()

        @pytest.fixture
        async def rig(self):
            async with my_peer() as peer:
                yield MyRig(peer)

A `Rig` is the peer as the tests need it: the real product, the vendor's simulator or a server of your own that keeps
state and fails on cue. What a connector does not say it can do is skipped. Needs pytest and pytest-asyncio, and no
database: queues, budgets and locks are the runtime's, and proved with it.

`rig` is the peer and what a connector is given for it; the other modules hold the checks, by subject.
"""

from malha.testing.connectors.asked import Told
from malha.testing.connectors.catalog import CatalogChecks
from malha.testing.connectors.content import ContentChecks, a_product
from malha.testing.connectors.documents import DocumentChecks
from malha.testing.connectors.filed import FiledChecks
from malha.testing.connectors.folder import FolderFiles
from malha.testing.connectors.goods import GoodsChecks
from malha.testing.connectors.itself import SelfChecks
from malha.testing.connectors.listings import ListingChecks, a_push
from malha.testing.connectors.once import TOLD_ONCE, OnceChecks
from malha.testing.connectors.orders import OrderChecks
from malha.testing.connectors.partners import PartnerChecks
from malha.testing.connectors.rig import (
    DONE_MAYBE,
    NOT_DONE,
    PAGES,
    TIMEOUT_S,
    Direct,
    Fault,
    Given,
    Offered,
    Operation,
    Rig,
    Shown,
    Sold,
    context,
)
from malha.testing.connectors.webhooks import WebhookChecks


class ConnectorContract(
    SelfChecks,
    CatalogChecks,
    ContentChecks,
    ListingChecks,
    OrderChecks,
    OnceChecks,
    DocumentChecks,
    GoodsChecks,
    PartnerChecks,
    FiledChecks,
    WebhookChecks,
):
    """What every connector must do right. Inherit it, set `connector`, and give a fixture `rig`."""


__all__ = [
    "DONE_MAYBE",
    "NOT_DONE",
    "PAGES",
    "TIMEOUT_S",
    "TOLD_ONCE",
    "ConnectorContract",
    "Direct",
    "Fault",
    "FolderFiles",
    "Given",
    "Offered",
    "Operation",
    "Rig",
    "Shown",
    "Sold",
    "Told",
    "a_product",
    "a_push",
    "context",
]
