"""Selling ahead while orders are planned: what finds no stock is promised from supply, where the SKU's policy lets it.

Supply is offered to routing as if it were stock, a day at a time: the earliest day on which a location that may serve
the order has units wins. What is decided here is checked again by the conditional statements that write it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from psycopg import AsyncCursor

from malha.intake.rules import end_of_business_day
from malha.inventory.ahead import service as ahead
from malha.inventory.ahead.model import NewClaim, Policy, SupplyLine
from malha.inventory.ahead.rules import policy_for, reaches
from malha.platform.db import Tx
from malha.platform.i18n import DEFAULT_ZONE
from malha.routing import rules as routing
from malha.routing.model import Network, Request

Balance = tuple[int, int]  # (sku_id, location_id)


class Wanted(msgspec.Struct, frozen=True):
    """Units of a request line that are to be promised from supply. Without a policy they were sold ahead before."""

    quantity: int
    policy: Policy | None = None
    since: datetime | None = None  # their place in the queue, when they had one


class Covering:
    """Supply and what caps let through, with the running balances of a batch. Most batches sell nothing ahead."""

    __slots__ = ("_asked", "_network", "_today", "claims", "lines", "policies", "room", "skus")

    def __init__(self, network: Network, instant: datetime) -> None:
        self._network = network
        self._today = instant.astimezone(ZoneInfo(DEFAULT_ZONE)).date()
        self._asked: tuple[AsyncCursor[Any], AsyncCursor[Any]] | None = None
        self.skus: set[int] = set()
        self.policies: set[int] = set()
        self.lines: dict[int, list[SupplyLine]] = {}  # by SKU, the earliest first
        self.room: dict[int, int] = {}  # by policy
        self.claims: list[NewClaim] = []

    def policy(self, policies: Sequence[Policy], channel_id: int) -> Policy | None:
        """Return by which of a SKU's policies a channel may sell it ahead now."""
        return policy_for(policies, channel_id, self._today) if policies else None

    def add(self, sku_id: int, policies: Sequence[Policy], channel_id: int) -> None:
        """Note a SKU that is ordered, if the channel may sell it ahead."""
        policy = self.policy(policies, channel_id)
        if policy is not None:
            self.skus.add(sku_id)
            self.policies.add(policy.id)

    async def ask(self, tx: Tx, *, lock: bool = False) -> None:
        """Ask once what is open of the SKUs that were noted; with `lock`, it stands still. For `tx.pipeline()`."""
        if self.skus and self._asked is None:
            self._asked = await ahead.queue_open(tx, sorted(self.skus), sorted(self.policies), lock=lock)

    async def answer(self) -> None:
        """Take what was asked, when the round trip is over."""
        if self._asked is not None:
            lines, room = self._asked
            self.stand(await lines.fetchall(), await room.fetchall())

    def stand(self, lines: Iterable[tuple[Any, ...]], room: Iterable[tuple[int, int]]) -> None:
        """State what is open: rows of supply lines, and units that caps let through by policy."""
        self.lines = {}
        for row in lines:
            line = SupplyLine(*row)
            if line.room > 0:
                self.lines.setdefault(line.sku_id, []).append(line)
        for own in self.lines.values():
            own.sort(key=lambda line: (line.eta, line.id))
        self.room = dict(room)

    def offers(
        self,
        sku_id: int,
        policies: Sequence[Policy],
        channel_id: int,
        locations: Collection[int],
        capped: Sequence[tuple[frozenset[int], int]] = (),
    ) -> list[tuple[date, int]]:
        """Return how many units of a SKU may be promised from supply to some locations, by the day they can go on.

        `capped` are the units that caps let through at their locations (empty: at all) beside what is there.
        """
        policy = self.policy(policies, channel_id)
        if policy is None:
            return []
        within = [frozenset[int](), *(places for places, _ in capped)]
        rooms = [self.room.get(policy.id, 0), *(most for _, most in capped)]
        days: dict[date, int] = {}
        for line in self.lines.get(sku_id, ()):
            mine = [n for n, places in enumerate(within) if not places or line.location_id in places]
            units = min(line.room, *(rooms[n] for n in mine))
            if units > 0 and line.location_id in locations and reaches(policy, line.eta, self._today):
                day = max(line.eta, policy.release_on or line.eta)
                days[day] = days.get(day, 0) + units
                for n in mine:
                    rooms[n] -= units
        return sorted(days.items())

    def plan(
        self, request: Request, wanted: Mapping[int, Wanted], most: Mapping[Balance, int] | None = None
    ) -> list[NewClaim]:
        """Return claims for units of a request's lines, as far as supply, horizons and caps let; nothing is taken yet.

        Args:
            request: the lines of plain SKUs that may be promised from supply; their quantities do not count.
            wanted: what of them, by line.
            most: how many units of a SKU may be promised at a location, where that is limited.
        """
        left = self._capped(wanted)
        sku_of = {line.line: line.sku_id for line in request.lines}
        open_lines = {sku: list(self.lines.get(sku, ())) for sku in set(sku_of.values())}
        taken: dict[int, int] = {}
        rest = dict(most or {})
        found: list[NewClaim] = []
        for day in sorted({line.eta for own in open_lines.values() for line in own}):
            lines = [
                msgspec.structs.replace(line, quantity=left[line.line])
                for line in request.lines
                if left[line.line] and self._reaches(wanted[line.line], day)
            ]
            if not lines:
                continue
            free = {
                sku: self._column(sku, [s for s in own if s.eta <= day], taken, rest)
                for sku in {line.sku_id for line in lines}
                if (own := open_lines[sku])
            }
            plan = routing.plan(msgspec.structs.replace(request, lines=lines), self._network, free, None)
            for number, index, quantity in plan.assignments:
                location = self._network.location_ids[index]
                own = [s for s in open_lines[sku_of[number]] if s.location_id == location and s.eta <= day]
                for supply, units in _draw(own, taken, quantity):
                    found.append(self._claim(request, number, supply, units, wanted[number], plan.lead_days or 0))
                left[number] -= quantity
                balance = sku_of[number], location
                if balance in rest:
                    rest[balance] -= quantity
        return found

    def _capped(self, wanted: Mapping[int, Wanted]) -> dict[int, int]:
        room = dict(self.room)
        left: dict[int, int] = {}
        for number, want in wanted.items():
            units = want.quantity
            if want.policy is not None and want.since is None:
                units = max(0, min(units, room.get(want.policy.id, 0)))
                room[want.policy.id] = room.get(want.policy.id, 0) - units
            left[number] = units
        return left

    def _reaches(self, want: Wanted, day: date) -> bool:
        return want.policy is None or want.since is not None or reaches(want.policy, day, self._today)

    def _column(
        self, sku_id: int, lines: Sequence[SupplyLine], taken: Mapping[int, int], most: Mapping[Balance, int]
    ) -> list[int]:
        column = [0] * len(self._network.location_ids)
        for line in lines:
            at = self._network.index.get(line.location_id)
            if at is not None:
                column[at] += line.room - taken.get(line.id, 0)
        for (sku, location), units in most.items():
            at = self._network.index.get(location)
            if sku == sku_id and at is not None:
                column[at] = min(column[at], max(0, units))
        return column

    def _claim(
        self, request: Request, number: int, supply: SupplyLine, units: int, want: Wanted, lead_days: int
    ) -> NewClaim:
        policy = want.policy
        return NewClaim(
            order_id=request.order_id,
            line=number,
            sku_id=supply.sku_id,
            location_id=supply.location_id,
            supply_id=supply.id,
            quantity=units,
            eta=supply.eta,
            days=(policy.handling_days if policy else 1) + 1 + lead_days,
            not_before=policy.release_on if policy else None,
            policy_id=policy.id if policy else None,
            told=True,
            since=want.since,
        )

    def take(self, claims: Sequence[NewClaim]) -> None:
        """Take what was planned, so that the next order finds what is left."""
        units: dict[int, int] = {}
        for claim in claims:
            units[claim.supply_id] = units.get(claim.supply_id, 0) + claim.quantity
            if claim.policy_id is not None and claim.since is None:
                self.room[claim.policy_id] = self.room.get(claim.policy_id, 0) - claim.quantity
        for sku in {claim.sku_id for claim in claims}:
            self.lines[sku] = [
                msgspec.structs.replace(line, promised=line.promised + units.get(line.id, 0))
                for line in self.lines[sku]
            ]
        self.claims += claims


def behind(balances: Sequence[tuple[int, int, int]], waiting: Iterable[tuple[int, int, int]]) -> list[tuple[int, ...]]:
    """Return free units by (SKU, location) without those that go to who waits there."""
    theirs = {(sku, place): units for sku, place, units in waiting}
    return [(sku, place, max(0, free - theirs.get((sku, place), 0))) for sku, place, free in balances]


def _draw(lines: Iterable[SupplyLine], taken: dict[int, int], quantity: int) -> list[tuple[SupplyLine, int]]:
    """Take units of supply lines, the earliest first, and note them in `taken`."""
    drawn = []
    for line in lines:
        units = min(quantity, line.room - taken.get(line.id, 0))
        if units > 0:
            drawn.append((line, units))
            taken[line.id] = taken.get(line.id, 0) + units
            quantity -= units
    return drawn


def by_balance(claims: Iterable[NewClaim]) -> dict[Balance, int]:
    """Return how many units are claimed of which SKU at which location."""
    sums: dict[Balance, int] = {}
    for claim in claims:
        sums[claim.sku_id, claim.location_id] = sums.get((claim.sku_id, claim.location_id), 0) + claim.quantity
    return sums


def by_line(claims: Iterable[NewClaim]) -> dict[int, int]:
    """Return how many units of which lines are claimed."""
    sums: dict[int, int] = {}
    for claim in claims:
        sums[claim.line] = sums.get(claim.line, 0) + claim.quantity
    return sums


def promised(claims: Iterable[NewClaim]) -> dict[int, datetime]:
    """Return until when lines should arrive that wait for supply: their last units count."""
    days: dict[int, datetime] = {}
    for claim in claims:
        at = promise_of(claim.eta, claim.days, claim.not_before)
        days[claim.line] = max(at, days.get(claim.line, at))
    return days


def promise_of(eta: date, days: int, not_before: date | None) -> datetime:
    """Return until when units should arrive that are expected on a day, and may not leave before another."""
    return end_of_business_day(max(eta, not_before or eta), days)
