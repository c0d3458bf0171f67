"""Slots of locations: what they state, what is left, holding one for a cart, and the slot of an order.

Times are on the clock of the location. A slot is named by its location, kind, day and start.
"""

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from malha.api.orders_actions import open_order, seen_order
from malha.api.supply import Code, place_of
from malha.api.work import Work, command, query
from malha.capacity import reads, rules, service
from malha.capacity.model import (
    MOST_HOLD_S,
    MOST_REFERENCE,
    MOST_SLOTS,
    Clock,
    Key,
    Kind,
    Measure,
    Override,
    Plan,
    Quota,
    Slot,
    Template,
)
from malha.network import reads as network
from malha.network.errors import SiteShared
from malha.network.model import Location
from malha.network.ownership import UnknownLocationGroup
from malha.ordering import promises, slots
from malha.ordering.model import PromiseReason
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID

TAG = "capacity"
USUAL_DAYS, MOST_DAYS, MOST_LOCATIONS = 7, 31, 200
Reserved = Literal["pickup", "delivery"]
Reference = Annotated[str, Meta(min_length=1, max_length=MOST_REFERENCE)]


class WeekSlot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A slot of every such weekday (1 is Monday), and how many have a place in it."""

    weekday: Annotated[int, Meta(ge=1, le=7)]
    starts: Clock
    ends: Clock
    quota: Quota


class DaySlot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What differs on one date: a slot's quota, or a slot that is not usual. Without times there is none that day."""

    starts: Clock | None = None
    ends: Clock | None = None
    quota: Quota = 0
    reason: Annotated[str, Meta(max_length=200)] = ""


Week = Annotated[list[WeekSlot], Meta(max_length=7 * MOST_SLOTS)]


class SlotView(msgspec.Struct, frozen=True, kw_only=True):
    """A slot of a day. `left` may still be had; `open` is false where the location takes no work then.

    `taken` and `left` are in what the quota counts, which `measure` says: picking slots may count units, the others
    always count orders. `confirmed` are orders in any case, and `units` those that work in a picking slot has. A quota
    may be below what is taken where it was lowered, for who has a place keeps it, or by one piece of work that is
    larger than the slot and has it whole.
    """

    location: str
    kind: Kind
    day: date
    starts: str
    ends: str
    quota: int
    held: int
    confirmed: int
    measure: Measure
    units: int
    taken: int
    left: int
    open: bool


class DayOverrides(msgspec.Struct, frozen=True, kw_only=True):
    """What one date states for a kind."""

    kind: Kind
    day: date
    slots: list[DaySlot]


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """All that a location states: its week by kind, and dates from today on that differ. The `ETag` is its version.

    `measure` is what the quotas of its picking slots count, `orders` or `units`.
    """

    location: str
    measure: Measure
    pick: list[WeekSlot]
    pickup: list[WeekSlot]
    delivery: list[WeekSlot]
    days: list[DayOverrides]


class PlanDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The week of a location by kind; a kind that is left out stays, an empty list has no slots any more.

    `measure` is what the quotas of picking slots count from now on, those of single dates too; left out, it stays. With
    `units` an order takes as many places as it has units, and one larger than a slot takes an empty slot whole.
    """

    measure: Measure | None = None
    pick: Week | None = None
    pickup: Week | None = None
    delivery: Week | None = None


class DayDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What differs on a date: slots with another quota, and slots that are not usual.

    One entry without times closes the date; an empty list lets it be as its weekday again.
    """

    kind: Kind
    slots: Annotated[list[DaySlot], Meta(max_length=MOST_SLOTS)]


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """The version now, and the slots that have more reserved than their new quota."""

    location: str
    version: int
    above: list[SlotView]


class NewHold(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A place to keep for a cart, or for as long as a promise is shown. A reference holds one slot at a time."""

    location: Code
    kind: Reserved
    day: date
    starts: Clock
    reference: Reference
    seconds: Annotated[int, Meta(ge=1, le=MOST_HOLD_S)] = 900


class HeldSlot(msgspec.Struct, frozen=True, kw_only=True):
    """What is held, and until when."""

    reference: str
    location: str
    kind: Kind
    day: date
    starts: str
    ends: str
    expires_at: datetime | None


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The order that gets the place."""

    order: UUID


class OrderSlot(msgspec.Struct, frozen=True, kw_only=True):
    """The slot of an order; the end of it is what the customer is promised."""

    order: UUID
    location: str
    kind: Kind
    day: date
    starts: str
    ends: str


class SlotWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another slot for an order, and why. `location` only for a delivery slot, where several places deliver.

    `note` is for colleagues, and needed with the reason `other`; the customer is told the day and the reason.
    """

    day: date
    starts: Clock
    location: Code | None = None
    reason: PromiseReason = PromiseReason.CUSTOMER_ASKED
    note: Annotated[str, Meta(max_length=promises.NOTE_LENGTH)] = ""


def _text(clock: time) -> str:
    return f"{clock:%H:%M}"


def _clock(text: str | None) -> time | None:
    return None if text is None else rules.clock_of(text)


def _week(plan: Plan, kind: Kind) -> list[WeekSlot]:
    return [WeekSlot(t.weekday, _text(t.starts), _text(t.ends), t.quota) for t in plan.templates.get(kind, [])]


def _view(slot: Slot, code: str) -> SlotView:
    return SlotView(
        location=code,
        kind=Kind(slot.key.kind),
        day=slot.key.day,
        starts=_text(slot.key.starts),
        ends=_text(slot.ends),
        quota=slot.quota,
        held=slot.held,
        confirmed=slot.confirmed,
        measure=slot.measure,
        units=slot.units,
        taken=slot.taken,
        left=slot.left,
        open=slot.open,
    )


@query("/capacity", permission="network:read", snapshot=True, tag=TAG)
async def list_capacity(
    work: Work,
    location: Annotated[list[str], Meta(max_length=MOST_LOCATIONS)] | None = None,
    location_group: str | None = None,
    kind: Kind | None = None,
    since: date | None = None,
    until: date | None = None,
) -> list[SlotView]:
    """List slots of locations with what is taken and left, by location, kind, day and start.

    Name locations or a group of them. Without days: the next 7, today included; 31 at most. A location that states no
    slots has none here and is not limited by any.
    """
    places = await _places(work, location, location_group)
    now = await work.tx.now()
    first = since or min((service.today_at(place, now) for place in places), default=now.date())
    last = until or date.fromordinal(first.toordinal() + USUAL_DAYS - 1)
    count = (last - first).days + 1
    flaws = []
    if not 0 < count <= MOST_DAYS:
        says = N_("The days are {n} at most, and the first is not after the last.")
        flaws.append(Flaw("?since", says, facts={"n": MOST_DAYS}))
    refuse(flaws)
    codes = {place.id: place.code for place in places}
    kinds = list(Kind) if kind is None else [kind]
    found = await reads.slots(work.tx, places, kinds, reads.days_from(first, count))
    return [_view(slot, codes[slot.key.location_id]) for slot in found]


async def _home(work: Work, code: str, *, change: bool = False) -> Location:
    """Return the first location of the site of one that the caller sees: slots are stated of a site.

    Raises:
        UnknownLocation: there is none, or it is not the caller's to see.
        SiteShared: with `change`, the caller sees a location at the site, and not its first one.
    """
    place = await place_of(work, code)
    if place.site_id is None:
        return place
    home = (await network.locations_by_id(work.tx, [place.home]))[place.home]
    if change and not work.actor.sees(home.id):
        raise SiteShared(key=place.code, site=home.code)
    return home


async def _places(work: Work, codes: Sequence[str] | None, group: str | None) -> list[Location]:
    if not codes and group is None:
        refuse([Flaw("?location", N_("Name locations, or a group of them."))])
    if group is None:
        return list({x.id: x for code in codes or () for x in [await _home(work, code)]}.values())
    groups = await network.location_groups(work.tx, [group])
    if not groups:
        raise UnknownLocationGroup(key=group)
    members = await network.locations_by_code(work.tx, groups[0].locations[:MOST_LOCATIONS])
    seen = [place for place in members.values() if work.actor.sees(place.id)]
    homes = await network.locations_by_id(work.tx, {place.home for place in seen if not codes or place.code in codes})
    return sorted(homes.values(), key=lambda place: place.code)


@query("/capacity/{code:str}", permission="network:read", snapshot=True, tag=TAG)
async def get_capacity_plan(work: Work, code: str) -> PlanView:
    """Return what a location states of slots, with the version as `ETag`."""
    place = await _home(work, code)
    today = service.today_at(place, await work.tx.now())
    plan = await reads.plan_of(work.tx, place.id, today)
    days: dict[tuple[date, Kind], list[DaySlot]] = {}
    for dated in plan.overrides:
        o = dated.override
        starts, ends = (None if t is None else _text(t) for t in (o.starts, o.ends))
        days.setdefault((dated.day, dated.kind), []).append(
            DaySlot(starts=starts, ends=ends, quota=o.quota, reason=o.reason)
        )
    work.tag(plan.version)
    return PlanView(
        location=place.code,
        measure=plan.measure,
        pick=_week(plan, Kind.PICK),
        pickup=_week(plan, Kind.PICKUP),
        delivery=_week(plan, Kind.DELIVERY),
        days=[DayOverrides(kind=kind, day=day, slots=rows) for (day, kind), rows in sorted(days.items())],
    )


@command("/capacity/{code:str}/templates", method="PUT", permission="network:write", versioned="required", tag=TAG)
async def change_capacity_templates(work: Work, code: str, data: PlanDraft) -> Stated:
    """State the slots of a location's week, and whether its picking slots count orders or units.

    Slots of today and later follow; what is reserved stays reserved. Work that has no room where another measure or a
    lower quota leaves it moves to the earliest slot with room, unless it is accepted.
    """
    place = await _home(work, code, change=True)
    work.expect(await service.lock_plan(work.tx, place))
    weeks = {Kind.PICK: data.pick, Kind.PICKUP: data.pickup, Kind.DELIVERY: data.delivery}
    stated = {
        kind: [Template(s.weekday, rules.clock_of(s.starts), rules.clock_of(s.ends), s.quota) for s in rows]
        for kind, rows in weeks.items()
        if rows is not None
    }
    return _stated(work, place, await service.set_templates(work.tx, place, stated, measure=data.measure))


@command(
    "/capacity/{code:str}/days/{day:date}", method="PUT", permission="network:write", versioned="optional", tag=TAG
)
async def change_capacity_day(work: Work, code: str, day: date, data: DayDraft) -> Stated:
    """State what differs from the week on a date, for one kind: afterwards the date is what the body says.

    A closure of the location ends all slots whatever is stated here; on a holiday only what is stated here stands.
    """
    place = await _home(work, code, change=True)
    work.expect(await service.lock_plan(work.tx, place))
    overrides = [
        Override(starts=_clock(s.starts), ends=_clock(s.ends), quota=s.quota, reason=s.reason) for s in data.slots
    ]
    return _stated(work, place, await service.set_overrides(work.tx, place, {(data.kind, day): overrides}))


def _stated(work: Work, place: Location, done: service.Stated) -> Stated:
    work.tag(done.version)
    return Stated(location=place.code, version=done.version, above=[_view(slot, place.code) for slot in done.above])


@command("/slot-holds", permission="intake:submit", status=201, tag=TAG)
async def hold_slot(work: Work, data: NewHold) -> HeldSlot:
    """Hold a place in a slot for a cart, or for as long as a promise is shown.

    A full slot is refused with the next free ones as `alternatives`. An expired hold gives its place back by itself.
    """
    place = await _home(work, data.location, change=True)
    made = await service.hold(
        work.tx,
        place,
        Kind(data.kind),
        data.day,
        rules.clock_of(data.starts),
        reference=data.reference,
        seconds=data.seconds,
    )
    work.created(f"/v1/slot-holds/{data.reference}")
    return HeldSlot(
        reference=data.reference,
        location=place.code,
        kind=made.kind,
        day=made.day,
        starts=_text(made.starts),
        ends=_text(made.ends),
        expires_at=made.expires_at,
    )


@command("/slot-holds/{reference:str}/confirm", permission="intake:submit", tag=TAG)
async def confirm_slot(work: Work, reference: str, data: Confirmation) -> OrderSlot:
    """Let an order that is placed have the slot its cart holds; the end of the slot is promised from now on.

    An order can do so while it is placed, too: with `slot.hold` in its body.
    """
    held = await slots.confirm(work.tx, reference, data.order)
    return await _slot_of(work, data.order, held.key, held.ends)


@command("/slot-holds/{reference:str}/release", permission="intake:submit", tag=TAG)
async def release_slot_hold(work: Work, reference: str) -> None:
    """Give a held place back before its time."""
    await service.release_hold(work.tx, reference, reason="released")


@command("/orders/{order_id:uuid}/slot", permission="orders:write", versioned="optional", tag=TAG)
async def change_order_slot(work: Work, order_id: UUID, data: SlotWish) -> OrderSlot:
    """Give an order a slot, or another than it has. The customer is told the new day.

    A full slot is refused with others as `alternatives`, and the order keeps the one it has. A hold for want of a slot
    is lifted.
    """
    await open_order(work, order_id)
    if data.location is not None:
        await _home(work, data.location)
    starts = rules.clock_of(data.starts)
    found = await slots.agree(
        work.tx, order_id, data.day, starts, location=data.location, reason=data.reason, note=data.note
    )
    return await _slot_of(work, order_id, found.key, found.ends)


async def _slot_of(work: Work, order_id: UUID, key: Key, ends: time) -> OrderSlot:
    place = (await network.locations_by_id(work.tx, [key.location_id]))[key.location_id]
    return OrderSlot(
        order=order_id,
        location=place.code,
        kind=Kind(key.kind),
        day=key.day,
        starts=_text(key.starts),
        ends=_text(ends),
    )


@command("/orders/{order_id:uuid}/slot/release", permission="orders:write", versioned="optional", tag=TAG)
async def release_order_slot(work: Work, order_id: UUID) -> None:
    """Let an order go without its slot; the place is free again. What was promised stays promised."""
    await open_order(work, order_id)
    await slots.give_back(work.tx, order_id)


@query("/orders/{order_id:uuid}/slot", permission="orders:read", tag=TAG)
async def get_order_slot(work: Work, order_id: UUID) -> OrderSlot | None:
    """Return the slot of an order; null where it has none."""
    await seen_order(work, order_id)
    found = (await reads.of_orders(work.tx, [order_id])).get(order_id)
    return None if found is None else await _slot_of(work, order_id, found.key, found.ends)


handlers = [
    list_capacity,
    get_capacity_plan,
    change_capacity_templates,
    change_capacity_day,
    hold_slot,
    confirm_slot,
    release_slot_hold,
    change_order_slot,
    release_order_slot,
    get_order_slot,
]
