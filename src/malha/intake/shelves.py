"""Stock of SKUs as it was read, for product pages: kept in step with the log of events, else read again in time.

While anybody asks, what changed is looked at every `LOOK_S` (`change_reads`): a look names the balances that changed
and what is free there now, so all shelves are as young as the last look, at the cost of what changed. Nothing that was
read once is read again, and a catalogue that fits is read through beforehand, so that hardly anybody waits.

Where the log cannot be followed (more changed than a look tells, the server was started anew, the database is away)
shelves go by their age until a new beginning is made: served up to `OLDEST_S`, and read again ahead of that while they
were asked for lately. So it is, too, where anything is sold ahead: what is to come is not told by the log.

Stock is read for some SKUs at once: one question is under way, those who come meanwhile share the next. Who waits has
a question of its own, which neither waits for what is read ahead nor brings any of it along.
"""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import structlog

from malha.intake import availability
from malha.intake import change_reads as changes
from malha.intake.availability import NOTHING_TO_COME, Column, ToCome
from malha.intake.change_reads import Changes, Mark
from malha.intake.reference import Reference
from malha.inventory.counts.reads import Frozen
from malha.platform.db import Database

log = structlog.get_logger(__name__)

FRESH_S = 0.5  # younger stock is not read again
OLDEST_S = 3.0  # older stock is not served
AHEAD_S = 1.5  # older stock is read ahead of need, if it was asked for in the last `WARM_S`
WARM_S = 30.0
MOST_WARM = 1_000  # SKUs, each time that is looked at
LOOK_S = 0.25
AGAIN_S = 1.0  # until a new beginning, where the log could not be followed
MOST_READ = 32  # SKUs in one question: what comes back must not keep the event loop for long
MOST_SHELVES = 10_000
MOST_CELLS = 1_000_000  # balances of shelves that are read before anybody asks: eight megabytes
REST = 2.0  # between two of those questions, in times that one took
LOOKS_KEPT = 64  # by which what was read meanwhile is brought up to date


class Shelf:
    """What is there and to come of one SKU: when it was asked for, and its short forms.

    `column` has the common stock in the network's order of locations.
    """

    __slots__ = ("asked", "column", "short", "to_come", "used")

    def __init__(self, column: Column, to_come: ToCome, asked: float, used: float) -> None:
        self.column = column
        self.to_come = to_come
        self.asked = asked
        self.used = used
        self.short: dict[int, Any] = {}

    def up_to(self, units: int) -> Any:
        """Return the shelf as far as it matters to who wants so many units."""
        found = self.short.get(units)
        if found is None:
            if units == 1:
                found = bytes([free > 0 for free in self.column])
            else:
                found = tuple([min(free, units) for free in self.column])
            if self.to_come.lines:
                found = found, self.to_come.up_to(units)
            self.short[units] = found
        return found


class _Look(NamedTuple):
    """One look at what changed: its number, when it was begun, and what it found."""

    number: int
    begun: float
    free: list[tuple[int, int, int]]


class Shelves:
    """What one process keeps of stock."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._reference: Any = None  # the one that was seen last
        self._kept: OrderedDict[int, Shelf] = OrderedDict()
        self._urgent: dict[int, None] = {}  # SKUs that somebody waits for
        self._wanted: dict[int, None] = {}  # and those that are read ahead of need
        self._next: asyncio.Future[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ahead: asyncio.Task[None] | None = None
        self._warmer: asyncio.Task[None] | None = None
        self._filler: asyncio.Task[None] | None = None
        self._asked = 0.0  # when anybody asked last
        self._mark: Mark | None = None  # how far the log was followed; None: shelves go by their age
        self._since = 0.0  # what was asked for after this is in step with the log
        self._at = 0.0  # when the last look was begun
        self._again = 0.0  # no new beginning before
        self._looks: deque[_Look] = deque(maxlen=LOOKS_KEPT)
        self._number = 0

    async def close(self) -> None:
        """End the questions that are under way."""
        tasks = [task for task in (self._warmer, self._filler, self._reader, self._ahead) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._lose()

    def __getitem__(self, sku: int) -> Shelf:
        """Return the shelf of a SKU that `have` was called for."""
        return self._kept[sku]

    def as_of(self, shelf: Shelf) -> float:
        """Return since when a shelf is as it is, by the monotonic clock."""
        if self._mark is not None and shelf.asked > self._since:
            return max(shelf.asked, self._at)
        return shelf.asked

    def notice(self, reference: Reference) -> bool:
        """Take the reference data to be these from now on; return whether shelves of another network were forgotten."""
        before, self._reference = self._reference, reference
        if before is None or reference.network is not before.network:
            self._kept.clear()
            if self._filler is not None and self._filler.done():
                self._filler = None
            return True
        if reference is not before and reference.frozen != before.frozen:
            for sku in _thawed(before.frozen, reference.frozen):
                self._kept.pop(sku, None)
        return False

    def knows(self, reference: Reference, skus: set[int]) -> bool:
        """Return whether shelves are of the network of these reference data, and those of SKUs are all there still."""
        return reference.network is self._reference.network and skus <= self._kept.keys()

    async def have(self, skus: set[int]) -> bool:
        """See to it that stock of SKUs is there and young enough; return whether anybody had to wait."""
        waited = False
        while True:
            self._asked = now = time.monotonic()
            missing, ageing = [], []
            for sku in skus:
                shelf = self._kept.get(sku)
                if shelf is not None:
                    shelf.used = now
                    self._kept.move_to_end(sku)
                age = OLDEST_S if shelf is None else now - self.as_of(shelf)
                if age >= OLDEST_S:
                    missing.append(sku)
                elif age > FRESH_S:
                    ageing.append(sku)
            if self._warmer is None or self._warmer.done():
                self._warmer = asyncio.get_running_loop().create_task(self._warm())
            if not missing and not ageing:
                return waited
            self._begin_ahead(ageing)
            if not missing:
                return waited
            self._urgent.update(dict.fromkeys(missing))
            future = self._begin()
            waited = True
            await asyncio.shield(future)

    # --- in step with the log ---

    async def _warm(self) -> None:
        """Follow the log as long as anybody asks; where that cannot be, read stock again ahead of need."""
        while time.monotonic() - self._asked < WARM_S:
            await self._follow()
            if self._mark is not None and self._filler is None:
                self._filler = asyncio.get_running_loop().create_task(self._fill())
            await asyncio.sleep(LOOK_S)
            now = time.monotonic()
            apart = math.inf if self._mark is None else self._since  # what was asked for by then goes by its age
            due = sorted(
                (shelf.asked, sku)
                for sku, shelf in self._kept.items()
                if shelf.asked <= apart and now - shelf.asked > AHEAD_S and now - shelf.used < WARM_S
            )
            self._begin_ahead([sku for _, sku in due[:MOST_WARM]])
        self._lose()

    async def _follow(self) -> None:
        """Look once at what changed, or make a new beginning."""
        if self._reference.sells_ahead:
            self._lose()
            return
        begun = time.monotonic()
        if self._mark is None and begun < self._again:
            return
        try:
            async with self._db.transaction() as tx:
                found = await changes.begin(tx) if self._mark is None else await changes.since(tx, self._mark)
        except Exception as error:  # noqa: BLE001 -- shelves go by their age until the database is there again
            log.warning("stock_of_pages_not_followed", error=str(error))
            found = None
        if found is None:
            self._lose()
            self._again = begun + AGAIN_S
        elif isinstance(found, Mark):
            self._mark, self._since, self._at = found, time.monotonic(), begun
        else:
            self._take(found, begun)

    def _take(self, found: Changes, begun: float) -> None:
        """Bring shelves up to date with a look."""
        self._number += 1
        self._looks.append(_Look(self._number, begun, found.free))
        self._mark, self._at = found.mark, begun
        for sku, place, units in found.free:
            shelf = self._kept.get(sku)
            if shelf is not None:
                self._put(sku, shelf, place, units, begun)

    def _put(self, sku: int, shelf: Shelf, place: int, units: int, at: float) -> None:
        """Write down what is free at a place; it was read at `at`, which may be before the rest of the shelf."""
        reference = self._reference
        n = reference.network.index.get(place)
        if n is None or shelf.asked <= self._since:
            return
        units = 0 if place in reference.frozen.get(sku, ()) else max(0, units)
        shelf.asked = min(shelf.asked, at)
        if shelf.column[n] != units:
            shelf.column[n] = units
            shelf.short = {}

    def _lose(self) -> None:
        """Go by the age of shelves from now on."""
        if self._mark is not None:
            for shelf in self._kept.values():
                shelf.asked = self.as_of(shelf)
            self._mark = None
            self._looks.clear()

    async def _fill(self) -> None:
        """Read all SKUs once before anybody asks, where they are few enough; slowly, for nobody waits."""
        most = min(MOST_SHELVES, MOST_CELLS // max(1, len(self._reference.network.places)))
        try:
            async with self._db.transaction() as tx:
                skus = await changes.stocked(tx, most + 1)
            if len(skus) > most:
                return
            for start in range(0, len(skus), MOST_READ):
                some = [sku for sku in skus[start : start + MOST_READ] if sku not in self._kept]
                begun = time.monotonic()
                if some and self._mark is not None:
                    await self._read_some(some)
                    await asyncio.sleep(REST * (time.monotonic() - begun))
        except Exception as error:  # noqa: BLE001 -- who comes to need it reads it
            log.warning("stock_of_pages_unread", error=str(error))

    # --- questions ---

    def _begin_ahead(self, skus: Sequence[int]) -> None:
        """Have SKUs read that nobody waits for."""
        self._wanted.update(dict.fromkeys(skus))
        if self._wanted and (self._ahead is None or self._ahead.done()):
            self._ahead = asyncio.get_running_loop().create_task(self._read_ahead())

    def _begin(self) -> "asyncio.Future[None]":
        """Have what is urgent read; the future ends with the next question, which may not be that of who asks yet."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        if self._reader is None or self._reader.done():
            self._reader = asyncio.get_running_loop().create_task(self._read())
        return self._next

    async def _read_ahead(self) -> None:
        """Read what nobody waits for, again and again until nothing is wanted."""
        while self._wanted:
            skus = list(self._wanted)[:MOST_READ]
            for sku in skus:
                del self._wanted[sku]
            try:
                await self._read_some(skus)
            except Exception as error:  # noqa: BLE001 -- who comes to need it reads it
                log.warning("stock_of_pages_unread", error=str(error))

    async def _read(self) -> None:
        """Read what is urgent, again and again until nothing is."""
        while self._urgent and self._next is not None:
            future, self._next = self._next, None
            skus = list(self._urgent)[:MOST_READ]
            for sku in skus:
                del self._urgent[sku]
                self._wanted.pop(sku, None)
            if self._urgent:
                self._next = asyncio.get_running_loop().create_future()
            try:
                await self._read_some(skus)
            except Exception as error:  # noqa: BLE001 -- whoever waits is told; the next question is another try
                log.warning("stock_of_pages_unread", error=str(error))
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # nobody may be waiting
            else:
                if not future.done():
                    future.set_result(None)

    async def _read_some(self, skus: list[int]) -> None:
        asked, number, reference = time.monotonic(), self._number, self._reference
        async with self._db.transaction() as tx:
            columns, to_come = await availability.common_stock(tx, reference, sorted(skus))
        if reference.network is not self._reference.network or reference.frozen != self._reference.frozen:
            return  # what is sold of them is another question now: who waits asks again
        if self._number - number > len(self._looks):
            return  # more looks came meanwhile than are known: who waits asks again
        put = {sku for sku, column in columns.items() if self._replace(sku, column, to_come.get(sku), asked)}
        # Looks that came meanwhile may have seen more than was read, or less: then the next one tells it.
        for sku, place, units, begun in self._seen_after(number):
            if sku in put:
                self._put(sku, self._kept[sku], place, units, begun)
        while len(self._kept) > MOST_SHELVES:
            self._kept.popitem(last=False)

    def _replace(self, sku: int, column: Column, to_come: ToCome | None, asked: float) -> bool:
        """Keep what was read of a SKU; return whether it is newer than what is kept."""
        before, comes = self._kept.get(sku), to_come or NOTHING_TO_COME
        if before is not None and before.asked >= asked:  # another question was asked later, and was quicker
            return False
        if before is not None and before.column == column and before.to_come == comes:
            before.asked = asked
        else:
            self._kept[sku] = Shelf(column, comes, asked, asked if before is None else before.used)
        return True

    def _seen_after(self, number: int) -> Iterator[tuple[int, int, int, float]]:
        """Yield what looks after one of a number saw, in their order: SKU, location, free units, when they began."""
        for look in self._looks:
            if look.number > number:
                for sku, place, units in look.free:
                    yield sku, place, units, look.begun


def _thawed(before: Frozen, after: Frozen) -> list[int]:
    """Return the SKUs of which other places stand still than before."""
    return [sku for sku in before.keys() | after.keys() if before.get(sku) != after.get(sku)]
