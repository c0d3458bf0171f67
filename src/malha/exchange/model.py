"""Words of tables that come and go: kinds, the states of an import, and one import as it stands."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.workbook import Oddity


class Kind(StrEnum):
    """What the rows of a table are."""

    PRODUCTS = "products"
    PRICES = "prices"
    STOCK = "stock"
    LOCATIONS = "locations"
    CUSTOMERS = "customers"
    ALLOTMENTS = "allotments"
    SAFETY_RULES = "safety_rules"
    AHEAD_POLICIES = "ahead_policies"
    LISTINGS = "listings"


class Rules(msgspec.Struct, frozen=True):
    """What a kind is called, and who may bring or take it."""

    word: str
    write: str
    read: str
    undo: str  # how an import is taken back


KINDS: dict[Kind, Rules] = {
    Kind.PRODUCTS: Rules(
        N_("Products"),
        "catalog:write",
        "catalog:read",
        N_("It can be undone for {days} days. Products that somebody changes meanwhile stay as they are."),
    ),
    Kind.PRICES: Rules(
        N_("Prices"),
        "catalog:write",
        "catalog:read",
        N_("It can be undone for {days} days. Prices that somebody changes meanwhile stay as they are."),
    ),
    Kind.STOCK: Rules(
        N_("Stock"),
        "stock:write",
        "stock:read",
        N_(
            "It can be undone for {days} days by counting back, where nothing moved meanwhile. "
            "Orders are promised from the new quantities at once."
        ),
    ),
    Kind.LOCATIONS: Rules(
        N_("Locations"),
        "network:write",
        "network:read",
        N_(
            "It can be undone for {days} days. Locations that it added are closed, companies stay; "
            "locations that somebody changes meanwhile stay as they are."
        ),
    ),
    Kind.CUSTOMERS: Rules(
        N_("Customers"),
        "customers:write",
        "customers:reveal",
        N_("It can be undone for {days} days. Profiles that somebody changes meanwhile stay as they are."),
    ),
    Kind.ALLOTMENTS: Rules(
        N_("Rows of fences"),
        "stock:write",
        "stock:read",
        N_("It can be undone for {days} days. Rows that somebody changes meanwhile stay as they are."),
    ),
    Kind.SAFETY_RULES: Rules(
        N_("Safety rules"),
        "stock:write",
        "stock:read",
        N_("It can be undone for {days} days. Rules that somebody changes meanwhile stay as they are."),
    ),
    Kind.AHEAD_POLICIES: Rules(
        N_("Policies of selling ahead"),
        "catalog:write",
        "catalog:read",
        N_(
            "It can be undone for {days} days. Policies that somebody changes meanwhile stay as they are. "
            "Who waits for goods goes on waiting."
        ),
    ),
    Kind.LISTINGS: Rules(
        N_("What is said of listings"),
        "network:write",
        "network:read",
        N_("It can be undone for {days} days. Fields that somebody says otherwise meanwhile stay as they are."),
    ),
}


class State(StrEnum):
    """Where an import stands."""

    UPLOADING = "uploading"
    MAPPING = "mapping"  # the file is here; a person says what its headings mean
    CHECKING = "checking"  # every row is looked at, nothing is written
    CHECKED = "checked"
    APPLYING = "applying"
    DONE = "done"
    STOPPED = "stopped"  # by a person; what was written stays
    FAILED = "failed"  # the file cannot be read, or the job gave up
    UNDOING = "undoing"  # what it wrote is put back
    UNDONE = "undone"


BUSY = frozenset({State.CHECKING, State.APPLYING, State.UNDOING})
ENDED = frozenset({State.DONE, State.STOPPED, State.FAILED})
# Their rows concern all locations.
EVERYWHERE = frozenset(Kind) - {Kind.STOCK, Kind.LOCATIONS}
KEEP_DAYS = 30  # files, refused rows, and what an undo needs
OPEN = frozenset({State.MAPPING, State.CHECKED})


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One import."""

    id: UUID
    number: int
    kind: Kind
    name: str
    state: State
    bytes: int
    encoding: str
    delimiter: str
    header: list[str]
    sample: list[list[str]]
    other_sheets: list[str]  # of a workbook: filled, and not read
    oddities: list[Oddity]  # of its sheet: what is read otherwise than it is seen
    mapping: dict[str, str]
    turn: int
    at_line: int
    total: int | None
    seen: int
    created: int
    changed: int
    unchanged: int
    bad: int
    warned: int
    error: dict[str, Any] | None
    actor: str
    person: str
    permissions: list[str] | None
    locations: list[int] | None
    uploaded_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    undone: int
    kept: int
    undone_actor: str | None
    undone_person: str | None
    undone_at: datetime | None
    traced: bool  # what was before is kept

    def undoable(self, at: datetime) -> bool:
        """Return whether it wrote something that can be taken back: not for ever, what was before is forgotten too."""
        if self.state not in ENDED or self.ended_at is None:
            return False
        return self.traced and bool(self.created + self.changed) and at < self.ended_at + timedelta(days=KEEP_DAYS)

    @property
    def share(self) -> int:
        """Return how much of the rows was read, in percent; 0 while nobody knows how many there are."""
        return min(100, 100 * self.seen // self.total) if self.total else 0


class RefusedRow(msgspec.Struct, frozen=True):
    """A row that was refused, or only looks odd: its cells as the file has them, and what is wrong."""

    line: int
    refused: bool
    cells: list[str]
    problems: list[dict[str, Any]]


class LeftRecord(msgspec.Struct, frozen=True):
    """A record that an undo left as it is, and why."""

    label: str
    why: dict[str, Any]
