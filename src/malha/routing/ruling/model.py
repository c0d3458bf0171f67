"""Words of routing rules: runs of orders, the rules each run tries in turn, and what a rule asked of a stored plan.

A rule set has runs in order; the first whose conditions an order meets takes it. A run has rules in order; the first
that can fill the whole order decides. What happens when a rule cannot is written in the rule.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from malha.network.model import LocationKind, Method

MAX_RUNS = 50
MAX_RULES = 20
MAX_TIERS = 9
MAX_ROWS = 500

Code = Annotated[str, Meta(min_length=1, max_length=80)]
Name = Annotated[str, Meta(min_length=1, max_length=80)]
State = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
Amount = Annotated[int, Meta(ge=0, le=10**12)]
Count = Annotated[int, Meta(ge=0, le=10**9)]
Codes = Annotated[list[Code], Meta(max_length=500)]
Weekday = Annotated[int, Meta(ge=1, le=7)]  # 1 is Monday
Hour = Annotated[int, Meta(ge=0, le=24)]


class Unfilled(StrEnum):
    """What happens with an order that a rule cannot fill."""

    NEXT = "next"  # the run's next rule; after the last one any location, the cheapest
    QUEUE = "queue"  # what the rule could not place waits for a person
    BACKORDER = "backorder"  # sold ahead where the goods' policy lets it, else it waits for a person
    DROP_SHIP = "drop_ship"  # a vendor sends it; where none supplies all of it the next rule, after the last a person


class Where(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Which locations: among `groups` and `locations` together (none: all), of one of `kinds` (none: any).

    `same_state` as the destination, at most `max_km` from its city. Neither counts for goods that are fetched.
    """

    groups: Codes = []
    locations: Codes = []
    kinds: Annotated[list[LocationKind], Meta(max_length=20)] = []
    same_state: bool = False
    max_km: Annotated[int, Meta(ge=1, le=20_000)] | None = None


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """One way to fill an order: from where, in what order, and what happens when it cannot be filled so.

    The order is the cheapest, after `prefer`: as many lines as possible from the first of its entries, then from the
    second; locations of no entry come last. `keep` units of every SKU stay at each location. `complete`: all that is to
    be placed, or nothing. `max_packages` counts parcels over all locations. `vendors` are who may be asked to send what
    is left, the first of them that supplies a line; none: the cheapest of all. `cancel_after_days` cancels what waits
    for a person, so long after it began to wait. `merge_at` is where the goods of an order that is shipped come
    together, all of them, to leave in one shipment: from the locations that goods are brought to it from.
    """

    name: Name
    where: Where = Where()
    prefer: Annotated[list[Where], Meta(max_length=MAX_TIERS)] = []
    keep: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    complete: bool = False
    max_packages: Annotated[int, Meta(ge=1, le=100)] | None = None
    unfilled: Unfilled = Unfilled.NEXT
    vendors: Annotated[list[Code], Meta(max_length=20)] = []
    cancel_after_days: Annotated[int, Meta(ge=1, le=365)] | None = None
    merge_at: Code | None = None


class When(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Which orders: every condition that is stated has to hold; an empty one holds for all.

    `min_` and `max_` include their ends; `value` is the order's total in centavos, `grams` its billable weight. Of the
    goods, `brands`, `categories` (those below included) and `attributes` (name: values) each have to fit one and the
    same product; with `goods` "all", every line's.
    """

    channels: Codes = []
    methods: Annotated[list[Method], Meta(max_length=2)] = []
    states: Annotated[list[State], Meta(max_length=27)] = []
    customer_groups: Codes = []
    min_value: Amount | None = None
    max_value: Amount | None = None
    min_units: Count | None = None
    max_units: Count | None = None
    min_grams: Count | None = None
    max_grams: Count | None = None
    brands: Codes = []
    categories: Codes = []
    attributes: Annotated[dict[Code, Codes], Meta(max_length=20)] = {}
    goods: Literal["any", "all"] = "any"
    weekdays: Annotated[list[Weekday], Meta(max_length=7)] = []
    from_hour: Hour | None = None
    to_hour: Hour | None = None

    @property
    def asks_goods(self) -> bool:
        """Tell whether the products of the order matter."""
        return bool(self.brands or self.categories or self.attributes)

    @property
    def asks_time(self) -> bool:
        """Tell whether it matters when the order was placed."""
        return bool(self.weekdays) or self.from_hour is not None or self.to_hour is not None


class Run(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Orders that are routed alike. Without rules: as if there were no rule set."""

    name: Name
    when: When = When()
    rules: Annotated[list[Rule], Meta(max_length=MAX_RULES)] = []


class Hit(StrEnum):
    """Which rows of a table count for an order."""

    FIRST = "first"  # the first that fits
    COLLECT = "collect"  # every one that fits; where two say different things, the earlier one


class Then(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What a row of a table says. What it leaves out is as the run that takes the order has it.

    `run` names the run that takes the order. What else is stated replaces what each of its rules says: only locations
    of `groups`, first those of the first group in `prefer`... `unfilled` with its `vendors`, and `cancel_after_days`,
    replace what its last rule says. Where no run takes the order, the row is a run of one rule by itself.
    """

    run: Name | None = None
    groups: Codes = []
    prefer: Annotated[list[Code], Meta(max_length=MAX_TIERS)] = []
    keep: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    complete: bool | None = None
    max_packages: Annotated[int, Meta(ge=1, le=100)] | None = None
    unfilled: Unfilled | None = None
    vendors: Annotated[list[Code], Meta(max_length=20)] = []
    cancel_after_days: Annotated[int, Meta(ge=1, le=365)] | None = None

    @property
    def limits(self) -> bool:
        """Tell whether it says more than which run."""
        return self != Then(run=self.run)


class Row(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """One row of a table: for which orders, and what counts for them."""

    name: Annotated[str, Meta(max_length=80)] = ""
    when: When = When()
    then: Then = Then()


class Table(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A decision table: it is asked before the runs. An order that no row fits goes by the runs alone."""

    hit: Hit = Hit.FIRST
    rows: Annotated[list[Row], Meta(max_length=MAX_ROWS)] = []


class Content(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """All runs of a rule set, the first that fits counts. None: every order goes where it is cheapest."""

    runs: Annotated[list[Run], Meta(max_length=MAX_RUNS)] = []
    table: Table = Table()

    @property
    def empty(self) -> bool:
        """Tell whether it says nothing of any order."""
        return not self.runs and not self.table.rows

    @property
    def groups(self) -> set[str]:
        """Return the codes of all groups of locations that it names."""
        rules = [rule for run in self.runs for rule in run.rules]
        wheres = [where for rule in rules for where in (rule.where, *rule.prefer)]
        by_rows = {code for row in self.table.rows for code in (*row.then.groups, *row.then.prefer)}
        return by_rows.union(*(where.groups for where in wheres))


class Status(StrEnum):
    """How far a rule set is."""

    DRAFT = "draft"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"  # before it came into force


class RuleSet(msgspec.Struct, frozen=True, kw_only=True):
    """One rule set. `number` counts published ones; `version` is of the draft. `in_force`: now.

    At `effective_until` it ends by itself, and the one before it that lasts is in force again; None: it does not end.
    """

    id: int
    number: int | None
    status: Status
    note: str
    content: Content
    version: int
    based_on: int | None  # number of the published one it began as
    effective_from: datetime | None
    effective_until: datetime | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    published_at: datetime | None
    published_by: str | None
    in_force: bool


class Standing(msgspec.Struct, frozen=True):
    """Which rule set is in force, and the highest number there is; None: none."""

    live: int | None
    newest: int | None


class Dropped(msgspec.Struct, frozen=True, array_like=True):
    """Units of a line that a vendor is asked to send. `cost` is centavos a unit; of a kit, of all its components.

    They leave `lead_days` working days after they are asked for, and travel `days` more.
    """

    line: int
    location: int  # id
    units: int
    cost: int
    lead_days: int
    days: int
    freight: int  # centavos of the cheapest carrier from there: what vendors were compared with


class Bound(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a rule asked of one plan, stored with it. Positions are the record's, consecutive ones as (first, last).

    `rule` None: no rule of the run could fill the order, and none said to stop: any location counted. `tried` are the
    rules before, which could not.
    """

    number: int  # of the rule set
    run: str
    rule: str | None = None
    tried: list[str] = []
    outside: list[Any] = []  # positions that the rule does not use
    far: list[Any] = []  # positions that are too far, or nobody knows how far
    tiers: list[list[Any]] = []  # positions by preference; others come last
    keep: int = 0
    complete: bool = False
    packages: int | None = None
    ending: Unfilled | None = None  # what came of it where the rule could not fill the order
    cancel_after_days: int | None = None
    dropped: list[Dropped] = []  # what vendors are asked to send of what it left
    rows: list[int] = []  # of the table of that rule set, from 1 on, that fitted the order and counted

    @property
    def dropped_units(self) -> dict[int, int]:
        """Return how many units vendors are asked to send, by line."""
        return {one.line: one.units for one in self.dropped}

    @property
    def plain(self) -> bool:
        """Tell whether it only closes locations and keeps units back."""
        return not self.tiers and self.packages is None


class Traits(msgspec.Struct, frozen=True):
    """What rules ask of a product. `categories` are codes from the root down."""

    brand: str | None
    categories: frozenset[str]
    attributes: Mapping[str, str]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What rules ask of an order. `value` None: not known, as of a basket. `skus` are one of each line.

    `at` is when it was placed; None: not known.
    """

    channel: str
    method: str
    to_state: str | None
    postal_code: str | None
    customer_group: str | None
    value: int | None
    units: int
    grams: int
    skus: list[int]
    at: datetime | None = None


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """What rules may ask of an order and its plan does not say: stored with the first decision, for other rules.

    `goods` is what its products were, with their SKU ids, where the rules then in force asked for it.
    """

    value: int | None
    postal_code: str | None
    customer_group: str | None
    goods: list[tuple[int, Traits]] = []
