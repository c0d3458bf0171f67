"""Words of feeds: what a file is made of, and what became of a build."""

from datetime import datetime
from enum import StrEnum

import msgspec

from malha.platform.ids import UUID


class Format(StrEnum):
    """How a file is written; the value is the ending of its name but for `rss`, which ends in `.xml`."""

    TSV = "tsv"
    CSV = "csv"
    RSS = "rss"
    XML = "xml"
    JSONL = "jsonl"

    @property
    def ending(self) -> str:
        """Return the ending of the file's name."""
        return "xml" if self is Format.RSS else self.value

    @property
    def media_type(self) -> str:
        """Return what a reader is told it gets."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Format.TSV: "text/tab-separated-values; charset=utf-8",
    Format.CSV: "text/csv; charset=utf-8",
    Format.RSS: "application/xml",
    Format.XML: "application/xml",
    Format.JSONL: "application/jsonl",
}


class Origin(StrEnum):
    """Where the value of a target's field comes from."""

    FIELD = "field"  # one of ours, see `rules.FIELDS`
    ATTRIBUTE = "attribute"  # of the product, by its name
    OPTION = "option"  # of the variant, by its name
    CONSTANT = "constant"
    TEMPLATE = "template"  # text with {field}, {attribute.Name}, {option.Name}; {field|url} for addresses


class Mapped(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One field of the target. `table` replaces values; what is not in it becomes `otherwise`, or stays where None."""

    target: str
    origin: Origin = Origin.FIELD
    value: str = ""
    table: dict[str, str] = {}
    otherwise: str | None = None


class Filters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which listings are in the file. Empty lists leave nothing out. Categories are codes and mean their branch."""

    in_stock: bool = False
    categories: list[str] = []
    brands: list[str] = []
    location_group: str | None = None  # whose stock counts; None: all that may serve the channel


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file is made of. `currency` is what the target expects."""

    profile: str
    format: Format
    mapping: list[Mapped]
    filters: Filters = Filters()
    currency: str = "BRL"


class FeedDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A feed as someone states it. No minutes: not built by itself. A `push_secret` of None keeps what there is."""

    name: str
    channel: str
    plan: Plan
    active: bool = True
    full_minutes: int | None = None
    changes_minutes: int | None = None
    push_url: str | None = None
    push_secret: str | None = None


class BuildKind(StrEnum):
    """All rows, or what differs from the last file with all rows."""

    FULL = "full"
    CHANGES = "changes"


class State(StrEnum):
    """Where a build stands."""

    WAITING = "waiting"
    BUILDING = "building"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


OPEN = frozenset({State.WAITING, State.BUILDING})


class Severity(StrEnum):
    """What a rule does to a row: it is left out, or written all the same."""

    ERROR = "error"
    WARNING = "warning"


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """A feed as it is kept."""

    id: int
    code: str
    name: str
    channel_id: int
    channel: str
    channel_name: str
    channel_currency: str
    plan: Plan
    active: bool
    full_minutes: int | None
    changes_minutes: int | None
    next_full_at: datetime | None
    next_changes_at: datetime | None
    push_url: str | None
    has_secret: bool
    salt: bytes
    version: int
    baseline: UUID | None
    pulled_at: datetime | None


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """A build as it stands. Rows count lines of the file; `looked` counts listings."""

    id: UUID
    number: int
    feed_id: int
    kind: BuildKind
    state: State
    plan: Plan
    seen: str
    position: int
    at_sku: int
    parts: int
    total: int
    looked: int
    rows: int
    removed: int
    refused: int
    warned: int
    size: int
    packed: int
    crc: int
    digest: bytes
    problem: str
    by: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    push_state: str
    push_error: str

    @property
    def share(self) -> int:
        """Return how much was looked at, in percent."""
        return min(100, 100 * self.looked // self.total) if self.total else 0


class Count(msgspec.Struct, frozen=True):
    """In how many rows of a build a rule found something, or how many a filter left out."""

    severity: str
    rule: str
    field: str
    rows: int


class FlawRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row to mend."""

    sku_id: int
    sku: str
    name: str
    code: str
    place: str
    rule: str
    field: str
    severity: Severity
    value: str
