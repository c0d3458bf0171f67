"""An order in the shopper's words: one headline, a box for each parcel, what happened, what can still be changed.

Decided here and nowhere else, from the facts alone and the time, so that every page says the same. Only what a buyer
needs: no name in full, no address, nothing about how the retailer works.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from markupsafe import Markup

from malha.fulfillment import asking
from malha.fulfillment.service import CODE_ATTEMPTS
from malha.network.calendar import DEFAULT_HOURS, is_holiday
from malha.network.model import WEEKDAYS
from malha.ordering.model import GONE, STOPPING_HOLDS, WAITING, HoldKind, UnitState
from malha.ordering.model import Line as SoldLine
from malha.ordering.model import Unit as SoldUnit
from malha.ordering.promised_days import is_by_day
from malha.platform import i18n
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID
from malha.promising import rules as promises
from malha.shopper import code, render
from malha.shopper.reads import Document, Event, Hold, Job, Parcel, Place, Tracked, Unit

IN_WORK = frozenset({UnitState.RELEASED, UnitState.PICKING, UnitState.PICKED})
PACKED = frozenset({UnitState.AWAITING_DOCUMENT, UnitState.PACKED, UnitState.INVOICED})
THERE = frozenset({UnitState.DELIVERED, UnitState.COLLECTED})
DASH = " \N{EN DASH} "  # between city and state
SHOPPER = "shopper"  # kind of actor of whoever has the link


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One of the four steps of a box: `state` is on (done), cur (now) or empty (to come)."""

    label: str
    when: str
    state: str
    icon: str


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Goods in a box. `when`: until which day, where not all that is to come comes on one."""

    name: str
    quantity: str
    price: str
    line: int = 0
    when: str = ""


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """A parcel, or what is not one yet. `state` in plain words; no steps where nothing advances."""

    title: str
    state: str
    detail: str
    steps: list[Step]
    items: list[Item]
    carrier: str = ""
    tracking_code: str = ""
    tracking_url: str = ""


class Hours(msgspec.Struct, frozen=True):
    """Opening hours of equal days, like `Mon to Fri`, `09:00 to 18:00`."""

    days: str
    hours: str


class Pickup(msgspec.Struct, frozen=True, kw_only=True):
    """Where goods are collected; with the code as soon as they are there."""

    name: str
    address: list[str]
    hours: list[Hours]
    closed: list[str]
    code: str = ""
    qr: Markup | None = None
    until: str = ""
    instead: str = ""  # why there is no code though the goods are there


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    title: str
    detail: str
    icon: str
    when: str
    at: datetime
    newest: bool


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """A fiscal document."""

    title: str
    issued: str
    key: str
    look_up: str  # address of the tax authority's page, or empty


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A line of which units can be cancelled: `free` of them at once, `most` with a person's help."""

    line: int
    name: str
    free: int
    most: int
    price: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What can be done about the order now: a sentence, and perhaps a way to cancel."""

    says: str
    label: str = ""
    choices: list[Choice] = []
    at_once: bool = False


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    number: int
    external_id: str
    title: str
    lead: str
    boxes: list[Box]
    pickups: list[Pickup]
    happenings: list[Happening]
    place: list[str]
    papers: list[Paper]
    change: Change
    asked: str
    items_total: int
    discount_total: int
    shipping_total: int
    cancelled_total: int
    total: int
    refunded: int
    refund_due: int
    currency: str
    paid_by: str


TENDERS: dict[str, str] = {
    "cash": N_("Cash"),
    "card_terminal": N_("Card"),
    "credit_card": N_("Credit card"),
    "debit_card": N_("Debit card"),
    "pix": N_("Pix"),
    "boleto": N_("Boleto"),
    "voucher": N_("Voucher"),
    "on_delivery": N_("On delivery"),
}


def view_of(order: Tracked, at: datetime) -> Track:
    """Return an order as its shopper sees it at an instant."""
    facts = _Facts(order, at)
    boxes = _boxes(facts)
    title, lead = _headline(facts)
    return Track(
        number=order.number,
        external_id="" if order.external_id == str(order.number) else order.external_id,
        title=title,
        lead=lead,
        boxes=boxes,
        pickups=_pickups(facts),
        happenings=_happenings(facts),
        place=_place(order),
        papers=[_paper(document) for document in order.documents],
        change=change_of(order, at),
        asked=_asked(facts),
        items_total=order.items_total,
        discount_total=order.discount_total,
        shipping_total=order.shipping_total,
        cancelled_total=order.cancelled_total,
        total=order.total - order.cancelled_total,
        refunded=order.refunded,
        refund_due=order.refund_due,
        currency=order.currency,
        paid_by=", ".join(dict.fromkeys(_(TENDERS[kind]) for kind in order.tenders if kind in TENDERS)),
    )


class _Facts:
    """An order and what follows from it at once."""

    def __init__(self, order: Tracked, at: datetime) -> None:
        self.order = order
        self.at = at
        self.living = [u for u in order.units if u.state != UnitState.CANCELLED]
        self.states = {u.state for u in self.living}
        self.holds = {hold.kind for hold in order.holds}
        self.jobs = {job.id: job for job in order.jobs}
        self.parcels = {parcel.id: parcel for parcel in order.parcels}
        self.places = {place.id: place for place in order.places}
        self.asked = next((asked for hold in order.holds if (asked := _asked_at(hold))), None)

    def count(self, *states: UnitState) -> int:
        """Return how many living units are in some states."""
        return sum(u.quantity for u in self.living if u.state in states)

    def days(self, units: Sequence[Unit]) -> list[datetime]:
        """Return until when units that are not with the customer are promised, the soonest first; none: no day is."""
        promised = self.order.promised_at
        if promised is None:
            return []
        return sorted({self.order.days.get(str(u.line), promised) for u in units if u.state not in THERE})

    @property
    def overdue(self) -> bool:
        """Return whether the promise is broken of what is not with the customer."""
        days = self.days(self.living)
        return bool(days) and days[0] < self.at

    @property
    def out_today(self) -> bool:
        """Return whether a parcel was taken out for delivery today, and something has not arrived."""
        today = render.local(self.at).date()
        out = (e for e in self.order.events if e.type == "shipment.out_for_delivery")
        return UnitState.SHIPPED in self.states and any(render.local(e.at).date() == today for e in out)

    @property
    def promised_day(self) -> date | None:
        """Return the first promised day that is still to be kept, where the goods go."""
        days = self.days(self.living)
        return self.day_of(days[0]) if days else None

    @property
    def complete_day(self) -> date | None:
        """Return the day by which all of it is promised, where that is another."""
        days = self.days(self.living)
        last = self.day_of(days[-1]) if days else None
        return None if last == self.promised_day else last

    def day_of(self, promised_at: datetime) -> date:
        """Return the day a promise means: by the clock of where the goods go, or are fetched."""
        return _day_promised(self.order, promised_at)


def _day_promised(order: Tracked, promised_at: datetime) -> date:
    state = None if order.method == "pickup" else (order.ship_to or {}).get("state")
    return promises.day_promised(promised_at, state, _zone_of(order))


def _zone_of(order: Tracked) -> str:
    """Return the time zone an order is fetched in; the reader's, of others."""
    place = next((place for place in order.places if place.id == order.pickup_location_id), None)
    return place.timezone if place else i18n.current_zone()


# --- the headline ---


def _headline(facts: _Facts) -> tuple[str, str]:  # noqa: C901, PLR0911 -- one line per case, the most telling first
    order, states = facts.order, facts.states
    if not facts.living:
        return _("Order cancelled"), _("Nothing will be delivered.")
    if states <= THERE:
        return _arrived(facts)
    if HoldKind.PAYMENT_LAPSED in facts.holds:
        return _("The time to pay is over"), _("Your items are no longer kept. Paid now, we look for them again.")
    if HoldKind.PAYMENT in facts.holds:
        return _("We wait for the payment"), _("As soon as it is confirmed we start to prepare your order.")
    if UnitState.READY in states:
        place = next((facts.places[j.location_id] for j in order.jobs if j.state == "ready"), None)
        others = facts.count(*(s for s in UnitState if s not in THERE | {UnitState.READY}))
        until = min((j.pickup_until for j in order.jobs if j.state == "ready" and j.pickup_until), default=None)
        says = _("Ready for pickup at {place}", place=place.name) if place else _("Ready for pickup")
        parts = [_("We keep it there until {day}.", day=render.long_day(render.local(until).date()))] if until else []
        if others:
            parts.append(n_("{n} more item is on its way there.", "{n} more items are on their way there.", others))
        return says, " ".join(parts)
    if facts.overdue and facts.promised_day:
        return (
            _("Your order is late"),
            " ".join(
                [
                    _("It was promised for {day}. We are sorry.", day=render.long_day(facts.promised_day)),
                    _progress(facts),
                ]
            ),
        )
    if facts.out_today:
        return _("Arrives today"), _("It is out for delivery.")
    if facts.promised_day is None:
        return _progress(facts, headline=True), _hint(facts)
    day = render.long_day(facts.promised_day)
    if facts.complete_day is not None:
        last = _("All of it by {day}.", day=render.long_day(facts.complete_day))
        pickup = order.method == "pickup"
        says = _("First items ready by {day}", day=day) if pickup else _("First items by {day}", day=day)
        return says, f"{last} {_progress(facts)}"
    if order.method == "pickup":
        return _("Ready for pickup by {day}", day=_with_hour(facts, day)), _progress(facts)
    today = render.local(facts.at).date()
    if facts.promised_day == today:
        return _("Arrives today"), _progress(facts)
    return _("Arrives by {day}", day=day), _progress(facts)


def _with_hour(facts: _Facts, day: str) -> str:
    """Return a promised day with the hour by which goods are ready, where one was promised."""
    at = facts.days(facts.living)[0]
    zone = ZoneInfo(_zone_of(facts.order))
    return day if is_by_day(at, zone) else f"{day}, {at.astimezone(zone):%H:%M}"


def _arrived(facts: _Facts) -> tuple[str, str]:
    last = max(
        (x for p in facts.order.parcels for x in [p.delivered_at] if x),
        default=max((j.closed_at for j in facts.order.jobs if j.closed_at), default=None),
    )
    when = render.long_day(render.local(last).date()) if last else ""
    if UnitState.DELIVERED in facts.states:
        return (_("Delivered on {day}", day=when) if when else _("Delivered")), _("We hope you like it.")
    return (_("Collected on {day}", day=when) if when else _("Collected")), _("We hope you like it.")


def _progress(facts: _Facts, *, headline: bool = False) -> str:
    """Say where the order stands, in one sentence."""
    states = facts.states
    if facts.holds & STOPPING_HOLDS and not facts.asked:
        says = _("We are checking your order")
    elif states & WAITING and len(states) == 1:
        made = UnitState.BACKORDERED in states
        says = _("We are waiting for the goods to arrive") if made else _("We are looking for who can send it soonest")
    elif states & GONE and states - GONE:
        says = _("Part of it is on its way, we are preparing the rest")
    elif UnitState.SHIPPED in states and states & THERE:
        says = _("Part of it has arrived, the rest is on its way")
    elif UnitState.SHIPPED in states:
        return _left(facts, headline=headline)
    elif states <= PACKED:
        says = (
            _("Your order is packed and about to leave") if facts.order.method == "ship" else _("Your order is packed")
        )
    elif states == {UnitState.IN_TRANSFER} and facts.order.method == "pickup":
        says = _("Your order is on its way to the store")
    elif states & (IN_WORK | PACKED | {UnitState.IN_TRANSFER}):
        says = _("We are preparing your order")
    else:
        says = _("We have received your order")
    return says if headline else f"{says}."


def _left(facts: _Facts, *, headline: bool) -> str:
    if headline:
        return _("Your order is on its way")
    last = max((p for p in facts.order.parcels if p.shipped_at), key=lambda p: p.shipped_at or facts.at, default=None)
    if last is None or last.shipped_at is None:
        return _("Your order is on its way.")
    left = render.local(last.shipped_at).date()
    apart = (render.local(facts.at).date() - left).days
    said = {
        "day": render.day(left, left + timedelta(days=apart)) if apart < 2 else render.long_day(left),
        "time": i18n.time(last.shipped_at, zone=i18n.current_zone()),
    }
    place = _city_of(facts, last.fulfillment_id)
    if not place:
        return _("It left {day} at {time}.", **said)
    return _("It left {place} {day} at {time}.", place=place, **said)


def _hint(facts: _Facts) -> str:
    return _left(facts, headline=False) if facts.states <= {UnitState.SHIPPED} else ""


def _city_of(facts: _Facts, fulfillment_id: UUID | None) -> str:
    job = facts.jobs.get(fulfillment_id) if fulfillment_id else None
    place = facts.places.get(job.location_id) if job else None
    return place.address.get("city", "") if place else ""


# --- boxes ---


def _boxes(facts: _Facts) -> list[Box]:
    groups: dict[tuple[int, str], list[Unit]] = {}
    order_of = {job.id: n for n, job in enumerate(facts.order.jobs)}
    for unit in facts.order.units:
        if unit.state == UnitState.CANCELLED:
            key = (9_002, "")
        elif unit.state in WAITING:
            key = (9_001, "")
        elif unit.fulfillment_id is None:
            key = (9_000, "")
        else:
            key = (order_of.get(unit.fulfillment_id, 8_999), str(unit.shipment_id or ""))
        groups.setdefault(key, []).append(unit)
    keys = sorted(groups)
    living = [key for key in keys if key[0] < 9_002]
    return [
        _box(facts, groups[key], number=living.index(key) + 1 if key in living else 0, of=len(living)) for key in keys
    ]


def _box(facts: _Facts, units: Sequence[Unit], *, number: int, of: int) -> Box:
    job = facts.jobs.get(units[0].fulfillment_id) if units[0].fulfillment_id else None
    parcel = facts.parcels.get(units[0].shipment_id) if units[0].shipment_id else None
    items = _items(facts, units)
    if not number:
        return Box(title=_("Cancelled"), state=_("Cancelled"), detail="", steps=[], items=items)
    states = {u.state for u in units}
    title = _("Parcel {n} of {all}", n=number, all=of) if of > 1 else ""
    state, detail = _box_state(facts, states, parcel)
    url = (parcel.tracking_url or "") if parcel else ""
    carrier = (parcel and parcel.carrier) or facts.order.carrier or ""
    return Box(
        title=title,
        state=state,
        detail=detail,
        steps=_steps(facts, units, job, parcel),
        items=items,
        carrier=carrier if parcel and parcel.shipped_at and facts.order.method == "ship" else "",
        tracking_code=(parcel.tracking_code or "") if parcel else "",
        tracking_url=url if url.startswith(("https://", "http://")) else "",
    )


def _box_state(  # noqa: PLR0911 -- one line per state
    facts: _Facts, states: set[str], parcel: Parcel | None
) -> tuple[str, str]:
    """Return where a box stands in plain words, and what to add."""
    if states <= {UnitState.COLLECTED}:
        return _("Collected"), ""
    if states <= THERE:
        who = _short_name(parcel.received_by) if parcel and parcel.received_by else ""
        return _("Delivered"), _("Received by {name}.", name=who) if who else ""
    if UnitState.SHIPPED in states:
        return _("On its way"), ""
    if UnitState.READY in states:
        return _("Ready for pickup"), ""
    if states <= WAITING:
        backordered = UnitState.BACKORDERED in states
        says = (
            _("It is made or bought for you; we tell you as soon as it is here.")
            if backordered
            else _("We are looking for the place that can send it soonest.")
        )
        return _("Waiting for the goods"), says
    if states <= PACKED:
        return _("Packed"), ""
    if states == {UnitState.IN_TRANSFER} and facts.order.method == "pickup":
        return _("On its way to the store"), ""
    if states & (IN_WORK | {UnitState.IN_TRANSFER}):
        return _("Being prepared"), ""
    return (_("Awaiting payment") if HoldKind.PAYMENT in facts.holds else _("Confirmed")), ""


def _steps(facts: _Facts, units: Sequence[Unit], job: Job | None, parcel: Parcel | None) -> list[Step]:
    order, states = facts.order, {u.state for u in units}
    unpaid = HoldKind.PAYMENT in facts.holds
    pickup = order.method == "pickup"
    if states <= THERE:
        reached = 4
    elif states & {UnitState.SHIPPED, UnitState.READY}:
        reached = 2
    elif states & (IN_WORK | PACKED | {UnitState.IN_TRANSFER}):
        reached = 1
    else:
        reached = 0
    ready_at = next((e.at for e in order.events if e.type == "fulfillment.ready"), None)
    arrived = (parcel and parcel.delivered_at) or (job and job.closed_at if pickup else None)
    promise = ""
    days = facts.days(units)
    if days and days[0] >= facts.at:
        promise = _("by {day}", day=render.day(facts.day_of(days[-1]), render.local(facts.at).date()))
    steps = [
        (_("Awaiting payment") if unpaid else _("Confirmed"), order.placed_at, "check"),
        (_("Being packed") if states & IN_WORK else _("Packed"), job.packed_at if job else None, "package"),
        (_("Ready"), ready_at, "building-store")
        if pickup
        else (_("On its way"), parcel.shipped_at if parcel else None, "truck-delivery"),
        (_("Collected"), arrived, "hand-grab") if pickup else (_("Delivered"), arrived, "map-pin"),
    ]
    # Of a pickup the promise is when it is ready, of a delivery when it arrives.
    promised_step = 2 if pickup else 3
    drawn = []
    for n, (label, when, icon) in enumerate(steps):
        state = "on" if n < reached else "cur" if n == reached else ""
        said = render.moment(when) if when and state else promise if n == promised_step and state != "on" else ""
        drawn.append(Step(label=label, when=said, state=state, icon="check" if state == "on" and n < 2 else icon))
    return drawn


def _until(facts: _Facts, units: Sequence[Unit]) -> str:
    """Say until which day units of a line come; nothing where all that is to come comes on one."""
    days = facts.days([u for u in units if u.state != UnitState.CANCELLED])
    if facts.complete_day is None or not days or days[0] < facts.at:
        return ""
    return _("by {day}", day=render.day(facts.day_of(days[-1]), render.local(facts.at).date()))


def _items(facts: _Facts, units: Sequence[Unit]) -> list[Item]:
    lines = {line.line: line for line in facts.order.lines}
    whole: dict[int, int] = {}
    for unit in facts.order.units:
        whole[unit.line] = whole.get(unit.line, 0) + unit.quantity
    here: dict[int, int] = {}
    for unit in units:
        here[unit.line] = here.get(unit.line, 0) + unit.quantity
    when = {number: _until(facts, [u for u in units if u.line == number]) for number in here}
    items = []
    for number, pieces in here.items():
        line = lines[number]
        each = max(whole[number] // line.quantity, 1)  # pieces of one sold unit: more than one of a kit
        if pieces % each:
            parts = n_("{n} part", "{n} parts", pieces)
            items.append(Item(line=number, name=line.name, quantity=parts, price="", when=when[number]))
            continue
        sold = pieces // each
        price = i18n.money(line.total * sold // line.quantity, facts.order.currency)
        count = n_("{n} unit", "{n} units", sold)
        items.append(Item(line=number, name=line.name, quantity=count, price=price, when=when[number]))
    return items


def _short_name(name: str) -> str:
    """Return a first name and an initial: enough to know who it was, too little for a stranger."""
    parts = name.split()
    return f"{parts[0]} {parts[-1][0]}." if len(parts) > 1 else name.strip()


# --- pickup ---


def _pickups(facts: _Facts) -> list[Pickup]:
    """Return the places where goods are to be collected, those with goods first."""
    order = facts.order
    if order.method != "pickup" or facts.states <= THERE:
        return []
    ready = [job for job in order.jobs if job.state == "ready"]
    shown = [_pickup(facts, facts.places[job.location_id], job) for job in ready if job.location_id in facts.places]
    if not shown and order.pickup_location_id in facts.places:
        shown = [_pickup(facts, facts.places[order.pickup_location_id], None)]
    return shown


def _pickup(facts: _Facts, place: Place, job: Job | None) -> Pickup:
    address = place.address
    street = ", ".join(x for x in (address.get("street"), address.get("number"), address.get("complement")) if x)
    town = ", ".join(x for x in (address.get("district"), address.get("city"), address.get("state")) if x)
    shown: dict[str, object] = {}
    if job and job.pickup_code:
        if facts.holds & STOPPING_HOLDS:
            shown["instead"] = _("The order is being looked at; the code shows here again when that is done.")
        elif job.pickup_misses >= CODE_ATTEMPTS:
            shown["instead"] = _("Too many wrong codes were shown. Ask at the counter for a new one.")
        else:
            until = job.pickup_until
            shown |= {
                "code": code.spoken(job.pickup_code),
                "qr": code.qr(job.pickup_code),
                "until": _("Until {day}", day=render.long_day(render.local(until, place.timezone).date()))
                if until
                else "",
            }
    return msgspec.structs.replace(
        Pickup(
            name=place.name,
            address=[x for x in (street, town) if x],
            hours=hours_of(place),
            closed=_closed(place, facts.at),
        ),
        **shown,
    )


def hours_of(place: Place) -> list[Hours]:
    """Return the opening hours of a week, equal neighbouring days together."""
    hours = place.opening_hours or DEFAULT_HOURS
    names = _day_names()
    runs: list[tuple[int, int, str]] = []
    for n, weekday in enumerate(WEEKDAYS):
        spans = ", ".join(_("{start} to {end}", start=a, end=b) for a, b in hours.get(weekday) or ())
        if spans and runs and runs[-1][1] == n - 1 and runs[-1][2] == spans:
            runs[-1] = (runs[-1][0], n, spans)
        elif spans:
            runs.append((n, n, spans))
    always = _("{start} to {end}", start="00:00", end="24:00")
    return [
        Hours(
            _("Every day")
            if (first, last) == (0, 6)
            else names[first]
            if first == last
            else _("{first} to {last}", first=names[first], last=names[last]),
            _("open all day") if spans == always else spans,
        )
        for first, last, spans in runs
    ]


def _day_names() -> list[str]:
    monday = date(2026, 11, 23)
    return [render.written(monday + timedelta(days=n), "EEE") for n in range(7)]


def _closed(place: Place, at: datetime) -> list[str]:
    """Return the days of the next week on which a place is closed though its hours say otherwise."""
    hours = place.opening_hours or DEFAULT_HOURS
    today = render.local(at, place.timezone).date()
    days = [today + timedelta(days=n) for n in range(8)]
    return [
        render.day(day, today)
        for day in days
        if hours.get(WEEKDAYS[day.weekday()]) and (day in place.closures or is_holiday(place.holiday_calendar, day))
    ]


# --- what happened ---


def _happenings(facts: _Facts) -> list[Happening]:
    told = []
    for event in facts.order.events:
        said = _told(facts, event)
        if said is not None:
            title, detail, icon = said
            told.append((title, detail, icon, event.at))
    return [
        Happening(title=title, detail=detail, icon=icon, at=at, when=render.moment(at), newest=n == 0)
        for n, (title, detail, icon, at) in enumerate(told)
    ]


def _told(facts: _Facts, event: Event) -> tuple[str, str, str] | None:  # noqa: C901, PLR0911, PLR0912 -- a table
    order, said = facts.order, event.facts
    place = facts.places.get(said.get("location_id") or 0)
    city = place.address.get("city", "") if place else ""
    amount = i18n.money(said["amount"], order.currency) if isinstance(said.get("amount"), int) else ""
    match event.type:
        case "order.placed":
            return _("Order received"), order.channel, "shopping-bag"
        case "payment.captured":
            kind = TENDERS.get(str(said.get("tender")))
            return _("Payment confirmed"), _(kind) if kind else "", "check"
        case "payment.refunded":
            return _("Money given back"), amount, "receipt-refund"
        case "fulfillment.packed":
            return _("Packed"), city, "package"
        case "fulfillment.shipped":
            parcels = [p for p in said.get("shipments") or () if isinstance(p, dict)]
            carriers = dict.fromkeys(str(p["carrier"]) for p in parcels if p.get("carrier"))
            return (
                _("Left {place}", place=city) if city else _("On its way"),
                _("With {carrier}", carrier=", ".join(carriers)) if carriers else "",
                "truck-delivery",
            )
        case "fulfillment.ready":
            return _("Ready for pickup"), place.name if place else "", "building-store"
        case "fulfillment.collected":
            return _("Collected"), place.name if place else "", "hand-grab"
        case "shipment.out_for_delivery":
            return _("Out for delivery"), "", "truck-delivery"
        case "shipment.delivered":
            return _("Delivered"), "", "map-pin"
        case "fiscal.document_recorded":
            return _("Invoice issued"), "", "file-invoice"
        case "order.address_changed":
            return _("Delivery address changed"), "", "map-pin"
        case "order.cancelled":
            if said.get("whole"):
                return _("Order cancelled"), "", "ban"
            count = sum(n for n in (said.get("lines") or {}).values() if isinstance(n, int))
            return n_("{n} unit cancelled", "{n} units cancelled", count), amount, "ban"
        case "order.hold_placed" if event.actor.partition(":")[0] == SHOPPER:
            return _("You asked to cancel"), "", "clock"
    return None


# --- address, papers ---


def _place(order: Tracked) -> list[str]:
    """Return where it is delivered, as much as is needed to know it again: the place and part of its postal code."""
    where = order.ship_to
    if order.method != "ship" or not where:
        return []
    cep = where.get("postal_code", "")
    town = DASH.join(x for x in (where.get("city"), where.get("state")) if x)
    masked = _("Postal code {code}", code=f"{cep[:5]}-•••") if len(cep) == 8 else ""
    return [x for x in (town, masked) if x]


def _paper(document: Document) -> Paper:
    consumer = document.model == "65"
    return Paper(
        title=_(
            "{kind} {number}, series {series}",
            kind="NFC-e" if consumer else "NF-e",
            number=i18n.number(document.number),
            series=document.series,
        ),
        issued=_("Issued by {issuer}, {day}", issuer=document.issuer, day=render.short_day(document.issued_at)),
        key=document.access_key,
        # The consumer document is looked up at the issuer's state, by its QR code only.
        look_up="" if consumer else "https://www.nfe.fazenda.gov.br/portal/consultaRecaptcha.aspx",
    )


# --- changing plans ---


def change_of(order: Tracked, at: datetime) -> Change:  # noqa: PLR0911 -- one line per case
    """Return what a shopper can do about an order now."""
    facts = _Facts(order, at)
    if not facts.living:
        return Change(says="")
    choices = _choices(facts)
    if order.channel_kind == "marketplace":
        return Change(says=_("You bought this on {channel}: cancel or return it there.", channel=order.channel))
    if facts.asked and choices:
        return Change(says=_("You asked to cancel. We have stopped the order and will answer you soon."))
    if choices:
        at_once = all(choice.free == choice.most for choice in choices)
        says = (
            _("Nobody has started on your order yet, so you can cancel it yourself.")
            if at_once
            else _("We are already preparing your order. Ask us to stop it, and we do what we can.")
        )
        return Change(says=says, label=_("Cancel") if at_once else _("Ask to cancel"), choices=choices, at_once=at_once)
    if order.channel_kind == "store":
        return Change(says=_("To exchange something, bring it to the shop with its receipt."))
    if facts.states <= THERE:
        return Change(says=_("You can return what you bought within 7 days of receiving it, at no cost. Write to us."))
    return Change(
        says=_(
            "It has left, so it can no longer be cancelled. You can refuse the parcel at the door, or return it within "
            "7 days of receiving it, at no cost."
        )
    )


def _choices(facts: _Facts) -> list[Choice]:
    order = facts.order
    units = [SoldUnit(order.id, u.line, n, None, u.quantity, UnitState(u.state)) for n, u in enumerate(order.units)]
    choices = []
    for line in order.lines:
        mine = [u for u in units if u.line == line.line]
        each = max(sum(u.quantity for u in mine) // line.quantity, 1)
        # Units of a kit count together here; when the wish comes in, `asking` counts by component.
        sold = SoldLine(order.id, line.line, None, line.quantity, line.total)
        most = asking.on_request(sold, mine) // each
        free = asking.at_once(sold, mine) // each
        if most:
            price = i18n.money(line.total // line.quantity, order.currency)
            choices.append(Choice(line=line.line, name=line.name, free=free, most=most, price=price))
    return choices


def _asked_at(hold: Hold) -> datetime | None:
    """Return since when a wish to cancel waits under a hold, whoever placed that."""
    return hold.asked_at or (hold.placed_at if hold.placed_by.partition(":")[0] == SHOPPER else None)


def _asked(facts: _Facts) -> str:
    return render.moment(facts.asked) if facts.asked else ""


__all__ = ["SHOPPER", "Track", "change_of", "hours_of", "view_of"]
