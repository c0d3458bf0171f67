"""What a channel may sell now (available to promise): per SKU and location, and of a whole basket.

Common stock, the channel's fences and what it may borrow, cut down to what caps let through, at the locations that may
serve the channel. Kits are counted from their components, at one location each. What is *published* keeps back what
safety rules say for the channel; what is *available* is what an order may have. Nothing is held by asking.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from malha.intake import ruled
from malha.intake.allotting import Allotting
from malha.intake.covering import Covering, There, Wanted, by_line, left_of_kits
from malha.intake.reference import Card, Reference
from malha.inventory import atp
from malha.inventory.ahead import service as ahead
from malha.inventory.ahead.model import NewClaim
from malha.inventory.allotments import reads as allotments
from malha.inventory.allotments import rules
from malha.inventory.allotments.model import Cap, FenceKey, Standing, Taker
from malha.inventory.counts.reads import Frozen
from malha.network.model import Channel, LocationStatus
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing import rules as routing
from malha.routing.lanes import barred
from malha.routing.model import Plan, Request, RequestLine
from malha.routing.ruling.model import Unfilled

Column = list[int]  # units by place, in the order of the answer's locations


class AheadOffer(msgspec.Struct, frozen=True):
    """Units that may be sold before they are there, and the day from which they can be handed on."""

    day: date
    units: int


class Substitute(msgspec.Struct, frozen=True, kw_only=True):
    """A SKU that could stand in, and how many units a channel may sell of it now. `price` in centavos."""

    sku: str
    name: str
    price: int | None
    available: int


class Offer(msgspec.Struct, frozen=True):
    """What may be sold of one SKU. `at` has a row for every location with units: (its index, available, published).

    `ahead`: beyond what is available, what may be promised from supply, by day.
    `substitutes` are what the product names and the channel may sell now; looked for where nothing is available.
    """

    sku: str
    available: int
    published: int
    at: list[tuple[int, int, int]]
    caps: list[str]  # codes of caps that leave less than is there
    ahead: list[AheadOffer] = []
    substitutes: list[Substitute] = []


class Availability(msgspec.Struct, frozen=True):
    """What a channel may sell of some SKUs. `locations` are codes; offers refer to them by index."""

    channel: str
    customer_group: str | None
    locations: list[str]
    skus: list[Offer]


class BasketLine(msgspec.Struct, frozen=True):
    """One line of a basket, and how many units of it would find a place, the lines before and after it included.

    `ahead`: how many more would be promised from supply, all of them by `ahead_day`.
    `substitutes` are what could stand in for a line that is not available in full.
    """

    line: int
    sku: str
    asked: int
    available: int
    ahead: int = 0
    ahead_day: date | None = None
    substitutes: list[Substitute] = []


class Basket(msgspec.Struct, frozen=True):
    """Whether an order for the whole basket would find all its units now; `covered`: now or from supply."""

    available: bool
    lines: list[BasketLine]
    caps: list[str]
    covered: bool = False


def places_of(reference: Reference, channel: Channel, only: Collection[int] | None) -> list[int]:
    """Return the indexes in the network of the locations whose stock a channel may sell."""
    door = reference.network.channels[channel.id]
    return [
        index
        for index, place in enumerate(reference.network.places)
        if place.status == LocationStatus.ACTIVE
        and (only is None or place.id in only)
        and channel.may_use(place.id)
        and barred(place, door) is None
    ]


async def offers(
    tx: Tx,
    reference: Reference,
    channel: Channel,
    cards: Mapping[str, Card],
    *,
    customer_group: str | None = None,
    only: Collection[int] | None = None,
) -> Availability:
    """Return what a channel may sell of SKUs at the locations that may serve it, or at some of them."""
    now = await tx.now()
    index_of = reference.network.index
    # By id: so do balances come, and a SKU that is kept everywhere needs no sorting.
    ids = sorted(reference.network.location_ids[i] for i in places_of(reference, channel, only))
    stocked = sorted({part for card in cards.values() for part in card.stocked})
    taker = Taker(channel.id, customer_group)
    there, standing = await _there(tx, reference, taker, stocked, ids, now)
    touched = rules.touches(reference.allotments, channel.id, stocked)
    position = {id_: n for n, id_ in enumerate(ids)}
    sources = {source.fence_id for source in rules.sources(reference.allotments, taker, now)} if touched else set()
    for key, units in standing.remaining.items():
        frozen = key.location_id in reference.frozen.get(key.sku_id, ())
        if key.fence_id in sources and key.location_id in position and not frozen:
            there.available[key.sku_id][position[key.location_id]] += units
    caps = rules.caps_of(reference.allotments, taker, now) if touched else []
    told = _Told(ids, there, caps, standing)
    codes = [reference.location_codes[index_of[id_]] for id_ in ids]
    ahead = await _ahead(tx, reference, channel, cards, ids, now, told)
    rows = [told.offer(sku, cards[sku]) for sku in sorted(cards)]
    if ahead:
        rows = [msgspec.structs.replace(row, ahead=ahead.get(row.sku, [])) for row in rows]
    return Availability(channel.code, customer_group, codes, rows)


async def _ahead(
    tx: Tx,
    reference: Reference,
    channel: Channel,
    cards: Mapping[str, Card],
    ids: Sequence[int],
    now: datetime,
    told: "_Told",
) -> dict[str, list[AheadOffer]]:
    """Return what a channel may promise of SKUs from supply to some locations, by day."""
    if not reference.sells_ahead:
        return {}
    covering = Covering(reference.network, now)
    for card in cards.values():
        covering.add(card, channel.id)
    async with tx.pipeline():
        await covering.ask(tx)
    await covering.answer()
    return {
        sku: [AheadOffer(day, units) for day, units in offered]
        for sku, card in cards.items()
        if (offered := covering.offers(card, channel.id, ids, told.left(card), told.beside(card)))
    }


class _Stock(msgspec.Struct, frozen=True):
    """Common stock by SKU and place, never below zero, and what is not to be published of it where rules say so."""

    available: dict[int, Column]
    hidden: dict[int, Column]


async def _there(
    tx: Tx, reference: Reference, taker: Taker, stocked: Sequence[int], ids: Sequence[int], now: datetime
) -> tuple[_Stock, Standing]:
    """Read what is there for a taker in one round trip."""
    touched = rules.touches(reference.allotments, taker.channel_id, stocked)
    caps = rules.caps_of(reference.allotments, taker, now) if touched else []
    standing = Standing({}, {})
    async with tx.pipeline():
        asked = await atp.ask(tx, stocked, ids, taker.channel_id)
        waiting = await ahead.queue_ahead_of(tx, stocked) if reference.sells_ahead else None
        fences = await allotments.queue_fences(tx, stocked) if touched else None
        room = await allotments.queue_room(tx, rules.counters(caps, stocked)) if caps else None
        rows = await asked.common.fetchall()
        expired = await asked.expired.fetchall()
        unpublished = await asked.unpublished.fetchall()
        first = [(sku, place, -units) for sku, place, units in await waiting.fetchall()] if waiting is not None else []
        if fences is not None:
            standing.remaining = {FenceKey(s, x, fence): n for s, x, fence, n in await fences.fetchall()}
        if room is not None:
            standing.room = {(cap, sku): left for cap, sku, left in await room.fetchall()}
    return _laid_out(stocked, ids, rows, [*expired, *first], unpublished, reference.frozen), standing


Rows = Sequence[tuple[Any, ...]]


def _laid_out(
    stocked: Sequence[int], ids: Sequence[int], rows: Rows, besides: Rows, unpublished: Rows, frozen: Frozen
) -> _Stock:
    """Return columns by SKU from what was read; `besides` is signed, by SKU and place, and `frozen` stands still."""
    position = {id_: n for n, id_ in enumerate(ids)}
    columns = {sku: [0] * len(ids) for sku in stocked}
    for sku, places, free in rows:
        if places == ids:
            columns[sku] = free
        else:
            column = columns[sku]
            for place, units in zip(places, free, strict=True):
                column[position[place]] = units
    for sku, place, units in besides:
        if place in position:
            columns[sku][position[place]] += units
    for sku, column in columns.items():
        if column and min(column) < 0:
            columns[sku] = [max(0, units) for units in column]
    for sku in columns.keys() & frozen.keys():
        columns[sku] = [0 if place in frozen[sku] else units for place, units in zip(ids, columns[sku], strict=True)]
    return _Stock(columns, _hidden(ids, position, unpublished))


def _hidden(ids: Sequence[int], position: Mapping[int, int], unpublished: Rows) -> dict[int, Column]:
    hidden: dict[int, Column] = {}
    for sku, place, units in unpublished:
        if units > 0 and place in position:
            hidden.setdefault(sku, [0] * len(ids))[position[place]] = units
    return hidden


class _Told:
    """Columns of what is there, and how they become offers."""

    __slots__ = ("_caps", "_ids", "_standing", "_there")

    def __init__(self, ids: Sequence[int], there: _Stock, caps: Sequence[Cap], standing: Standing) -> None:
        self._ids = ids
        self._there = there
        self._caps = caps
        self._standing = standing

    def offer(self, sku: str, card: Card) -> Offer:
        """Return what may be sold of a SKU or kit."""
        columns, published, limits = [], [], []
        cut: set[str] = set()
        for part, per in card.components or ((card.id, 1),):
            column, total, by = self._capped(part, self._there.available[part])
            cut |= by
            shown = column
            if part in self._there.hidden:
                kept = self._there.hidden[part]
                shown = [max(0, units - less) for units, less in zip(column, kept, strict=True)]
            if per > 1:
                column, shown = [units // per for units in column], [units // per for units in shown]
            columns.append(column)
            published.append(shown)
            limits.append(total // per)
        whole = columns[0] if len(columns) == 1 else list(map(min, *columns))
        seen = published[0] if len(published) == 1 else list(map(min, *published))
        limit = min(limits)
        rows = [row for row in zip(range(len(whole)), whole, seen, strict=True) if row[1]]
        return Offer(sku, min(limit, sum(whole)), min(limit, sum(seen)), rows, sorted(cut))

    def left(self, card: Card) -> dict[int, dict[int, int]]:
        """Return what the kits that are available leave of their components, by SKU and location."""
        if card.components is None:
            return {}
        columns = {sku: self._there.available.get(sku, [0] * len(self._ids)) for sku, _ in card.components}
        found: dict[int, dict[int, int]] = {sku: {} for sku in columns}
        for at, place in enumerate(self._ids):
            kits = min(columns[sku][at] // per for sku, per in card.components)
            for sku, per in card.components:
                found[sku][place] = columns[sku][at] - kits * per
        return found

    def beside(self, card: Card) -> dict[int, list[tuple[frozenset[int], int]]]:
        """Return by SKU what caps let through beside what is available, each with its locations (empty: all)."""
        left = self.left(card)
        found: dict[int, list[tuple[frozenset[int], int]]] = {}
        for sku in card.stocked:
            column = self._there.available.get(sku, [0] * len(self._ids))
            kept = left.get(sku, {})
            sold = [units - kept.get(place, 0) for place, units in zip(self._ids, column, strict=True)]
            found[sku] = [
                (cap.locations, max(0, self._standing.room.get(cap.counter(sku), cap.quota) - inside))
                for cap in self._caps
                if cap.counts(sku)
                for inside in [sum(n for place, n in zip(self._ids, sold, strict=True) if cap.locations_count(place))]
            ]
        return found

    def _capped(self, sku: int, column: Column) -> tuple[Column, int, set[str]]:
        """Return a column cut to what caps let through at one place, the most over all, and the caps that cut."""
        total = sum(column)
        cut: set[str] = set()
        for cap in self._caps:
            if not cap.counts(sku):
                continue
            left = max(0, self._standing.room.get(cap.counter(sku), cap.quota))
            counted = [not cap.locations or id_ in cap.locations for id_ in self._ids]
            inside = sum(units for units, counts in zip(column, counted, strict=True) if counts)
            if inside > left:
                cut.add(cap.code)
                total = min(total, sum(column) - inside + left)
                column = [min(units, left) if counts else units for units, counts in zip(column, counted, strict=True)]
        return column, total, cut


async def common_stock(tx: Tx, reference: Reference, stocked: Sequence[int]) -> dict[int, Column]:
    """Return what anybody may claim outside of fences, by SKU, in the network's order of locations.

    As `planner` reads it; lean, because product pages ask it again and again.
    """
    index = reference.network.index
    async with tx.pipeline():
        asked = await atp.ask_common(tx, stocked)
        waiting = await ahead.queue_ahead_of(tx, stocked) if reference.sells_ahead else None
        rows = await asked.common.fetchall()
        besides = list(await asked.expired.fetchall())
        if waiting is not None:
            besides += [(sku, place, -units) for sku, place, units in await waiting.fetchall()]
    columns = {sku: [0] * len(index) for sku in stocked}
    known: tuple[list[int], list[int | None]] = (
        [],
        [],
    )  # places of the row before, and where they are: mostly the same
    for sku, places, free in rows:
        if places != known[0]:
            known = places, [index.get(place) for place in places]
        column = columns[sku]
        for at, units in zip(known[1], free, strict=True):
            if units and at is not None:
                column[at] = units
    for sku, place, units in besides:
        if place in index:
            columns[sku][index[place]] += units
    reference.leave_frozen(columns)
    return {sku: [max(0, units) for units in column] for sku, column in columns.items()}


def with_goods(reference: Reference, request: Request) -> Request:
    """Return a basket with what terms look at of its lines; `reference.learn_kinds` comes first."""
    worth = {x.line: ((x.sku_id, *(sku for sku, _ in x.components or ())), None) for x in request.lines}
    return msgspec.structs.replace(request, goods=reference.goods(worth))


Planner = Callable[[Request], tuple[Plan, list[str]]]


async def planner(
    tx: Tx,
    reference: Reference,
    taker: Taker,
    stocked: Sequence[int],
    now: datetime,
    postal_code: str | None = None,
    goods: Sequence[int] = (),
    value: int | None = None,
) -> tuple[Planner, dict[int, list[int]]]:
    """Read what is there for a taker; return what plans a basket on it as intake would, with the caps in the way.

    With it comes the common stock it plans on. Baskets planned one after the other do not take units from each other.
    `goods` are the SKUs that are sold, kits among them: routing rules may ask what they are, and what the order would
    come to (`value`; None: not known).
    """
    await reference.learn_goods(tx, goods)
    places = sorted(reference.network.location_ids)
    there, standing = await _there(tx, reference, taker, stocked, places, now)
    free = reference.grid(
        stocked, [(sku, *row) for sku in stocked for row in zip(places, there.available[sku], strict=True)]
    )
    touched = rules.touches(reference.allotments, taker.channel_id, stocked)
    await reference.learn_kinds(tx, stocked)

    def plan(request: Request) -> tuple[Plan, list[str]]:
        request = with_goods(reference, request)
        if reference.rules is not None:
            under = ruled.of_basket(reference, taker, request, postal_code or request.to_cep, value)
            request = msgspec.structs.replace(request, under=under)
        if not touched:
            return routing.plan(request, reference.network, free, reference.taken, reference.prices), []
        allotting = Allotting(reference, now)
        allotting.stand(standing)
        return allotting.plan(taker, request, free, reference.taken, reference.prices)

    return plan, free


async def check(
    tx: Tx,
    reference: Reference,
    taker: Taker,
    request: Request,
    cards: Sequence[Card],
    now: datetime,
    *,
    postal_code: str | None = None,
    value: int | None = None,
) -> tuple[dict[int, int], dict[int, tuple[int, date]], list[str]]:
    """Plan a basket as intake would, and return by line the units that find a place, and those that find supply.

    With those comes the last day they are there; the codes are of caps in the way. `postal_code` and `value`, what the
    order would come to, are what routing rules may ask of it.
    """
    stocked = sorted({part for card in cards for part in card.stocked})
    goods = [card.id for card in cards]
    await reference.learn_kinds(tx, goods)
    decide, free = await planner(tx, reference, taker, stocked, now, postal_code, goods, value)
    plan, cut = decide(request)
    if reference.rules is not None:
        under = ruled.of_basket(reference, taker, request, postal_code or request.to_cep, value)
        request = msgspec.structs.replace(request, under=None if under is None else under.after(plan))
    waits = ruled.ending_of(plan) is Unfilled.QUEUE  # nothing of it is sold ahead
    found: dict[int, int] = {}
    for line, _, quantity in plan.assignments:
        found[line] = found.get(line, 0) + quantity
    covering = Covering(reference.network, now)
    wanted: dict[int, Wanted] = {}
    for n, missing in plan.unplaced if reference.sells_ahead and not waits else ():
        card = cards[n - 1]
        want = covering.wanted(card, missing, taker.channel_id)
        if want is not None:
            covering.add(card, taker.channel_id)
            wanted[n] = want
    ahead: dict[int, tuple[int, date]] = {}
    if wanted:
        await covering.ask(tx)
        await covering.answer()
        lines = [line for line in request.lines if line.line in wanted]
        rest = msgspec.structs.replace(request, lines=lines)
        there = left_of_kits(reference.network.location_ids, free, request, plan, lines)
        claims, passed = await within_caps(tx, reference, taker, covering, rest, wanted, (request, plan), there)
        cut = sorted({*cut, *passed})
        for n, units in by_line(claims).items():
            own = [claim for claim in claims if claim.line == n]
            ahead[n] = units, max(max(claim.eta, claim.not_before or claim.eta) for claim in own)
    return found, ahead, cut


async def within_caps(
    tx: Tx,
    reference: Reference,
    taker: Taker,
    covering: Covering,
    request: Request,
    wanted: Mapping[int, Wanted],
    placed: tuple[Request, Plan],
    there: There,
) -> tuple[list[NewClaim], list[str]]:
    """Return claims on supply that caps let through beside what is `placed`, and the codes of caps in the way."""
    allotting = Allotting(reference, await tx.now())
    skus = {sku for line in placed[0].lines for sku, _ in line.components or ((line.sku_id, 1),)}
    if rules.touches(reference.allotments, taker.channel_id, skus):
        allotting.add(taker, skus)
    if not allotting.counters:
        return covering.plan(request, wanted, None, there), []
    room = await allotments.queue_room(tx, allotting.counters)
    allotting.stand(Standing({}, {(cap, sku): left for cap, sku, left in await room.fetchall()}))
    return allotting.cover(taker, request, wanted, covering, allotting.wanted(*placed), there)


def basket_request(
    order_id: UUID, taker: Taker, lines: Sequence[tuple[Card, int]], *, to_state: str | None, pickup: int | None
) -> Request:
    """Return what intake would ask of routing for a basket."""
    return Request(
        order_id=order_id,
        channel_id=taker.channel_id,
        method="ship" if pickup is None else "pickup",
        pickup_location_id=pickup,
        to_state=to_state,
        lines=[
            RequestLine(n, card.id, quantity, card.grams, card.components)
            for n, (card, quantity) in enumerate(lines, 1)
        ],
    )
