"""Words of simulation: what is changed on paper, and what came of it beside what happened. Money is centavos."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.platform.ids import UUID

RESULT_VERSION = 1
EXAMPLES = 12  # orders shown of those that changed most, in either direction
MOST_MOVED = 500  # orders kept with both decisions, of those that would have gone elsewhere
MOST_KEPT = 100  # orders named of those that could not be decided again

Units = Annotated[int, Meta(ge=0, le=1_000_000)]
Centavos = Annotated[int, Meta(ge=0, le=1_000_000_00)]
Code = Annotated[str, Meta(min_length=1, max_length=80)]
State = Annotated[str, Meta(pattern="^[A-Z]{2}$")]


class Status(StrEnum):
    """How far a simulation is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OVER = frozenset({Status.DONE, Status.FAILED, Status.CANCELLED})


class At(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What is changed at one location. What is absent stays as it was when each order was decided.

    `closed` takes no orders. `keep` units of every SKU are not for orders. `handling` is the cost of a parcel, `line`
    of a line picked. `capacity` is orders a day.
    """

    location: Code
    closed: bool = False
    keep: Units = 0
    handling: Centavos | None = None
    line: Centavos | None = None
    capacity: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class Freight(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Carriage from and to some states costs `percent` of what it did; absent: any state. The last that fits counts."""

    percent: Annotated[int, Meta(ge=1, le=1_000)]
    from_state: State | None = None
    to_state: State | None = None


class Opening(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A location that is not there: in a state, with a share of the stock that another had.

    It is open to the orders its source was open to, ships at the prices of its state, and never had a full day.
    """

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    state: State
    stock_from: Code
    share: Annotated[int, Meta(ge=1, le=100)]  # percent of the units free there, rounded down
    handling: Centavos = 0
    line: Centavos = 0


class Scenario(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What is changed on paper; nothing: the past as it was.

    `split_penalty` is what each parcel beyond an order's first counts when plans are compared; it is no cost and is not
    added up. Stock that a changed plan took elsewhere is missed there, and free where the order really took it, for
    `replenished_after` days: then the shelves are taken to be filled to their usual level again.
    """

    locations: Annotated[list[At], Meta(max_length=500)] = []
    freight: Annotated[list[Freight], Meta(max_length=800)] = []
    opened: Annotated[list[Opening], Meta(max_length=20)] = []
    split_penalty: Centavos = 0
    replenished_after: Annotated[int, Meta(ge=1, le=365)] = 7


class Draft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A simulation that is wanted: orders placed from `since` to `until`, both included, in the retailer's days.

    `rule_set` is the id of the routing rules, a draft or published, that decide on paper; absent: those that decided
    each order then. `cost_draft` is the id of a draft of costs by which plans are compared, in the same way.
    """

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    since: date
    until: date
    channel: Code | None = None
    scenario: Scenario = Scenario()
    rule_set: int | None = None
    cost_draft: int | None = None


class CostsTried(msgspec.Struct, frozen=True, kw_only=True):
    """The draft of costs that is tried, as it was when it began, and a fingerprint of what was in force beside it."""

    draft: int  # id
    version: int
    note: str
    beside: str


class RulesTried(msgspec.Struct, frozen=True, kw_only=True):
    """The rules that decide on paper, as they were when it began, and what they stood beside.

    `number` None: a draft, with its `version`. `live` is the number of the set that was in force (None: there were no
    rules), `newest` the highest number there was.
    """

    rule_set: int  # id
    version: int
    number: int | None
    note: str
    live: int | None
    newest: int | None


class Sums(msgspec.Struct, omit_defaults=True):
    """What some orders came to. `transit` adds up business days on the way of the slowest parcel of `timed` orders."""

    orders: int = 0
    cost: int = 0
    packages: int = 0
    split: int = 0  # orders in more than one parcel
    units: int = 0
    unplaced: int = 0  # units that found no location
    transit: int = 0
    timed: int = 0


class Load(msgspec.Struct, omit_defaults=True):
    """What some orders meant for a location. `peak` is the most orders of one day at its site."""

    orders: int = 0
    units: int = 0
    cost: int = 0
    peak: int = 0


class Side(msgspec.Struct):
    """One of the two worlds: all orders, by location (code), destination (state) and day."""

    total: Sums = msgspec.field(default_factory=Sums)
    locations: dict[str, Load] = msgspec.field(default_factory=dict)
    states: dict[str, Sums] = msgspec.field(default_factory=dict)
    days: dict[str, Sums] = msgspec.field(default_factory=dict)


class Example(msgspec.Struct, frozen=True):
    """An order that would have gone another way: its number, what it cost then and would have, and from where."""

    number: str
    order_id: UUID
    cost_before: int
    cost_after: int
    from_before: list[str]
    from_after: list[str]
    together_before: str | None = None  # where its goods come together
    together_after: str | None = None


class DayGap(msgspec.Struct, omit_defaults=True):
    """Some orders of a day beside what hindsight would have let them cost: nothing costs less than `bound`.

    `certificate` is how far the bound may lie below the programme's own optimum, relatively. `live` and `draft` are
    what the same orders cost. Where the draft placed other units, or had other goods come
    together, its cost says nothing: then `alike` is false.
    """

    orders: int = 0  # of the day
    compared: int = 0
    live: int = 0
    draft: int = 0
    bound: float = 0.0
    certificate: float = 0.0
    alike: bool = True


class NoBound(StrEnum):
    """Why a day has no bound."""

    TIME = "time"
    DEFECT = "defect"  # of the programme: it is in the log
    ENDED = "ended"  # its process ended before it came to it, or was ended: the log has what it said
    MOVED = "moved"  # other orders were decided than were compared, while the rest was worked out


class Beyond(StrEnum):
    """Why a bound cannot speak of an order. The first that applies is given."""

    AGED = "aged"  # it was let off something for aged stock, whose credits are known only where it lay
    NOWHERE = "nowhere"  # nothing of it found a location
    KIT = "kit"
    LINES = "lines"  # more than `gap_rules.MOST_LINES`
    SHORT = "short"  # something of it found no location
    PARTED = "parted"  # units of a line from several locations


class Gap(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Days beside their hindsight bounds.

    `left` days have none, `why` says for what reasons, `said` is the kind of the first defect, as the log has it.
    `beyond` counts the orders of the days looked at that are left out on both sides. `busy` is what the compared
    decisions paid for places on busy days, which the bounds count as nothing: decided otherwise, they were less busy.
    """

    days: dict[str, DayGap] = msgspec.field(default_factory=dict)
    left: int = 0
    why: dict[NoBound, int] = msgspec.field(default_factory=dict)
    said: str = ""
    beyond: dict[Beyond, int] = msgspec.field(default_factory=dict)
    busy: int = 0
    seconds: float = 0.0


class Unknown(StrEnum):
    """Why it cannot be told what became of an order whose goods come together on paper, or no longer do."""

    PLACE = "place"  # where they would come together was not there yet
    CARRIAGE = "carriage"  # what all of it costs from there, or its parcels from elsewhere, was not looked at
    STOCK = "stock"  # a location could have taken part whose stock was not looked at
    NETWORK = "network"  # the network or its costs changed since: what parcels from elsewhere cost is not known
    TERMS = "terms"  # taxes, or how far a location may ship, were not looked at elsewhere
    NEXT = "next"  # it can no longer come together, and what the next rule asked is not kept


class Kept(msgspec.Struct, frozen=True):
    """An order that stays as it was on paper, and why."""

    number: str
    order_id: UUID
    why: Unknown


class Together(msgspec.Struct, omit_defaults=True):
    """Orders whose goods came together, and would have on paper.

    Of `today` orders the ways between locations may have been others when they were decided: they are today's.
    `unknown` counts the orders that stay as they were, by reason; `kept` are the first of them.
    """

    before: int = 0
    after: int = 0
    today: int = 0
    unknown: dict[Unknown, int] = msgspec.field(default_factory=dict)
    kept: list[Kept] = msgspec.field(default_factory=list)


TAKEN_OFF = frozenset({"credit", "same_site"})


class Bill(msgspec.Struct, omit_defaults=True):
    """What parcels cost, by term. Those of `TAKEN_OFF` are taken off."""

    freight: int = 0
    handling: int = 0
    picking: int = 0
    split: int = 0
    carton: int = 0
    rejection: int = 0
    lateness: int = 0
    tax: int = 0
    busy: int = 0
    credit: int = 0
    same_site: int = 0

    @property
    def total(self) -> int:
        """Return all of it."""
        return (
            self.freight + self.handling + self.picking + self.split + self.carton + self.rejection + self.lateness
            + self.tax + self.busy - self.credit - self.same_site
        )  # fmt: skip

    def add(self, other: "Bill") -> None:
        """Add another one up."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Costed(msgspec.Struct, omit_defaults=True):
    """What a draft of costs comes to, by term.

    `then` is what the real plans cost by the costs that decided them, `kept` what the same plans cost by the draft's,
    `after` what the plans cost that are cheapest by the draft's. Only the last two are compared.
    """

    then: Bill = msgspec.field(default_factory=Bill)
    kept: Bill = msgspec.field(default_factory=Bill)
    after: Bill = msgspec.field(default_factory=Bill)


class Result(msgspec.Struct, kw_only=True):
    """What came of a simulation. `unreadable` orders have a decision that this program cannot read."""

    version: int = RESULT_VERSION
    before: Side = msgspec.field(default_factory=Side)
    after: Side = msgspec.field(default_factory=Side)
    moved: int = 0  # orders whose locations differ
    rerouted: int = 0  # orders decided again later, after a rejection or short pick: only their first way is compared
    unreadable: int = 0
    dearer: list[Example] = msgspec.field(default_factory=list)
    cheaper: list[Example] = msgspec.field(default_factory=list)
    seconds: float = 0.0
    gap: Gap | None = None
    together: Together | None = None  # only where goods of an order come together in either world
    ruled: "Ruled | None" = None  # only where rules were tried
    costed: Costed | None = None  # only where a draft of costs was tried; `before` is `costed.kept` then


class Ruled(msgspec.Struct, omit_defaults=True):
    """What rules on paper came to: how many orders each run took and each row of the table fitted, from 1 on.

    `asked_today` orders were decided before what rules may ask of them was kept: that is what it is today. `otherwise`
    were decided by another set than the one that was in force when the simulation began.
    """

    runs: dict[str, int] = msgspec.field(default_factory=dict)
    rows: dict[str, int] = msgspec.field(default_factory=dict)
    none: int = 0  # orders that no run took
    asked_today: int = 0
    otherwise: int = 0


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """An order that would have gone elsewhere, in both worlds. `run`, `rule` and `rows` are of the rules on paper."""

    order_id: UUID
    number: str
    day: date
    cost_before: int
    cost_after: int
    packages_before: int
    packages_after: int
    unplaced_before: int  # units
    unplaced_after: int
    from_before: list[str]
    from_after: list[str]
    together_before: str | None = None  # where its goods come together
    together_after: str | None = None
    run: str | None = None
    rule: str | None = None
    rows: list[int] = []
    record: str | None = None  # the decision on paper, while it is kept; None: it names locations that are not there


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """A stored simulation without its result."""

    id: UUID
    name: str
    since: date
    until: date
    channel: str | None
    scenario: Scenario
    status: Status
    done: int
    total: int
    problem: str
    created_by: str
    created_at: datetime
    finished_at: datetime | None
    rules: RulesTried | None = None
    promoted: int | None = None  # number of the rule set that came of it
    promoted_at: datetime | None = None
    promoted_by: str | None = None
    taken_back: int | None = None  # number of the set that replaced it again; 0: withdrawn before its time
    costs: CostsTried | None = None


class Decided(msgspec.Struct, frozen=True):
    """One past decision as it is replayed."""

    order_id: UUID
    number: str
    at: datetime
    day: date  # of the order, in the retailer's time zone
    state: str  # of the destination; empty for pickup
    attempts: int
    record: str
    rule_set: int | None = None  # that decided
    asked: str | None = None  # routing.ruling.model.Asked, as it was kept; None: it was not
    value: int | None = None  # these three as they are today, where it was not kept
    postal_code: str | None = None
    customer_group: str | None = None


class Site(msgspec.Struct, frozen=True):
    """What a replay needs to know of a location today."""

    id: int
    code: str
    state: str
    daily_capacity: int | None  # of its site
    home: int  # the first location of its site, whose orders of the day are counted together
