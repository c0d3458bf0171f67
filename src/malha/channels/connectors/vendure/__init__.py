"""Vendure 3, through its Admin API: GraphQL over HTTP, with an API key.

Vendure has no webhooks of its own: orders are read by when they changed. It knows no keys of ours either, so what is
told once is marked where people may read it and found there again: a shipment by its number in the method of the
fulfillment, a cancel and a refund by a mark at the end of their reason.

What a listing may sell is `on hand - allocated - threshold` there, and Vendure allocates for its own open orders.
Malha's quantity has those taken off already, so what is written is the quantity and what Vendure has allocated.

`operations` holds the queries; `asking` the way there and what errors mean; `reading` how changes are read; `orders`
turns an order into ours; `selling` reads what is sold, `listings` writes it.
"""

from malha.channels.connectors.vendure.connector import Vendure

__all__ = ["Vendure"]
