"""What is written about orders from the log, in batches: timeline, text for search, locations, link to the customer.

Handlers for `flows.subscriptions`, and sweeps, which do the same for a stretch of the log without its events passing
through Python. Each may be given an event again and then changes nothing.
"""

from datetime import datetime
from typing import Any

import msgspec

from malha.customers import service as customers
from malha.customers.model import Buyer
from malha.ordering import projection_writes as writes
from malha.platform import arrays
from malha.platform.address import Address
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.subscribers import Recorded
from malha.platform.text import fold

SEARCHED_TYPES = ("order.placed", "order.buyer_changed", "order.line_mapped", "order.line_replaced")
BUYER_TYPES = ("order.placed", "order.buyer_changed")
LOCATION_TYPES = ("order.placed", "order.routed", "fulfillment.sent")  # only then does a unit get a location

_address = msgspec.json.Decoder(Address).decode


async def record_timeline(tx: Tx, events: list[Recorded]) -> None:
    """Add events of orders to their timelines."""
    rows = sorted(events, key=lambda e: (e.key, e.seq))
    await tx.execute(
        writes.ADD_TO_TIMELINE,
        {
            "orders": [UUID(e.id) for e in rows],
            "seqs": [e.seq for e in rows],
            "instants": [e.at for e in rows],
            "types": [e.type for e in rows],
            "actors": [e.actor for e in rows],
            "payloads": [e.payload for e in rows],
        },
    )


async def sweep_timeline(tx: Tx, since: int, reach: int) -> None:
    """As `record_timeline`, for the events after `since` up to `reach`."""
    await tx.execute(writes.SWEEP_TO_TIMELINE, {"since": since, "reach": reach})


class Searched(msgspec.Struct, frozen=True):
    """What a person may know of an order."""

    id: UUID
    placed_at: datetime
    number: int
    external_id: str
    buyer_name: str
    buyer_document: str | None
    buyer_email: str | None
    buyer_phone: str | None
    skus: str | None

    def text(self) -> str:
        """Return it as one folded text. Documents and telephone numbers are also there without punctuation."""
        document, phone = self.buyer_document, self.buyer_phone
        words = [str(self.number), self.external_id, self.buyer_name, document, _bare(document), self.buyer_email]
        words += [phone, _bare(phone), self.skus]
        return fold(" ".join(dict.fromkeys(word for word in words if word)))


async def index_orders(tx: Tx, events: list[Recorded]) -> None:
    """Write what a person may search an order by, as the order stands now."""
    await _index(tx, _orders(events))


async def sweep_search(tx: Tx, since: int, reach: int) -> None:
    """As `index_orders`, for the events after `since` up to `reach`."""
    stretch = {"since": since, "reach": reach, "types": list(SEARCHED_TYPES)}
    left = await tx.values(writes.SWEEP_TO_SEARCH, stretch)
    if left:
        await _index(tx, left)


async def _index(tx: Tx, orders: list[UUID]) -> None:
    rows = await tx.all(Searched, writes.SEARCHED_FACTS, {"orders": orders})
    await tx.execute(
        writes.STORE_SEARCH,
        {
            "orders": [row.id for row in rows],
            "placed": [row.placed_at for row in rows],
            "documents": [row.text() for row in rows],
        },
    )


async def note_locations(tx: Tx, events: list[Recorded]) -> None:
    """Write at which locations the units of orders are; where they were before stays written."""
    await tx.execute(writes.ADD_LOCATIONS, {"orders": _orders(events)})


async def sweep_locations(tx: Tx, since: int, reach: int) -> None:
    """As `note_locations`, for the events after `since` up to `reach`."""
    await tx.execute(writes.SWEEP_TO_LOCATIONS, {"since": since, "reach": reach, "types": list(LOCATION_TYPES)})


async def link_customers(tx: Tx, events: list[Recorded]) -> None:
    """Give orders without a customer theirs: the profile that matches the buyer, made if there is none.

    Buyers without any identity stay without a customer. Whose document was corrected to another one than their
    customer's is somebody else: the order follows.
    """
    rows = await tx.tuples(writes.UNLINKED_BUYERS, {"orders": _orders(events)})
    corrected = _orders([e for e in events if e.type == "order.buyer_changed"])
    if corrected:
        rows += await tx.tuples(writes.MISLINKED_BUYERS, {"orders": corrected})
    await _link(tx, rows)


async def sweep_customers(tx: Tx, since: int, reach: int) -> None:
    """As `link_customers`, for the events after `since` up to `reach`."""
    stretch = {"since": since, "reach": reach}
    rows = await tx.tuples(writes.SWEEP_BUYERS, {**stretch, "types": list(BUYER_TYPES)})
    await _link(tx, rows + await tx.tuples(writes.SWEEP_MISLINKED, stretch))


async def _link(tx: Tx, rows: list[tuple[Any, ...]]) -> None:
    known = [row for row in rows if any(row[2:5])]  # by document, e-mail or telephone
    buyers = [
        Buyer(
            name=name,
            document=document,
            email=email,
            phone=phone,
            address=None if ship_to is None else _address(ship_to),
        )
        for _, name, document, email, phone, ship_to, _ in known
    ]
    linked = [
        (row, customer) for row, customer in zip(known, await customers.link(tx, buyers), strict=True) if customer
    ]
    found = [(row[0], customer) for row, customer in linked if row[6] is None]
    await tx.execute(
        writes.LINK_CUSTOMERS,
        {
            "orders": arrays.bare([order.hex for order, _ in found]),
            "customers": arrays.bare([customer.hex for _, customer in found]),
        },
    )
    moved = [(row[0], row[6], customer) for row, customer in linked if row[6] not in {None, customer}]
    if moved:
        orders, formers, others = zip(*moved, strict=True)
        columns = {"orders": list(orders), "formers": list(formers), "customers": list(others)}
        await tx.execute(writes.FOLLOW_BUYERS, columns)


def _bare(text: str | None) -> str:
    return "".join(c for c in text or "" if c.isalnum())


def _orders(events: list[Recorded]) -> list[UUID]:
    return sorted({UUID(e.id) for e in events})
