"""Past orders decided again, one after the other, in a network changed on paper. Pure.

Each order is decided from its own stored inputs: the stock that was free, the prices that were looked at, what was
closed or full. What the changed plans took elsewhere is carried from order to order as a difference of stock and of
the day's load, so that the second order does not get the unit that the first one took. Differences of stock end after
`Scenario.replenished_after` days. An order that nothing of the scenario or of the differences touches keeps its plan.
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import msgspec

from malha.network.model import Method
from malha.network.tariff import Tariff
from malha.platform.ids import UUID
from malha.routing.lane_facts import LaneFacts, Onward, Rates
from malha.routing.lanes import NO_RISK, Lane, reopen_lane
from malha.routing.model import Plan, RequestLine, uncovered
from malha.routing.records import Record, read_record
from malha.routing.rows import Bracket
from malha.routing.rules import record_json
from malha.routing.ruling.model import Asked, Bound, Facts, Traits
from malha.routing.ruling.planning import Rules, Under
from malha.routing.siting import saved
from malha.routing.terms import Goods, OrderTerms, runs
from malha.simulation import costing
from malha.simulation.costing import CostsOnPaper, Ground
from malha.simulation.model import (
    EXAMPLES,
    MOST_KEPT,
    MOST_MOVED,
    At,
    Bill,
    Costed,
    Decided,
    Example,
    Freight,
    Kept,
    Load,
    Moved,
    Result,
    Ruled,
    Scenario,
    Side,
    Site,
    Sums,
    Together,
    Unknown,
)
from malha.simulation.together import Untold, Ways, gathers
from malha.simulation.trial import Full, Stand, Trial

MOST_LANES = 20_000  # kept; more begin anew
_decode_asked = msgspec.json.Decoder(Asked).decode
Way = list[tuple[int, int, int]]  # (line, location id, quantity)


class Parcel(NamedTuple):
    """Lines that leave one location together."""

    location_id: int
    cost: int
    packages: int
    grams: int
    units: Sequence[tuple[int, int]]  # (line, quantity)


class Told(NamedTuple):
    """What an order came to in one world. Money is centavos; `transit` business days, None where nothing travels."""

    cost: int
    units: int  # that found a location
    packages: int
    transit: int | None
    locations: list[str]
    together: str | None = None  # where its goods come together


class Outcome(NamedTuple):
    """An order in both worlds. `shifts` is (sku, location id, units): what is there on paper, or missed.

    `then` is what both ways cost by the costs that decided the real one, where others are tried on paper.
    """

    record: Record
    before: Told
    after: Told
    shifts: list[tuple[int, int, int]]
    then: tuple[int, int] | None = None

    @property
    def differs(self) -> bool:
        """Return whether its locations, or what they send, differ."""
        return (
            self.before.locations != self.after.locations
            or self.before.together != self.after.together
            or bool(self.shifts)
        )


class _Key(NamedTuple):
    """What two decisions share that were taken in one lane; the revision of the network says what was open."""

    network: int
    channel: int
    method: str
    service: int | None
    to: str | None
    pickup: int | None


class PaperLane(NamedTuple):
    """A lane of the past as it is on paper. Positions after the recorded ones are of locations that were not there."""

    lane: Lane
    limits: frozenset[int]  # the weights whose prices it knows
    ids: list[int]  # location id by position; negative: not there
    added: list[tuple[int, int, int]]  # (position, position of the source, share)
    keep: list[tuple[int, int]]  # (position, units)
    closed: list[int]  # positions
    capped: list[tuple[int, int]]  # (position, daily capacity on paper)
    watched: set[int]  # sites that may be full on some days
    dearer: bool  # some cost differs
    origins: dict[int, str]  # by zone: the state its parcels leave from
    penalty: int  # that is in its prices


class OnPaper(NamedTuple):
    """Other rules, and what is needed to ask them. `live` is the number of the set in force, None without one."""

    rules: Rules
    channels: Mapping[int, str]  # codes
    live: int | None


class _Second(NamedTuple):
    """An order decided again."""

    parcels: list[Parcel]
    unplaced: list[tuple[int, int]]
    plan: Plan
    paper: PaperLane
    kept: list[Bill] | None  # what the real parcels cost by costs on paper
    otherwise: bool  # its goods come together, or do so elsewhere, or no longer do


class Leads:
    """Business days in transit by today's tariff: of the service the customer chose, else of the cheapest."""

    def __init__(self, tariff: Tariff, services: Sequence[int]) -> None:
        self._quote = tariff.quote
        self._services = services

    def offer(self, service: int | None, origin: str, target: str, grams: int) -> tuple[int, int] | None:
        """Return price and days of a parcel, or None when nobody carries it."""
        services = self._services if service is None else (service,)
        found = [q for s in services if (q := self._quote(s, origin, target, grams)) is not None]
        return min(((q.price, q.lead_days) for q in found), default=None)

    def cheapest(self, service: int | None, origin: str, target: str, grams: int) -> tuple[int, int] | None:
        """Return the service that carries a parcel, and its days, or None when nobody does."""
        services = self._services if service is None else (service,)
        found = [(q, s) for s in services if (q := self._quote(s, origin, target, grams)) is not None]
        best = min(((q.price, q.lead_days, s) for q, s in found), default=None)
        return None if best is None else (best[2], best[1])


class Replay:
    """The two worlds while orders go by, oldest first."""

    def __init__(
        self,
        scenario: Scenario,
        sites: Mapping[int, Site],
        leads: Leads,
        on_paper: OnPaper | None = None,
        costs: CostsOnPaper | None = None,
        ways: Ways | None = None,
    ) -> None:
        self._ways = ways
        self._made: dict[tuple[object, ...], int] = {}
        self._on_paper = on_paper
        self._costs = costs
        self._then: dict[_Key, tuple[frozenset[int], Lane]] = {}
        self.goods: dict[int, Traits] = {}  # what rules on paper ask of products today, by SKU: see `asks_goods`
        self.kinds: dict[int, Goods] = {}  # what costs on paper ask of them, the same way: see `asks_kinds`
        self.worths: dict[UUID, dict[int, int]] = {}  # centavos of a unit, by order and line: the same
        self._moved: list[tuple[int, int, Moved]] = []
        self._sites = sites
        self._leads = leads
        self._penalty = scenario.split_penalty
        self._lasts = timedelta(days=scenario.replenished_after)
        by_code = {site.code: site for site in sites.values()}
        self._at: dict[int, At] = {by_code[at.location].id: at for at in scenario.locations if at.location in by_code}
        self._freight = scenario.freight
        self._opened = [
            (-1 - n, opening, by_code[opening.stock_from].id)
            for n, opening in enumerate(scenario.opened)
            if opening.stock_from in by_code
        ]
        self._names = {site.id: site.code for site in sites.values()} | {
            id_: f"+ {opening.name}" for id_, opening, _ in self._opened
        }
        self._states = {site.id: site.state for site in sites.values()} | {
            id_: opening.state for id_, opening, _ in self._opened
        }
        self._lanes: dict[_Key, PaperLane] = {}
        self._rates: dict[_Key, dict[int, Rates]] = {}
        self._differs: dict[int, Counter[int]] = {}  # sku -> location -> units more (or less) than there were
        self._ends: deque[tuple[date, int, int, int]] = deque()
        self._day = date.min
        self._homes = {site.id: site.home for site in sites.values()}  # a location on paper is a site of its own
        self._loads: tuple[Counter[int], Counter[int]] = (Counter(), Counter())  # orders of the day by site
        self._seen = 0
        self._dearer: list[tuple[int, int, Example]] = []
        self._cheaper: list[tuple[int, int, Example]] = []
        self.result = Result(ruled=None if on_paper is None else Ruled(), costed=None if costs is None else Costed())

    @property
    def asks_kinds(self) -> bool:
        """Tell whether `kinds` and `worths` have to say what the lines of the next orders are."""
        return self._costs is not None and self._costs.asks_goods

    @property
    def asks_goods(self) -> bool:
        """Tell whether `goods` has to say what the products of the next orders are."""
        return self._on_paper is not None and self._on_paper.rules.asks_goods

    # --- one order ---

    def step(self, decided: Decided) -> Outcome | None:
        """Take the next order into both worlds; None where its decision cannot be read."""
        try:
            record = read_record(decided.record)
        except msgspec.MsgspecError:
            self.result.unreadable += 1
            return None
        self._forget()
        self._turn_to(decided.day)
        self.result.rerouted += decided.attempts > 1
        ids = record.location_ids()
        before = self._recorded(record, ids)
        again = self._again(record, decided)
        after, unplaced = (
            (before, _left(record.unplaced, record.bound)) if again is None else (again.parcels, again.unplaced)
        )
        then = None
        if again is not None and again.kept is not None:
            then = sum(parcel.cost for parcel in before), self._then_cost(record, again)
            before = [parcel._replace(cost=bill.total) for parcel, bill in zip(before, again.kept, strict=True)]
            self._count_bills(record, again)
        was = self._add(self.result.before, record, decided, before, _left(record.unplaced, record.bound), 0)
        would = self._add(self.result.after, record, decided, after, unplaced, 1)
        shifts = None if again is None else self._compare(record, decided, before, after)
        if again is not None and shifts is not None:
            self._keep_moved(record, decided, was, would, again)
        shifts = shifts or []
        return Outcome(record, was, would, shifts, then)

    def _forget(self) -> None:
        """Begin anew with lanes where there are too many.

        All at once and between orders: numbers of networks that nobody compiled are given again, and what was kept by
        them is of others.
        """
        if len(self._lanes) >= MOST_LANES or len(self._made) >= MOST_LANES:
            for kept in (self._made, self._lanes, self._rates, self._then):
                kept.clear()

    def resume(
        self, result: Result, rows: Iterable[tuple[date, list[str], list[str], list[tuple[int, int, int]]]]
    ) -> None:
        """Go on where another replay stood: with its result, and its orders of the last days, oldest first.

        Args:
            result: what it came to.
            rows: (day, locations before, locations after, shifts) of its orders, as `step` told them.
        """
        self.result = result
        if self._on_paper is not None and result.ruled is None:
            result.ruled = Ruled()
        if self._costs is not None and result.costed is None:
            result.costed = Costed()
        self._seen = result.moved
        for heap, found, sign in ((self._dearer, result.dearer, 1), (self._cheaper, result.cheaper, -1)):
            heap[:] = [(sign * (x.cost_after - x.cost_before), -n, x) for n, x in enumerate(found)]
            heapq.heapify(heap)
        ids = {name: id_ for id_, name in self._names.items()}
        for day, was, would, shifts in rows:
            self._turn_to(day)
            for loads, names in zip(self._loads, (was, would), strict=True):
                loads.update(self._home(ids[name]) for name in names if name in ids)
            self._take(shifts)

    def _recorded(self, record: Record, ids: Sequence[int]) -> list[Parcel]:
        klass = record.members or range(len(record.classes))
        together = saved(record.sites, [parcel[0] for parcel in record.parcels])
        parcels = []
        for n, (position, _service, freight, packages, units) in enumerate(record.parcels):
            _zone, handling, line = record.classes[klass[position]]
            cost = freight + packages * handling + line * len(units) + (record.split if n else 0) - together[n]
            if record.amounts:
                cost += record.amounts[n].total
            parcels.append(Parcel(ids[position], cost, packages, _grams(record.lines, units), units))
        on = record.onward
        if on is not None:  # what is brought there is no package of its own
            parcels = [parcel._replace(packages=0) for parcel in parcels]
            parcels.append(Parcel(on.location, on.cost, on.packages, on.grams, []))
        return parcels

    def _again(self, record: Record, decided: Decided) -> _Second | None:
        """Decide an order on paper; None: nothing that could change its plan is different, or it cannot be told."""
        own = self._lane_of(record)
        under = None
        changed = bool(own.dearer or own.added or own.keep or own.capped or self._costs is not None)
        if self._on_paper is not None:
            under = self._under(self._on_paper, record, decided)
            changed = changed or under is not None or record.bound is not None
        if not changed and not self._touched(own, record.stock()):
            return None
        trial = Trial(self, record, decided)
        try:
            plan = trial.planned(under)
        except Untold as untold:
            self._keep(decided, untold.why)
            return None
        if trial.asked_today and self._ways is not None and self._ways.network.revision != record.network:
            self._together().today += 1
        ground = trial.ground_of(plan)
        plan = msgspec.structs.replace(plan, head=ground.head)
        kept = None
        if self._costs is not None:
            mine = trial.own
            went = [(position, units) for position, _service, _freight, _packages, units in record.parcels]
            kept = costing.bills(mine.paper.lane, record.lines, mine.terms, went, mine.paper.penalty)
            if record.onward is not None and mine.onward is not None:
                kept.append(costing.bill_of(mine.onward))
        return _Second(
            self._parcels_of(plan, ground.paper),
            _left(plan.unplaced, plan.basis.bound),
            plan,
            ground.paper,
            kept,
            otherwise=ground is not trial.own,
        )

    def _parcels_of(self, plan: Plan, paper: PaperLane) -> list[Parcel]:
        parcels = []
        onward = plan.basis.onward
        together = saved(paper.lane.sites, [parcel.index for parcel in plan.parcels])
        for n, parcel in enumerate(plan.parcels):
            _zone, handling, line = paper.lane.classes[paper.lane.klass[parcel.index]]
            carriage = parcel.freight - paper.penalty
            cost = carriage + parcel.packages * handling + line * len(parcel.units)
            cost += (paper.lane.split if n else 0) - together[n]
            if parcel.amounts is not None:
                cost += parcel.amounts.total
            packages = parcel.packages if onward is None else 0
            parcels.append(Parcel(paper.ids[parcel.index], cost, packages, parcel.grams, parcel.units))
        if onward is not None:
            parcels.append(Parcel(onward.location, onward.cost, onward.packages, onward.grams, []))
        return parcels

    def _together(self) -> Together:
        if self.result.together is None:
            self.result.together = Together()
        return self.result.together

    def _keep(self, decided: Decided, why: Unknown) -> None:
        """Count an order that stays as it was."""
        together = self._together()
        together.unknown[why] = together.unknown.get(why, 0) + 1
        if len(together.kept) < MOST_KEPT:
            together.kept.append(Kept(decided.number, decided.order_id, why))

    @property
    def ways(self) -> Ways | None:
        """Return what is known of the network of today."""
        return self._ways

    @property
    def tries_rules(self) -> bool:
        """Tell whether other rules decide on paper."""
        return self._on_paper is not None

    def is_closed(self, location: int) -> bool:
        """Tell whether a location's site takes no orders on paper."""
        at = self._at.get(self._home(location))
        return at is not None and at.closed

    def carried(self, record: Record, origin: int) -> tuple[int, int]:
        """Return the service, and its days, that carries all of an order from a location: by today's tariff.

        Raises:
            Untold: nobody carries it today.
        """
        grams = sum(line.quantity * line.grams for line in record.lines)
        found = self._leads.cheapest(record.service, self._states.get(origin, ""), record.to or "", grams)
        if found is None:
            raise Untold(Unknown.CARRIAGE)
        return found

    def stand(self, record: Record, decided: Decided) -> Stand:
        """Return what is there on paper for an order in one of its forms."""
        paper = self._lane_of(record)
        free = {sku: self._free(paper, sku, units) for sku, units in record.stock().items()}
        terms = _on_paper(record.terms, paper.lane)
        if self._costs is not None:
            terms = self._order_terms(self._costs, terms, record, decided, paper, free)
        full = self._full(record, paper)
        return Stand(record, paper, free, full, terms, self._onward_on_paper(record), paper.lane.head)

    def number_of(self, *what: object) -> int:
        """Return a number, below zero, that stands for a network that nobody compiled: lanes of it are kept by it."""
        return self._made.setdefault(what, -1 - len(self._made))

    def _order_terms(
        self,
        costs: CostsOnPaper,
        kept: OrderTerms | None,
        record: Record,
        decided: Decided,
        paper: PaperLane,
        free: Mapping[int, Sequence[int]],
    ) -> OrderTerms | None:
        capped = dict(paper.capped)
        gave = self._loads[1]

        def load(position: int) -> tuple[int, int] | None:
            id_ = paper.ids[position]
            site = self._sites.get(id_)
            limit = capped.get(position, None if site is None else site.daily_capacity)
            return None if limit is None else (gave[self._home(id_)], limit)

        worth = self.worths.get(decided.order_id, {})
        ground = Ground(paper.lane, paper.ids, paper.origins, worth, self.kinds)
        return costing.order_terms(costs, kept, record, ground, free, decided.postal_code, load)

    def _count_bills(self, record: Record, again: _Second) -> None:
        costed = self.result.costed
        assert costed is not None  # noqa: S101  (costs are tried)
        costed.then.add(costing.recorded_bill(record))
        for bill in again.kept or ():
            costed.kept.add(bill)
        plan = again.plan
        went = [(parcel.index, parcel.units) for parcel in plan.parcels]
        for bill in costing.bills(again.paper.lane, record.lines, plan.basis.terms, went, again.paper.penalty):
            costed.after.add(bill)
        if plan.basis.onward is not None:
            costed.after.add(costing.bill_of(plan.basis.onward))

    def _then_cost(self, record: Record, again: _Second) -> int:
        """Return what the plan on paper costs by the costs that decided the real one.

        Hindsight bounds are in those. A location that was not there costs what it does on paper, as does an order whose
        goods come together on paper alone, or no longer do.
        """
        plan = again.plan
        known = len(record.location_ids())
        if again.otherwise or any(parcel.index >= known for parcel in plan.parcels):
            return sum(parcel.cost for parcel in again.parcels)
        lane = self._then_lane(record)
        went = [(parcel.index, parcel.units) for parcel in plan.parcels]
        onward = record.onward.cost if record.onward is not None and went else 0
        return onward + sum(bill.total for bill in costing.bills(lane, record.lines, record.terms, went))

    def _then_lane(self, record: Record) -> Lane:
        key = _Key(record.network, record.channel, record.method, record.service, record.to, record.pickup)
        limits, lane = self._then.get(key, (frozenset(), None))
        if lane is None or not limits.issuperset(rate.limit for rate in record.rates):
            known = self._rates[key]  # `_lane_of` was asked before
            rates = list(known.values())
            zones = 1 + max((zone for zone, _, _ in record.classes), default=-1)
            klass = record.klass()
            origin = {
                record.classes[k][0]: self._states.get(id_, "")
                for id_, k in zip(record.location_ids(), klass, strict=True)
            }

            def beyond(grams: int) -> Bracket:
                return self._beyond(record, grams, rates, [100] * zones, origin, penalty=0)

            lane = reopen_lane(record.facts(), rates, beyond)
            self._then[key] = frozenset(known), lane
        return lane

    def _under(self, on_paper: OnPaper, record: Record, decided: Decided) -> Under | None:
        """Return the run of the rules on paper that takes an order, and count it."""
        ruled = self.result.ruled
        assert ruled is not None  # noqa: S101  (there are rules)
        goods: Mapping[int, Traits] = self.goods
        if decided.asked is None:
            ruled.asked_today += 1
            asked = Asked(decided.value, decided.postal_code, decided.customer_group)
        else:
            asked = _decode_asked(decided.asked)
            if asked.goods:
                now = {line.sku_id: goods[line.sku_id] for line in record.lines if line.sku_id in goods}
                goods = now | dict(asked.goods)
        facts = Facts(
            channel=on_paper.channels.get(record.channel, ""),
            method=record.method,
            to_state=record.to if record.method == Method.SHIP else None,
            postal_code=asked.postal_code,
            customer_group=asked.customer_group,
            value=asked.value,
            units=sum(line.quantity for line in record.lines),
            grams=sum(line.quantity * line.grams for line in record.lines),
            skus=[line.sku_id for line in record.lines],
            at=decided.at,
        )
        under = on_paper.rules.under(facts, goods)
        ruled.otherwise += decided.rule_set is not None and decided.rule_set != on_paper.live
        for n in () if under is None else under.rows:
            ruled.rows[str(n)] = ruled.rows.get(str(n), 0) + 1
        if under is None:
            ruled.none += 1
        else:
            ruled.runs[under.run.name] = ruled.runs.get(under.run.name, 0) + 1
        return under

    def _keep_moved(self, record: Record, decided: Decided, was: Told, would: Told, again: _Second) -> None:
        """Keep an order that went elsewhere, if it is among those whose cost differs most."""
        key = abs(would.cost - was.cost), -self._seen
        if len(self._moved) >= MOST_MOVED and key <= self._moved[0][:2]:
            return
        bound = again.plan.basis.bound
        moved = Moved(
            order_id=decided.order_id,
            number=decided.number,
            day=decided.day,
            cost_before=was.cost,
            cost_after=would.cost,
            packages_before=was.packages,
            packages_after=would.packages,
            unplaced_before=sum(n for _, n in _left(record.unplaced, record.bound)),
            unplaced_after=sum(n for _, n in again.unplaced),
            from_before=was.locations,
            from_after=would.locations,
            together_before=was.together,
            together_after=would.together,
            run=None if bound is None else bound.run,
            rule=None if bound is None else bound.rule,
            rows=[] if bound is None else bound.rows,
            record=record_json(again.plan).decode() if self._explicable(again.paper) else None,
        )
        heapq.heappush(self._moved, (*key, moved))
        if len(self._moved) > MOST_MOVED:
            heapq.heappop(self._moved)

    def _explicable(self, paper: PaperLane) -> bool:
        """Tell whether a decision on paper can be explained: every location is there, and prices are what is paid."""
        return not self._penalty and all(id_ > 0 for id_ in paper.ids)

    def moved(self) -> list[Moved]:
        """Return the orders that went elsewhere, those whose cost differs most first."""
        return [moved for _, _, moved in sorted(self._moved, key=lambda entry: (-entry[0], -entry[1]))]

    def _touched(self, paper: PaperLane, stock: Mapping[int, Sequence[int]]) -> bool:
        if any(units[p] for p in paper.closed for units in stock.values()):
            return True
        if any(sku in self._differs for sku in stock):
            return True
        before, after = self._loads
        return any(after[home] != before[home] for home in paper.watched)

    def _free(self, paper: PaperLane, sku: int, units: Sequence[int]) -> list[int]:
        free = list(units) + [0] * len(paper.added)
        for position, source, share in paper.added:
            moved = min(units[source] * share // 100, free[source])
            free[position] = moved
            free[source] -= moved
        differs = self._differs.get(sku)
        if differs:
            free = [n + differs[id_] if id_ in differs else n for n, id_ in zip(free, paper.ids, strict=True)]
            for (
                position,
                source,
                _,
            ) in paper.added:  # the two share one stock
                lent = min(0, free[position]) - min(0, free[source])
                free[position] -= lent
                free[source] += lent
            free = [max(0, n) for n in free]
        for position, keep in paper.keep:
            free[position] = max(0, free[position] - keep)
        return free

    def _home(self, location: int) -> int:
        return self._homes.get(location, location)

    def _capacity_on_paper(self, location: int) -> int | None:
        at = (self._at.get(location), self._at.get(self._home(location)))
        return next((x.capacity for x in at if x is not None and x.capacity is not None), None)

    def _full(self, record: Record, paper: PaperLane) -> Full:
        """Return the positions that take no order: closed on paper, or full with what the plans of the day gave."""
        before, after = self._loads
        capacity = dict(paper.capped)
        full = [(position, 0, 0) for position in paper.closed]
        recorded = {position: (taken, cap) for position, taken, cap in (*record.full, *record.later)}
        for position, (taken, cap) in recorded.items():
            if position not in capacity:
                home = self._home(paper.ids[position])
                now = taken + after[home] - before[home]
                if now >= cap:
                    full.append((position, now, cap))
        for position, id_ in enumerate(paper.ids):
            home = self._home(id_)
            more = after[home] - before[home]
            limit = capacity.get(position)
            if limit is None:
                site = self._sites.get(id_)
                if site is None or site.daily_capacity is None or position in recorded or more <= 0:
                    continue
                limit = site.daily_capacity
            taken = recorded[position][0] if position in recorded else before[home]
            # What was counted then may be less than the day's orders, of which some were work of the next.
            now = max(taken + more, after[home])
            if now >= limit:
                full.append((position, now, limit))
        return full

    # --- what a lane is on paper ---

    def _lane_of(self, record: Record) -> PaperLane:
        key = _Key(record.network, record.channel, record.method, record.service, record.to, record.pickup)
        found = self._lanes.get(key)
        if found is None or not found.limits.issuperset(rate.limit for rate in record.rates):
            known = self._rates.setdefault(key, {})
            known.update({rate.limit: rate for rate in record.rates})
            build = self._build_gathering if gathers(record) else self._build
            found = self._lanes[key] = build(record, list(known.values()))
        return found

    def _build_gathering(self, record: Record, rates: Sequence[Rates]) -> PaperLane:
        """Return a lane by way of a place, on paper. What is brought there costs what both ends cost."""
        assert record.pickup is not None  # noqa: S101  (it gathers)
        ids = record.location_ids()
        classes = [record.classes[k] for k in record.klass()]
        site = self._home(record.pickup)
        state = self._states.get(site, "")
        there = classes[ids.index(site)] if site in ids else None
        costs = []
        for id_, (zone, handling, line) in zip(ids, classes, strict=True):
            if there is None:  # what its own work cost is in what others cost, and not known apart
                costs.append((handling, line))
                continue
            mine = self._work_at(id_, handling - (there[1] if zone else 0), line - (there[2] if zone else 0))
            both = self._work_at(site, there[1], there[2]) if zone else (0, 0)
            costs.append((mine[0] + both[0], mine[1] + both[1]))
        zones: dict[tuple[int, str], int] = {(0, ""): 0}
        zone_at = []
        for id_, (zone, _, _) in zip(ids, classes, strict=True):
            key = (zone, self._states.get(id_, "")) if zone else (0, "")
            zone_at.append(zones.setdefault(key, len(zones)))
        percents = [100, *(_percent(self._freight, origin, state) for _, origin in list(zones)[1:])]
        priced = [
            Rates(
                rate.limit,
                [(rate.prices[zone] * percents[n] + 50) // 100 for n, (zone, _) in enumerate(zones)],
            )
            for rate in rates
        ]
        brings = len(zones) > 1
        here = [handling for n, (handling, _) in zip(zone_at, costs, strict=True) if not n]
        facts = msgspec.structs.replace(
            record.facts(),
            classes=[(n, handling, line) for n, (handling, line) in zip(zone_at, costs, strict=True)],
            members=[],
            split=-min(here) if brings and here else 0,
            brought=[0, *(record.brought[zone] for zone, _ in list(zones)[1:])] if brings else [],
        )
        lane = reopen_lane(facts, priced, lambda grams: self._beyond(record, grams, priced, percents, {}, penalty=0))
        lane.onward = _goes_on
        to = _percent(self._freight, state, record.to or "")
        changed = any(percent != 100 for percent in (*percents, to)) or [(h, p) for _, h, p in classes] != costs
        return self._lane_with(
            lane, ids, [], rates, dearer=changed, origins=dict.fromkeys(range(len(zones)), state), penalty=0
        )

    def _work_at(self, location: int, handling: int, line: int) -> tuple[int, int]:
        """Return what a parcel and a line cost at a location on paper."""
        at = self._at.get(location)
        if at is None:
            return handling, line
        return handling if at.handling is None else at.handling, line if at.line is None else at.line

    def _onward_on_paper(self, record: Record) -> Onward | None:
        if record.onward is None:
            return None
        state = self._states.get(record.onward.location, "")
        return costing.onward_of(self._costs, record.onward, _percent(self._freight, state, record.to or ""))

    def _build(self, record: Record, rates: Sequence[Rates]) -> PaperLane:
        ids = record.location_ids()
        klass = record.members or list(range(len(record.classes)))
        costs = [list(record.classes[k]) for k in klass]
        zones = 1 + max((zone for zone, _, _ in record.classes), default=-1)
        origin = {zone: self._states.get(id_, "") for id_, (zone, _, _) in zip(ids, costs, strict=True)}
        dearer = bool(self._penalty)
        for position, id_ in enumerate(ids):
            at = None if record.brought else self._at.get(id_)  # of what is brought, both ends' costs are in one
            if at is not None:
                for n, cost in ((1, at.handling), (2, at.line)):
                    if cost is not None and costs[position][n] != cost:
                        costs[position][n] = cost
                        dearer = True
        added, quoted = [], []
        fees = costing.fees_of(self._costs, record, ids)
        for id_, opening, source in self._opened:
            if record.method != Method.SHIP or source not in ids:
                continue
            zone = next((z for z, state in origin.items() if state == opening.state), None)
            if zone is None:
                if any(
                    self._leads.offer(record.service, opening.state, record.to or "", r.limit) is None for r in rates
                ):
                    continue  # nobody carries from there what was looked at
                zone, zones = zones, zones + 1
                origin[zone] = opening.state
                quoted.append(zone)
            added.append((len(ids), ids.index(source), opening.share))
            ids.append(id_)
            costs.append([zone, opening.handling, opening.line])
            if fees:
                fees.append(NO_RISK)  # nothing is known of it
        percents = [_percent(self._freight, origin.get(zone, ""), record.to or "") for zone in range(zones)]
        dearer = dearer or any(percent != 100 for percent in percents)
        split = costing.split_of(self._costs, record)
        facts = LaneFacts(
            rules=record.rules, network=record.network, channel=record.channel, method=record.method,
            service=record.service, to=record.to, pickup=record.pickup, locations=runs(ids), refused=record.refused,
            classes=[(zone, handling, line) for zone, handling, line in costs],
            split=split, fees=fees,
            sites=costing.sites_of(self._costs, record, ids, [handling for _, handling, _ in costs], split),
        )  # fmt: skip
        boxed = costing.with_cartons(self._costs, record, rates)
        priced = [self._priced(record, rate, percents, quoted, origin) for rate in boxed]
        lane = reopen_lane(facts, priced, lambda grams: self._beyond(record, grams, priced, percents, origin))
        return self._lane_with(lane, ids, added, rates, dearer=dearer, origins=origin, penalty=self._penalty)

    def _lane_with(
        self,
        lane: Lane,
        ids: list[int],
        added: list[tuple[int, int, int]],
        rates: Sequence[Rates],
        *,
        dearer: bool,
        origins: dict[int, str],
        penalty: int,
    ) -> PaperLane:
        """Return a lane on paper with what the scenario says of its locations."""
        held = [(position, at) for position, id_ in enumerate(ids) if (at := self._at.get(id_)) is not None]
        return PaperLane(
            lane=lane,
            limits=frozenset(rate.limit for rate in rates),
            ids=ids,
            added=added,
            keep=[(position, at.keep) for position, at in held if at.keep],
            closed=[position for position, at in held if at.closed],
            capped=[
                (position, capacity)
                for position, id_ in enumerate(ids)
                if (capacity := self._capacity_on_paper(id_)) is not None
            ],
            watched={
                site.home
                for id_ in ids
                if (site := self._sites.get(id_)) is not None and site.daily_capacity is not None
            },
            dearer=dearer,
            origins=origins,
            penalty=penalty,
        )

    def _priced(
        self, record: Record, rate: Rates, percents: Sequence[int], quoted: Sequence[int], origin: Mapping[int, str]
    ) -> Rates:
        prices = list(rate.prices)
        packages = None if rate.packages is None else list(rate.packages)
        cartons = None if rate.cartons is None else list(rate.cartons)
        for zone in quoted:
            offer = self._leads.offer(record.service, origin[zone], record.to or "", rate.limit)
            prices.append(0 if offer is None else offer[0])
            if packages is not None:
                packages.append(1)
            if cartons is not None:
                cartons.append(min(cartons))
        prices = [
            (price * percent + 50) // 100 + self._penalty for price, percent in zip(prices, percents, strict=True)
        ]
        return Rates(rate.limit, prices, packages, cartons)

    def _beyond(
        self,
        record: Record,
        grams: int,
        priced: Sequence[Rates],
        percents: Sequence[int],
        origin: Mapping[int, str],
        penalty: int | None = None,
    ) -> Bracket:
        """Return what a parcel costs that is heavier than all that were looked at: as several of the heaviest.

        An order that nobody could serve looked at none: then today's tariff says it.
        """
        penalty = self._penalty if penalty is None else penalty
        if priced:
            most = max(priced, key=lambda rate: rate.limit)
            times = -(-grams // max(most.limit, 1))
            prices = [price * times for price in most.prices]
            packages = [times * n for n in most.packages or [1] * len(prices)]
            cartons = None if most.cartons is None else [carton * times for carton in most.cartons]
        else:
            found = [
                self._leads.offer(record.service, origin.get(zone, ""), record.to or "", grams)
                if record.method == Method.SHIP
                else None
                for zone in range(len(percents))
            ]
            dearest = max((offer[0] for offer in found if offer is not None), default=0)
            prices = [
                ((dearest if offer is None else offer[0]) * percent + 50) // 100 + penalty
                for offer, percent in zip(found, percents, strict=True)
            ]
            packages, cartons = [1] * len(prices), None
        nothing: list[int | None] = [None] * len(prices)
        return Bracket(grams, prices, packages, nothing, nothing, cartons)

    # --- what is carried on, and what is counted ---

    def _turn_to(self, day: date) -> None:
        if day == self._day:
            return
        self._day = day
        self._loads = (Counter(), Counter())
        while self._ends and self._ends[0][0] <= day:
            _, sku, location, units = self._ends.popleft()
            self._shift(sku, location, -units)

    def _shift(self, sku: int, location: int, units: int) -> None:
        differs = self._differs.setdefault(sku, Counter())
        differs[location] += units
        if not differs[location]:
            del differs[location]
            if not differs:
                del self._differs[sku]

    def _take(self, shifts: Iterable[tuple[int, int, int]]) -> None:
        for sku, location, units in shifts:
            self._shift(sku, location, units)
            self._ends.append((self._day + self._lasts, sku, location, units))

    def _add(
        self,
        side: Side,
        record: Record,
        decided: Decided,
        parcels: Sequence[Parcel],
        unplaced: Sequence[tuple[int, int]],
        world: int,
    ) -> Told:
        target = record.to or ""
        cost = packages = units = 0
        transit: int | None = 0 if parcels else None
        loads = self._loads[world]
        places = {parcel.location_id for parcel in parcels}
        for location in places:
            loads[self._home(location)] += 1
            load = side.locations.setdefault(self._name(location), Load())
            load.orders += 1
            load.peak = max(load.peak, loads[self._home(location)])
        for parcel in parcels:
            cost += parcel.cost
            packages += parcel.packages
            quantity = sum(n for _, n in parcel.units)
            units += quantity
            load = side.locations[self._name(parcel.location_id)]
            load.cost += parcel.cost
            load.units += quantity
            if record.method != Method.SHIP:
                transit = None
            elif transit is not None and parcel.packages:
                origin = self._states.get(parcel.location_id, "")
                offer = self._leads.offer(record.service, origin, target, parcel.grams)
                transit = None if offer is None else max(transit, offer[1])
        left = sum(n for _, n in unplaced)
        for sums in (
            side.total,
            side.states.setdefault(decided.state, Sums()),
            side.days.setdefault(decided.day.isoformat(), Sums()),
        ):
            sums.orders += 1
            sums.cost += cost
            sums.packages += packages
            sums.split += sum(parcel.packages > 0 for parcel in parcels) > 1
            sums.units += units
            sums.unplaced += left
            if transit is not None:
                sums.transit += transit
                sums.timed += 1
        hub = _hub_of(parcels)
        if hub is not None:
            together = self._together()
            if world:
                together.after += 1
            else:
                together.before += 1
        named = None if hub is None else self._name(hub)
        return Told(cost, units, packages, transit, sorted(self._name(location) for location in places), named)

    def _compare(
        self, record: Record, decided: Decided, before: Sequence[Parcel], after: Sequence[Parcel]
    ) -> list[tuple[int, int, int]] | None:
        """Return what is shifted between the worlds; None: the order goes the same way in both."""
        was, would = _way(before), _way(after)
        hubs = _hub_of(before), _hub_of(after)
        if was == would and hubs[0] == hubs[1]:
            return None
        # What the order really took is there on paper, and the other way round.
        shifts = [
            *_goods(record, [x for x in was if x not in would], 1),
            *_goods(record, [x for x in would if x not in was], -1),
        ]
        self._take(shifts)
        self.result.moved += 1
        self._seen += 1
        example = Example(
            decided.number,
            decided.order_id,
            sum(p.cost for p in before),
            sum(p.cost for p in after),
            sorted({self._name(p.location_id) for p in before}),
            sorted({self._name(p.location_id) for p in after}),
            *(None if hub is None else self._name(hub) for hub in hubs),
        )
        more = example.cost_after - example.cost_before
        heap, weight = (self._dearer, more) if more > 0 else (self._cheaper, -more)
        heapq.heappush(heap, (weight, -self._seen, example))
        if len(heap) > EXAMPLES:
            heapq.heappop(heap)
        return shifts

    def _name(self, location: int) -> str:
        return self._names.get(location) or str(location)

    def finish(self) -> Result:
        """Return what came of it; more orders may follow all the same."""
        for heap, found in ((self._dearer, self.result.dearer), (self._cheaper, self.result.cheaper)):
            found[:] = [example for _, _, example in sorted(heap, key=lambda entry: (-entry[0], -entry[1]))]
        return self.result


def _on_paper(terms: OrderTerms | None, lane: Lane) -> OrderTerms | None:
    """Return an order's terms with tax for zones that were not there: of the dearest, so as not to flatter them."""
    zones = 1 + max(lane.zone_at, default=-1)
    if terms is None or all(len(by_zone) >= zones for _, by_zone in terms.taxes):
        return terms
    taxes = [(line, [*by_zone, *[max(by_zone)] * (zones - len(by_zone))]) for line, by_zone in terms.taxes]
    return msgspec.structs.replace(terms, taxes=taxes)


def _goods(record: Record, way: Way, sign: int) -> Iterator[tuple[int, int, int]]:
    """Yield (sku, location, units) of a way, the components of kits; units signed."""
    lines = {line.line: line for line in record.lines}
    for number, location, quantity in way:
        line = lines[number]
        for sku, per in ((line.sku_id, 1),) if line.components is None else line.components:
            yield sku, location, sign * per * quantity


def _left(unplaced: Sequence[tuple[int, int]], bound: Bound | None) -> list[tuple[int, int]]:
    """Return what neither a location has nor a vendor is asked for, by line."""
    return uncovered(unplaced, {} if bound is None else bound.dropped_units)


def _percent(freight: Sequence[Freight], origin: str, target: str) -> int:
    percent = 100
    for change in freight:
        if change.from_state in {None, origin} and change.to_state in {None, target}:
            percent = change.percent
    return percent


def _grams(lines: Sequence[RequestLine], units: Sequence[tuple[int, int]]) -> int:
    return sum(line.grams * quantity for number, quantity in units for line in lines if line.line == number)


def _goes_on(_grams: int) -> Onward:
    """Stand for how what comes together in a lane on paper goes on: that is known by order."""
    raise AssertionError


def _hub_of(parcels: Sequence[Parcel]) -> int | None:
    """Return where goods come together: what leaves there has no units of its own."""
    return next((parcel.location_id for parcel in parcels if not parcel.units), None)


def _way(parcels: Sequence[Parcel]) -> Way:
    return sorted((line, p.location_id, quantity) for p in parcels for line, quantity in p.units)
