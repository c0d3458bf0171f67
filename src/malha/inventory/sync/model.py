"""Words of stock that others state: sources and their roles, lives of a snapshot, what is wrong with a row, drift."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from malha.inventory.model import Reason
from malha.platform.i18n import N_
from malha.platform.ids import UUID


class Leaves(StrEnum):
    """When a unit leaves the source's books; here it leaves when it is shipped or handed over."""

    PICK = "pick"
    PACK = "pack"
    INVOICE = "invoice"
    SHIP = "ship"


class Role(StrEnum):
    """What a source's word is worth at a location."""

    TRUTH = "truth"  # its snapshots are applied
    SECONDARY = "secondary"  # its deltas are applied, its snapshots are compared only


class ZeroRule(StrEnum):
    """What happens to a snapshot that would empty more balances than the source's guard allows."""

    ASK = "ask"
    REFUSE = "refuse"


class Scope(StrEnum):
    """What a snapshot speaks of."""

    WHOLE = "whole"  # all there is at its locations: what it does not mention is zero
    PARTIAL = "partial"  # the rows it has, and nothing else


class State(StrEnum):
    """Life of a snapshot."""

    RECEIVING = "receiving"
    WAITING = "waiting"  # would empty too much: a person decides
    APPLYING = "applying"
    APPLIED = "applied"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    FAILED = "failed"


LIVE = frozenset({State.RECEIVING, State.APPLYING})
STOPPABLE = frozenset({State.WAITING, State.APPLYING})


class Problem(StrEnum):
    """Why a row of a snapshot is held."""

    UNREADABLE = "unreadable"
    KEY_TWICE = "key_twice"
    NO_RESULT = "no_result"
    UNKNOWN_SKU = "unknown_sku"
    UNKNOWN_GTIN = "unknown_gtin"
    BAD_GTIN = "bad_gtin"
    OTHER_GTIN = "other_gtin"
    KIT = "kit"
    UNKNOWN_LOCATION = "unknown_location"
    UNKNOWN_OWNER = "unknown_owner"
    NOT_ITS_LOCATION = "not_its_location"
    NO_QUANTITY = "no_quantity"
    NEGATIVE = "negative"
    NO_NUMBER = "no_number"
    TOO_MANY = "too_many"
    TWICE = "twice"


PROBLEMS: dict[Problem, str] = {
    Problem.UNREADABLE: N_("The row cannot be read. Check its quotation marks and the number of its cells."),
    Problem.KEY_TWICE: N_("The line states a key twice, and nobody can know which value is meant. State it once."),
    Problem.NO_RESULT: N_(
        "A cell holds a formula without a result. Save the file in a spreadsheet program, and send it again."
    ),
    Problem.UNKNOWN_SKU: N_("There is no such SKU. Create its product first, or correct the code."),
    Problem.UNKNOWN_GTIN: N_("No SKU has this GTIN. Add it to its product, or correct it."),
    Problem.BAD_GTIN: N_("The GTIN is not valid: its check digit does not match. Scan it again."),
    Problem.OTHER_GTIN: N_("The GTIN belongs to another SKU. Correct one of the two."),
    Problem.KIT: N_("It is a kit, which has no stock of its own. State the stock of its components."),
    Problem.UNKNOWN_LOCATION: N_("There is no such location. Use the code of a location."),
    Problem.UNKNOWN_OWNER: N_(
        "The owner keeps no goods at the site of this location. Check both codes, or add a location for its goods."
    ),
    Problem.NOT_ITS_LOCATION: N_(
        "The source is not declared for this location, or the snapshot does not speak of it. Declare it first."
    ),
    Problem.NO_QUANTITY: N_("The quantity is empty. State 0 if there is none."),
    Problem.NEGATIVE: N_("The quantity is negative. Physical stock cannot be: count it, and correct the source."),
    Problem.NO_NUMBER: N_("The quantity is no whole number. Write it without thousands or decimals."),
    Problem.TOO_MANY: N_("The quantity is more than a balance can hold. Check it."),
    Problem.TWICE: N_("The SKU stands more than once for this location. Send one row with the sum."),
}


class DriftKind(StrEnum):
    """Why a disagreement was not settled by itself."""

    WINDOW = "window"  # something moved so near to as_of that nobody can say on which side
    COMPARED = "compared"  # a secondary source, which is never applied
    NEGATIVE = "negative"  # what left since is more than was stated
    BEYOND = "beyond"  # with what came since it is more than a balance can hold
    LATE = "late"  # a change reported so near to the last snapshot that it may be in it


class DriftState(StrEnum):
    """Where a disagreement stands."""

    OPEN = "open"
    EXPLAINED = "explained"  # one side of the window explains all of it
    AGREED = "agreed"  # a later statement agrees
    THEIRS = "theirs"  # repaired: the source's number was taken
    OURS = "ours"  # repaired: ours was kept
    COUNTING = "counting"  # waits for a count
    COUNTED = "counted"  # settled by a count


class Outcome(StrEnum):
    """What became of one reported change."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"  # reported before, and carried out then
    INCLUDED = "included"  # a snapshot that already includes it was applied
    REVIEW = "review"  # may or may not be in the last snapshot: a drift to look at
    CONFLICT = "conflict"  # the balance is not what was expected
    REUSED = "reused"  # the reference named another change before
    UNKNOWN_SKU = "unknown_sku"
    KIT = "kit"
    UNKNOWN_LOCATION = "unknown_location"
    UNKNOWN_OWNER = "unknown_owner"
    NOT_ITS_LOCATION = "not_its_location"
    TOO_MANY = "too_many"  # by itself, or with what is there, more than a balance can hold
    IN_FUTURE = "in_future"
    TOO_LONG_AGO = "too_long_ago"  # from before the year 2000: a mistake
    WRONG_SIGN = "wrong_sign"  # its reason takes units away, and it adds some; or the other way round


# Which way a difference of a reason goes. Corrections, which are what takes back other changes, and transfers go both
# ways.
WAYS: Mapping[str, int] = {
    Reason.RECEIPT.value: 1,
    Reason.FOUND.value: 1,
    Reason.DAMAGE.value: -1,
    Reason.LOSS.value: -1,
    Reason.SHIP.value: -1,
    Reason.HAND_OVER.value: -1,
}


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One who states stock. `last_seq` is -1 before its first snapshot."""

    id: int
    code: str
    name: str
    leaves: Leaves
    skew_seconds: int
    zero_percent: int
    zero_rule: ZeroRule
    active: bool
    last_seq: int
    version: int
    truths: dict[str, int]  # code -> id
    secondaries: dict[str, int]


class SourceDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source as someone states it. `truth` and `secondary` are codes of locations."""

    code: str
    name: str
    leaves: Leaves = Leaves.SHIP
    skew_seconds: int = 2
    zero_percent: int = 20
    zero_rule: ZeroRule = ZeroRule.ASK
    active: bool = True
    truth: list[str] = []
    secondary: list[str] = []


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One statement of stock and how far it is. `rows` = unchanged + differing + held, less what is `absent`."""

    id: UUID
    number: int
    source_id: int
    source: str
    source_name: str
    seq: int
    as_of: datetime
    scope: Scope
    state: State
    name: str
    client: str
    key: str | None
    digest: bytes | None
    bytes: int
    rows: int
    held: int
    differing: int
    absent: int
    zeroed: int
    stocked: int
    done: int
    changed: int
    reviewed: int
    through_sku: int
    through_location: int
    reason: dict[str, Any] | None
    person: str
    received_at: datetime
    accepted_at: datetime | None
    ended_at: datetime | None
    other_sheets: list[str]  # of a workbook: filled, and not read
    oddities: list[dict[str, Any]]  # of its sheet, as `workbook.Oddity`: what is read otherwise than it is seen
    zero_percent: int

    @property
    def unchanged(self) -> int:
        """Return the rows that say what is so already."""
        return max(self.rows - self.held - (self.differing - self.absent), 0)

    @property
    def absent_wait(self) -> bool:
        """Tell whether all is applied but what it does not mention, for rows name what nobody knows."""
        return (self.reason or {}).get("code") == "absent"

    @property
    def share(self) -> int:
        """Return how much of what differs is done, in whole percent."""
        return 100 if not self.differing else self.done * 100 // self.differing


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """One change a source reports: a difference, or with `sets` the quantity there is now."""

    ref: str
    sku: str
    location: str
    quantity: int
    owner: str | None = None  # establishment whose goods they are; None: the location's
    sets: bool = False
    expected: int | None = None
    seq: int | None = None
    occurred_at: datetime | None = None
    reason: str = "adjustment"
    document: str | None = None


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """One disagreement. `unexplained` is what theirs has more than ours when everything known is counted."""

    id: UUID
    source: str
    source_name: str
    sku_id: int
    sku: str
    sku_name: str
    location_id: int
    location: str
    location_name: str
    home: int  # the first location of its site
    site: str
    site_name: str
    owner: str  # whose goods they are: an establishment
    owner_name: str
    shared: bool  # the site keeps the goods of other owners too
    snapshot_id: UUID | None
    snapshot: int | None
    kind: DriftKind
    state: DriftState
    as_of: datetime
    seq: int | None
    theirs: int
    ours: int
    underway: int
    later: int
    in_window: int
    allocated: int
    unexplained: int
    found_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    version: int
    count: int | None = None  # the number of the count that was asked for, or settled it


class Sum(msgspec.Struct, frozen=True):
    """Disagreements added up: units of all of them; what is `unexplained` is 0 where they even out."""

    rows: int
    theirs: int
    moved: int  # under way then, or moved since
    in_window: int
    ours: int
    unexplained: int


class SiteDrift(msgspec.Struct, frozen=True):
    """What one source says of one SKU at one site: a disagreement for each location of it, the site's first one first.

    A source that takes one owner's goods for another's disagrees twice, and the sum is 0.
    """

    rows: list[Drift]
    newest: datetime  # when the last of them was found

    @property
    def sum(self) -> Sum:
        """Return all of them together."""
        return sum_of(self.rows)

    @property
    def evens_out(self) -> bool:
        """Whether the site as a whole agrees, and only whose the goods are is said otherwise."""
        return len(self.rows) > 1 and self.sum.unexplained == 0


def sum_of(rows: Sequence[Drift]) -> Sum:
    """Return disagreements added up."""
    return Sum(
        rows=len(rows),
        theirs=sum(row.theirs for row in rows),
        moved=sum(row.underway + row.later for row in rows),
        in_window=sum(row.in_window for row in rows),
        ours=sum(row.ours for row in rows),
        unexplained=sum(row.unexplained for row in rows),
    )
