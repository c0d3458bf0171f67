"""What is written about orders from the log, in batches: the timeline and the text that search looks in.

Handlers for `flows.subscriptions`. Each may be given an event again and then changes nothing.
"""

from malha.ordering import projection_writes as writes
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.subscribers import Recorded
from malha.platform.text import fold


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


async def index_orders(tx: Tx, events: list[Recorded]) -> None:
    """Write what a person may search an order by, as the order stands now."""
    rows = await tx.tuples(writes.SEARCHED_FACTS, {"orders": _orders(events)})
    await tx.execute(
        writes.STORE_SEARCH,
        {
            "orders": [row[0] for row in rows],
            "placed": [row[1] for row in rows],
            "documents": [searched_text(*row[2:]) for row in rows],
        },
    )


def searched_text(
    number: int,
    external_id: str,
    name: str,
    document: str | None,
    email: str | None,
    phone: str | None,
    skus: str | None,
) -> str:
    """Return one folded text of all a person may know of an order.

    A document or telephone number is also there without its punctuation, as people type it either way.
    """
    words = [str(number), external_id, name, document, _bare(document), email, phone, _bare(phone), skus]
    return fold(" ".join(dict.fromkeys(word for word in words if word)))


def _bare(text: str | None) -> str:
    return "".join(c for c in text or "" if c.isalnum())


def _orders(events: list[Recorded]) -> list[UUID]:
    return sorted({UUID(e.id) for e in events})
