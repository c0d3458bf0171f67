"""What a list of orders can be asked for, and what it answers."""

from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum

import msgspec

from malha.ordering.model import OrderStatus
from malha.platform.ids import UUID

COUNT_LIMIT = 10_000
FILTERED_LIMIT = 1_000  # of a filtered list, whose rows have to be looked for


CLOSED = (OrderStatus.DELIVERED, OrderStatus.CANCELLED)


OPEN_STATUSES = tuple(status for status in OrderStatus if status not in CLOSED)


class Sort(StrEnum):
    """Orders of a list. Each ends in the id, so that a keyset names one place."""

    NEWEST = "newest"
    OLDEST = "oldest"
    DUE = "due"  # promised soonest first; orders without a promise last


class Due(StrEnum):
    """Orders by their promise, as of the moment they are looked at."""

    LATE = "late"  # promised before now, and neither delivered nor cancelled
    TODAY = "today"
    WEEK = "week"  # from Monday to Sunday
    NONE = "none"  # without a promise


class View(StrEnum):
    """Saved views: sets of statuses, and the one that is a matter of time."""

    ALL = "all"
    OPEN = "open"
    AWAITING_PAYMENT = "awaiting_payment"
    ON_HOLD = "on_hold"
    UNPLACED = "unplaced"
    TO_PICK = "to_pick"
    TO_SHIP = "to_ship"
    READY = "ready"
    IN_TRANSIT = "in_transit"
    LATE = "late"


VIEW_STATUSES: dict[View, tuple[OrderStatus, ...]] = {
    View.AWAITING_PAYMENT: (OrderStatus.AWAITING_PAYMENT,),
    View.ON_HOLD: (OrderStatus.ON_HOLD,),
    View.UNPLACED: (OrderStatus.UNPLACED, OrderStatus.BACKORDERED),
    View.TO_PICK: (OrderStatus.ALLOCATED, OrderStatus.PICKING),
    View.TO_SHIP: (OrderStatus.PACKED, OrderStatus.INVOICED),
    View.READY: (OrderStatus.READY,),
    View.IN_TRANSIT: (OrderStatus.SHIPPED,),
}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shall show. `overdue`: orders whose work is late though their promise is not, for LATE."""

    view: View = View.ALL
    statuses: tuple[OrderStatus, ...] = ()
    channel_ids: tuple[int, ...] = ()
    location_id: int | None = None
    scope: tuple[int, ...] | None = None  # locations the asker may see; None is all
    since: datetime | None = None
    until: datetime | None = None  # exclusive
    due: Due | None = None  # LATE or NONE; the others are instants: `promised_between`
    promised_since: datetime | None = None
    promised_until: datetime | None = None  # exclusive
    method: str | None = None
    hold: str | None = None  # kind of an open hold
    ship_state: str | None = None  # UF it is delivered to
    tags: tuple[str, ...] = ()  # by any spelling
    any_tag: bool = False  # one of them is enough; else all
    search: str = ""
    overdue: tuple[UUID, ...] = ()
    found: tuple[UUID, ...] | None = None  # what `search` found, once somebody has looked (`sought`)


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page begins or ends: the sort key, the id, and how many orders stand before."""

    key: str  # ISO instant, or "infinity"
    id: UUID
    before: int


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the list."""

    id: UUID
    number: int
    external_id: str
    channel: str  # its name
    channel_code: str
    placed_at: datetime
    status: OrderStatus
    currency: str
    total: int
    cancelled_total: int
    method: str
    buyer_name: str
    city: str | None
    state: str | None
    pickup_zone: str | None  # the time zone it is fetched in
    promised_at: datetime | None  # the first day that is still to be kept
    complete_at: datetime | None  # by when all of it is there
    release_after: datetime
    units: dict[str, int]  # quantity by unit state
    locations: list[str]  # names, of units that are not cancelled
    location_codes: list[str]  # of the same
    holds: list[str]
    tags: list[str]
    version: int
    sort_key: str


class Page(msgspec.Struct, frozen=True):
    """Rows in the asked order, and where the neighbours begin."""

    rows: list[OrderRow]
    first: int  # 1-based position of the first row
    previous: Place | None
    next: Place | None


class Counts(msgspec.Struct, frozen=True):
    """Orders per view, each at most one more than `most` says."""

    by_view: dict[View, int]
    scoped: bool = False

    def most(self, view: View) -> int:
        """Return where counting a view stops: of all orders ever, those of some locations have to be looked for."""
        return FILTERED_LIMIT if self.scoped and view is View.ALL else COUNT_LIMIT


def promised_within(due: Due | None, today: date) -> tuple[date | None, date | None]:
    """Return the days, both included, that TODAY and WEEK mean; None: no bound."""
    if due is Due.TODAY:
        return today, today
    if due is Due.WEEK:
        monday = today - timedelta(days=today.weekday())
        return monday, monday + timedelta(days=6)
    return None, None


def promised_between(
    due: Due | None, since: datetime | None, until: datetime | None, at: datetime, zone: tzinfo
) -> tuple[datetime | None, datetime | None]:
    """Return the instants within which promises are asked for, by a word and by instants; the second is exclusive.

    Instants that name no zone are `zone`'s.
    """
    named = day_bounds(*promised_within(due, at.astimezone(zone).date()), zone)
    begins, ends = (
        [one if one.tzinfo else one.replace(tzinfo=zone) for one in bounds if one is not None]
        for bounds in ((since, named[0]), (until, named[1]))
    )
    return max(begins, default=None), min(ends, default=None)


def day_bounds(first: date | None, last: date | None, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """Return the instants a range of days covers in a zone; the second is exclusive."""
    since = datetime.combine(first, time.min, zone) if first else None
    until = datetime.combine(last + timedelta(days=1), time.min, zone) if last else None
    return since, until
