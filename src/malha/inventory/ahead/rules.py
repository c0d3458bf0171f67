"""Pure decisions on selling ahead: which policy counts, and who in a queue gets which units.

A queue is of one SKU at one location. Who claimed first is served first: with what arrived, then with what is expected,
the earliest day first. Nobody's place changes but by that.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from malha.inventory.ahead.model import ClaimState, LinedUp, Mode, NewClaim, Part, Policy, SupplyClaim, SupplyLine
from malha.inventory.allotments.model import Cap, Used
from malha.platform.ids import UUID

Wish = tuple[UUID, int, int | None]  # (order_id, line, sku_id)


def policy_for(policies: Sequence[Policy], channel_id: int, today: date) -> Policy | None:
    """Return the policy by which a channel may sell ahead now; `policies` come with the most particular first."""
    for policy in policies:
        if policy.channel_id is None or policy.channel_id == channel_id:
            return policy if is_open(policy, today) else None
    return None


def is_open(policy: Policy, today: date) -> bool:
    """Tell whether a policy lets anything be sold ahead today."""
    if policy.mode is Mode.PREORDER:
        return policy.release_on is not None and today < policy.release_on
    return policy.mode is Mode.BACKORDER


def reaches(policy: Policy, eta: date, today: date) -> bool:
    """Tell whether supply of a day may be promised from: not overdue, and not beyond the horizon."""
    return today <= eta and (policy.horizon_days is None or eta <= today + timedelta(days=policy.horizon_days))


def line_up(lines: Sequence[SupplyLine], claims: Sequence[SupplyClaim], arrived: int, missing: int = 0) -> LinedUp:
    """Give each claim of a queue its units anew.

    Args:
        lines: the supply lines of the SKU and location as they are now.
        claims: waiting and lost claims there, in the order of the queue; rows of one order line together.
        arrived: units that are there now and nobody else's.
        missing: units that are not there and promised to others, who get the earliest of what comes.
    """
    left = {line.id: line.expected for line in sorted(lines, key=lambda line: (line.eta, line.id))}
    for id_, room in left.items():
        left[id_] = max(0, room - missing)
        missing = max(0, missing - room)
    eta = {line.id: line.eta for line in lines}
    promised = dict.fromkeys(left, 0)
    gone: list[int] = []
    parts: list[Part] = []
    orders: set[UUID] = set()
    for rows in _by_order_line(claims):
        first = rows[0]
        wanted = sum(row.quantity for row in rows)
        mine: list[Part] = []
        if arrived and wanted:
            taken = min(arrived, wanted)
            mine.append(Part(first, ClaimState.ARRIVED, None, taken))
            arrived -= taken
            wanted -= taken
        for id_, room in left.items():
            taken = min(room, wanted)
            if taken:
                mine.append(Part(first, ClaimState.WAITING, id_, taken))
                left[id_] -= taken
                promised[id_] += taken
                wanted -= taken
        if wanted:
            mine.append(Part(first, ClaimState.LOST, None, wanted))
        now = {(part.state, part.supply_id): part.quantity for part in mine}
        if now != _standing(rows):
            gone += [row.id for row in rows]
            parts += mine
        days = [eta[part.supply_id] for part in mine if part.supply_id is not None]
        # Who lost goods and has them again is held for what is lost no more, whatever the day.
        news = now != _standing(rows) and any(
            state is not ClaimState.WAITING for state in (*(p.state for p in mine), *(r.state for r in rows))
        )
        if news or (days and max(days) != first.told):
            orders.add(first.order_id)
    return LinedUp(gone, parts, promised, orders)


def _by_order_line(claims: Iterable[SupplyClaim]) -> list[list[SupplyClaim]]:
    """Return the rows of each order line, in the order of their first row."""
    grouped: dict[tuple[UUID, int], list[SupplyClaim]] = {}
    for claim in claims:
        grouped.setdefault((claim.order_id, claim.line), []).append(claim)
    return list(grouped.values())


def _standing(rows: Sequence[SupplyClaim]) -> dict[tuple[ClaimState, int | None], int]:
    sums: dict[tuple[ClaimState, int | None], int] = {}
    for row in rows:
        key = row.state, row.supply_id
        sums[key] = sums.get(key, 0) + row.quantity
    return sums


# Who lets units go gives up what is farthest away: what is lost, then the latest day, what has arrived last of all.
_LETS_GO = {ClaimState.LOST: 0, ClaimState.WAITING: 1, ClaimState.ARRIVED: 2}


def let_go(claims: Sequence[SupplyClaim], excess: Mapping[Wish, int]) -> list[tuple[SupplyClaim, int]]:
    """Return how many units of which claims are let go, to give up `excess` units by (order, line, SKU)."""
    left = dict(excess)
    given: list[tuple[SupplyClaim, int]] = []
    for claim in sorted(claims, key=lambda c: (_LETS_GO[c.state], -(c.eta or date.min).toordinal(), c.id)):
        wish = claim.order_id, claim.line, claim.sku_id
        units = min(left.get(wish, 0), claim.quantity)
        if units > 0:
            given.append((claim, units))
            left[wish] -= units
    return given


def moved_uses(
    counted: Sequence[tuple[UUID, Used]], found: Sequence[NewClaim], caps: Sequence[Cap]
) -> list[tuple[UUID, Used]]:
    """Return what units count on caps after they lost their supply and found other, maybe at another location.

    A cap of some locations lets go what waits outside of them now; one that has ended counts on as it did.
    """
    places = {cap.id: cap.locations for cap in caps}
    left: dict[tuple[UUID, int, int], int] = {}
    for owner, u in counted:
        key = owner, u.cap_id, u.sku_id
        left[key] = left.get(key, 0) + u.quantity
    moved = []
    for (owner, cap, sku), counted_units in left.items():
        rest = counted_units
        for new in found:
            taken = min(rest, new.quantity) if (new.order_id, new.sku_id) == (owner, sku) else 0
            rest -= taken
            if taken and (not places.get(cap) or new.location_id in places[cap]):
                moved.append((owner, Used(cap, sku, new.location_id, taken)))
    return moved


def excess(claims: Sequence[SupplyClaim], waiting: Mapping[Wish, int], leaving: Mapping[Wish, int]) -> dict[Wish, int]:
    """Return how many units of claims are too many once `leaving` units of those that are `waiting` are gone."""
    claimed: dict[Wish, int] = {}
    for c in claims:
        wish = c.order_id, c.line, c.sku_id
        claimed[wish] = claimed.get(wish, 0) + c.quantity
    return {key: claimed.get(key, 0) - (waiting.get(key, 0) - units) for key, units in leaving.items()}


def whole_kits(arrived: Mapping[tuple[int, int], int], components: Mapping[int, int]) -> dict[int, int]:
    """Return how many kits are complete, by location; `arrived` are units by (SKU, location)."""
    places = {place for _, place in arrived}
    found = {
        place: min(arrived.get((sku, place), 0) // per for sku, per in components.items()) for place in sorted(places)
    }
    return {place: kits for place, kits in found.items() if kits}
