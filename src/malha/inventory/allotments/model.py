"""Words of allotments: who takes stock, what fences and caps are in force, and what a claim draws and counts.

A *fence* sets units of a balance apart for some channels: a unit is in one fence or in common stock. A *cap* sets
nothing apart: it limits how many units some channels may sell, over whatever SKUs, locations and time it names.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

Instant = Annotated[datetime, Meta(tz=True)]
ALL_SKUS = 0  # the counter of a cap that counts all its SKUs together
OWN, COMMON, BORROWED = 0, 1, 2  # ranks of what a claim draws; borrowed fences count on from there


class Kind(StrEnum):
    """What an allotment does."""

    FENCE = "fence"
    CAP = "cap"


class State(StrEnum):
    """Life of an allotment: it ends once, by its time or by hand."""

    ACTIVE = "active"
    ENDED = "ended"


class FenceReason(StrEnum):
    """Why units of a fence moved. Every row of its ledger has one."""

    SET_APART = "set_apart"  # from common stock
    DRAWN = "drawn"  # claimed or held
    GIVEN_BACK = "given_back"  # a claim on them ended
    SOLD = "sold"  # they left
    SHRUNK = "shrunk"  # fewer are there than were set apart
    RETURNED = "returned"  # to common stock: the fence ended or was made smaller


class Taker(msgspec.Struct, frozen=True):
    """Who takes stock: the channel an order came by, and the group its buyer belongs to, if the channel says one."""

    channel_id: int
    customer_group: str | None = None


class Fence(msgspec.Struct, frozen=True, kw_only=True):
    """A fence in force or to come, as claims need to know it. Its units are rows of `fence_stock`."""

    id: int
    code: str
    starts_at: datetime
    ends_at: datetime | None
    channels: frozenset[int]
    customer_groups: frozenset[str]  # empty: every buyer
    borrowers: dict[int, datetime | None]  # channel: from when on, None always
    skus: frozenset[int]


class Cap(msgspec.Struct, frozen=True, kw_only=True):
    """A cap in force or to come. Empty sets mean all."""

    id: int
    code: str
    starts_at: datetime
    ends_at: datetime | None
    channels: frozenset[int]
    customer_groups: frozenset[str]
    skus: frozenset[int]
    locations: frozenset[int]
    quota: int
    per_sku: bool
    any_sku: bool  # no SKU or category is named; otherwise an empty `skus` means none

    def counts(self, sku_id: int) -> bool:
        """Tell whether units of a SKU count."""
        return self.any_sku or sku_id in self.skus

    def locations_count(self, location_id: int) -> bool:
        """Tell whether units at a location count."""
        return not self.locations or location_id in self.locations

    def counter(self, sku_id: int) -> tuple[int, int]:
        """Return the counter that units of a SKU count on."""
        return self.id, sku_id if self.per_sku else ALL_SKUS


class Allotments(msgspec.Struct, frozen=True, kw_only=True):
    """All allotments at one revision, and which SKUs of a channel any of them touches (None: all of them)."""

    revision: int
    fences: tuple[Fence, ...] = ()
    caps: tuple[Cap, ...] = ()
    watched: dict[int, frozenset[int] | None] = {}


class Source(msgspec.Struct, frozen=True):
    """A fence that a taker may draw from, and in which turn."""

    fence_id: int
    rank: int


class Drawn(msgspec.Struct, frozen=True):
    """A part of what one claim takes of one balance. `fence_id` None is common stock."""

    sku_id: int
    location_id: int
    rank: int
    fence_id: int | None
    quantity: int


class Used(msgspec.Struct, frozen=True):
    """What one claim counts against one cap at one balance."""

    cap_id: int
    sku_id: int
    location_id: int
    quantity: int


class FenceKey(msgspec.Struct, frozen=True, order=True):
    """One fence on one balance, in the order in which they are locked."""

    sku_id: int
    location_id: int
    fence_id: int


class FenceChange(msgspec.Struct, frozen=True):
    """How the units of a fence on a balance move; signed."""

    key: FenceKey
    remaining: int = 0
    drawn: int = 0
    sold: int = 0


class Standing(msgspec.Struct):
    """What fences and caps have left, by key; lowered in place as claims are planned."""

    remaining: dict[FenceKey, int]
    room: dict[tuple[int, int], int]  # by counter: units that may still be sold


class Shrunk(msgspec.Struct, frozen=True):
    """A fence lost units: fewer are there than were set apart."""

    key: FenceKey
    quantity: int


# --- as people state and see them ---


class BorrowerDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A channel that may draw from the fence of others once its own and common stock are used up."""

    channel: str  # code
    since: Instant | None = None  # None: from the fence's start


class FenceRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units of a SKU at a location to set apart."""

    sku: str
    location: str
    quantity: int


class AllotmentDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An allotment as someone states it. Fences need channels and stock; caps a quota."""

    code: str
    name: str
    kind: Kind
    starts_at: Instant | None = None  # None: now, or as it was
    ends_at: Instant | None = None
    customer_groups: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()  # codes; of a cap: empty for all
    borrowers: tuple[BorrowerDraft, ...] = ()
    stock: tuple[FenceRow, ...] = ()
    quota: int | None = None
    per_sku: bool = False
    skus: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()


class Allotment(msgspec.Struct, frozen=True, kw_only=True):
    """An allotment with what became of it. Units of a fence: wanted >= granted = remaining + drawn + sold."""

    id: int
    code: str
    name: str
    kind: Kind
    state: State
    starts_at: datetime
    ends_at: datetime | None
    customer_groups: tuple[str, ...]
    channels: tuple[str, ...]
    borrowers: tuple[BorrowerDraft, ...]
    quota: int | None
    per_sku: bool
    skus: tuple[str, ...]
    categories: tuple[str, ...]
    locations: tuple[str, ...]
    version: int
    wanted: int
    granted: int
    remaining: int
    drawn: int
    sold: int
    used: int  # of a cap, over all its counters
    counters: int  # of a cap: how many SKUs count by themselves so far


class FenceLine(msgspec.Struct, frozen=True):
    """One balance of a fence."""

    sku: str
    location: str
    wanted: int
    granted: int
    remaining: int
    drawn: int
    sold: int


class CounterLine(msgspec.Struct, frozen=True):
    """One counter of a cap; `sku` None counts everything."""

    sku: str | None
    used: int
    quota: int
