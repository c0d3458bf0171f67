"""Words of promises: what is offered, and what a date is made of."""

from datetime import date, datetime, time
from typing import Literal

import msgspec


class Leg(msgspec.Struct, frozen=True):
    """One parcel on its way: the working day it leaves its location, and its business days in transit."""

    leaves: date
    transit_days: int
    learned: bool = False  # from what became of earlier parcels, lateness in leaving included; else from the tariff
    late_days: int = 0  # of these days, those for a location that leaves late
    foretold: float | None = None  # the chance that was learned to be there by then
    said: float | None = None  # the same with doubt


class LineDay(msgspec.Struct, frozen=True):
    """The day by whose end a line of a basket is there, and that instant."""

    line: int
    arrives: date
    promised_at: datetime


class LineAhead(msgspec.Struct, frozen=True, kw_only=True):
    """Units of a line that are sold ahead: they are not there, but promised from supply to come."""

    line: int
    units: int
    from_day: date  # on which all of them can go on: their supply is expected by then, and a pre-order released
    release_on: date | None = None  # of a pre-order; null: they are sold because stock is out


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One way to have a basket brought. `price` is what the tariff asks for its parcels, in centavos.

    What a vendor sends counts: after the vendor's working days and its own way. What is sold ahead (`ahead`) counts
    from the day its supply is expected, after the days its policy asks for. Where lines come on several days, `lines`
    says when each does; an order placed now is promised the same by line, `promised_at` and `complete_at` too.
    """

    service: str
    name: str
    carrier: str
    price: int
    packages: int
    leaves: date  # the working day the last parcel leaves, after cut-offs, hours, holidays and closures
    transit_days: int  # business days of the slowest parcel
    learned: bool  # whether these days were learned from earlier deliveries; else they are the tariff's
    arrives: date  # all of it
    promised_at: datetime  # the end of the first day to keep: of `arrives`, or where lines differ of the first of them
    complete_at: datetime  # the end of `arrives`
    lines: list[LineDay] = []  # empty: all on that day
    ahead: list[LineAhead] = []  # empty: nothing of it is sold ahead


class FreeSlot(msgspec.Struct, frozen=True, kw_only=True):
    """A pickup slot that has a place: hold it (`/slot-holds`), or name it in the order."""

    day: date
    starts: str  # on the location's clock, like 09:30
    ends: str
    left: int


class PageCollection(msgspec.Struct, frozen=True, kw_only=True):
    """One place to fetch a basket at, and when all of it is ready.

    Where some of it is ready sooner, because the rest is sold ahead (`ahead`), `lines` says when each line is.
    """

    location: str
    name: str
    city: str | None
    kilometres: float | None  # from the postal code that was asked for
    ready_at: datetime
    brought: bool = False  # it is not all there: goods are brought from elsewhere first
    lines: list[LineDay] = []  # empty: all at that instant
    ahead: list[LineAhead] = []  # empty: nothing of it is sold ahead
    opening_hours: dict[str, list[tuple[str, str]]]
    days_kept: int


class Collection(PageCollection, frozen=True, kw_only=True):
    """One place to fetch a basket at, and when it is ready."""

    slots: list[FreeSlot] | None = None  # the next with a place, once goods are ready; null: it takes no appointments


class NotPromised(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is promised however much is there. `says` is in the reader's language.

    `quantity`: a channel takes no more than `most_units` of one SKU in one order before a person looked at it; lines
    of one SKU count together, as `asked`.
    """

    reason: Literal["quantity"]
    sku: str
    asked: int
    most_units: int
    says: str


class Options(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a channel can get a basket to a customer now; empty lists where nothing can be promised."""

    deliveries: list[Delivery]  # the soonest first, then the cheaper
    collections: list[Collection]  # the nearest first, else the soonest
    reasons: list[NotPromised] = []  # why nothing is, where it is not for want of stock, days or places


class PageOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a channel can get some units of one SKU to a customer; see `Options`. Of appointments it says nothing."""

    sku: str
    deliveries: list[Delivery]
    collections: list[PageCollection]
    reasons: list[NotPromised] = []


class PagePromise(msgspec.Struct, frozen=True, kw_only=True):
    """What a product page may show. `as_of`: what was so then; an order finds what has changed since."""

    as_of: datetime
    items: list[PageOptions]


class MadeLeg(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One parcel a date was made of. `days` are business days of the destination in transit."""

    location: int  # ids
    service: int | None = None
    lines: list[int]
    grams: int  # billable
    cut_off: time  # of the location, on its clock
    leaves: date  # the working day it leaves, after cut-off, opening hours, holidays and closures
    days: int
    learned: bool = False
    late_days: int = 0  # of these days, those for a location that leaves late
    foretold: float | None = None  # the chance that was learned to be there by then
    said: float | None = None  # the same with doubt: what the promise counts on
    arrives: date


class MadeSupply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Units of a line that wait for supply: expected on a day, then so many business days until they are there."""

    line: int
    expected: date
    not_before: date | None = None  # the release day of a pre-order
    days: int


class MadeReady(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When goods are ready where they are fetched, and what that is made of."""

    location: int  # id
    lines: list[int]
    cut_off: time  # of the location, on its clock
    there_at: datetime | None = None  # from when all of it is there, where some of it is brought from elsewhere
    due_at: datetime  # the end of the day, or of the picking slot, in which work is done
    late_days: int = 0  # working days of the location it was learned to be late
    ready_at: datetime


class Made(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a decision's date is made of, as it is stored with it."""

    released_at: datetime  # from when the order could be released
    to_state: str
    legs: list[MadeLeg] = []
    ready: MadeReady | None = None  # of what is fetched
    supply: list[MadeSupply] = []
    version: int | None = None  # of the learned days, where any leg went by them
    level: float | None = None  # the share of promises to keep that they were learned for
    stated: bool = False  # the channel promised the day; this is what ours would have been
