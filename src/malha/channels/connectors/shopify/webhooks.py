"""What Shopify calls us with. Pure.

A message is signed by the secret of the app over its bytes alone: neither its topic nor the shop in its head is. So it
says no more than where to look, and the order is read anew; messages come twice, late and in any order anyway. One
secret signs the messages of all shops of an app: the shop must be the one of the connection.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from malha.channels.connectors.shopify.config import ShopifyConfig
from malha.channels.contract import InboxEvent, Invalid, RawRequest, Rejected, Trust, Verified
from malha.channels.signatures import is_hmac

SIGNATURE = "x-shopify-hmac-sha256"
TOPIC = "x-shopify-topic"
SHOP = "x-shopify-shop-domain"
EVENT = "x-shopify-event-id"
WEBHOOK = "x-shopify-webhook-id"

# Where a message has the id of its order.
ORDER_AT: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "orders/create",
            "orders/updated",
            "orders/paid",
            "orders/cancelled",
            "orders/fulfilled",
            "orders/partially_fulfilled",
            "orders/delete",
        ),
        ("id",),
    ),
    "orders/edited": ("order_edit", "order_id"),
    **dict.fromkeys(
        ("refunds/create", "fulfillments/create", "fulfillments/update", "order_transactions/create"), ("order_id",)
    ),
}
# What only a person can do; the sentence is what the person reads.
PERSON: Mapping[str, str] = {
    "customers/data_request": "Shopify asks what is kept of customer {customer}, orders {orders}: tell the owner",
    "customers/redact": "Shopify asks to erase the data of customer {customer} of orders {orders}",
    "shop/redact": "Shopify asks to erase the data of the shop, which took the app away two days ago",
    "app/uninstalled": "The shop took the app away: install it again or end the connection",
}
ASKED = "person"  # begins the id of what is kept of those
MOST_NAMED = 20


def verify(raw: RawRequest, secrets: Sequence[str]) -> Verified | Rejected:
    """Tell whether raw bytes are from Shopify."""
    said = _head(raw).get(SIGNATURE, "")
    if not said:
        return Rejected("unsigned", f"the header {SIGNATURE} is missing")
    if not is_hmac(secrets, raw.body, said):
        return Rejected("signature", "the signature does not fit any secret of the connection")
    return Verified(raw)


def belongs(verified: Verified, config: ShopifyConfig) -> Rejected | None:
    """Tell why a message is not of the shop of a connection; None where it is."""
    said = _head(verified.request).get(SHOP, "").lower()
    body = _body(verified.request)
    inside = str(body.get("shop_domain") or body.get("myshopify_domain") or said).lower()
    if said == config.shop and inside == config.shop:
        return None
    return Rejected("other_shop", f"it is about {said[:100] or 'no shop'}, not {config.shop}")


def parse(verified: Verified) -> Sequence[InboxEvent]:
    """Return what a message tells: the order to look at, or what a person must do.

    Raises:
        Invalid: it is not readable, or does not hold what messages of its topic hold.
    """
    head, body = _head(verified.request), _body(verified.request)
    topic = head.get(TOPIC, "")
    name = head.get(EVENT) or head.get(WEBHOOK) or sha256(verified.request.body).hexdigest()
    if topic in PERSON:
        id_ = _asked(topic, body)
        return [
            InboxEvent(
                dedup=f"webhook:{name}:{topic}"[:200],
                entity=f"person:{topic}:{name}"[:200],
                trust=Trust.HINT,
                order_id=id_,
            )
        ]
    if topic not in ORDER_AT:
        return []  # of products and stock, say: those are read
    found: Any = body
    for part in ORDER_AT[topic]:
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, int) or found <= 0:
        raise Invalid(f"a message of topic {topic} without the id of an order", field=".".join(ORDER_AT[topic]))
    # One event may be told under several topics: the order is read once for it.
    return [
        InboxEvent(
            dedup=f"webhook:{name}:{found}"[:200], entity=f"order:{found}", trust=Trust.HINT, order_id=str(found)
        )
    ]


def _asked(topic: str, body: Mapping[str, Any]) -> str:
    """Return what is kept of something for a person: ids only."""
    customer = body.get("customer")
    orders = body.get("orders_requested") or body.get("orders_to_redact") or []
    named = [str(each) for each in orders if isinstance(each, int)][:MOST_NAMED] if isinstance(orders, list) else []
    id_ = customer.get("id") if isinstance(customer, dict) else None
    return "|".join([ASKED, topic, str(id_ or ""), ",".join(named)])


def sentence_of(order_id: str) -> str | None:
    """Return what a person must do; None where it is an order after all."""
    if not order_id.startswith(f"{ASKED}|"):
        return None
    _, topic, customer, orders = [*order_id.split("|"), "", "", ""][:4]
    return PERSON.get(topic, topic).format(customer=customer or "-", orders=orders or "-")


def _head(raw: RawRequest) -> dict[str, str]:
    return {name.lower(): said for name, said in raw.headers.items()}


def _body(raw: RawRequest) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(raw.body)
    except msgspec.DecodeError as error:
        raise Invalid(str(error)[:200]) from None
    if not isinstance(found, dict):
        raise Invalid("the message is no object")
    return found
