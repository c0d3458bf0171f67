"""Orders whose buyer was erased for good: what a channel told of them is kept without the person, and stays so.

A channel tells an order again whenever something of it changes, with all that it knows of who bought it. Refunds and
cancels are still recorded; who it was is taken out before it is kept.
"""

from collections.abc import Sequence

import msgspec

from malha.channels.connecting import reads, writes
from malha.channels.contract import ExtAddress, ExtBuyer, ExtOrder, InboxEvent, Trust
from malha.platform.db import Tx
from malha.platform.ids import UUID

_encode = msgspec.json.Encoder().encode
_order = msgspec.json.Decoder(ExtOrder).decode
DISTRICT = 5  # digits of a CEP that name no street


def without_person(order: ExtOrder) -> ExtOrder:
    """Return an order without who bought it, what they wrote, and where exactly it went."""
    to = order.ship_to
    if to is not None:
        cep = "".join(c for c in to.postal_code if c.isdigit())[:DISTRICT]
        to = ExtAddress(postal_code=cep and cep.ljust(8, "0"), city=to.city, state=to.state, country=to.country)
    return msgspec.structs.replace(
        order,
        buyer=ExtBuyer(),
        ship_to=to,
        note="",
        attributes={},
        lines=[msgspec.structs.replace(line, attributes={}) for line in order.lines],
        refunds=[msgspec.structs.replace(refund, reason="") for refund in order.refunds],
    )


async def forget(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Take the person out of what connections told of orders, as far as it is done with."""
    rows = await tx.tuples(reads.TOLD_OF_ORDERS, {"orders": [str(id_) for id_ in order_ids]})
    kept = [(id_, _encode(without_person(_order(payload)))) for id_, payload in rows]
    await tx.execute(writes.SET_PAYLOADS, {"ids": [id_ for id_, _ in kept], "payloads": [p for _, p in kept]})


async def stripped(tx: Tx, told: Sequence[tuple[int, InboxEvent]]) -> list[tuple[int, InboxEvent]]:
    """Return what came over connections, without the person where an order's buyer was erased."""
    asked = {
        "connections": [connection_id for connection_id, _ in told],
        "orders": ["" if event.order is None else event.order.id for _, event in told],
    }
    erased = set(await tx.values(reads.TOLD_OF_ERASED, asked))
    return [
        (connection_id, msgspec.structs.replace(event, order=without_person(event.order)))
        if n in erased and event.order is not None and event.trust is Trust.DATA
        else (connection_id, event)
        for n, (connection_id, event) in enumerate(told, 1)
    ]
