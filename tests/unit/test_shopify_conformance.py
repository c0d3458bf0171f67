"""The Shopify connector keeps the contract against a shop that executes Shopify's own schema, with everything breaking."""

from collections.abc import AsyncIterator

import pytest
from tests.shopify_rig import ShopifyRig, shopify_rig

from malha.channels.connectors.shopify import Shopify
from malha.testing.connectors import ConnectorContract


class TestShopify(ConnectorContract):
    """What the kit asks of the Shopify connector."""

    connector = Shopify()

    @pytest.fixture
    async def rig(self) -> AsyncIterator[ShopifyRig]:
        async with shopify_rig() as made:
            yield made
