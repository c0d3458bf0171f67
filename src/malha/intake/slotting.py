"""Slots that the orders of a batch name: what is left of them, who gets a place, and what becomes of who gets none.

Only orders that name a slot are looked at; a batch without any asks nothing.
"""

from collections.abc import MutableSequence, Sequence
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from malha.capacity import reads, rules, service
from malha.capacity.errors import SlotFull
from malha.capacity.model import Booking, Key, Kind, Reservation, Slot
from malha.intake.model import NewOrder, Outcome, Submission
from malha.intake.reference import Reference
from malha.network.model import Location
from malha.ordering.model import HoldKind
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing.model import Request


class Slotting:
    """The places of one batch: `ask` first, then `seat` order by order; `bookings` are what is to be written."""

    __slots__ = ("_holds", "_instant", "_keys", "_left", "_places", "_references", "_slots", "bookings")

    def __init__(self, instant: datetime) -> None:
        self._places: dict[int, Location] = {}
        self._keys: dict[UUID, Key] = {}
        self._references: dict[UUID, str] = {}
        self._holds: dict[str, Reservation] = {}
        self._slots: dict[Key, Slot] = {}
        self._left: dict[Key, int] = {}
        self._instant = instant
        self.bookings: list[Booking] = []

    def add(self, order_id: UUID, order: NewOrder, reference: Reference) -> None:
        """Note the slot an order names, where its location is known."""
        slot = order.slot
        if slot is None:
            return
        pickup = order.method == "pickup"
        code = order.pickup_location if pickup else slot.location
        location_id = reference.locations.get(code or "")
        if location_id is None:
            return
        kind = Kind.PICKUP if pickup else Kind.DELIVERY
        home = reference.snapshot.locations[location_id].home
        self._places[home] = reference.details[reference.network.index[home]]
        self._keys[order_id] = Key(home, kind.value, slot.day, rules.clock_of(slot.starts))
        if slot.hold is not None:
            self._references[order_id] = slot.hold

    async def ask(self, tx: Tx, *, lock: bool) -> None:
        """Read what is left; with `lock` it stays so. Before allotments and balances, which are locked later."""
        if not self._keys:
            return
        references = sorted(set(self._references.values()))
        if references:
            self._holds = await (service.lock_holds if lock else reads.holds)(tx, references)
        named = [hold.id for hold in self._holds.values()]  # one that expired will do, as nobody needed its place
        self._slots = await service.stand(tx, set(self._keys.values()), lock=lock, keep=named)
        self._left = {key: slot.left for key, slot in self._slots.items()}
        if not lock:  # the first orders of a slot would else be refused, and their whole batch done again
            await service.ensure(tx, [key for key, slot in self._slots.items() if not slot.counted])

    def seat(self, submission: Submission) -> "Seat":
        """Give an order a place, before its slot is over: the one its cart holds, else one that is free, else none."""
        named = submission.order.slot
        if named is None:
            return NO_SEAT
        key = self._keys.get(submission.id)
        booking = None if key is None else self._take(submission.id, key, submission.actor)
        if booking is not None:
            self.bookings.append(booking)
        holds = {} if booking else {HoldKind.SLOT: {"day": named.day, "starts": named.starts[:5]}}
        return Seat(self, key, booking, holds)

    def _take(self, order_id: UUID, key: Key, actor: str) -> Booking | None:
        held = self._holds.pop(self._references.get(order_id, ""), None)
        if held is not None and held.key == key and not self._is_over(held):
            return Booking(order_id, key, held.ends, held.id, actor)
        slot = self._slots.get(key)
        if slot is None or self._left[key] <= 0 or not self._is_in_reach(key, slot):
            return None
        self._left[key] -= 1
        return Booking(order_id, key, slot.ends, None, actor)

    def _is_in_reach(self, key: Key, slot: Slot) -> bool:
        return rules.is_in_reach(key.day, slot.ends, ZoneInfo(self._places[key.location_id].timezone), self._instant)

    def _is_over(self, held: Reservation) -> bool:
        zone = ZoneInfo(self._places[held.location_id].timezone)
        return rules.is_over(held.day, held.ends, zone, self._instant)

    def give_back(self, booking: Booking) -> None:
        """Undo a `seat`."""
        self.bookings.remove(booking)
        if booking.hold is None:
            self._left[booking.key] += 1

    def place_of(self, key: Key) -> Location:
        """Return the location of a slot."""
        return self._places[key.location_id]

    async def explain(
        self, tx: Tx, fresh: Sequence[tuple[int, Submission]], outcomes: MutableSequence[Outcome | None]
    ) -> None:
        """Say of the orders that were refused for their slot why, with the next free slots."""
        for position, submission in fresh if self._keys else ():
            if isinstance(outcomes[position], SlotFull):
                key = self._keys[submission.id]
                place, slot = self._places[key.location_id], self._slots.get(key)
                outcomes[position] = await service.refusal(tx, key, place, slot, self._instant)


class Seat:
    """What an order got: a place in the slot it names, or the hold that says it got none. Without a slot, nothing."""

    __slots__ = ("_key", "_slotting", "booking", "holds")

    def __init__(
        self,
        slotting: Slotting | None = None,
        key: Key | None = None,
        booking: Booking | None = None,
        holds: dict[HoldKind, dict[str, Any]] | None = None,
    ) -> None:
        self._slotting = slotting
        self._key = key
        self.booking = booking
        self.holds = holds or {}

    @property
    def refused(self) -> bool:
        """Tell whether there is such a location, and no place."""
        return self._key is not None and self.booking is None

    @property
    def promised_at(self) -> datetime | None:
        """Return the end of the slot: by then the customer has the goods."""
        if self._slotting is None or self.booking is None:
            return None
        place = self._slotting.place_of(self.booking.key)
        return service.ends_at(place, self.booking.key.day, self.booking.ends)

    def narrow(self, request: Request, reference: Reference) -> Request:
        """Return a request that asks nobody but the site whose delivery slot the order names."""
        if self._key is None or self._key.kind != Kind.DELIVERY:
            return request
        others = {x.id for x in reference.details if x.home != self._key.location_id}
        return msgspec.structs.replace(request, excluded={line.line: others for line in request.lines})

    def not_before(self, released: datetime, submission: Submission, reference: Reference) -> datetime:
        """Return from when an order may be released, in good time for its slot; see `rules.begins_on`."""
        if self.booking is None or submission.release_now:
            return released
        calendar = reference.calendars[reference.network.index[self.booking.key.location_id]]
        day = rules.begins_on(self.booking.key.day, calendar.is_open_on)
        return max(released, rules.instant(day, time(), calendar.zone))

    def give_up(self) -> None:
        """Give the place back: the order is refused for another reason."""
        if self._slotting is not None and self.booking is not None:
            self._slotting.give_back(self.booking)


NO_SEAT = Seat()


def slotting_of(fresh: Sequence[tuple[int, Submission]], reference: Reference, instant: datetime) -> Slotting:
    """Return the slots that orders of a batch name."""
    found = Slotting(instant)
    for _, submission in fresh:
        if submission.order.slot is not None:
            found.add(submission.id, submission.order, reference)
    return found
