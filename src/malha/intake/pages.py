"""Promises for product pages: asked far more often than anything changes, and never wrong for longer than they say.

One per process. What is kept is (a) the common stock of SKUs (`intake.shelves`), with the supply they may be sold ahead
from, and (b) answers, each with all it was made from: the reference data (network, catalogue, allotments, prices,
learned days), the minute, how full days and slots are, and of every SKU the units at each location and of its supply
*as far as they matter*, which is up to the units that are asked for. So a sale from a full shelf leaves every answer
standing, and the last unit that goes makes those stale that need it.

An answer says `as_of` since when the oldest of what it rests on is so. SKUs that fences or caps touch go the long way:
their answers depend on who asks and are kept for `FRESH_S` only.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from malha.intake import availability, promised
from malha.intake.availability import Planned
from malha.intake.covering import Covering
from malha.intake.reference import Cache, Card, Channel, Reference
from malha.intake.shelves import FRESH_S, OLDEST_S, Shelves
from malha.inventory.allotments.model import Taker
from malha.inventory.allotments.rules import touches
from malha.network.places import Place
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.promising.model import Collection, Delivery, PageCollection, PageOptions
from malha.routing.model import Request

MOST_ANSWERS = 50_000
MOST_NEAR = 10_000
NO_ORDER = UUID(int=0)  # routing needs an id and decides nothing by it

_encode = msgspec.json.Encoder().encode


class Wish(NamedTuple):
    """What a product page asks: units of one SKU, in a channel, by whom, and where to."""

    channel: Channel
    card: Card
    sku: str
    quantity: int
    customer_group: str | None
    to_state: str | None
    origin: Place | None  # from where places to fetch goods at are near
    postal_code: str | None


class Told(NamedTuple):
    """One answer: JSON of the item, when the oldest of what it rests on was read, and how it was come by."""

    item: bytes
    since: float  # by the monotonic clock
    by: str  # "kept", "planned" (anew), "read" (stock was waited for), "asked" (the long way)


class _Answer(NamedTuple):
    """What was answered, and from what."""

    reference: Reference
    minute: int
    loaded: int
    stock: tuple[Any, ...]
    item: bytes
    made: float


class PromisePages:
    """Answers product pages for one process."""

    def __init__(self, db: Database, cache: Cache) -> None:
        self._db = db
        self._cache = cache
        self._shelves = Shelves(db)
        self._answers: OrderedDict[tuple[Any, ...], _Answer] = OrderedDict()
        self._near: dict[tuple[Any, ...], promised.Near] = {}

    async def close(self) -> None:
        """End the questions that are under way."""
        await self._cache.close()
        await self._shelves.close()

    async def tell(self, wishes_in: Callable[[Reference], Awaitable[Sequence[Wish]]]) -> list[Told]:
        """Return what each wish is promised now; `wishes_in` finds channels and SKUs in reference data, or refuses."""
        while True:
            reference = await self._cache.recent(OLDEST_S)
            checked = self._cache.checked
            wishes = await wishes_in(reference)
            if self._shelves.notice(reference):  # what another network meant is forgotten
                self._answers.clear()
                self._near.clear()
            told = {id(w): too_many for w in wishes if (too_many := _too_many(w, checked)) is not None}
            plain = [
                w
                for w in wishes
                if id(w) not in told and not touches(reference.allotments, w.channel.id, w.card.stocked)
            ]
            skus = {part for w in plain for part in w.card.stocked}
            waited = await self._shelves.have(skus)
            await self._learn(reference, plain)
            if self._shelves.knows(reference, skus):  # else something changed while stock was waited for
                break
        told |= {id(w): self._told(reference, w, checked, waited=waited) for w in plain}
        return [told.get(id(w)) or await self._ask(reference, w, checked) for w in wishes]

    async def _learn(self, reference: Reference, wishes: Sequence[Wish]) -> None:
        """See to it that what terms and rules of routing look at is known of what is asked for."""
        if reference.rules is not None:
            await self._learn_for_rules(reference, wishes)
        if reference.network.terms.asks_goods:
            skus = {sku for w in wishes for sku in (w.card.id, *w.card.stocked)}
            if not skus <= reference.kinds.keys():
                async with self._db.transaction() as tx:
                    await reference.learn_kinds(tx, skus)

    async def _learn_for_rules(self, reference: Reference, wishes: Sequence[Wish]) -> None:
        sold, stocked = {w.card.id for w in wishes}, {sku for w in wishes for sku in w.card.stocked}
        if not reference.knows_for_rules(sold, stocked):
            async with self._db.transaction() as tx:
                await reference.learn_for_rules(tx, sold, stocked)

    def _told(self, reference: Reference, wish: Wish, checked: float, *, waited: bool) -> Told:
        shelves = [self._shelves[part] for part in wish.card.stocked]
        needs = [per * wish.quantity for _, per in wish.card.components or ((wish.card.id, 1),)]
        if len(needs) > 1:  # two components of a kit may be the same SKU
            needs = [sum(needs)] * len(needs)
        kept_back = 0 if reference.rules is None else reference.rules.most_kept
        stock = tuple([shelf.up_to(need + kept_back) for shelf, need in zip(shelves, needs, strict=True)])
        now = datetime.now(UTC)
        minute = int(now.timestamp()) // 60
        key = _key(wish)
        since = min(checked, *(self._shelves.as_of(shelf) for shelf in shelves))
        kept = self._answers.get(key)
        if (
            kept is not None
            and kept.reference is reference
            and kept.minute == minute
            and kept.stock == stock
            and kept.loaded == reference.loaded
        ):
            return Told(kept.item, since, "read" if waited else "kept")
        free = {part: shelf.column for part, shelf in zip(wish.card.stocked, shelves, strict=True)}

        taker = Taker(wish.channel.id, wish.customer_group)
        covering = Covering(reference.network, reference.day_of(now))
        if any(shelf.to_come.lines for shelf in shelves):
            covering.add(wish.card, wish.channel.id)
            by_part = dict(zip(wish.card.stocked, (shelf.to_come for shelf in shelves), strict=True))
            covering.stand(
                [line for part, comes in by_part.items() if part in covering.skus for line in comes.lines],
                [row for comes in by_part.values() for row in comes.room],
            )

        def planner(request: Request) -> Planned:
            return availability.planned(
                reference, taker, request, [wish.card], free, covering, postal_code=wish.postal_code
            )

        item = self._item(reference, wish, planner, now)
        self._keep(key, _Answer(reference, minute, reference.loaded, stock, item, time.monotonic()))
        return Told(item, since, "read" if waited else "planned")

    def _item(self, reference: Reference, wish: Wish, planner: availability.Planner, now: datetime) -> bytes:
        taker = Taker(wish.channel.id, wish.customer_group)
        wanted = [(wish.card, wish.quantity)]
        released = promised.released_at(reference, wish.channel, [wish.card], now)
        return _item_of(
            wish.sku,
            promised.deliveries(
                planner,
                reference,
                taker,
                wanted,
                released,
                id_=NO_ORDER,
                to_state=wish.to_state,
                to_cep=wish.postal_code,
            ),
            promised.collections(
                planner,
                reference,
                wish.channel,
                taker,
                wanted,
                released,
                self._nearest(reference, wish),
                id_=NO_ORDER,
            ),
        )

    def _nearest(self, reference: Reference, wish: Wish) -> promised.Near:
        key = (wish.channel.id, None if wish.origin is None else wish.origin.ibge)
        found = self._near.get(key)
        if found is None:
            if len(self._near) > MOST_NEAR:
                self._near.clear()
            found = self._near[key] = promised.nearest(reference, wish.channel, wish.postal_code)
        return found

    async def _ask(self, reference: Reference, wish: Wish, checked: float) -> Told:
        """Answer by asking the database for what depends on who asks."""
        key = _key(wish)
        kept = self._answers.get(key)
        now = time.monotonic()
        if kept is not None and kept.reference is reference and now - kept.made < FRESH_S:
            return Told(kept.item, min(checked, kept.made), "kept")
        async with self._db.transaction() as tx:
            found = await promised.options(
                tx,
                reference,
                wish.channel,
                [(wish.card, wish.quantity)],
                id_=NO_ORDER,
                to_state=wish.to_state,
                postal_code=wish.postal_code,
                customer_group=wish.customer_group,
            )
        item = _item_of(wish.sku, found.deliveries, found.collections)
        self._keep(key, _Answer(reference, 0, 0, (), item, now))
        return Told(item, min(checked, now), "asked")

    def _keep(self, key: tuple[Any, ...], answer: _Answer) -> None:
        self._answers.pop(key, None)
        self._answers[key] = answer
        while len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)


def _too_many(wish: Wish, checked: float) -> Told | None:
    """Return what is told of more units than the channel takes unasked, whatever is there; None: they are not more.

    It is not kept: it costs nothing, and is in the reader's language.
    """
    reasons = promised.not_promised(wish.channel, [(wish.sku, wish.quantity)])
    if not reasons:
        return None
    return Told(_encode(PageOptions(sku=wish.sku, deliveries=[], collections=[], reasons=reasons)), checked, "planned")


def _item_of(sku: str, deliveries: list[Delivery], collections: Sequence[Collection]) -> bytes:
    """Return an item as it is told. Free slots are not: who books asks with the basket, and gets what is free then."""
    places = [
        PageCollection(**{name: getattr(one, name) for name in PageCollection.__struct_fields__}) for one in collections
    ]
    return _encode(PageOptions(sku=sku, deliveries=deliveries, collections=places))


def _key(wish: Wish) -> tuple[Any, ...]:
    origin = None if wish.origin is None else wish.origin.ibge
    return wish.channel.id, wish.customer_group, wish.sku, wish.quantity, wish.to_state, origin


def as_of(told: Sequence[Told]) -> datetime:
    """Return since when all of some answers were so."""
    at = datetime.now(UTC)  # before the other clock is read: what passes between them makes it older, never younger
    now = time.monotonic()
    return at - timedelta(seconds=now - min((one.since for one in told), default=now))
