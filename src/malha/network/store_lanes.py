"""From where goods are brought to a place, for orders that are fetched there or shipped in one, for how much money.

A place without lanes hands over only what it has, as every place did before there were any. What is shipped comes
together at a place only where a routing rule says so. A lane is stated of the whole site, whoever owns the goods.
"""

from collections.abc import Sequence

import msgspec

from malha.network import reads, rules, service
from malha.network import store_lane_writes as writes
from malha.network.errors import UnknownLocation
from malha.network.model import Location, StoreLaneDraft
from malha.platform import audit, revisions
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word

MOST_DAYS = 60
MOST_PRICE = 100_000_000


class OriginRow(msgspec.Struct, frozen=True, kw_only=True):
    """A location that goods are brought from. `days` are working days, `price` centavos."""

    code: str
    name: str
    days: int
    price: int


async def place_of(tx: Tx, code: str) -> Location:
    """Return a location of the actor.

    Raises:
        UnknownLocation: there is none, or the actor does not see it.
    """
    place = await reads.location_by_code(tx, code)
    if place is None or not tx.actor.sees(place.id):
        raise UnknownLocation(key=code)
    return place


async def origins_of(tx: Tx, place: Location) -> list[OriginRow]:
    """Return from where goods are brought to a place for orders that come together there."""
    return await tx.all(OriginRow, reads.STORE_LANES_TO, {"to_id": place.home})


async def state(tx: Tx, code: str, drafts: Sequence[StoreLaneDraft], version: int | None = None) -> None:
    """State from where goods are brought to a place for orders that come together there; none: only what it has.

    What is on its way already goes on. `version` None: whatever was stated meanwhile.

    Raises:
        SharedByAll: the actor is limited to some locations.
        UnknownLocation: there is no such place.
        Invalid: nothing is fetched there or shipped from there, an origin does not exist, is at the same site or is
            stated twice, or a number is not possible.
        Conflict: the place was changed meanwhile.
    """
    service.refuse_limited(tx)
    place = await place_of(tx, code)
    known = await reads.locations_by_code(tx, [draft.origin for draft in drafts])
    refuse(_flaws_of(place, drafts, known))
    held: int = await tx.value(writes.LOCK_PLACE, {"to_id": place.home})
    if version is not None and (held if place.home == place.id else place.version) != version:
        raise Conflict(what=Word(N_("Location")), key=code)
    before = await origins_of(tx, place)
    await tx.execute(writes.CLEAR, {"to_id": place.home})
    rows = {
        "to_id": place.home,
        "origins": [known[draft.origin].id for draft in drafts],
        "days": [draft.days for draft in drafts],
        "prices": [draft.price for draft in drafts],
    }
    await tx.execute(writes.ADD, rows)
    after = await origins_of(tx, place)
    if before == after:
        return
    await tx.execute(writes.MOVE_PLACE, {"to_id": place.home})
    await revisions.bump(tx, reads.REVISION)
    await audit.record(
        tx, action="state_origins", entity="location", entity_id=code, before=_said(before), after=_said(after)
    )


def _said(rows: Sequence[OriginRow]) -> dict[str, dict[str, int]]:
    """Return lanes with a field for each, so that the audit trail holds those that differ, not all."""
    return {f"brought from {row.code}": {"lead_days": row.days, "price": row.price} for row in rows}


def _flaws_of(place: Location, drafts: Sequence[StoreLaneDraft], known: dict[str, Location]) -> list[Flaw]:
    flaws = []
    if drafts and not place.can_pickup and not place.can_ship:
        says = N_("Orders are neither fetched at {value} nor shipped from there.")
        flaws.append(Flaw("origins", says, N_("Let it do one of the two first."), {"value": place.code}))
    seen: set[str] = set()
    for i, draft in enumerate(drafts):
        at, facts = f"origins/{i}/origin", {"value": draft.origin}
        if draft.origin not in known:
            flaws.append(Flaw(at, N_("There is no location {value}."), facts=facts))
        elif known[draft.origin].home == place.home:
            says = N_("{value} is at the same place: what it has is handed over there anyway.")
            flaws.append(Flaw(at, says, facts=facts))
        elif draft.origin in seen:
            flaws.append(Flaw(at, N_("The location {value} is stated twice."), N_("Keep one."), facts))
        seen.add(draft.origin)
        flaws += rules.check_range(f"origins/{i}/days", draft.days, most=MOST_DAYS)
        flaws += rules.check_range(f"origins/{i}/price", draft.price, most=MOST_PRICE)
    return flaws
