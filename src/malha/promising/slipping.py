"""Promises that cannot be kept any more by the plan as it stands: what a parcel comes to now, and why. Pure.

A parcel is promised for a day; what is fetched, by the hour it is ready.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum

import msgspec

from malha.network.calendar import add_business_days
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.promising import rules
from malha.promising.model import Leg

# Learned days are a guess at a level, worked out anew every few hours: a day more is no news.
LEAST_LEARNED = 2
# Promises the system made anew for an order before a person must look at it.
MOST_BY_ITSELF = 3
_DAY = timedelta(days=1)


class Slip(StrEnum):
    """Why an order cannot keep its day."""

    CUT_OFF = "cut_off"
    OVERDUE = "overdue"
    CAPACITY = "capacity"
    CLOSED = "closed"
    MOVED = "moved"
    CARRIER = "carrier"
    NO_PLACE = "no_place"


SLIP_WORDS: dict[Slip, str] = {
    Slip.CUT_OFF: N_("Not released before the cut-off"),
    Slip.OVERDUE: N_("Did not leave by its day"),
    Slip.CAPACITY: N_("Its location has no room sooner"),
    Slip.CLOSED: N_("Its location is closed or paused"),
    Slip.MOVED: N_("Leaves another location than was promised from"),
    Slip.CARRIER: N_("The carrier takes longer"),
    Slip.NO_PLACE: N_("No location has the goods"),
}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Units of an order that have not left: those of one location and piece of work, with one promise.

    `leaves`, `days`, `learned`, `service` and `grams` are what the newest decision made of them; None: not kept.
    `pickup` is where they are fetched; None: they are sent to `to_state`.
    """

    order_id: UUID
    promised_at: datetime
    release_after: datetime
    to_state: str | None
    pickup: int | None = None
    lines: list[int]
    location: int | None
    released: bool
    due_at: datetime | None
    service: int | None
    grams: int | None
    leaves: date | None
    days: int | None
    learned: bool
    moved: bool  # decided after the promise was made
    told: int  # promises the system has made anew for the order
    told_at: datetime | None  # the newest of all that were made anew
    units: int = 1


class Now(msgspec.Struct, frozen=True):
    """What a part comes to now: the day it leaves (None: none can be said) and its business days under way.

    Of what is fetched also when it is ready, and what would be said of it with a working day to spare for each time
    that the system said another one before.
    """

    leaves: date | None
    days: int
    shut: bool = False  # its location is closed or paused, or does not work on the day that was meant
    overdue: bool = False  # its day to leave is over
    ready_at: datetime | None = None
    spare_at: datetime | None = None


class Slipping(msgspec.Struct, frozen=True, kw_only=True):
    """An order that cannot keep its day. `arrives` None: no day can be said before somebody finds it a place.

    `ready_at` and `spare_at` are those of `Now`, of what is fetched; `arrives` is the day of it.
    """

    order_id: UUID
    promised_at: datetime  # of the lines that cannot be in time, the soonest
    arrives: date | None
    ready_at: datetime | None = None
    spare_at: datetime | None = None
    lines: list[int]
    reason: Slip
    location: int | None
    told: int
    told_at: datetime | None
    to_state: str | None

    @property
    def expected_at(self) -> datetime | None:
        """Return the end of the day it arrives, or when it is ready to be fetched."""
        if self.ready_at is not None:
            return self.ready_at
        return None if self.arrives is None else rules.end_of(self.arrives, self.to_state)


def judge(part: Part, now: Now) -> Slipping | None:
    """Return how a part cannot be in time; None: it can, or a little doubt is no news."""
    if now.leaves is None:
        return _slipping(part, None, Slip.NO_PLACE if part.location is None else Slip.CLOSED)
    if part.pickup is not None:
        return _judge_ready(part, now)
    arrives = rules.arrival([Leg(now.leaves, now.days)], part.to_state)
    if arrives is None:
        return None
    late = (arrives - rules.day_promised(part.promised_at, part.to_state)).days
    if late <= 0:
        return None
    reason = _why(part, now)
    if reason is Slip.CARRIER and part.learned and late < LEAST_LEARNED:
        return None
    return _slipping(part, arrives, reason)


def _judge_ready(part: Part, now: Now) -> Slipping | None:
    """Return how goods are not ready in time: by the hour, as they are promised."""
    if now.ready_at is None or now.ready_at <= part.promised_at:
        return None
    slip = _slipping(part, now.leaves, _why(part, now))
    return msgspec.structs.replace(slip, ready_at=now.ready_at, spare_at=now.spare_at)


def _slipping(part: Part, arrives: date | None, reason: Slip) -> Slipping:
    return Slipping(
        order_id=part.order_id,
        promised_at=part.promised_at,
        arrives=arrives,
        lines=sorted(part.lines),
        reason=reason,
        location=part.location,
        told=part.told,
        told_at=part.told_at,
        to_state=part.to_state,
    )


def _why(part: Part, now: Now) -> Slip:
    later = part.leaves is None or (now.leaves is not None and now.leaves > part.leaves)
    if part.moved:
        return Slip.MOVED
    if now.overdue:
        return Slip.OVERDUE
    if not later:
        return Slip.CARRIER
    if now.shut:
        return Slip.CLOSED
    return Slip.CAPACITY if part.released else Slip.CUT_OFF


def together(one: Slipping, other: Slipping) -> Slipping:
    """Return two parts of an order as one: one day for all that cannot be in time, so that one message tells it.

    Where a part has no day, the order has none.
    """
    if one.expected_at is None or other.expected_at is None:
        last = one if one.expected_at is None else other
    else:
        last = one if one.expected_at >= other.expected_at else other
    return msgspec.structs.replace(
        last, lines=sorted({*one.lines, *other.lines}), promised_at=min(one.promised_at, other.promised_at)
    )


def may_tell(slip: Slipping, at: datetime, quiet: timedelta) -> bool:
    """Return whether the customer may be told by itself: a day can be said, and he did not just hear of another.

    Within `quiet` of the newest promise only what is later by a whole day again is told.
    """
    if slip.expected_at is None or slip.told >= MOST_BY_ITSELF:
        return False
    soon = slip.told_at is not None and at - slip.told_at < quiet
    return not soon or slip.expected_at - slip.promised_at >= _DAY


def new_day(slip: Slipping) -> datetime | None:
    """Return the promise to make: a working day to spare for each that the system made anew before."""
    if slip.ready_at is not None:
        return slip.spare_at
    if slip.arrives is None:
        return None
    return rules.end_of(add_business_days(slip.arrives, slip.told, f"BR-{slip.to_state}"), slip.to_state)
