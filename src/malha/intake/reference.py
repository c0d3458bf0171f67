"""Reference data as the gate keeps it between batches: network, channels, SKUs and how full days are.

Ids never change once given, so stale data can cost a hold or a dearer parcel, never a wrong claim. `Cache.current`
compares revision numbers at most every `REFRESH_SECONDS` and swaps the whole `Reference`, so one batch sees one
network.
"""

import asyncio
import copy
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import msgspec
import structlog

from malha.capacity import picking as pick
from malha.capacity import service as capacity
from malha.catalog import reads as catalog
from malha.catalog import trait_reads as traits
from malha.catalog.trait_reads import NO_TRAITS, Traits
from malha.intake import loads, reads
from malha.intake.loads import NO_LOAD, FilledCalendar, Given, Load
from malha.intake.model import NewOrder
from malha.inventory.ahead import reads as ahead
from malha.inventory.ahead.model import Policy
from malha.inventory.allotments import reads as allotments
from malha.inventory.allotments.model import Allotments
from malha.inventory.counts import reads as counts
from malha.inventory.counts.reads import NOT_FROZEN, Frozen
from malha.network import reads as network
from malha.network import retailer
from malha.network.calendar import Calendar
from malha.network.model import Channel, LocationStatus
from malha.network.snapshot import NetworkSnapshot
from malha.network.tariff import billable_grams
from malha.ordering.model import Line
from malha.platform.db import Database, Tx
from malha.promising import reads as promised_days
from malha.promising.foretelling import LearnedDays
from malha.promising.lived import LOST
from malha.routing import cost_reads, price_reads
from malha.routing.lanes import compile_network
from malha.routing.model import StockPrices
from malha.routing.ruling import reads as ruling
from malha.routing.ruling.model import Traits as RuleTraits
from malha.routing.ruling.planning import Rules
from malha.routing.terms import NO_TERMS, Goods, Terms

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 0.5
LOOK_AGAIN_SECONDS = 0.1  # for names that are not known: whoever makes them up has the database asked no more often
WAITING_SECONDS = 5.0  # between two looks at how much work waits: a band of it is an hour's or more
_SOON = timedelta(days=1)  # what is released later finds another queue
MAX_CARDS = 500_000
MUCH_CLAIMED = 5_000  # orders or units
COUNT_RESTS = 10  # times as long as counting took, where much is

__all__ = ["Cache", "Card", "Channel", "Reference"]


class Card(msgspec.Struct, frozen=True):
    """What intake needs of a SKU. `grams` is billable weight; `components` are (sku_id, per kit); None if plain."""

    id: int
    name: str
    grams: int
    components: tuple[tuple[int, int], ...] | None
    stocked: tuple[int, ...]  # the SKU itself, or its components: what balances exist for
    ahead: tuple[Policy, ...] = ()  # what of it may be sold before it is there; the first that fits the channel counts
    parts_ahead: Mapping[int, tuple[Policy, ...]] = {}  # of a kit: the same of its components


class Reference:
    """One revision of everything a batch needs."""

    __slots__ = (
        "_count_again",
        "_filled",
        "_homes",
        "_loads",
        "_prices",
        "_slotted",
        "_waiting_again",
        "allotments",
        "calendars",
        "channel_codes",
        "channels",
        "details",
        "frozen",
        "kinds",
        "known",
        "labelled",
        "learned",
        "loaded",
        "location_codes",
        "locations",
        "network",
        "picking",
        "priorities",
        "rules",
        "sells_ahead",
        "services",
        "shipping",
        "snapshot",
        "taken",
        "traits",
        "waiting",
        "waiting_at",
        "zone",
    )

    def __init__(
        self,
        snapshot: NetworkSnapshot,
        known: dict[str, Card],
        in_force: Allotments,
        prices: StockPrices | None,
        *,
        learned: LearnedDays | None = None,
        sells_ahead: bool = False,
        terms: Terms = NO_TERMS,
        rules: Rules | None = None,
        frozen: Frozen = NOT_FROZEN,
        picking: Mapping[int, pick.Picking] | None = None,
        zone: ZoneInfo,
    ) -> None:
        self.zone = zone  # the retailer's
        self.picking = picking or {}  # by location, of those that state picking slots
        self.snapshot = snapshot
        self.rules = rules  # None: no order is asked about rules
        self.traits: dict[int, RuleTraits] = {}  # of the catalogue's revision, where conditions of rules ask for them
        self.allotments = in_force
        self.frozen = frozen  # goods whose zone is being counted, with the locations: nothing of them is sold
        self._prices = prices
        self.learned = learned
        self.sells_ahead = sells_ahead  # whether any SKU has a policy: most retailers are not asked further
        self.network = compile_network(snapshot, terms)
        self.kinds: dict[int, Traits] = {}  # what SKUs are, where terms ask for it
        self.channels = {c.code: c for c in snapshot.channels.values()}
        self.channel_codes = {c.id: c.code for c in snapshot.channels.values()}
        self.priorities = {c.code: c.priority for c in snapshot.channels.values()}
        self.services = {s.code: s.id for s in snapshot.services.values() if s.active}
        self.labelled = {s.id for s in snapshot.services.values() if s.channel_label}
        self.shipping = snapshot.offered_services()
        self.locations = dict(snapshot.location_ids)
        self.details = [snapshot.locations[id_] for id_ in self.network.location_ids]
        self._slotted = {
            id_: pick.PickingCalendar(x, snapshot.closures.get(id_, frozenset())) for id_, x in self.picking.items()
        }
        self._filled = {
            x.id: FilledCalendar(x, snapshot.closures.get(x.id, frozenset()))
            for x in snapshot.locations.values()
            if x.daily_capacity is not None and x.id not in self.picking
        }
        own: dict[int, Calendar] = {**self._filled, **self._slotted}
        self.calendars = [own.get(id_, snapshot.calendars[id_]) for id_ in self.network.location_ids]
        self.location_codes = [snapshot.locations[id_].code for id_ in self.network.location_ids]
        self.known = known  # cards by SKU, shared by the references of one catalogue revision
        self.taken = [0] * len(self.network.location_ids)
        self.loaded = 0  # how often it was found that days or slots have other room than before
        self._loads: dict[int, Load] = {}  # by the first location of a site
        self._count_again = 0.0
        self.waiting: dict[int, int] = {}  # released work that has not left, by location, where its queue was learned
        self.waiting_at: datetime | None = None  # when that was read
        self._waiting_again = 0.0
        self._homes = {x.id: x.home for x in snapshot.locations.values() if x.site_id is not None}

    @property
    def prices(self) -> StockPrices | None:
        """Return what units are worth where they are; None: nobody says, or it was said too long ago."""
        prices = self._prices
        if prices is None or prices.until is None or prices.until > datetime.now(UTC):
            return prices
        return None

    def day_of(self, at: datetime) -> date:
        """Return which day of the retailer's calendar an instant is on."""
        return at.astimezone(self.zone).date()

    def midnight(self, day: date) -> datetime:
        """Return the instant (UTC) at which a day of the retailer's calendar begins."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC)

    async def _learn_loads(self, tx: Tx, now: datetime) -> None:
        """Read how much of their days locations with a limit have given away."""
        limited = self._filled.keys() | self._slotted.keys()
        began = time.monotonic()
        if began >= self._count_again:
            first = {self._homes.get(id_, id_) for id_ in self._slotted}
            given = await loads.given(tx, limited, first, now)
            self.count(given, now)
            ended = time.monotonic()
            # Where much is claimed, counting it must not be all that the database does.
            much = sum(row.work for row in given if row.claimed) > MUCH_CLAIMED
            self._count_again = ended + COUNT_RESTS * (ended - began) if much else ended

    def count(self, given: Iterable[Given], now: datetime) -> None:
        """State what work locations with a limit have from an instant on; those of a site count together."""
        homes = self._homes
        found: dict[int, Load] = {}
        for home, rows in loads.by_site(given, homes).items():
            calendar = self._slotted.get(home, self.snapshot.calendars[home])
            found[home] = loads.load_of(calendar, self._limit_of(home), rows, now)
        if found == self._loads:
            return
        self._loads = found
        self.loaded += 1
        self.taken = [found.get(homes.get(id_, id_), NO_LOAD).taken for id_ in self.network.location_ids]
        for id_, filled in self._filled.items():
            filled.load = found.get(homes.get(id_, id_), NO_LOAD)
        for id_, slotted in self._slotted.items():
            slotted.given = found.get(homes.get(id_, id_), NO_LOAD).full

    def _limit_of(self, home: int) -> Callable[[date], int | None]:
        """Return how much a location takes on a day."""
        stated = self.picking.get(home)
        if stated is not None:
            return stated.quota
        most = self.snapshot.locations[home].daily_capacity
        return lambda _day: most

    async def learn_work(self, tx: Tx) -> None:
        """Read what work locations have: which days and slots are full, and how much waits."""
        await self.learn_full(tx)
        await self.learn_waiting(tx)

    async def learn_waiting(self, tx: Tx) -> None:
        """Read how much work waits where learned days go by it; nothing is asked where they do not."""
        queues = {} if self.learned is None else self.learned.queues
        if not queues or (self.waiting_at is not None and time.monotonic() < self._waiting_again):
            return
        places = sorted({place for place, _ in queues})
        found = dict.fromkeys(places, 0) | dict(await tx.tuples(loads.WAITING, {"locations": places, "lost": LOST}))
        self.loaded += any(
            queue.band(found[place]) != queue.band(self.waiting.get(place, 0)) for (place, _), queue in queues.items()
        )
        self.waiting = found
        self.waiting_at = await tx.now()
        self._waiting_again = time.monotonic() + WAITING_SECONDS

    def waiting_there(self, location_id: int, released_at: datetime) -> int | None:
        """Return how much work waits at a location before what is released at an instant; None: nobody knows."""
        if self.waiting_at is None or released_at > self.waiting_at + _SOON:
            return None
        return self.waiting.get(location_id)

    async def learn_full(self, tx: Tx) -> None:
        """Read which days and picking slots are full: goods are ready on the first that is not, or when it ends.

        Nothing is asked where no location has a limit.
        """
        if not self._filled and not self._slotted:
            return
        now = await tx.now()
        await self._learn_loads(tx, now)
        if not self.picking:
            return
        homes = {id_: x.place.home for id_, x in self.picking.items()}
        full = await pick.full(tx, set(homes.values()), now)
        for id_, calendar in self._slotted.items():
            slots = full.get(homes[id_], {})
            self.loaded += slots != calendar.full
            calendar.full = slots

    def under(
        self,
        in_force: Allotments,
        frozen: Frozen,
        prices: StockPrices | None,
        learned: LearnedDays | None,
        rules: Rules | None,
    ) -> "Reference":
        """Return the same with other allotments, freezes, prices, days and rules; a batch keeps the one it has."""
        other = copy.copy(self)
        other.allotments = in_force
        other.frozen = frozen
        other._prices = prices  # noqa: SLF001  (its own kind)
        other.learned = learned
        other.waiting_at = None  # not read yet for these days
        other.rules = rules
        return other

    def apart(self) -> "Reference":
        """Return the same with a memory of SKUs of its own: a walk through all of them leaves nothing behind."""
        other = copy.copy(self)
        other.known = {}
        return other

    async def learn_goods(self, tx: Tx, sku_ids: Collection[int]) -> None:
        """Read what rules ask of goods, where they ask, and it is not in memory."""
        if self.rules is not None and self.rules.asks_goods:
            missing = [sku for sku in sku_ids if sku not in self.traits]
            if missing:
                if len(self.traits) > MAX_CARDS:
                    self.traits.clear()
                self.traits |= await ruling.traits(tx, missing)

    async def cards(self, tx: Tx, codes: Collection[str]) -> dict[str, Card]:
        """Return the active SKUs among `codes`; reads only what is not in memory. Unknown ones are absent."""
        known = self.known
        missing = [code for code in codes if code not in known]
        if missing:
            if len(known) > MAX_CARDS:
                known.clear()
            found = [v for v in await catalog.by_skus(tx, missing) if v.active]
            ids = {v.id for v in found} | {c.sku_id for v in found if v.is_kit for c in v.components}
            policies = await ahead.policies(tx, sorted(ids)) if self.sells_ahead else {}
            for v in found:
                components = tuple((c.sku_id, c.quantity) for c in v.components) if v.is_kit else None
                grams = billable_grams(v.weight_grams, v.length_mm, v.width_mm, v.height_mm)
                stocked = tuple(part for part, _ in components) if components else (v.id,)
                parts = {sku: policies[sku] for sku, _ in components or () if sku in policies}
                known[v.sku] = Card(v.id, v.name, grams, components, stocked, policies.get(v.id, ()), parts)
        cards = {code: known[code] for code in codes if code in known}
        parts_of_all = {part for card in cards.values() for part in card.stocked}
        await self.learn_for_rules(tx, [card.id for card in cards.values()], parts_of_all)
        return cards

    async def learn_for_rules(self, tx: Tx, sold: Collection[int], stocked: Collection[int]) -> None:
        """Read what rules ask of goods that are sold, and which vendors send what is stocked, where it is unknown."""
        if self.rules is not None:
            await self.learn_goods(tx, sold)
            await ruling.learn_vendors(tx, self.rules, stocked)

    def knows_for_rules(self, sold: Collection[int], stocked: Collection[int]) -> bool:
        """Tell whether `learn_for_rules` would read nothing."""
        rules = self.rules
        return rules is None or (
            (not rules.asks_goods or all(sku in self.traits for sku in sold))
            and (not rules.asks_vendors or all(sku in rules.vendors.offers for sku in stocked))
        )

    async def weights(self, tx: Tx, sku_ids: Collection[int]) -> dict[int, int]:
        """Return the billable grams of SKUs by id."""
        return {
            v.id: billable_grams(v.weight_grams, v.length_mm, v.width_mm, v.height_mm)
            for v in await catalog.by_ids(tx, list(sku_ids))
        }

    async def learn_kinds(self, tx: Tx, sku_ids: Iterable[int]) -> None:
        """Read what goods are, as far as the retailer's terms ask for it and it is not known yet."""
        if not self.network.terms.asks_goods:
            return
        missing = sorted({sku for sku in sku_ids if sku not in self.kinds})
        if missing:
            if len(self.kinds) > MAX_CARDS:
                self.kinds.clear()
            self.kinds.update(await traits.traits(tx, missing))

    def goods(self, worth: Mapping[int, tuple[Sequence[int], int | None]]) -> dict[int, Goods] | None:
        """Return what terms look at of lines, by line: of its SKU, then a kit's components, and a unit's centavos.

        Without an amount, the SKU's reference price counts. None: terms look at nothing. `learn_kinds` comes first.
        """
        if not self.network.terms.asks_goods:
            return None
        found = {}
        for line, (skus, value) in worth.items():
            known = [self.kinds.get(sku, NO_TRAITS) for sku in skus]
            named = tuple(dict.fromkeys(one for own in known for one in own.named))
            found[line] = Goods(known[0].price if value is None else value, known[0].ncm, named)
        return found

    async def goods_sold(
        self, tx: Tx, lines: Sequence[Line], parts: Mapping[int, Sequence[int]]
    ) -> dict[int, Goods] | None:
        """Return what terms look at of lines of an order that is there. `parts` are their components' SKUs, by line."""
        if not self.network.terms.asks_goods:
            return None
        own = {line.line: (line.sku_id, *parts.get(line.line, ())) for line in lines if line.sku_id is not None}
        await self.learn_kinds(tx, (sku for skus in own.values() for sku in skus))
        return self.goods(
            {line.line: (own[line.line], line.total // line.quantity) for line in lines if line.line in own}
        )

    def grid(self, sku_ids: Sequence[int], balances: Sequence[tuple[int, ...]]) -> dict[int, list[int]]:
        """Lay (sku, location, free) rows out as one list per SKU in the network's order of locations."""
        index = self.network.index
        empty = [0] * len(index)
        free = {sku: empty.copy() for sku in sku_ids}
        for sku, location, units in balances:
            if location in index:
                free[sku][index[location]] = max(0, units)
        self.leave_frozen(free)
        return free

    def grid_by_sku(
        self, sku_ids: Sequence[int], columns: Iterable[tuple[int, list[int], list[int]]]
    ) -> dict[int, list[int]]:
        """Lay (sku, locations, free units there) out as `grid` does; the lists of units may become those returned."""
        index = self.network.index
        everywhere = list(index)
        empty = [0] * len(everywhere)
        free = dict.fromkeys(sku_ids, empty)
        for sku, locations, units in columns:
            if locations == everywhere:
                free[sku] = units
            else:
                free[sku] = column = empty.copy()
                for location, count in zip(locations, units, strict=True):
                    if location in index:
                        column[index[location]] = count
        for sku, column in free.items():
            if column is empty:
                free[sku] = empty.copy()
        self.leave_frozen(free)
        return free

    def leave_frozen(self, free: dict[int, list[int]]) -> None:
        """Take out of columns by SKU, in the network's order of locations, what stands still for a count."""
        index = self.network.index
        for sku in free.keys() & self.frozen.keys():
            for location in self.frozen[sku] & index.keys():
                free[sku][index[location]] = 0


class Cache:
    """Holds the current `Reference` of one process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._reference: Reference | None = None
        self._revisions = reads.Revisions(-1, -1, -1, -1, -1, -1, -1)
        self._checked = 0.0
        self._looked = 0.0  # when that was last begun, whatever came of it
        self._lock = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None

    async def current(self) -> Reference:
        """Return the reference data, at most `REFRESH_SECONDS` old."""
        if self._reference is None or self.age > REFRESH_SECONDS:
            # One at a time: a second load beside the first would take its new revisions for those of the old data.
            async with self._lock:
                if self._reference is None or self.age > REFRESH_SECONDS:
                    await self._look()
        return cast("Reference", self._reference)

    def knows(self, order: NewOrder) -> bool:
        """Return whether the channel, the service and the place to collect that an order names are known.

        SKUs are not kept for good: one that is not known is asked for with the order.
        """
        kept = self._reference
        if kept is None:
            return False
        channel = kept.channels.get(order.channel)
        return (
            channel is not None
            and channel.active
            and (order.service is None or order.service in kept.services)
            and (order.method != "pickup" or order.pickup_location in kept.locations)
        )

    async def anew(self) -> None:
        """Look at the database again, for who came before this: what is not known may have been made a moment ago.

        All who wait share a look, and there is one every `LOOK_AGAIN_SECONDS` at most.
        """
        asked = time.monotonic()
        while self._checked < asked:
            await asyncio.sleep(max(0.0, self._looked + LOOK_AGAIN_SECONDS - time.monotonic()))
            async with self._lock:
                if self._checked < asked and time.monotonic() - self._looked >= LOOK_AGAIN_SECONDS:
                    await self._look()

    async def _look(self) -> None:
        self._looked = began = time.monotonic()
        async with self._db.transaction() as tx:
            self._reference = await self._load(tx)
        self._checked = began

    async def recent(self, oldest_s: float) -> Reference:
        """Return reference data that may be `oldest_s` old, and have it renewed meanwhile: hardly anybody waits."""
        if self._reference is None or self.age > oldest_s:
            return await self.current()
        if self.age > REFRESH_SECONDS and (self._renewing is None or self._renewing.done()):
            self._renewing = asyncio.get_running_loop().create_task(self._renew())
        return self._reference

    async def _renew(self) -> None:
        try:
            await self.current()
        except Exception as error:  # noqa: BLE001 -- what is too old is asked for again by who needs it
            log.warning("reference_not_renewed", error=str(error))

    async def close(self) -> None:
        """End what is renewed meanwhile."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    @property
    def checked(self) -> float:
        """Return when it was compared with the database, on the monotonic clock."""
        return self._checked

    @property
    def age(self) -> float:
        """Return how many seconds ago it was compared with the database."""
        return time.monotonic() - self._checked

    def expire(self) -> None:
        """Look again at the next use: a claim found that what is kept is old."""
        self._checked = 0.0

    async def _load(self, tx: Tx) -> Reference:
        revisions = await reads.revisions(tx)
        old, before = self._reference, self._revisions
        if old is not None and (revisions[:2], revisions.capacity) == (before[:2], before.capacity):
            await old.learn_work(tx)
            if revisions == before:
                return old
            found = old.under(
                await allotments.load(tx),
                await counts.frozen_goods(tx),
                await price_reads.in_force(tx),
                await promised_days.in_force(tx),
                old.rules if revisions.rules == before.rules else await ruling.in_force(tx, old.snapshot),
            )
            await found.learn_waiting(tx)
        else:
            cards = old.known if old is not None and revisions[1] == before[1] else {}
            found = await _read(tx, cards)
        self._revisions = revisions  # not before: a load that fails has learned nothing
        return found


async def _read(tx: Tx, cards: dict[str, Card]) -> Reference:
    in_force = await allotments.load(tx)
    prices = await price_reads.in_force(tx)
    learned = await promised_days.in_force(tx)
    sells_ahead = await ahead.any_policy(tx)
    frozen = await counts.frozen_goods(tx)
    snapshot = _standing_still(await network.snapshot(tx), await counts.frozen_places(tx))
    picking = await pick.stated(tx, snapshot.locations.values())
    snapshot = await _with_picking(tx, snapshot, picking)
    terms = await cost_reads.terms(tx, snapshot)
    rules = await ruling.in_force(tx, snapshot)
    found = Reference(
        snapshot, cards, in_force, prices, learned=learned, sells_ahead=sells_ahead, terms=terms, rules=rules,
        frozen=frozen, picking=picking, zone=await retailer.zone(tx),
    )  # fmt: skip
    await found.learn_work(tx)
    return found


def _standing_still(snapshot: NetworkSnapshot, frozen: Collection[int]) -> NetworkSnapshot:
    """Return a network in which locations that a count froze are paused, whatever became of their own pause."""
    if not frozen:
        return snapshot
    paused = {
        id_: msgspec.structs.replace(place, status=LocationStatus.PAUSED, paused_until=None)
        for id_ in frozen
        if (place := snapshot.locations[id_]).status is not LocationStatus.CLOSED
    }
    return msgspec.structs.replace(snapshot, locations=snapshot.locations | paused)


async def _with_picking(tx: Tx, snapshot: NetworkSnapshot, picking: Mapping[int, pick.Picking]) -> NetworkSnapshot:
    """Return a network in which locations that state picking slots have what those take as their capacity.

    That is on the working day of what is released now.
    """
    if not picking:
        return snapshot
    now = await tx.now()
    days = {
        id_: Calendar(x.place, snapshot.closures.get(id_, frozenset()), by_slots=True).due_day(now)
        for id_, x in picking.items()
    }
    today = {
        id_: msgspec.structs.replace(x.place, daily_capacity=x.limit(days[id_] or capacity.today_at(x.place, now)))
        for id_, x in picking.items()
    }
    return msgspec.structs.replace(snapshot, locations=snapshot.locations | today)


_shared: dict[tuple[str, str], tuple[reads.Revisions, Reference]] = {}


async def reference_in(tx: Tx) -> Reference:
    """Return the reference data as this transaction sees it, for use outside the gate."""
    # Kept per database, by revision: a sweep over many orders reads the network once.
    info = tx.connection.info
    key = (f"{info.host}:{info.port}/{info.dbname}", tx.retailer)
    revisions = await reads.revisions(tx)
    kept = _shared.get(key)
    if kept is None or kept[0] != revisions:
        kept = revisions, await _read(tx, {})
        _shared[key] = kept
    else:
        await kept[1].learn_work(tx)
    return kept[1]
