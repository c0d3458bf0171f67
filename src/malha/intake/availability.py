"""What a channel may sell now (available to promise): per SKU and location, and of a whole basket.

Common stock, the channel's fences and what it may borrow, cut down to what caps let through, at the locations that may
serve the channel. Kits are counted from their components, at one location each. What is *published* keeps back what
safety rules say for the channel; what is *available* is what an order may have. Nothing is held by asking.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from itertools import compress
from typing import Any, NamedTuple

import msgspec

from malha.intake import beyond, dropping, ruled
from malha.intake.allotting import Allotting
from malha.intake.covering import Capped, Covering, by_line
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
from malha.promising.model import NotPromised
from malha.routing import rules as routing
from malha.routing.lanes import barred
from malha.routing.model import Plan, Request, RequestLine

NEARLY_ALL = 0.8  # of the locations: where so many are wanted, none is looked up among them

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


# An answer may have ten thousand of them, which the collector need not walk.
class OfferAt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What may be sold of one SKU at one location, by its index: (index, available, published)."""

    location: int
    available: int
    published: int


class Offer(msgspec.Struct, frozen=True):
    """What may be sold of one SKU. `at` has a row for every location with units: (its index, available, published).

    `ahead`: beyond what is available, what may be promised from supply, by day.
    `substitutes` are what the product names and the channel may sell now; looked for where nothing is available.
    """

    sku: str
    available: int
    published: int
    at: list[OfferAt]
    caps: list[str]  # codes of caps that leave less than is there
    ahead: list[AheadOffer] = []
    substitutes: list[Substitute] = []


class Availability(msgspec.Struct, frozen=True):
    """What a channel may sell of some SKUs. `locations` are codes; offers refer to them by index."""

    channel: str
    customer_group: str | None
    locations: list[str]
    skus: list[Offer]
    most_units: int | None = None  # of one SKU in one order; an order for more waits for a person. None: any quantity


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
    """Whether an order for the whole basket would find all its units now; `covered`: now or from supply.

    With `reasons` it is neither, whatever its lines say: its order would wait for a person and claim nothing.
    """

    available: bool
    lines: list[BasketLine]
    caps: list[str]
    covered: bool = False
    reasons: list[NotPromised] = []


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
    return Availability(channel.code, customer_group, codes, rows, channel.most_units)


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
    covering = await _covering(tx, reference, Taker(channel.id), list(cards.values()), now)
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
        everywhere = len(ids) >= NEARLY_ALL * len(reference.network.places)
        asked = await atp.ask(tx, stocked, ids, taker.channel_id, everywhere=everywhere)
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
    columns = atp.columns(rows, stocked, position)
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
        for cap, kits in self._shared(card.components or ()):
            whole, most = _let_through(whole, self._ids, cap, kits)
            seen, _ = _let_through(seen, self._ids, cap, kits)
            if most is not None:
                cut.add(cap.code)
                limit = min(limit, most)
        rows = list(compress(map(OfferAt, range(len(whole)), whole, seen), whole))
        return Offer(sku, min(limit, sum(whole)), min(limit, sum(seen)), rows, sorted(cut))

    def _shared(self, components: Sequence[tuple[int, int]]) -> list[tuple[Cap, int]]:
        """Return the caps on which several components of a kit count together, with the kits they let through."""
        found = []
        for cap in self._caps:
            counted = [per for part, per in components if cap.counts(part)]
            if len(counted) > 1 and not cap.per_sku:
                left = self._standing.room.get(cap.counter(components[0][0]), cap.quota)
                found.append((cap, max(0, left) // sum(counted)))
        return found

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

    def beside(self, card: Card) -> list[Capped]:
        """Return what caps let through beside what is available, of all the components of a kit that count together."""
        left = self.left(card)
        sold: dict[int, Column] = {}
        for sku in card.stocked:
            column = self._there.available.get(sku, [0] * len(self._ids))
            kept = left.get(sku, {})
            sold[sku] = [units - kept.get(place, 0) for place, units in zip(self._ids, column, strict=True)]
        found = []
        for cap in self._caps:
            together: dict[tuple[int, int], list[int]] = {}
            for sku in sold:
                if cap.counts(sku):
                    together.setdefault(cap.counter(sku), []).append(sku)
            inside = [n for n, place in enumerate(self._ids) if cap.locations_count(place)]
            for counter, skus in together.items():
                units = self._standing.room.get(counter, cap.quota) - sum(sold[sku][n] for sku in skus for n in inside)
                found.append(Capped(frozenset(skus), cap.locations, max(0, units)))
        return found

    def _capped(self, sku: int, column: Column) -> tuple[Column, int, set[str]]:
        """Return a column cut to what caps let through at one place, the most over all, and the caps that cut."""
        total = sum(column)
        cut: set[str] = set()
        for cap in self._caps:
            if not cap.counts(sku):
                continue
            left = max(0, self._standing.room.get(cap.counter(sku), cap.quota))
            column, most = _let_through(column, self._ids, cap, left)
            if most is not None:
                cut.add(cap.code)
                total = min(total, most)
        return column, total, cut


def _let_through(column: Column, ids: Sequence[int], cap: Cap, left: int) -> tuple[Column, int | None]:
    """Return a column cut to what a cap lets through at one place, and the most over all; None: it cuts nothing."""
    counted = [cap.locations_count(id_) for id_ in ids]
    inside = sum(units for units, counts in zip(column, counted, strict=True) if counts)
    if inside <= left:
        return column, None
    cut = [min(units, left) if counts else units for units, counts in zip(column, counted, strict=True)]
    return cut, sum(column) - inside + left


class ToCome(NamedTuple):
    """Supply of a SKU that may be promised from, and what policies let through: rows as `Covering.stand` takes them."""

    lines: tuple[tuple[int, int, int, date, int, int], ...] = ()  # (id, sku, location, day, expected, promised)
    room: tuple[tuple[int, int], ...] = ()  # (policy, units)

    def up_to(self, units: int) -> tuple[Any, ...]:
        """Return the same as far as it matters to who wants so many units."""
        lines = [(id_, place, eta, min(expected - sold, units)) for id_, _, place, eta, expected, sold in self.lines]
        return tuple(lines), tuple([(policy, min(left, units)) for policy, left in self.room])


NOTHING_TO_COME = ToCome()


async def common_stock(
    tx: Tx, reference: Reference, stocked: Sequence[int]
) -> tuple[dict[int, Column], dict[int, ToCome]]:
    """Return what anybody may claim outside of fences by SKU, in the network's order of locations; and what is to come.

    As `planner` reads it; lean, because product pages ask it again and again. SKUs of which nothing is to come are
    absent there.
    """
    index = reference.network.index
    to_come = None
    async with tx.pipeline():
        asked = await atp.ask_common(tx, stocked)
        waiting = await ahead.queue_ahead_of(tx, stocked) if reference.sells_ahead else None
        if reference.sells_ahead:
            to_come = await ahead.queue_to_come(tx, stocked)
        rows = await asked.common.fetchall()
        besides = list(await asked.expired.fetchall())
        if waiting is not None:
            besides += [(sku, place, -units) for sku, place, units in await waiting.fetchall()]
        supply = ([], []) if to_come is None else (await to_come[0].fetchall(), await to_come[1].fetchall())
    columns = atp.columns(rows, stocked, index)
    for sku, place, units in besides:
        if place in index:
            columns[sku][index[place]] += units
    reference.leave_frozen(columns)
    return {sku: [max(0, units) for units in column] for sku, column in columns.items()}, _to_come(*supply)


def _to_come(lines: Sequence[tuple[Any, ...]], room: Sequence[tuple[Any, ...]]) -> dict[int, ToCome]:
    """Return by SKU what is to come, of SKUs that somebody may sell ahead."""
    by_sku: dict[int, tuple[list[Any], list[Any]]] = {}
    for sku, policy, left in room:
        by_sku.setdefault(sku, ([], []))[1].append((policy, left))
    for line in lines:
        if line[1] in by_sku:
            by_sku[line[1]][0].append(line)
    return {sku: ToCome(tuple(own), tuple(sorted(by))) for sku, (own, by) in by_sku.items() if own}


def with_goods(reference: Reference, request: Request) -> Request:
    """Return a basket with what terms look at of its lines; `reference.learn_kinds` comes first."""
    worth = {x.line: ((x.sku_id, *(sku for sku, _ in x.components or ())), None) for x in request.lines}
    return msgspec.structs.replace(request, goods=reference.goods(worth))


class Planned(NamedTuple):
    """What a basket would get: a plan on stock, claims on supply for what that lacks, and caps in the way.

    `carriage` is how what is sold ahead travels.
    """

    plan: Plan
    claims: list[NewClaim]
    cut: list[str]
    carriage: list[Plan]


Planner = Callable[[Request], Planned]


async def planner(
    tx: Tx,
    reference: Reference,
    taker: Taker,
    cards: Sequence[Card],
    now: datetime,
    postal_code: str | None = None,
    value: int | None = None,
) -> Planner:
    """Read what is there for a taker, and what is to come; return what plans a basket on it as intake would.

    Baskets planned one after the other do not take units from each other. `cards` are the goods of its lines, the first
    of line 1: routing rules may ask what they are, and what the order would come to (`value`; None: not known).
    """
    stocked = sorted({part for card in cards for part in card.stocked})
    await reference.learn_goods(tx, [card.id for card in cards])
    places = sorted(reference.network.location_ids)
    there, standing = await _there(tx, reference, taker, stocked, places, now)
    free = reference.grid(
        stocked, [(sku, *row) for sku in stocked for row in zip(places, there.available[sku], strict=True)]
    )
    touched = rules.touches(reference.allotments, taker.channel_id, stocked)
    await reference.learn_kinds(tx, [*(card.id for card in cards), *stocked])
    covering = await _covering(tx, reference, taker, cards, now)

    def plan(request: Request) -> Planned:
        allotting = None
        if touched:
            allotting = Allotting(reference, now)
            allotting.stand(standing)
        return planned(
            reference, taker, request, cards, free, covering, allotting, postal_code=postal_code, value=value
        )

    return plan


def planned(
    reference: Reference,
    taker: Taker,
    request: Request,
    cards: Sequence[Card],
    free: Mapping[int, Column],
    covering: Covering,
    allotting: Allotting | None = None,
    *,
    postal_code: str | None,
    value: int | None = None,
) -> Planned:
    """Plan a basket on what is there, then on what is to come, as its order would be. `allotting` where it is touched.

    See `planner`; what terms and rules of routing ask of the goods is known.
    """
    request = with_goods(reference, request)
    if reference.rules is not None:
        under = ruled.of_basket(reference, taker, request, postal_code or request.to_cep, value)
        request = msgspec.structs.replace(request, under=under)
    cut: list[str] = []
    if allotting is None:
        plan = routing.plan(request, reference.network, free, reference.taken, reference.prices)
    else:
        plan, cut = allotting.plan(taker, request, free, reference.taken, reference.prices)
    goods = dict(enumerate(cards, 1))
    by = None if allotting is None else taker
    claims, cut = beyond.claims_of(request, plan, goods, covering, free, allotting, by, cut)
    return Planned(plan, claims, cut, covering.carriage if claims else [])


async def _covering(tx: Tx, reference: Reference, taker: Taker, cards: Sequence[Card], now: datetime) -> Covering:
    """Read what is open of the supply of goods that the channel may sell ahead; nearly always nothing is asked."""
    covering = Covering(reference.network, reference.day_of(now))
    if reference.sells_ahead:
        for card in cards:
            covering.add(card, taker.channel_id)
    if covering.skus:
        async with tx.pipeline():
            await covering.ask(tx)
        await covering.answer()
    return covering


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

    Vendors who would send what a routing rule leaves count as supply. With those comes the last day they are there;
    the codes are of caps in the way. `postal_code` and `value`, what the order would come to, are what routing
    rules may ask of it.
    """
    decide = await planner(tx, reference, taker, cards, now, postal_code, value)
    plan, claims, cut, _ = decide(request)
    found: dict[int, int] = {}
    for line, _, quantity in plan.assignments:
        found[line] = found.get(line, 0) + quantity
    known = reference.snapshot
    ahead = {one.line: (one.units, dropping.leaves_on([one], known, now)) for one in dropping.dropped_in(plan)}
    ahead |= {n: (units, last_day(claims, n)) for n, units in by_line(claims).items()}
    return found, ahead, cut


def last_day(claims: Sequence[NewClaim], line: int) -> date:
    """Return the day from which all units of a line that are sold ahead can go on."""
    return max(max(claim.eta, claim.not_before or claim.eta) for claim in claims if claim.line == line)


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
