"""Shopify, through its Admin API in GraphQL and its webhooks.

`operations` holds every query and the version of the API; `asking` the way there and what answers mean; `orders` turns
an order into ours; `goods`, `reading`, `telling` and `webhooks` do what their names say.
"""

from malha.channels.connectors.shopify.connector import Shopify

__all__ = ["Shopify"]
