"""Selling ahead while orders are planned: what finds no stock is promised from supply, where the SKU's policy lets it.

Supply is offered to routing as if it were stock, a day at a time: the earliest day on which a location that may serve
the order has units wins. What is decided here is checked again by the conditional statements that write it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol

import msgspec
from psycopg import AsyncCursor

from malha.inventory.ahead import service as ahead
from malha.inventory.ahead.model import NewClaim, Policy, SupplyLine
from malha.inventory.ahead.rules import policy_for, reaches
from malha.platform.db import Tx
from malha.promising.rules import end_of, there_on
from malha.routing import rules as routing
from malha.routing.model import Network, Plan, Request, RequestLine, parts_of

MOST_KITS = 1_000_000_000

Balance = tuple[int, int]  # (sku_id, location_id)
There = Mapping[int, Mapping[int, int]]  # units by SKU and location


class Capped(NamedTuple):
    """Units that a cap lets through of some SKUs together, at its locations (empty: at all)."""

    skus: frozenset[int]
    places: frozenset[int]
    units: int


class Wanted(msgspec.Struct, frozen=True):
    """Units of a request line that are to be promised from supply. Without a policy they were sold ahead before."""

    quantity: int
    policy: Policy | None = None
    since: datetime | None = None  # their place in the queue, when they had one
    parts: Mapping[int, Policy] | None = None  # of kits: what may come of their components; the others are there


class Goods(Protocol):
    """What `Covering` looks at of a SKU."""

    @property
    def id(self) -> int:
        """Return the SKU's id."""
        ...

    @property
    def components(self) -> tuple[tuple[int, int], ...] | None:
        """Return the components of a kit, and how many of each."""
        ...

    @property
    def ahead(self) -> tuple[Policy, ...]:
        """Return what of a plain SKU may be sold ahead."""
        ...

    @property
    def parts_ahead(self) -> Mapping[int, tuple[Policy, ...]]:
        """Return what of a kit's components may be sold ahead."""
        ...


class Covering:
    """Supply and what caps let through, with the running balances of a batch. Most batches sell nothing ahead."""

    __slots__ = ("_asked", "carriage", "claims", "lines", "network", "policies", "room", "skus", "today")

    def __init__(self, network: Network, today: date) -> None:
        self.network = network
        self.today = today  # by the retailer's calendar
        self._asked: tuple[AsyncCursor[Any], AsyncCursor[Any]] | None = None
        self.skus: set[int] = set()
        self.policies: set[int] = set()
        self.lines: dict[int, list[SupplyLine]] = {}  # by SKU, the earliest first
        self.room: dict[int, int] = {}  # by policy
        self.claims: list[NewClaim] = []
        self.carriage: list[Plan] = []  # by which what was planned last travels

    def policy(self, policies: Sequence[Policy], channel_id: int) -> Policy | None:
        """Return by which of a SKU's policies a channel may sell it ahead now."""
        return policy_for(policies, channel_id, self.today) if policies else None

    def parts(self, goods: Goods, channel_id: int) -> dict[int, Policy]:
        """Return by which policies a channel may sell a SKU ahead now, or the components of a kit."""
        stated = {goods.id: goods.ahead} if goods.components is None else goods.parts_ahead
        found = {sku: self.policy(policies, channel_id) for sku, policies in stated.items()}
        return {sku: policy for sku, policy in found.items() if policy is not None}

    def wanted(self, goods: Goods, units: int, channel_id: int) -> Wanted | None:
        """Return units of a SKU as they may be promised from supply; None: the channel may not."""
        parts = self.parts(goods, channel_id)
        if not parts:
            return None
        return Wanted(units, parts[goods.id]) if goods.components is None else Wanted(units, parts=parts)

    def add(self, goods: Goods, channel_id: int) -> None:
        """Note a SKU that is ordered, if the channel may sell it, or a component of it, ahead."""
        for sku, policy in self.parts(goods, channel_id).items():
            self.skus.add(sku)
            self.policies.add(policy.id)

    async def ask(self, tx: Tx, *, lock: bool = False, behind_balances: bool = False) -> None:
        """Ask once what is open of the SKUs that were noted; with `lock`, it stands still. For `tx.pipeline()`.

        `behind_balances`: see `ahead.queue_open`.
        """
        if self.skus and self._asked is None:
            self._asked = await ahead.queue_open(
                tx, sorted(self.skus), sorted(self.policies), lock=lock, behind_balances=behind_balances
            )

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
        self, goods: Goods, channel_id: int, locations: Collection[int], there: There, capped: Sequence[Capped]
    ) -> list[tuple[date, int]]:
        """Return how many units of a SKU may be promised from supply to some locations, by the day they can go on.

        Args:
            goods: the SKU, or a kit: as many of it as its components make at one location, with what is there.
            channel_id: who sells.
            locations: where.
            there: units by SKU and location that the kits which are available leave; of kits only.
            capped: what caps let through of it, or of the components of a kit, beside what is there.
        """
        parts = self.parts(goods, channel_id)
        if not parts:
            return []
        if goods.components is not None:
            return self._kits_offered(goods.components, parts, locations, there, capped)
        sku_id, policy = goods.id, parts[goods.id]
        own = [cap for cap in capped if sku_id in cap.skus]
        within = [frozenset[int](), *(cap.places for cap in own)]
        rooms = [self.room.get(policy.id, 0), *(cap.units for cap in own)]
        days: dict[date, int] = {}
        for line in self.lines.get(sku_id, ()):
            mine = [n for n, places in enumerate(within) if not places or line.location_id in places]
            units = min(line.room, *(rooms[n] for n in mine))
            if units > 0 and line.location_id in locations and reaches(policy, line.eta, self.today):
                day = max(line.eta, policy.release_on or line.eta)
                days[day] = days.get(day, 0) + units
                for n in mine:
                    rooms[n] -= units
        return sorted(days.items())

    def _kits_offered(
        self,
        components: Sequence[tuple[int, int]],
        parts: Mapping[int, Policy],
        locations: Collection[int],
        there: There,
        capped: Sequence[Capped],
    ) -> list[tuple[date, int]]:
        """Return how many kits may be promised by day: the earliest day first, at each location what it can make."""
        larder = _Larder(self, parts, there)
        limits = [
            _Limit(sum(counted), cap.places, cap.units)
            for cap in capped
            if (counted := [per for sku, per in components if sku in cap.skus])
        ]
        after = max((p.release_on for p in parts.values() if p.release_on is not None), default=None)
        days: dict[date, int] = {}
        for day in larder.days(sku for sku, _ in components):
            for place in sorted(locations):
                mine = [limit for limit in limits if not limit.places or place in limit.places]
                most = min((limit.left // limit.per for limit in mine), default=MOST_KITS)
                kits = larder.makes(components, place, day, max(0, most))
                if kits > 0:
                    larder.draw(components, place, day, kits)
                    for limit in mine:
                        limit.left -= kits * limit.per
                    when = max(day, after or day)
                    days[when] = days.get(when, 0) + kits
        return sorted(days.items())

    def plan(
        self,
        request: Request,
        wanted: Mapping[int, Wanted],
        most: Mapping[Balance, int] | None = None,
        there: There | None = None,
    ) -> list[NewClaim]:
        """Return claims for units of a request's lines, as far as supply, horizons and caps let; nothing is taken yet.

        Kits come after plain SKUs, from what those leave. A kit is claimed whole at one location: of each component
        what is there, and then what is expected.

        Args:
            request: the lines that may be promised from supply; their quantities do not count.
            wanted: what of them, by line.
            most: how many units of a SKU may be promised at a location, where that is limited.
            there: units of components by SKU and location that nobody has.
        """
        taken: dict[int, int] = {}
        rest = dict(most or {})
        self.carriage = []
        plain = [line for line in request.lines if not line.components]
        found = self._plan_plain(msgspec.structs.replace(request, lines=plain), wanted, taken, rest)
        kits = [line for line in request.lines if line.components]
        if kits and self.lines:
            larder = _Larder(self, {}, there or {}, taken, rest)
            for claim in found:
                if claim.policy_id is not None and claim.since is None:
                    larder.room[claim.policy_id] = larder.room.get(claim.policy_id, 0) - claim.quantity
            found += self._plan_kits(msgspec.structs.replace(request, lines=kits), wanted, larder)
        return found

    def _plan_kits(self, request: Request, wanted: Mapping[int, Wanted], larder: "_Larder") -> list[NewClaim]:
        left = {line.line: wanted[line.line].quantity for line in request.lines}
        kits_of = {line.line: line.components or () for line in request.lines}
        found: list[NewClaim] = []
        larder.parts = {sku: p for want in wanted.values() for sku, p in (want.parts or {}).items()}
        skus = {sku for parts in kits_of.values() for sku, _ in parts}
        for day in larder.days(skus):
            lines = [msgspec.structs.replace(x, quantity=left[x.line]) for x in request.lines if left[x.line]]
            if not lines:
                break
            free = {sku: larder.column(sku, self.network.location_ids, day) for sku in sorted(skus)}
            plan = routing.plan(msgspec.structs.replace(request, lines=lines), self.network, free, None)
            made = 0
            for number, index, quantity in plan.assignments:
                place = self.network.location_ids[index]
                kits = larder.makes(kits_of[number], place, day, quantity)
                terms = (wanted[number].parts or {}).values()
                days = max((p.handling_days for p in terms), default=1) + 1 + (plan.lead_days or 0)
                not_before = max((p.release_on for p in terms if p.release_on is not None), default=None)
                left[number] -= kits
                made += kits
                found += [
                    NewClaim(
                        order_id=request.order_id,
                        line=number,
                        sku_id=sku,
                        location_id=place,
                        supply_id=None if supply is None else supply.id,
                        quantity=units,
                        eta=self.today if supply is None else supply.eta,
                        days=days,
                        not_before=not_before,
                        policy_id=None if supply is None else larder.parts[sku].id,
                        told=True,
                        per=dict(kits_of[number])[sku],
                        transit=plan.lead_days or 0,
                    )
                    for sku, supply, units in (larder.draw(kits_of[number], place, day, kits) if kits > 0 else ())
                ]
            if made:
                self.carriage.append(plan)
        return found

    def _plan_plain(
        self, request: Request, wanted: Mapping[int, Wanted], taken: dict[int, int], rest: dict[Balance, int]
    ) -> list[NewClaim]:
        left = self._capped({line.line: wanted[line.line] for line in request.lines})
        sku_of = {line.line: line.sku_id for line in request.lines}
        # Overdue supply is only for who was sold it before: nobody else is promised from it.
        again = {sku_of[n] for n in sku_of if wanted[n].policy is None or wanted[n].since is not None}
        open_lines = {
            sku: [s for s in self.lines.get(sku, ()) if sku in again or s.eta >= self.today]
            for sku in set(sku_of.values())
        }
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
            plan = routing.plan(msgspec.structs.replace(request, lines=lines), self.network, free, None)
            if plan.assignments:
                self.carriage.append(plan)
            for number, index, quantity in plan.assignments:
                location = self.network.location_ids[index]
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
        return want.policy is None or want.since is not None or reaches(want.policy, day, self.today)

    def _column(
        self, sku_id: int, lines: Sequence[SupplyLine], taken: Mapping[int, int], most: Mapping[Balance, int]
    ) -> list[int]:
        column = [0] * len(self.network.location_ids)
        for line in lines:
            at = self.network.index.get(line.location_id)
            if at is not None:
                column[at] += line.room - taken.get(line.id, 0)
        for (sku, location), units in most.items():
            at = self.network.index.get(location)
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
            transit=lead_days,
        )

    def take(self, claims: Sequence[NewClaim]) -> None:
        """Take what was planned, so that the next order finds what is left."""
        units: dict[int, int] = {}
        for claim in claims:
            if claim.supply_id is None:
                continue
            units[claim.supply_id] = units.get(claim.supply_id, 0) + claim.quantity
            if claim.policy_id is not None and claim.since is None:
                self.room[claim.policy_id] = self.room.get(claim.policy_id, 0) - claim.quantity
        for sku in {claim.sku_id for claim in claims if claim.supply_id is not None}:
            self.lines[sku] = [
                msgspec.structs.replace(line, promised=line.promised + units.get(line.id, 0))
                for line in self.lines[sku]
            ]
        self.claims += claims


class _Limit:
    """What a cap lets through of components at its locations (empty: at all), and how many of them a kit has."""

    __slots__ = ("left", "per", "places")

    def __init__(self, per: int, places: frozenset[int], left: int) -> None:
        self.per, self.places, self.left = per, places, left


class _Larder:
    """What components of kits have at each location: units that are there, and supply, with what was drawn of both."""

    __slots__ = ("_covering", "_rest", "_taken", "_there", "parts", "room")

    def __init__(
        self,
        covering: Covering,
        parts: Mapping[int, Policy],
        there: There,
        taken: dict[int, int] | None = None,
        rest: dict[Balance, int] | None = None,
    ) -> None:
        self._covering = covering
        self._there = {(sku, place): units for sku, row in there.items() for place, units in row.items() if units > 0}
        self._taken = {} if taken is None else taken
        self._rest = {} if rest is None else rest
        self.parts = dict(parts)
        self.room = dict(covering.room)

    def days(self, skus: Iterable[int]) -> list[date]:
        """Return the days on which something of the components comes that may be promised from."""
        return sorted({line.eta for sku in skus for line in self._expected(sku)})

    def _expected(self, sku: int) -> list[SupplyLine]:
        return [line for line in self._covering.lines.get(sku, ()) if sku in self.parts and self._reaches(sku, line)]

    def _reaches(self, sku: int, line: SupplyLine) -> bool:
        return reaches(self.parts[sku], line.eta, self._covering.today)

    def _lines(self, sku: int, place: int, day: date) -> list[SupplyLine]:
        return [line for line in self._expected(sku) if line.location_id == place and line.eta <= day]

    def _units(self, sku: int, place: int, day: date) -> int:
        comes = sum(line.room - self._taken.get(line.id, 0) for line in self._lines(sku, place, day))
        units = self._there.get((sku, place), 0) + comes
        return min(units, max(0, self._rest.get((sku, place), units)))

    def column(self, sku: int, places: Sequence[int], day: date) -> list[int]:
        """Return what a component has by a day, there or expected, at each of some places."""
        return [self._units(sku, place, day) for place in places]

    def makes(self, components: Sequence[tuple[int, int]], place: int, day: date, most: int) -> int:
        """Return how many kits, `most` at most, a place can make by a day, within what policies let through."""
        most = min([most, *(self._units(sku, place, day) // per for sku, per in components)])
        low, high = 0, most
        while low < high:  # more kits need more of every policy's room: halve
            kits = (low + high + 1) // 2
            if self._fits(components, place, kits):
                low = kits
            else:
                high = kits - 1
        return low

    def _fits(self, components: Sequence[tuple[int, int]], place: int, kits: int) -> bool:
        needs: dict[int, int] = {}
        for sku, per in components:
            comes = kits * per - self._there.get((sku, place), 0)
            if comes > 0:
                policy = self.parts[sku].id
                needs[policy] = needs.get(policy, 0) + comes
        return all(units <= self.room.get(policy, 0) for policy, units in needs.items())

    def draw(
        self, components: Sequence[tuple[int, int]], place: int, day: date, kits: int
    ) -> list[tuple[int, SupplyLine | None, int]]:
        """Take kits that `makes` allows: of each component what is there, then what comes, the earliest first."""
        drawn: list[tuple[int, SupplyLine | None, int]] = []
        for sku, per in components:
            need = kits * per
            balance = sku, place
            if balance in self._rest:
                self._rest[balance] -= need
            at_hand = min(need, self._there.get(balance, 0))
            if at_hand:
                self._there[balance] -= at_hand
                drawn.append((sku, None, at_hand))
            for supply, units in _draw(self._lines(sku, place, day), self._taken, need - at_hand):
                drawn.append((sku, supply, units))
                policy = self.parts[sku].id
                self.room[policy] = self.room.get(policy, 0) - units
        return drawn


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


def left_of_kits(
    location_ids: Sequence[int],
    free: Mapping[int, Sequence[int]],
    request: Request,
    plan: Plan,
    lines: Sequence[RequestLine],
) -> dict[int, dict[int, int]]:
    """Return what a plan leaves of the components of kits among some lines, by SKU and location.

    `free` is the common stock by SKU, in the order of `location_ids`.
    """
    skus = {sku for line in lines for sku, _ in line.components or ()}
    left = {sku: dict(zip(location_ids, free[sku], strict=True)) for sku in skus}
    parts = {line.line: parts_of(line) for line in request.lines}
    for number, index, quantity in plan.assignments:
        for sku, per in parts[number]:
            if sku in left:
                left[sku][location_ids[index]] -= quantity * per
    return left


def by_balance(claims: Iterable[NewClaim]) -> dict[Balance, int]:
    """Return how many units are claimed of which SKU at which location."""
    sums: dict[Balance, int] = {}
    for claim in claims:
        sums[claim.sku_id, claim.location_id] = sums.get((claim.sku_id, claim.location_id), 0) + claim.quantity
    return sums


def by_line(claims: Iterable[NewClaim]) -> dict[int, int]:
    """Return how many sold units of which lines are claimed: of kits whole ones."""
    sums: dict[tuple[int, int, int], int] = {}
    for claim in claims:
        part = claim.line, claim.sku_id, claim.per
        sums[part] = sums.get(part, 0) + claim.quantity
    found: dict[int, int] = {}
    for (line, _, per), units in sums.items():
        found[line] = min(units // per, found.get(line, units // per))
    return found


def expected(claims: Iterable[NewClaim]) -> list[NewClaim]:
    """Return the claims on what is expected."""
    return [claim for claim in claims if claim.supply_id is not None]


def at_hand(claims: Iterable[NewClaim]) -> list[NewClaim]:
    """Return the claims on what is there: components of kits that wait for the others."""
    return [claim for claim in claims if claim.supply_id is None]


def promised(claims: Iterable[NewClaim], to_state: str | None, zone: str) -> dict[int, datetime]:
    """Return until when lines should arrive that wait for supply: their last units count; see `promise_of`."""
    days: dict[int, datetime] = {}
    for claim in claims:
        at = promise_of(claim.eta, claim.days, claim.not_before, to_state, zone)
        days[claim.line] = max(at, days.get(claim.line, at))
    return days


def promise_of(eta: date, days: int, not_before: date | None, to_state: str | None, zone: str) -> datetime:
    """Return until when units should arrive that are expected on a day, and may not leave before another.

    That is the end of a day where they go, or (without a state) by the zone of where they are fetched.
    """
    return end_of(there_on(max(eta, not_before or eta), days, to_state), to_state, zone)
