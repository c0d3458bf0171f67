"""What must be so in a Shopify shop whatever a connector did, worked out anew from what is there. The shop does not judge."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from tests.shopify_shop import Shop
from tests.shopify_state import Order


def examine_shop(shop: Shop) -> list[str]:
    """Return what is wrong."""
    flaws = [*shop.defects, *_stock(shop), *_sets(shop)]
    for order in shop.orders.values():
        flaws += [*_units(order), *_once(order), *_money(order)]
    return flaws


def _stock(shop: Shop) -> Iterator[str]:
    committed: Counter[tuple[int, int]] = Counter()
    for work in (work for order in shop.orders.values() for work in order.works):
        for _, line, remaining, _ in work.lines:
            committed[line.variant.id, work.location] += remaining
    for variant in shop.variants.values():
        for place, available in variant.available.items():
            on_hand, open_ = variant.on_hand[place], variant.committed[place]
            if on_hand != available + open_ or open_ != committed[variant.id, place]:
                yield f"{variant.sku} at {place}: {on_hand} on hand, {available} to sell, {open_} committed"


def _sets(shop: Shop) -> Iterator[str]:
    for id_, place, was, now in shop.sets:
        if was is None or was == now:
            yield f"{shop.variants[id_].sku} at {place} was set from {was} to {now}"


def _units(order: Order) -> Iterator[str]:
    sent: Counter[int] = Counter()
    for line, units in (pair for fulfillment in order.fulfillments for pair in fulfillment.lines):
        sent[line.id] += units
    open_: Counter[int] = Counter()
    for _, line, remaining, _ in (row for work in order.works for row in work.lines):
        open_[line.id] += remaining
    for line in order.lines:
        parts = (sent[line.id], open_[line.id], line.removed - line.returned)
        if sum(parts) != line.quantity or min(parts) < 0:
            yield f"{order.name} {line.variant.sku}: {parts} sent, open, taken out of {line.quantity}"


def _once(order: Order) -> Iterator[str]:
    parcels = Counter(f.tracking for f in order.fulfillments if f.tracking)
    notes = Counter(r.note for r in order.refunds if "#" in r.note)
    yield from (f"{order.name}: {name} is there {n} times" for name, n in (parcels + notes).items() if n > 1)


def _money(order: Order) -> Iterator[str]:
    if order.back > order.paid or sum((r.amount for r in order.refunds), Decimal(0)) != order.back:
        yield f"{order.name}: {order.back} went back of {order.paid}"
