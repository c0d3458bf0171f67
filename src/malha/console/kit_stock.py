"""How many of a kit can be sold: what its components allow, location by location. One kit leaves from one place."""

from collections.abc import Sequence

import msgspec

from malha.catalog import reads as catalog
from malha.catalog.model import Variant
from malha.catalog.rules import kits_from
from malha.console.stock_reads import Place
from malha.inventory import reads as inventory
from malha.platform.db import Tx


class PartView(msgspec.Struct, frozen=True, kw_only=True):
    """One component as it is drawn."""

    sku: str
    name: str
    units: int
    available: int | None  # None: not the caller's to see
    least: bool  # there are fewest kits because of it


class KitView(msgspec.Struct, frozen=True, kw_only=True):
    """What a kit holds and how many there are."""

    parts: list[PartView]
    available: int | None
    by_place: list[tuple[Place, int]]


async def kits_of(
    tx: Tx, variants: Sequence[Variant], places: Sequence[Place], *, may_stock: bool
) -> dict[int, KitView]:
    """Return the kits among variants: two statements, however many. Stock is told to whoever `may_stock`."""
    kits = [variant for variant in variants if variant.is_kit]
    parts = sorted({sku for kit in kits for sku in kit.components})
    cards = {card.sku: card for card in await catalog.by_skus(tx, parts)}
    found = await inventory.availability(tx, [c.id for c in cards.values()], [p.id for p in places])
    free: dict[int, dict[str, int]] = {place.id: {} for place in places}
    skus = {card.id: sku for sku, card in cards.items()}
    for row in found:
        free[row.location_id][skus[row.sku_id]] = max(row.free, 0)
    views = {}
    for kit in kits:
        counts = [(place, kits_from(kit.components, free[place.id])) for place in places]
        total = {sku: sum(here.get(sku, 0) for here in free.values()) for sku in kit.components}
        least = min((total[sku] // units for sku, units in kit.components.items()), default=0)
        views[kit.id] = KitView(
            parts=[
                PartView(
                    sku=sku,
                    name=cards[sku].name if sku in cards else "",
                    units=units,
                    available=total[sku] if may_stock else None,
                    least=may_stock and total[sku] // units == least,
                )
                for sku, units in sorted(kit.components.items())
            ],
            available=sum(count for _place, count in counts) if may_stock else None,
            by_place=[(place, count) for place, count in counts if count],
        )
    return views
