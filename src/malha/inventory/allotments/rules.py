"""Pure decisions on allotments: whom they touch, what a claim draws, what it gives back, who loses when units are gone.

A claim draws its channel's own fence first, then common stock, then fences it may borrow from. What it gives back goes
the other way round, and what leaves is taken in the order it was drawn, so that an order for three of which one is
cancelled leaves everything as an order for two would have.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from malha.inventory.allotments.model import (
    BORROWED,
    COMMON,
    OWN,
    Allotments,
    Cap,
    Drawn,
    Fence,
    FenceKey,
    Shrunk,
    Source,
    Standing,
    Taker,
    Used,
)

Balance = tuple[int, int]  # (sku_id, location_id)


def compile_allotments(
    revision: int, fences: Sequence[Fence], caps: Sequence[Cap], channels: Collection[int]
) -> Allotments:
    """Index allotments by the channels and SKUs they touch. `channels` are all there are: a cap may name none."""
    watched: dict[int, set[int] | None] = {}
    for fence in fences:
        for channel in {*fence.channels, *fence.borrowers}:
            skus = watched.setdefault(channel, set())
            if skus is not None:
                skus |= fence.skus
    for cap in caps:
        for channel in cap.channels or channels:
            skus = watched.setdefault(channel, set())
            if cap.any_sku:
                watched[channel] = None
            elif skus is not None:
                skus |= cap.skus
    return Allotments(
        revision=revision,
        fences=tuple(sorted(fences, key=lambda f: f.id)),
        caps=tuple(sorted(caps, key=lambda c: c.id)),
        watched={k: None if v is None else frozenset(v) for k, v in watched.items()},
    )


def touches(allotments: Allotments, channel_id: int, skus: Iterable[int]) -> bool:
    """Tell whether any fence or cap could matter for a channel's order of these SKUs. Cheap: asked for every order."""
    watched = allotments.watched.get(channel_id, _NOTHING)
    return watched is None or not watched.isdisjoint(skus)


_NOTHING: frozenset[int] = frozenset()


def _runs(starts_at: datetime, ends_at: datetime | None, now: datetime) -> bool:
    return starts_at <= now and (ends_at is None or now < ends_at)


def _admits(groups: frozenset[str], taker: Taker) -> bool:
    return not groups or taker.customer_group in groups


def sources(allotments: Allotments, taker: Taker, now: datetime) -> list[Source]:
    """Return the fences a taker may draw from, own ones before borrowed ones, each kind by id."""
    own: list[Source] = []
    borrowed: list[Source] = []
    for fence in allotments.fences:
        if not _runs(fence.starts_at, fence.ends_at, now):
            continue
        if taker.channel_id in fence.channels and _admits(fence.customer_groups, taker):
            own.append(Source(fence.id, OWN))
        elif taker.channel_id in fence.borrowers:
            since = fence.borrowers[taker.channel_id]
            if since is None or since <= now:
                borrowed.append(Source(fence.id, BORROWED + len(borrowed)))
    return own + borrowed


def caps_of(allotments: Allotments, taker: Taker, now: datetime) -> list[Cap]:
    """Return the caps that count what a taker takes."""
    return [
        cap
        for cap in allotments.caps
        if _runs(cap.starts_at, cap.ends_at, now)
        and (not cap.channels or taker.channel_id in cap.channels)
        and _admits(cap.customer_groups, taker)
    ]


def counters(caps: Iterable[Cap], skus: Collection[int]) -> set[tuple[int, int]]:
    """Return the counters that units of these SKUs could count on."""
    return {cap.counter(sku) for cap in caps for sku in skus if cap.counts(sku)}


def open_to(free: int, standing: Standing, taken_from: Sequence[Source], balance: Balance) -> int:
    """Return how many units of a balance a taker may claim, caps apart. `free` is common stock, negative when short.

    Common stock below zero (safety stock was raised) leaves fences as they are: their units are there, or they shrink.
    """
    sku, location = balance
    fenced = sum(standing.remaining.get(FenceKey(sku, location, source.fence_id), 0) for source in taken_from)
    return max(0, free) + fenced


def limits(caps: Sequence[Cap], room: Mapping[tuple[int, int], int], balance: Balance) -> int | None:
    """Return the most units of a balance that the caps let through, were nothing else taken; None when none counts."""
    sku, location = balance
    rooms = [
        max(0, room.get(cap.counter(sku), cap.quota))
        for cap in caps
        if cap.counts(sku) and (not cap.locations or location in cap.locations)
    ]
    return min(rooms, default=None)


def over(
    caps: Sequence[Cap], room: Mapping[tuple[int, int], int], wanted: Mapping[Balance, int]
) -> tuple[Cap, list[Balance], int] | None:
    """Return the first cap that `wanted` would pass, the balances that count on it, and the units it lets through."""
    for cap in caps:
        sums: dict[tuple[int, int], tuple[int, list[Balance]]] = {}
        for balance in sorted(wanted):
            sku, location = balance
            if not wanted[balance] or not cap.counts(sku) or (cap.locations and location not in cap.locations):
                continue
            units, balances = sums.setdefault(cap.counter(sku), (0, []))
            sums[cap.counter(sku)] = units + wanted[balance], [*balances, balance]
        for counter, (units, balances) in sums.items():
            left = max(0, room.get(counter, cap.quota))
            if units > left:
                return cap, balances, left
    return None


def draw(standing: Standing, taken_from: Sequence[Source], free: int, balance: Balance, quantity: int) -> list[Drawn]:
    """Part `quantity` units of a balance into what is drawn from where; lowers `standing`.

    Returns nothing where all of it is common stock: such a claim needs no memory.

    Args:
        standing: what the fences have left.
        taken_from: the taker's sources, in turn.
        free: common stock of the balance; what the parts together may lower it to is the caller's to check.
        balance: (sku_id, location_id).
        quantity: units to draw.
    """
    sku, location = balance
    parts: list[Drawn] = []
    left = quantity
    own = [s for s in taken_from if s.rank == OWN]
    borrowed = [s for s in taken_from if s.rank != OWN]

    def take(source: Source) -> None:
        nonlocal left
        key = FenceKey(sku, location, source.fence_id)
        taken = min(left, standing.remaining.get(key, 0))
        if taken:
            standing.remaining[key] -= taken
            parts.append(Drawn(sku, location, source.rank, source.fence_id, taken))
            left -= taken

    for source in own:
        take(source)
    common = min(left, max(0, free))
    left -= common
    for source in borrowed:
        take(source)
    common += left
    if not parts:
        return []
    if common:
        parts.append(Drawn(sku, location, COMMON, None, common))
    return sorted(parts, key=lambda d: d.rank)


def used(caps: Sequence[Cap], room: dict[tuple[int, int], int], wanted: Mapping[Balance, int]) -> list[Used]:
    """Return what a claim counts against the caps, by balance; lowers `room`."""
    found = []
    for cap in caps:
        for (sku, location), quantity in sorted(wanted.items()):
            if quantity and cap.counts(sku) and (not cap.locations or location in cap.locations):
                counter = cap.counter(sku)
                room[counter] = room.get(counter, cap.quota) - quantity
                found.append(Used(cap.id, sku, location, quantity))
    return found


def part_off(draws: Sequence[Drawn], quantity: int, *, from_end: bool) -> list[Drawn]:
    """Return the parts of a claim's draws on one balance that `quantity` of its units stand for.

    From the end when units are given back, from the beginning when they leave. What the draws do not cover was claimed
    from common stock.
    """
    parts = []
    for d in sorted(draws, key=lambda d: d.rank, reverse=from_end):
        taken = min(quantity, d.quantity)
        if taken:
            parts.append(Drawn(d.sku_id, d.location_id, d.rank, d.fence_id, taken))
            quantity -= taken
    return parts


def shrink(remaining: Mapping[FenceKey, int], room: int) -> list[Shrunk]:
    """Return what fences of one balance lose when only `room` units are left for all of them.

    Each loses in proportion to what it has; units that do not divide are lost by the newest fences first.
    """
    total = sum(remaining.values())
    missing = total - max(0, room)
    if missing <= 0:
        return []
    keys = sorted(remaining, key=lambda k: k.fence_id)
    lost = {key: missing * remaining[key] // total for key in keys}
    rest = missing - sum(lost.values())
    for key in reversed(keys):
        if rest and lost[key] < remaining[key]:
            lost[key] += 1
            rest -= 1
    return [Shrunk(key, units) for key, units in lost.items() if units]


def overlaps(a: Fence, b: Fence) -> bool:
    """Tell whether two fences would leave it open which of them a channel draws from: that is refused on save.

    They share a channel, a time and a kind of buyer; the caller has found that they share a balance.
    """
    apart = (a.ends_at is not None and a.ends_at <= b.starts_at) or (b.ends_at is not None and b.ends_at <= a.starts_at)
    groups = not a.customer_groups or not b.customer_groups or a.customer_groups & b.customer_groups
    return not apart and bool(groups) and not a.channels.isdisjoint(b.channels)
