"""Rule sets as routing uses them: which run takes an order, and its rules tried in turn. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from malha.network.model import Location, Method
from malha.network.places import Place, locate
from malha.network.snapshot import NetworkSnapshot
from malha.network.tariff import distance_km
from malha.routing.lanes import Lane
from malha.routing.model import Network, Plan, Request, StockPrices
from malha.routing.rules import plan
from malha.routing.ruling.model import Bound, Content, Facts, Rule, Run, Traits, Unfilled, When, Where
from malha.routing.terms import runs

KEPT_SITES = 4_096


class Rules:
    """One rule set over one revision of the network. Which locations a rule means is worked out at first use."""

    def __init__(
        self, number: int, content: Content, known: NetworkSnapshot, groups: Mapping[str, Collection[str]]
    ) -> None:
        self.number = number
        self.runs = content.runs
        self.asks_goods = any(run.when.asks_goods for run in content.runs)
        self._locations = known.locations
        self._ids = known.location_ids
        self._groups = groups
        self._named: dict[int, frozenset[int]] = {}
        self._sites: dict[tuple[object, ...], Bound] = {}

    def under(self, facts: Facts, traits: Mapping[int, Traits], *, spent: int = 0) -> "Under | None":
        """Return the run that takes an order; None: no run does. `spent` packages of it are on their way already."""
        for run in self.runs:
            if fits(run.when, facts, traits):
                target = locate(facts.postal_code) if facts.postal_code and _asks_distance(run) else None
                return Under(self, run, target, spent)
        return None

    def bound(self, run: Run, rule: Rule, lane: Lane, ids: Sequence[int], target: Place | None) -> Bound:
        """Return what a rule asks of a lane whose destination lies in a city."""
        facts = lane.facts
        key = (id(rule), facts.channel, facts.method, facts.service, facts.to, facts.pickup, target)
        found = self._sites.get(key)
        if found is None:
            if len(self._sites) >= KEPT_SITES:
                self._sites.clear()
            found = self._sites[key] = self._work_out(run, rule, lane, ids, target)
        return found

    def _work_out(self, run: Run, rule: Rule, lane: Lane, ids: Sequence[int], target: Place | None) -> Bound:
        open_ = [self._locations[ids[index]] for index in lane.open]
        ships = lane.facts.method == Method.SHIP
        outside, far, left = [], [], []
        for position, location in enumerate(open_):
            if not self._names(rule.where, location, lane.facts.to if ships else None):
                outside.append(position)
            elif ships and not _near(rule.where, location, target):
                far.append(position)
            else:
                left.append(position)
        tiers: list[list[int]] = []
        for where in rule.prefer:
            mine = [
                position
                for position in left
                if self._names(where, open_[position], lane.facts.to if ships else None)
                and (not ships or _near(where, open_[position], target))
            ]
            tiers.append(mine)
            left = [position for position in left if position not in set(mine)]
        return Bound(
            number=self.number,
            run=run.name,
            rule=rule.name,
            outside=list(runs(outside)),
            far=list(runs(far)),
            tiers=[list(runs(tier)) for tier in tiers],
            keep=rule.keep,
            complete=rule.complete,
            packages=rule.max_packages,
        )

    def _names(self, where: Where, location: Location, to_state: str | None) -> bool:
        if where.kinds and location.kind not in where.kinds:
            return False
        if (where.groups or where.locations) and location.id not in self._named_by(where):
            return False
        return not (where.same_state and to_state is not None and location.state != to_state)

    def _named_by(self, where: Where) -> frozenset[int]:
        found = self._named.get(id(where))
        if found is None:
            codes = {code for group in where.groups for code in self._groups.get(group, ())}
            codes.update(where.locations)
            found = self._named[id(where)] = frozenset(self._ids[code] for code in codes if code in self._ids)
        return found


class Under:
    """A run that took an order: plans it by its rules, one after the other."""

    __slots__ = ("_spent", "rules", "run", "target")

    def __init__(self, rules: Rules, run: Run, target: Place | None, spent: int) -> None:
        self.rules = rules
        self.target = target
        self._spent = spent
        self.run = run

    def plan(
        self,
        request: Request,
        network: Network,
        free: Mapping[int, Sequence[int]],
        taken: Sequence[int] | None = None,
        priced: StockPrices | None = None,
        *,
        costs: bool | None = None,
    ) -> Plan:
        """Return the plan of the first rule that fills the whole request, or what the first that stops could place."""
        tried: list[str] = []
        for rule in self.run.rules:
            found = plan(
                request,
                network,
                free,
                taken,
                priced,
                costs=costs,
                bind=partial(self._bound, rule, network, tried),
            )
            if not found.unplaced:
                return found
            if rule.unfilled is not Unfilled.NEXT:
                return _ended(found, rule)
            tried.append(rule.name)
        anywhere = Bound(number=self.rules.number, run=self.run.name, tried=tried)
        return plan(request, network, free, taken, priced, costs=costs, bind=lambda _lane: anywhere)

    def after(self, decided: Plan) -> "Within | None":
        """Return from where the rest of a plan may be promised of goods to come; None: from anywhere."""
        bound = decided.basis.bound
        rule = None if bound is None else next((r for r in self.run.rules if r.name == bound.rule), None)
        return None if rule is None else Within(self, rule)

    def _bound(self, rule: Rule, network: Network, tried: Sequence[str], lane: Lane) -> Bound:
        bound = self.rules.bound(self.run, rule, lane, network.location_ids, self.target)
        if tried:
            bound = msgspec.structs.replace(bound, tried=list(tried))
        if self._spent and bound.packages is not None:
            bound = msgspec.structs.replace(bound, packages=max(0, bound.packages - self._spent))
        return bound


class Within(Under):
    """Only from where one rule of a run lets: goods that are to come arrive at its locations."""

    __slots__ = ("_rule",)

    def __init__(self, under: Under, rule: Rule) -> None:
        super().__init__(under.rules, under.run, under.target, 0)
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
    ) -> Plan:
        """Return the cheapest plan at the rule's locations."""

        def bind(lane: Lane) -> Bound:
            whole = self.rules.bound(self.run, self._rule, lane, network.location_ids, self.target)
            return Bound(number=whole.number, run=whole.run, rule=whole.rule, outside=whole.outside, far=whole.far)

        return plan(request, network, free, taken, priced, costs=costs, bind=bind)


def _ended(decided: Plan, rule: Rule) -> Plan:
    bound = decided.basis.bound
    assert bound is not None  # noqa: S101  (it was bound)
    ended = msgspec.structs.replace(bound, ending=rule.unfilled, cancel_after_days=rule.cancel_after_days)
    return msgspec.structs.replace(decided, basis=msgspec.structs.replace(decided.basis, bound=ended))


def _asks_distance(run: Run) -> bool:
    return any(where.max_km is not None for rule in run.rules for where in (rule.where, *rule.prefer))


def _near(where: Where, location: Location, target: Place | None) -> bool:
    if where.max_km is None:
        return True
    if target is None or location.latitude is None or location.longitude is None:
        return False
    return distance_km(location.latitude, location.longitude, target.latitude, target.longitude) <= where.max_km


# --- which orders ---


def fits(when: When, facts: Facts, traits: Mapping[int, Traits]) -> bool:
    """Return whether an order meets all conditions that are stated."""
    return (
        _among(when.channels, facts.channel)
        and _among(when.methods, facts.method)
        and _among(when.states, facts.to_state)
        and _among(when.customer_groups, facts.customer_group)
        and _between(when.min_value, facts.value, when.max_value)
        and _between(when.min_units, facts.units, when.max_units)
        and _between(when.min_grams, facts.grams, when.max_grams)
        and (not when.asks_goods or _goods(when, facts.skus, traits))
    )


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
