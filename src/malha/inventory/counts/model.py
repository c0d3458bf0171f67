"""Words of counts: tasks, lines, what a count may differ by, and why stock is suspected not to be there."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from malha.inventory.model import Deficit
from malha.platform.i18n import N_
from malha.platform.ids import UUID


class CountKind(StrEnum):
    """How much is counted."""

    CYCLE = "cycle"  # some SKUs, while the shop is open
    PHYSICAL = "physical"  # everything at a location


class Source(StrEnum):
    """Why there is a count."""

    PERSON = "person"
    ABC = "abc"
    SHORT_PICK = "short_pick"
    SUSPICION = "suspicion"
    DRIFT = "drift"  # a source says otherwise


class TaskState(StrEnum):
    """Life of a count."""

    OPEN = "open"
    APPLYING = "applying"
    APPLIED = "applied"
    CANCELLED = "cancelled"


TASK_WORDS = {
    TaskState.OPEN: N_("open"),
    TaskState.APPLYING: N_("being applied"),
    TaskState.APPLIED: N_("applied"),
    TaskState.CANCELLED: N_("cancelled"),
}


class LineState(StrEnum):
    """Where one SKU of a count stands."""

    PENDING = "pending"
    RECOUNT = "recount"  # somebody else is to count it again
    REVIEW = "review"  # counted again, and still beyond the limits: somebody has to approve it
    ACCEPTED = "accepted"
    APPLIED = "applied"
    SKIPPED = "skipped"  # nobody counted it, and its stock stays as it is


class Limits(msgspec.Struct, frozen=True):
    """Up to which variance a count is believed as it is; both must hold. `value` is centavos."""

    units: int = 0
    value: int = 0


class Since(StrEnum):
    """What a row of the ledger that came after a counting says about what was counted."""

    LATE = "late"  # a movement of before the counting, told afterwards
    OLDER = "older"  # a statement of before the counting: another count, or a system's number that was told late
    SYSTEM = "system"  # a number that was stated after the counting, by who did not look at this shelf
    NOTE = "note"  # what was noted as lost or found, or adjusted: on the page, or by a program for a person
    PICK = "pick"  # what a picker did not find, or a receipt that never was


class Step(msgspec.Struct, frozen=True):
    """One such row, in signed units. Everything else that moved is goods that came or went, and is in no step."""

    sku_id: int
    location_id: int
    what: Since
    units: int


class Meanwhile(msgspec.Struct, frozen=True):
    """What became known of a SKU between its counting and the end of the count.

    Attributes:
        sku_id: the SKU.
        variance: what was counted without what was expected, in signed units.
        superseded: somebody counted the same shelf later, and that is known.
        steps: what the ledger got since, in its order.
    """

    sku_id: int
    variance: int
    superseded: bool
    steps: Sequence[Step] = ()


class CountDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A count as someone asks for it. Without SKUs everything that is on hand is counted."""

    location_id: int
    skus: list[int] | None = None
    kind: CountKind = CountKind.CYCLE
    source: Source = Source.PERSON
    zone: str = ""
    note: str = ""
    blind: bool = True
    freeze: bool = False  # the whole location
    freeze_zone: bool = False  # what is counted; without SKUs what the zone had when it was last counted
    owner_alone: bool = False  # only the goods of the location's owner, where its site keeps several owners'
    limits: Limits = Limits()


class Entry(msgspec.Struct, frozen=True):
    """What a person found on the shelf. `as_of`: when, if that is not now."""

    sku_id: int
    counted: int
    as_of: datetime | None = None
    bin: str = ""


class Task(msgspec.Struct, frozen=True):
    """The head of a count as it stands."""

    id: UUID
    number: int
    location_id: int
    kind: CountKind
    source: Source
    state: TaskState
    blind: bool
    frozen: bool
    paused: bool
    zone_frozen: bool
    limit_units: int
    limit_value: int
    places: list[int]  # whose balances are counted together: the location, or all of its site


class Line(msgspec.Struct, frozen=True):
    """One SKU of a count as it stands."""

    sku_id: int
    state: LineState
    attempts: int
    counted: int | None
    expected: int | None
    counted_by: str | None
    tally: int | None
    tallied_at: datetime | None
    tallied_by: str | None
    price: int | None


class Applied(msgspec.Struct, frozen=True):
    """What a step of applying did; `left` lines are still to do."""

    lines: int
    left: int
    deficits: list[Deficit]


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """How a SKU at a location sold and was picked: facts for a suspicion. Times are days."""

    sku_id: int
    location_id: int
    free: int
    on_hand: int
    short_picks: int
    sales: int  # in the days observed before the silence
    observed: float
    silence: float  # since anything proved that some are there


class Suspicion(msgspec.Struct, frozen=True):
    """Stock that is probably not there: 0 to 100, and each reason with its figures."""

    habits: Habits
    score: int
    improbable: float | None  # probability that nothing sold for so long, if the stock is there


class PhantomRule(msgspec.Struct, frozen=True, kw_only=True):
    """When stock is suspected."""

    days: int = 84  # looked back
    fewest_sales: int = 5  # before the habits of a SKU say anything
    improbable: float = 0.01
    score: int = 60
    most: int = 200  # suspicions raised at a location at a time
