"""Pure decisions on stock: summing claims, and what a physical fact means for what is promised."""

from collections.abc import Iterable, Sequence

from malha.inventory.model import Claim


def sum_claims(claims: Iterable[Claim]) -> list[Claim]:
    """Return one claim per (SKU, location) in key order.

    Duplicate keys in an `UPDATE ... FROM unnest` silently lose quantity, and unsorted keys deadlock.
    """
    sums: dict[tuple[int, int], int] = {}
    for claim in claims:
        key = (claim.sku_id, claim.location_id)
        sums[key] = sums.get(key, 0) + claim.quantity
    return [Claim(sku, location, quantity) for (sku, location), quantity in sorted(sums.items())]


def deficit(on_hand: int, allocated: int) -> int:
    """Return how many promised units are physically missing; 0 when none."""
    return max(0, allocated - on_hand)


def arrays(claims: Sequence[Claim]) -> dict[str, list[int]]:
    """Return claims as the parallel arrays statements take."""
    return {
        "skus": [c.sku_id for c in claims],
        "locations": [c.location_id for c in claims],
        "quantities": [c.quantity for c in claims],
    }
