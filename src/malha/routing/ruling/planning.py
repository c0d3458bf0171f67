"""Rule sets as routing uses them: which run takes an order, and its rules tried in turn. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial

import msgspec

from malha.network.model import Location, Method
from malha.network.places import Place, locate
from malha.network.snapshot import NetworkSnapshot
from malha.network.tariff import distance_km
from malha.routing.lanes import Lane
from malha.routing.model import Network, Plan, Request, StockPrices
from malha.routing.rules import plan
from malha.routing.ruling.bounded import Binding
from malha.routing.ruling.dropping import NOWHERE_ELSE, Destination, Vendors
from malha.routing.ruling.model import Bound, Content, Dropped, Facts, Rule, Run, Then, Traits, Unfilled, When, Where
from malha.routing.ruling.tables import Hits, is_hour, together
from malha.routing.terms import runs

KEPT_SITES = 4_096
KEPT_WAYS = 1_024
NOWHERE: Mapping[int, int] = {}


class Rules:
    """One rule set over one revision of the network. Which locations a rule means is worked out at first use.

    `twins` are locations that are not there: each stands in the groups of another one.
    """

    def __init__(
        self,
        number: int,
        content: Content,
        known: NetworkSnapshot,
        groups: Mapping[str, Collection[str]],
        zone: tzinfo = UTC,
        twins: Mapping[int, int] = NOWHERE,
    ) -> None:
        self.number = number
        self.runs = content.runs
        self.table = Hits(content.table) if content.table.rows else None
        conditions = [run.when for run in content.runs] + [row.when for row in content.table.rows]
        self.asks_goods = any(when.asks_goods for when in conditions)
        endings = [rule.unfilled for run in content.runs for rule in run.rules]
        endings += [row.then.unfilled for row in content.table.rows if row.then.unfilled is not None]
        self.asks_vendors = Unfilled.DROP_SHIP in endings
        kept = [rule.keep for run in content.runs for rule in run.rules]
        kept += [row.then.keep for row in content.table.rows if row.then.keep is not None]
        self.most_kept = max(kept, default=0)  # units that any rule leaves at a location
        self.vendors = Vendors(known)
        self._asks_time = any(when.asks_time for when in conditions)
        self._zone = zone
        self._locations = known.locations
        self._ids = known.location_ids
        self._groups = groups
        self._twins = twins
        self._named: dict[int, tuple[Where, frozenset[int]]] = {}
        self._sites: dict[tuple[object, ...], tuple[Run, Rule, Bound]] = {}  # holding what their keys identify
        self._ways: dict[tuple[tuple[int, ...], int], Run] = {}

    def under(self, facts: Facts, traits: Mapping[int, Traits], *, spent: int = 0) -> "Under | None":
        """Return the run that takes an order; None: no run does. `spent` packages of it are on their way already."""
        local = facts.at.astimezone(self._zone) if self._asks_time and facts.at is not None else None
        rows = () if self.table is None else self.table.of(facts, local, traits, _goods)
        run = self._by_rows(rows, facts, traits, local) if rows else self._fitting(facts, traits, local)
        if run is None:
            return None
        target = locate(facts.postal_code) if facts.postal_code and _asks_distance(run) else None
        return Under(self, run, target, spent, [n + 1 for n in rows])

    def _fitting(self, facts: Facts, traits: Mapping[int, Traits], local: datetime | None) -> Run | None:
        return next((run for run in self.runs if fits(run.when, facts, traits, local)), None)

    def _by_rows(
        self, rows: tuple[int, ...], facts: Facts, traits: Mapping[int, Traits], local: datetime | None
    ) -> Run | None:
        """Return the run that rows of the table name, or else the one that fits, with what they say of it."""
        assert self.table is not None  # noqa: S101  (it has rows)
        then = together(self.table.rows, rows)
        if then.run is None:
            run = self._fitting(facts, traits, local)
        else:
            run = next((run for run in self.runs if run.name == then.run), None)
        if not then.limits:
            return run
        key = rows, id(run)
        found = self._ways.get(key)
        if found is None:
            if len(self._ways) >= KEPT_WAYS:
                self._ways.clear()
            name = self.table.rows[rows[0]].name or str(rows[0] + 1)
            found = self._ways[key] = limited(run or Run(name=name, rules=[Rule(name=name)]), then, name)
        return found

    def bound(
        self, run: Run, rule: Rule, lane: Lane, ids: Sequence[int], target: Place | None, rows: Sequence[int] = ()
    ) -> Bound:
        """Return what a rule asks of a lane whose destination lies in a city."""
        facts = lane.facts
        key = (
            id(run), id(rule), *rows, facts.network, facts.channel, facts.method, facts.service, facts.to, facts.pickup,
            target,
        )  # fmt: skip
        found = self._sites.get(key)
        if found is None:
            if len(self._sites) >= KEPT_SITES:
                self._sites.clear()
            found = self._sites[key] = run, rule, self._work_out(run, rule, lane, ids, target, rows)
        return found[2]

    def _work_out(
        self, run: Run, rule: Rule, lane: Lane, ids: Sequence[int], target: Place | None, rows: Sequence[int]
    ) -> Bound:
        open_ = [self._locations.get(ids[index]) for index in lane.open]
        ships = lane.facts.method == Method.SHIP and lane.facts.pickup is None  # what comes together is fetched, too
        to_state = lane.facts.to if ships else None
        outside: list[int] = []
        far: list[int] = []
        left: list[tuple[int, Location]] = []
        for position, location in enumerate(open_):
            if location is None or not self._names(rule.where, location, to_state):
                outside.append(position)
            elif ships and not _near(rule.where, location, target):
                far.append(position)
            else:
                left.append((position, location))
        tiers: list[list[int]] = []
        for where in rule.prefer:
            mine = [
                position
                for position, location in left
                if self._names(where, location, to_state) and (not ships or _near(where, location, target))
            ]
            tiers.append(mine)
            taken = set(mine)
            left = [(position, location) for position, location in left if position not in taken]
        return Bound(
            number=self.number,
            run=run.name,
            rule=rule.name,
            outside=list(runs(outside)),
            far=list(runs(far)),
            tiers=[list(runs(tier)) for tier in tiers],
            keep=rule.keep,
            complete=rule.complete or lane.onward is not None,
            packages=rule.max_packages,
            rows=list(rows),
        )

    def hub_of(self, rule: Rule) -> int | None:
        """Return where goods come together by a rule; None: they do not, or nobody knows where."""
        return None if rule.merge_at is None else self._ids.get(rule.merge_at)

    def _names(self, where: Where, location: Location, to_state: str | None) -> bool:
        if where.kinds and location.kind not in where.kinds:
            return False
        if where.groups or where.locations:
            id_ = self._twins.get(location.id, location.id)
            if id_ not in self._named_by(where):
                return False
        return not (where.same_state and to_state is not None and location.state != to_state)

    def _named_by(self, where: Where) -> frozenset[int]:
        found = self._named.get(id(where))
        if found is None:
            codes = {code for group in where.groups for code in self._groups.get(group, ())}
            codes.update(where.locations)
            ids = frozenset(self._ids[code] for code in codes if code in self._ids)
            if len(self._named) >= KEPT_SITES:
                self._named.clear()
            found = self._named[id(where)] = where, ids  # holding it, no other one is given its identity
        return found[1]


class PlaceUnknown(Exception):
    """A rule ends with what it could place where goods come together, and that is not known."""


class Under:
    """A run that took an order: plans it by its rules, one after the other."""

    __slots__ = ("_spent", "rows", "rules", "run", "target")

    def __init__(self, rules: Rules, run: Run, target: Place | None, spent: int, rows: Sequence[int] = ()) -> None:
        self.rules = rules
        self.target = target
        self._spent = spent
        self.run = run
        self.rows = rows  # of the table, from 1 on

    def plan(
        self,
        request: Request,
        network: Network,
        free: Mapping[int, Sequence[int]],
        taken: Sequence[int] | None = None,
        priced: StockPrices | None = None,
        *,
        costs: bool | None = None,
        later: Collection[int] = (),
    ) -> Plan:
        """Return the plan of the first rule that fills the whole request, or what the first that stops could place."""

        def place(bind: Binding, hub: int | None) -> Plan:
            asked = request if hub is None else msgspec.structs.replace(request, merge_location_id=hub)
            return plan(asked, network, free, taken, priced, costs=costs, bind=bind, later=later)

        to = Destination(request.method, request.to_state, request.service_id, request.excluded or NOWHERE_ELSE)
        return self.by_rules(place, lambda _lane: network.location_ids, to)

    def by_rules(
        self, place: Callable[[Binding, int | None], Plan | None], ids: Callable[[Lane], Sequence[int]], to: Destination
    ) -> Plan:
        """Return the plan of the first rule that fills all of it, or what the first that stops could place.

        A rule by which goods come together fills nothing of an order that is fetched, or partly on its way.

        Args:
            place: returns the plan under what a rule asks of a lane, and where goods come together by it; None where
                it is not known what is brought there, for nothing could be placed.
            ids: returns location ids, by what a lane calls open.
            to: where what a vendor sends would go.

        Raises:
            PlaceUnknown: a rule that ends the run names a place of which it is not known what is brought there.
        """
        tried: list[str] = []
        for n, rule in enumerate(self.run.rules, 1):
            hub = self.rules.hub_of(rule)
            apart = rule.merge_at is not None and (hub is None or to.method != Method.SHIP or self._spent > 0)
            found = None if apart else place(partial(self._bound, rule, ids, tried), hub)
            if found is None:
                if not apart and rule.unfilled is not Unfilled.NEXT:
                    raise PlaceUnknown
                tried.append(rule.name)
                continue
            if not found.unplaced:
                return found
            if rule.unfilled is Unfilled.DROP_SHIP:
                dropped = self.rules.vendors.take(rule.vendors, found.basis.lines, found.unplaced, to)
                if n == len(self.run.rules) or sum(x.units for x in dropped) == sum(u for _, u in found.unplaced):
                    return _ended(found, rule, dropped)
            elif rule.unfilled is not Unfilled.NEXT:
                return _ended(found, rule)
            tried.append(rule.name)
        anywhere = Bound(number=self.rules.number, run=self.run.name, tried=tried, rows=list(self.rows))
        found = place(lambda _lane: anywhere, None)
        assert found is not None  # noqa: S101  (it is not known of places where goods come together only)
        return found

    def after(self, decided: Plan) -> "Within | None":
        """Return from where the rest of a plan may be promised of goods to come; None: from anywhere."""
        bound = decided.basis.bound
        rule = None if bound is None else next((r for r in self.run.rules if r.name == bound.rule), None)
        return None if rule is None else Within(self, rule)

    def _bound(self, rule: Rule, ids: Callable[[Lane], Sequence[int]], tried: Sequence[str], lane: Lane) -> Bound:
        bound = self.rules.bound(self.run, rule, lane, ids(lane), self.target, self.rows)
        if tried:
            bound = msgspec.structs.replace(bound, tried=list(tried))
        if self._spent and bound.packages is not None:
            bound = msgspec.structs.replace(bound, packages=max(0, bound.packages - self._spent))
        return bound


class Within(Under):
    """Only from where one rule of a run lets: goods that are to come arrive at its locations."""

    __slots__ = ("_rule",)

    def __init__(self, under: Under, rule: Rule) -> None:
        super().__init__(under.rules, under.run, under.target, 0, under.rows)
        self._rule = rule

    def plan(
        self,
        request: Request,
        network: Network,
        free: Mapping[int, Sequence[int]],
        taken: Sequence[int] | None = None,
        priced: StockPrices | None = None,
        *,
        costs: bool | None = None,
        later: Collection[int] = (),
    ) -> Plan:
        """Return the cheapest plan at the rule's locations."""

        def bind(lane: Lane) -> Bound:
            whole = self.rules.bound(self.run, self._rule, lane, network.location_ids, self.target, self.rows)
            return Bound(
                number=whole.number,
                run=whole.run,
                rule=whole.rule,
                outside=whole.outside,
                far=whole.far,
                rows=whole.rows,
            )

        return plan(request, network, free, taken, priced, costs=costs, bind=bind, later=later)


def _ended(decided: Plan, rule: Rule, dropped: Sequence[Dropped] = ()) -> Plan:
    bound = decided.basis.bound
    assert bound is not None  # noqa: S101  (it was bound)
    ended = msgspec.structs.replace(
        bound, ending=rule.unfilled, cancel_after_days=rule.cancel_after_days, dropped=list(dropped)
    )
    return msgspec.structs.replace(decided, basis=msgspec.structs.replace(decided.basis, bound=ended))


def limited(run: Run, then: Then, name: str) -> Run:
    """Return a run with what a row says of it; one without rules gets one of the row's name."""
    said: dict[str, object] = {}
    if then.groups:
        said["where"] = Where(groups=then.groups)
    if then.prefer:
        said["prefer"] = [Where(groups=[code]) for code in then.prefer]
    for field in ("keep", "complete", "max_packages"):
        if getattr(then, field) is not None:
            said[field] = getattr(then, field)
    rules = [msgspec.structs.replace(rule, **said) for rule in run.rules or [Rule(name=name)]]
    if then.unfilled is not None:
        rules[-1] = msgspec.structs.replace(
            rules[-1], unfilled=then.unfilled, vendors=then.vendors, cancel_after_days=then.cancel_after_days
        )
    return msgspec.structs.replace(run, rules=rules)


def _asks_distance(run: Run) -> bool:
    return any(where.max_km is not None for rule in run.rules for where in (rule.where, *rule.prefer))


def _near(where: Where, location: Location, target: Place | None) -> bool:
    if where.max_km is None:
        return True
    if target is None or location.latitude is None or location.longitude is None:
        return False
    return distance_km(location.latitude, location.longitude, target.latitude, target.longitude) <= where.max_km


# --- which orders ---


def fits(when: When, facts: Facts, traits: Mapping[int, Traits], local: datetime | None = None) -> bool:
    """Return whether an order meets all conditions that are stated. `local`: when it came, by the retailer's clock."""
    return (
        _among(when.channels, facts.channel)
        and _among(when.methods, facts.method)
        and _among(when.states, facts.to_state)
        and _among(when.customer_groups, facts.customer_group)
        and _between(when.min_value, facts.value, when.max_value)
        and _between(when.min_units, facts.units, when.max_units)
        and _between(when.min_grams, facts.grams, when.max_grams)
        and (not when.asks_time or (local is not None and _at(when, local)))
        and (not when.asks_goods or _goods(when, facts.skus, traits))
    )


def _at(when: When, local: datetime) -> bool:
    if when.weekdays and local.isoweekday() not in when.weekdays:
        return False
    return is_hour(local.hour, when.from_hour or 0, 24 if when.to_hour is None else when.to_hour)


def _among(wanted: Collection[str], found: str | None) -> bool:
    return not wanted or found in wanted


def _between(least: int | None, found: int | None, most: int | None) -> bool:
    if least is None and most is None:
        return True
    return found is not None and (least is None or found >= least) and (most is None or found <= most)


def _goods(when: When, skus: Iterable[int], traits: Mapping[int, Traits]) -> bool:
    found = [sku in traits and _product(when, traits[sku]) for sku in skus]
    return all(found) if when.goods == "all" else any(found)


def _product(when: When, product: Traits) -> bool:
    return (
        _among(when.brands, product.brand)
        and (not when.categories or not product.categories.isdisjoint(when.categories))
        and all(product.attributes.get(name) in values for name, values in when.attributes.items())
    )
