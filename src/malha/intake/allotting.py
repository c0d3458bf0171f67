"""Fences and caps while a batch is planned: what each order may draw, what it drew, what it counted.

Most batches are touched by none of them and never come here. For one that is, each touched order is planned against its
own view of the stock: common units, its fences, what it may borrow, cut down to what caps let through. Pure but for the
two functions that read; everything that is decided here is checked again by the conditional statements that write it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from psycopg import AsyncCursor

from malha.intake.covering import Covering, There, Wanted, by_balance
from malha.intake.reference import Reference
from malha.inventory.ahead.model import NewClaim
from malha.inventory.allotments import claims, reads, rules
from malha.inventory.allotments.model import (
    Cap,
    Drawn,
    FenceKey,
    Source,
    Standing,
    Taker,
    Used,
)
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing import rules as routing
from malha.routing.model import Plan, Request, StockPrices, parts_of

Free = Mapping[int, list[int]]  # common stock per SKU, by index of the network


class Allotting:
    """The allotments that touch one batch, with their running balances and what its orders take of them."""

    __slots__ = (
        "_by_sku",
        "_frozen",
        "_network",
        "_now",
        "_open",
        "allotments",
        "counters",
        "draws",
        "skus",
        "standing",
        "uses",
    )

    def __init__(self, reference: Reference, now: datetime) -> None:
        self.allotments = reference.allotments
        self.skus: set[int] = set()  # of the touched orders
        self.counters: set[tuple[int, int]] = set()
        self.standing = Standing({}, {})
        self.draws: list[tuple[UUID, Drawn]] = []
        self.uses: list[tuple[UUID, Used]] = []
        self._network = reference.network
        self._frozen = reference.frozen
        self._now = now
        self._open: dict[Taker, tuple[list[Source], list[Cap]]] = {}
        self._by_sku: dict[int, list[FenceKey]] = {}

    def add(self, taker: Taker, skus: Iterable[int]) -> None:
        """Note an order that fences or caps touch."""
        stocked = list(skus)
        self.skus.update(stocked)
        self.counters |= rules.counters(self._of(taker)[1], stocked)

    def stand(self, standing: Standing) -> None:
        """State what fences and caps have left."""
        self.standing = standing
        self._by_sku = {}
        for key in standing.remaining:
            self._by_sku.setdefault(key.sku_id, []).append(key)

    def _of(self, taker: Taker) -> tuple[list[Source], list[Cap]]:
        found = self._open.get(taker)
        if found is None:
            found = self._open[taker] = (
                rules.sources(self.allotments, taker, self._now),
                rules.caps_of(self.allotments, taker, self._now),
            )
        return found

    def plan(
        self,
        taker: Taker,
        request: Request,
        free: Free,
        taken: Sequence[int] | None,
        priced: StockPrices | None = None,
    ) -> tuple[Plan, list[str]]:
        """Plan an order on what is open to its taker; return the plan and the codes of caps that cut it down.

        A plan that passes a cap is made again with the cap's balances cut to what it lets through of that plan. A cap
        that was cut so cannot be passed again, so this ends.
        """
        taken_from, caps = self._of(taker)
        view = {sku: self._column(sku, free, taken_from) for sku in _skus(request)}
        cut = self._cut_all(view, caps)
        while True:
            plan = routing.plan(request, self._network, view, taken, priced)
            wanted = self.wanted(request, plan)
            passed = rules.over(caps, self.standing.room, wanted)
            if passed is None:
                return plan, sorted({cap.code for cap in cut}) if plan.unplaced else []
            cap, balances, left = passed
            cut.append(cap)
            self._cut_to(view, cap, cap.counter(balances[0][0]), _share(wanted, balances, left))

    @contextmanager
    def beside(self, uses: Iterable[tuple[Used, int]]) -> Iterator[None]:
        """For a while, leave units out that are counted on caps and would be given up."""
        room = self.standing.room
        self.standing.room = dict(room)
        caps = {cap.id: cap for cap in self.allotments.caps}
        for use, units in uses:
            if use.cap_id in caps:
                counter = caps[use.cap_id].counter(use.sku_id)
                self.standing.room[counter] = self.standing.room.get(counter, caps[use.cap_id].quota) + units
        try:
            yield
        finally:
            self.standing.room = room

    def admits(self, taker: Taker, request: Request, plan: Plan) -> bool:
        """Tell whether caps let a plan through."""
        return rules.over(self._of(taker)[1], self.standing.room, self.wanted(request, plan)) is None

    def cover(
        self,
        taker: Taker,
        request: Request,
        wanted: Mapping[int, Wanted],
        covering: Covering,
        stock: Mapping[tuple[int, int], int],
        there: There | None = None,
    ) -> tuple[list[NewClaim], list[str]]:
        """Plan what of an order is sold ahead, beside what it takes of `stock`: caps count both.

        Return the claims on supply and the codes of caps that let fewer through. As in `plan`, what passes a cap is
        planned again within what it lets through. `there` are units that kits may take of their components.
        """
        caps = self._of(taker)[1]
        room = dict(self.standing.room)
        rules.used(caps, room, stock)
        most: dict[tuple[int, int], int] = {}
        cut: set[str] = set()
        while True:
            claims = covering.plan(request, wanted, most, there)
            sums = by_balance(claims)
            passed = rules.over(caps, room, sums)
            if passed is None:
                return claims, sorted(cut)
            cap, balances, left = passed
            cut.add(cap.code)
            share = _share(sums, balances, left)
            counter = cap.counter(balances[0][0])
            for sku in _skus(request):
                if cap.counts(sku) and cap.counter(sku) == counter:
                    for place in cap.locations or self._network.location_ids:
                        balance = sku, place
                        units = share.get(balance, 0)
                        most[balance] = min(units, most.get(balance, units))

    def take(
        self,
        order_id: UUID,
        taker: Taker,
        wanted: Mapping[tuple[int, int], int],
        free: Free,
        ahead: Mapping[tuple[int, int], int] | None = None,
    ) -> None:
        """Draw and count what a plan takes; count what is sold ahead.

        The caller lowers `free` by all units of the plan; what comes from fences is added to it here before.
        """
        taken_from, caps = self._of(taker)
        index = self._network.index
        for (sku, location), quantity in sorted(wanted.items()):
            at = index[location]
            for d in rules.draw(self.standing, taken_from, free[sku][at], (sku, location), quantity):
                self.draws.append((order_id, d))
                if d.fence_id is not None:
                    free[sku][at] += d.quantity
        self.uses += [(order_id, u) for u in rules.used(caps, self.standing.room, wanted)]
        if ahead:
            self.uses += [(order_id, u) for u in rules.used(caps, self.standing.room, ahead)]

    def wanted(self, request: Request, plan: Plan) -> dict[tuple[int, int], int]:
        """Return the units a plan takes, by (sku_id, location_id)."""
        parts = {line.line: parts_of(line) for line in request.lines}
        ids = self._network.location_ids
        sums: dict[tuple[int, int], int] = {}
        for line, at, quantity in plan.assignments:
            for sku, per in parts[line]:
                key = sku, ids[at]
                sums[key] = sums.get(key, 0) + quantity * per
        return sums

    def _column(self, sku: int, free: Free, taken_from: Sequence[Source]) -> list[int]:
        column = list(free[sku])
        mine = {source.fence_id for source in taken_from}
        for key in self._by_sku.get(sku, ()):
            at = self._network.index.get(key.location_id)
            if at is not None and key.fence_id in mine and key.location_id not in self._frozen.get(sku, ()):
                column[at] += self.standing.remaining[key]
        return column

    def _cut_all(self, view: dict[int, list[int]], caps: Sequence[Cap]) -> list[Cap]:
        """No balance alone may pass a cap; return the caps that made a difference."""
        cut = []
        for cap in caps:
            for sku, column in view.items():
                if not cap.counts(sku):
                    continue
                left = max(0, self.standing.room.get(cap.counter(sku), cap.quota))
                for at in self._indexes(cap):
                    if column[at] > left:
                        column[at] = left
                        cut.append(cap)
        return cut

    def _cut_to(
        self, view: dict[int, list[int]], cap: Cap, counter: tuple[int, int], share: Mapping[tuple[int, int], int]
    ) -> None:
        ids = self._network.location_ids
        for sku, column in view.items():
            if cap.counts(sku) and cap.counter(sku) == counter:
                for at in self._indexes(cap):
                    column[at] = min(column[at], share.get((sku, ids[at]), 0))

    def _indexes(self, cap: Cap) -> Iterable[int]:
        if not cap.locations:
            return range(len(self._network.location_ids))
        index = self._network.index
        return [index[location] for location in cap.locations if location in index]

    def drawn(self) -> dict[tuple[int, int], int]:
        """Return the units drawn from fences by the whole batch, by balance."""
        return claims.drawn_by_balance(d for _, d in self.draws)


def _skus(request: Request) -> set[int]:
    return {sku for line in request.lines for sku, _ in parts_of(line)}


def _share(
    wanted: Mapping[tuple[int, int], int], balances: Sequence[tuple[int, int]], left: int
) -> dict[tuple[int, int], int]:
    share = {}
    for balance in balances:
        share[balance] = min(wanted[balance], left)
        left -= share[balance]
    return share


class Asked:
    """Two questions queued in a pipeline, to be read when it is over."""

    __slots__ = ("_fences", "_room")

    def __init__(self, fences: AsyncCursor[tuple[Any, ...]], room: AsyncCursor[tuple[Any, ...]]) -> None:
        self._fences = fences
        self._room = room

    async def answer(self) -> Standing:
        """Return what fences and caps have left."""
        remaining = {FenceKey(s, loc, fence): units for s, loc, fence, units in await self._fences.fetchall()}
        return Standing(remaining, {(cap, sku): room for cap, sku, room in await self._room.fetchall()})


async def ask(tx: Tx, of: Allotting) -> Asked:
    """Ask what fences and caps have left, without locks. For `tx.pipeline()`."""
    return Asked(await reads.queue_fences(tx, of.skus), await reads.queue_room(tx, of.counters))


async def lock_room(tx: Tx, of: Allotting) -> None:
    """Lock the counters of a batch alone and state what caps let through: what is sold ahead draws on no fence."""
    of.stand(Standing({}, await claims.lock_counters(tx, of.counters)))


async def lock(tx: Tx, of: Allotting) -> None:
    """Lock the counters and fences of a batch and state what they have left."""
    of.stand(await claims.lock(tx, of.skus, of.counters))
