"""Work that has not begun moves out of picking slots that were closed or made smaller, to the earliest with room.

The last that came to a slot move first. What has begun stays where it is, and so does what no other slot has room for.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from malha.capacity import picking
from malha.capacity.model import Key, Kind
from malha.fulfillment import writes
from malha.fulfillment.events import WorkMoved
from malha.fulfillment.model import Work, WorkState
from malha.fulfillment.releasing import Wish, due_of, take_capacity
from malha.fulfillment.work import about, lock_site_days, lock_work, slots_of
from malha.network import reads as network
from malha.network.calendar import Calendar
from malha.ordering import service as ordering
from malha.platform.db import Tx

AT_ONCE = 100


async def move_out(tx: Tx, home: int, over: Mapping[Key, int], limit: int = AT_ONCE) -> tuple[int, int]:
    """Move work out of slots of a location; return how many pieces were looked at, and how many moved.

    Args:
        tx: The transaction.
        home: The location the slots are counted at.
        over: Slots with how much is too much in them, in what they count (`capacity.picking.excess`).
        limit: How many pieces at most.
    """
    keys = sorted(over)
    params = {
        "locations": [k.location_id for k in keys],
        "days": [k.day for k in keys],
        "starts": [k.starts for k in keys],
        "places": [over[k] for k in keys],
        "limit": limit,
    }
    locked = await lock_work(tx, await tx.values(writes.OPEN_IN_SLOTS, params), skip_busy=True)
    work = [w for w in locked if w.state is WorkState.OPEN and w.slot in over]
    places = await network.locations_by_id(tx, {w.location_id for w in work})
    if not work or not await picking.stated(tx, places.values(), lock=True):
        return 0, 0
    await _lock_days(tx, home, work)
    back = {"locations": [w.location_id for w in work], "days": [w.capacity_day for w in work]}
    await tx.execute(writes.GIVE_CAPACITY_BACK, back)
    await picking.give_back(tx, slots_of(work))
    wishes = {w.id: Wish(w.location_id, w.units) for w in sorted(work, key=lambda w: w.number)}
    calendars = await take_capacity(tx, list(wishes.values()), await tx.now())
    stays = [w for w in work if wishes[w.id].slot is None]
    await _put_back(tx, stays)
    moves = [(w, wishes[w.id]) for w in work if wishes[w.id].slot is not None and _key(wishes[w.id]) != w.slot]
    await _write(tx, moves, calendars)
    return len(work), len(moves)


def _key(wish: Wish) -> Key | None:
    if wish.slot is None or wish.day is None:
        return None
    return Key(wish.slot[0], Kind.PICK.value, wish.day, wish.slot[1].starts)


async def _lock_days(tx: Tx, home: int, work: Sequence[Work]) -> None:
    """Lock every day from which and to which work may move; of later ones, release locks what it takes."""
    since = (await tx.now()).date() - timedelta(days=1)
    until = max(w.capacity_day for w in work)
    days = [since + timedelta(days=n) for n in range((until - since).days + 1)]
    await lock_site_days(tx, home, {w.location_id for w in work}, days)


async def _put_back(tx: Tx, work: Sequence[Work]) -> None:
    """Count work again where it was: there is no room elsewhere."""
    wanted: dict[tuple[date, int], int] = {}
    for w in work:
        wanted[w.capacity_day, w.location_id] = wanted.get((w.capacity_day, w.location_id), 0) + 1
    if wanted:
        keys = sorted(wanted)
        params = {
            "locations": [location_id for _, location_id in keys],
            "days": [day for day, _ in keys],
            "wanted": [wanted[key] for key in keys],
            "capacities": [writes.UNLIMITED] * len(keys),
        }
        await tx.tuples(writes.TAKE_CAPACITY, params)
        await picking.add(tx, slots_of(work))


async def _write(tx: Tx, moves: Sequence[tuple[Work, Wish]], calendars: Mapping[int, Calendar]) -> None:
    moved = [
        (w, wish.day, wish.slot[0], wish.slot[1], due_of(calendars[w.location_id], wish.day, wish.slot[1]))
        for w, wish in moves
        if wish.day is not None and wish.slot is not None
    ]
    if not moved:
        return
    params = {
        "ids": [w.id for w, *_ in moved],
        "days": [day for _, day, _, _, _ in moved],
        "dues": [due for *_, due in moved],
        "locations": [home for _, _, home, _, _ in moved],
        "starts": [window.starts for _, _, _, window, _ in moved],
        "ends": [window.ends for _, _, _, window, _ in moved],
    }
    await tx.execute(writes.MOVE_WORK, params)
    events = [
        WorkMoved(
            **about(w),
            day=day.isoformat(),
            starts=f"{window.starts:%H:%M}",
            ends=f"{window.ends:%H:%M}",
            due_at=due,
            former_day=w.capacity_day.isoformat(),
            former_starts=f"{w.slot_starts:%H:%M}",
        )
        for w, day, _, window, due in moved
    ]
    await ordering.record(tx, *events)
