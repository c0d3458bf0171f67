"""Stock that others state: sources, snapshots with their time and sequence, reported changes, disagreements.

An ERP sends snapshots (`PUT /v1/stock/snapshots`) and changes (`POST /v1/stock/deltas`); both may be sent again after a
lost answer without being counted twice. What cannot be decided from what is known is a disagreement, for a person.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta

from malha.api.replies import Pieces
from malha.api.work import Work, command, query
from malha.flows import stock_sync
from malha.inventory.sync import applying, deltas, drift, exports, reads, sources
from malha.inventory.sync.errors import SnapshotNotFound
from malha.inventory.sync.model import (
    Delta,
    DriftKind,
    DriftState,
    Leaves,
    Outcome,
    Scope,
    SiteDrift,
    Snapshot,
    Source,
    SourceDraft,
    State,
    ZeroRule,
)
from malha.inventory.sync.receiving import Statement
from malha.network import retailer, sites
from malha.platform import audit, paging
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _, current_language
from malha.platform.ids import UUID
from malha.platform.paging import Page
from malha.platform.shapes import Instant
from malha.platform.sheets import Format, Reader, written
from malha.platform.workbook import Oddity

TAG = "stock sync"
MOST_ROWS = 5_000
TABLES = ("text/csv", Format.XLSX.media_type)

Code = Annotated[str, Meta(min_length=1, max_length=80)]
Ref = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[\x20-\x7e\u00a0-\uffff]+$")]
Units = Annotated[int, Meta(ge=0, le=2_000_000_000)]
Change = Annotated[int, Meta(ge=-2_000_000_000, le=2_000_000_000)]
Sequence = Annotated[int, Meta(ge=0, le=9_000_000_000_000_000_000)]
Text = Annotated[str, Meta(min_length=1, max_length=120)]
Id = Annotated[int, Meta(ge=0, le=2_147_483_647)]


class SourceState(msgspec.Struct, frozen=True, kw_only=True):
    """One who states stock: `truth` and `secondary` are the locations it speaks for."""

    code: str
    name: str
    leaves: Leaves
    skew_seconds: int
    zero_percent: int
    zero_rule: ZeroRule
    active: bool
    truth: list[str]
    secondary: list[str]
    last_seq: int | None
    version: int


class SnapshotState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a snapshot is. `percent` of what differs is done; `rows` = `unchanged` + `held` + those that differ.

    `other_sheets` of a workbook are filled and were not read: only the first one is. `oddities` say what of its sheet
    is read otherwise than it is seen: hidden rows, merged cells, results of formulas that may be old.
    """

    id: UUID
    number: int
    source: str
    seq: int
    as_of: datetime
    covers: Scope
    state: State
    percent: int
    rows: int
    unchanged: int
    held: int
    differing: int
    absent: int
    zeroed: int
    changed: int
    reviewed: int
    other_sheets: list[str]
    oddities: list[str]
    received_at: datetime
    ended_at: datetime | None


class HeldRow(msgspec.Struct, frozen=True):
    """One row that was kept aside, and why; `row` is its line where the file is lines of JSON."""

    row: int
    sku: str
    location: str
    stated: str
    problem: str
    says: str


class DeltaRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One change: `delta` units more or fewer, or `set` to so many. `ref` is the source's own name for it, for ever.

    `expected` makes it conditional: it is carried out when there are exactly so many units. `seq` places it among the
    source's snapshots; without one `occurred_at` does. `owner` is an establishment, where the site of the location
    keeps several owners' goods.
    """

    ref: Ref
    sku: Code
    location: Code
    owner: Code | None = None
    delta: Change | None = None
    set: Units | None = None
    expected: Change | None = None
    seq: Sequence | None = None
    occurred_at: Instant | None = None
    reason: Literal["adjustment", "receipt", "damage", "loss", "found", "ship", "hand_over", "transfer"] = "adjustment"
    document: Text | None = None


class Deltas(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Changes of one source, in the order they happened."""

    source: Code
    rows: Annotated[list[DeltaRow], Meta(min_length=1, max_length=MOST_ROWS)]


class DeltasReply(msgspec.Struct, frozen=True):
    """What became of each change, in their order."""

    applied: int
    duplicate: int
    refused: int
    rows: list[deltas.Reply]


class DriftRow(msgspec.Struct, frozen=True, kw_only=True):
    """One disagreement: `unexplained` = `theirs` + `underway` + `later` - `ours`.

    `site` is the first location of the place's site; `owner` the establishment whose goods they are.
    """

    id: UUID
    source: str
    sku: str
    location: str
    site: str
    owner: str
    snapshot: int | None
    kind: DriftKind
    state: DriftState
    as_of: datetime
    theirs: int
    ours: int
    underway: int
    later: int
    in_window: int
    allocated: int
    unexplained: int
    found_at: datetime
    settled_at: datetime | None
    version: int
    count: int | None


class SiteDriftRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a source says of a SKU at a site, its owners together: sums, and the disagreement about each one's goods."""

    source: str
    site: str
    sku: str
    theirs: int
    moved: int
    ours: int
    unexplained: int
    newest: datetime
    rows: list[DriftRow]


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One disagreement as it was looked at."""

    id: UUID
    version: int


class Repairs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall become of disagreements: all of them, or none."""

    how: drift.Repair
    items: Annotated[list[Chosen], Meta(min_length=1, max_length=500)]


class TrendDay(msgspec.Struct, frozen=True):
    """A day's snapshots of a source: rows stated, rows that differed, units added and taken away."""

    day: str
    rows: int
    differed: int
    more: int
    fewer: int


def _source(work: Work, found: Source) -> SourceState:
    draft = sources.draft_of(sources.seen_by(work.actor, found))
    fields: dict[str, Any] = {name: getattr(draft, name) for name in draft.__struct_fields__}
    return SourceState(**fields, last_seq=None if found.last_seq < 0 else found.last_seq, version=found.version)


def _snapshot(found: Snapshot) -> SnapshotState:
    fields: dict[str, Any] = {
        name: getattr(found, name)
        for name in SnapshotState.__struct_fields__
        if name not in {"percent", "covers", "oddities"}
    }
    odd = [each.text(current_language()) for each in msgspec.convert(found.oddities, list[Oddity])]
    return SnapshotState(**fields, covers=found.scope, percent=found.share, oddities=odd)


def _drift(found: Any) -> DriftRow:
    fields = {name: getattr(found, name) for name in DriftRow.__struct_fields__}
    return DriftRow(**fields)


def _site_drift(found: SiteDrift) -> SiteDriftRow:
    first, added = found.rows[0], found.sum
    return SiteDriftRow(
        source=first.source,
        site=first.site,
        sku=first.sku,
        theirs=added.theirs,
        moved=added.moved,
        ours=added.ours,
        unexplained=added.unexplained,
        newest=found.newest,
        rows=[_drift(row) for row in found.rows],
    )


# --- sources ---


@query("/stock/sources", permission="stock:read", tag=TAG)
async def list_sources(work: Work) -> list[SourceState]:
    """List those who state stock."""
    return [_source(work, found) for found in await reads.sources(work.tx)]


@query("/stock/sources/{code:str}", permission="stock:read", tag=TAG)
async def get_source(work: Work, code: str) -> SourceState:
    """Return one who states stock."""
    found = await reads.source(work.tx, code)
    work.tag(found.version)
    return _source(work, found)


@command("/stock/sources", permission="network:write", status=201, tag=TAG)
async def add_source(work: Work, data: SourceDraft) -> SourceState:
    """Declare a source, and where it is the truth. Two truths of one location are refused."""
    found = await sources.add_source(work.tx, data)
    work.created(f"/v1/stock/sources/{found.code}")
    work.tag(found.version)
    return _source(work, found)


@command(
    "/stock/sources/{code:str}",
    permission="network:write",
    everywhere=True,
    method="PUT",
    versioned="required",
    tag=TAG,
)
async def change_source(work: Work, code: str, data: SourceDraft) -> SourceState:
    """Change a source; its code stays. `If-Match` is the version that was read."""
    was = await reads.source(work.tx, code)
    work.expect(was.version)
    if data.code != code:
        refuse([Flaw("code", N_("A source keeps its code."), N_("Declare another source for another code."))])
    found = await sources.change_source(work.tx, data, was.version)
    work.tag(found.version)
    return _source(work, found)


@query("/stock/sources/{code:str}/trend", permission="stock:read", tag=TAG)
async def source_trend(
    work: Work, code: str, location: str | None = None, days: Annotated[int, Meta(ge=1, le=366)] = 30
) -> list[TrendDay]:
    """Return, by day, how much the snapshots of a source differed, over all its locations or at one."""
    found = await reads.source(work.tx, code)
    place = sources.places_of(found, [location])[0] if location else None
    since = (await work.tx.now()) - timedelta(days=days)
    rows = await reads.trend(work.tx, found.id, since, (await retailer.zone(work.tx)).key, place)
    return [TrendDay(day.isoformat(), said, off, more, fewer) for day, said, off, more, fewer in rows]


# --- snapshots ---


@command(
    "/stock/snapshots",
    permission="stock:write",
    method="PUT",
    transaction=False,
    status=202,
    media_type=(*TABLES, "application/x-ndjson"),
    tag=TAG,
    streamed=True,
    reads_key=True,
)
async def put_snapshot(
    work: Work,
    source: str,
    seq: Annotated[int, Meta(ge=0, le=9_000_000_000_000_000_000)],
    as_of: str,
    covers: Scope = Scope.PARTIAL,
    location: Annotated[list[str], Meta(max_length=1_000)] | None = None,
    name: str = "",
    check: bool = False,
) -> SnapshotState:
    """State stock as of a moment: everything at locations (`covers=whole`), or the rows of the file (`partial`).

    The body is the file: CSV, an Excel workbook, or lines of JSON, as they are or packed by gzip, up to the setting
    `import_limit_mb` unpacked. Its columns are `sku` (or `gtin`), `location` and `on_hand`. `seq` grows with every
    snapshot of a source; `as_of` is when its numbers were true, by ISO 8601 with a zone. What moved here since is
    added on top, open allocations stay, rows that change nothing are dropped, rows that cannot be used are held. An
    older snapshot is refused. The same file with the same `seq`, or under the same `Idempotency-Key`, gets the same
    answer. With `covers=whole`, what the file does not mention is zero at the given `location`s, or at those the file
    mentions; more than the source's guard allows waits for `confirm`, or is refused. With `check` every snapshot that
    would change something waits for `confirm`.
    """
    said = Statement(
        source=source,
        seq=seq,
        as_of=_instant(as_of),
        scope=covers,
        locations=sorted(set(location)) if location else None,
        check=check,
        name=name,
        key=work.request.headers.get("idempotency-key"),
        media_type=work.request.headers.get("content-type", ""),
    )
    limit = work.services.settings.import_limit_mb
    taken = await stock_sync.receive(work.database, work.actor, said, work.request.stream(), limit_mb=limit)
    work.header("location", f"/v1/stock/snapshots/{taken.id}")
    return _snapshot(taken)


def _instant(text: str) -> datetime:
    try:
        # A plus in an address that nobody encoded is a space.
        found = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        says, mend = N_("{value} is no time with a zone."), N_("Write it like 2026-11-27T03:00:00-03:00.")
        refuse([Flaw("?as_of", says, mend, {"value": text[:60]})])
    return cast("datetime", found)


@query("/stock/snapshots", permission="stock:read", tag=TAG)
async def list_snapshots(
    work: Work,
    source: str | None = None,
    status: State | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[SnapshotState]:
    """List snapshots, the newest first."""
    size = paging.bounded(limit)
    after = paging.position(cursor, "snapshots", (int,))
    found = await reads.snapshots(
        work.tx,
        source=source,
        state=None if status is None else status.value,
        before=after[0] if after else None,
        limit=size + 1,
    )
    return paging.page_of([_snapshot(row) for row in found], size, "snapshots", lambda row: (row.number,))


@query("/stock/snapshots/{snapshot_id:uuid}", permission="stock:read", tag=TAG)
async def get_snapshot(work: Work, snapshot_id: UUID) -> SnapshotState:
    """Return where a snapshot is; ask again while it is `applying`."""
    return _snapshot(await reads.snapshot(work.tx, snapshot_id))


@command("/stock/snapshots/{snapshot_id:uuid}/confirm", permission="stock:write", tag=TAG)
async def confirm_snapshot(work: Work, snapshot_id: UUID) -> SnapshotState:
    """Have a snapshot applied that waits because it would empty more than the guard allows."""
    await _refuse_foreign(work, snapshot_id)
    await applying.confirm(work.tx, snapshot_id, stock_sync.begin)
    return _snapshot(await reads.snapshot(work.tx, snapshot_id))


@command("/stock/snapshots/{snapshot_id:uuid}/cancel", permission="stock:write", tag=TAG)
async def cancel_snapshot(work: Work, snapshot_id: UUID) -> SnapshotState:
    """Stop a snapshot. What it has applied stays: each balance is right as of its time."""
    await _refuse_foreign(work, snapshot_id)
    await applying.cancel(work.tx, snapshot_id)
    return _snapshot(await reads.snapshot(work.tx, snapshot_id))


async def _refuse_foreign(work: Work, snapshot_id: UUID) -> None:
    await reads.snapshot(work.tx, snapshot_id)
    if await reads.speaks_elsewhere(work.tx, snapshot_id) is not None:
        raise SnapshotNotFound(key=snapshot_id)  # what is out of sight is not there


@query("/stock/snapshots/{snapshot_id:uuid}/held", permission="stock:read", tag=TAG)
async def list_held(
    work: Work, snapshot_id: UUID, cursor: str | None = None, limit: int | None = None
) -> Page[HeldRow]:
    """List the rows that were kept aside, each with what is wrong and how to mend it."""
    await reads.snapshot(work.tx, snapshot_id)
    size = paging.bounded(limit)
    after = paging.position(cursor, "held", (int,))
    found = await reads.held(work.tx, snapshot_id, after=after[0] if after else 0, limit=size + 1)
    rows = [HeldRow(r.row, r.sku, r.location, r.stated, r.problem, _(exports.PROBLEM_WORDS[r.problem])) for r in found]
    return paging.page_of(rows, size, "held", lambda row: (row.row,))


@query(
    "/stock/snapshots/{snapshot_id:uuid}/held:export",
    permission="stock:read",
    transaction=False,
    media_type=TABLES,
    tag=TAG,
)
async def export_held(work: Work, snapshot_id: UUID, format: Format = Format.CSV) -> bytes:  # noqa: A002
    """Return the rows that were kept aside as a file to mend and send again."""
    async with work.transaction() as tx:
        found = await reads.snapshot(tx, snapshot_id)
    pages = exports.held_pages(work.database, work.actor, snapshot_id, work.language)
    return _file(f"snapshot-{found.number}-held", exports.HELD_COLUMNS, pages, format)


def _file(name: str, columns: Any, pages: Any, format_: Format) -> bytes:
    headers = {"content-disposition": f'attachment; filename="{name}.{format_.value}"'}
    return cast("bytes", Pieces(written(format_, columns, pages, Reader.now()), format_.media_type, headers))


# --- changes ---


@command("/stock/deltas", permission="stock:write", idempotent=False, tag=TAG)
async def report_deltas(work: Work, data: Deltas) -> DeltasReply:
    """Report changes, up to 5,000 in a batch: each counts once by its `ref`, and each has its own answer.

    `applied` and `duplicate` are good; `included` says that a snapshot has it already, `review` that nobody can say
    and a disagreement was opened, `conflict` that there are not as many units as `expected`, `too_many` that the
    balance cannot hold it, `wrong_sign` that a `receipt` or `found` takes units away, or a `damage`, `loss`, `ship` or
    `hand_over` adds some: what takes such a change back has the reason `adjustment`. A row that cannot be used
    keeps no other from being carried out.
    """
    flaws = [
        Flaw(f"rows/{i}", N_("Give either delta or set."), N_("delta is a difference, set is how many there are."))
        for i, row in enumerate(data.rows)
        if (row.delta is None) == (row.set is None)
    ]
    refuse(flaws[:50])
    asked = [
        Delta(
            ref=row.ref,
            sku=row.sku,
            location=row.location,
            owner=row.owner,
            quantity=cast("int", row.delta if row.set is None else row.set),
            sets=row.set is not None,
            expected=row.expected,
            seq=row.seq,
            occurred_at=row.occurred_at,
            reason=row.reason,
            document=row.document,
        )
        for row in data.rows
    ]
    replies = await deltas.apply_deltas(work.tx, data.source, asked)
    counts = Counter(reply.outcome for reply in replies)
    good = counts[Outcome.APPLIED], counts[Outcome.DUPLICATE]
    facts = {"rows": len(replies), "applied": good[0], "duplicate": good[1]}
    await audit.record(work.tx, action="report", entity="stock_delta", entity_id=data.source, after=facts)
    return DeltasReply(*good, len(replies) - sum(good), replies)


# --- disagreements ---


async def _wanted(tx: Tx, status: DriftState, site: str | None, **more: Any) -> reads.DriftAsked:
    """Return which disagreements a caller wants of those they may see.

    Raises:
        UnknownLocation: there is no such site in the caller's sight.
    """
    scope = tx.actor.fixed_scope
    there = None if site is None else tuple(await sites.in_sight(tx, site))
    return reads.DriftAsked(states=(status.value,), site=there, scope=scope, **more)


@query("/stock/drift", permission="stock:read", tag=TAG)
async def list_drift(
    work: Work,
    status: DriftState = DriftState.OPEN,
    source: str | None = None,
    location: str | None = None,
    site: str | None = None,
    kind: DriftKind | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[DriftRow]:
    """List disagreements with sources, the newest first.

    `site` is the code of a location: those of all owners whose goods are at its site.
    """
    size = paging.bounded(limit)
    after = paging.position(cursor, "drift", (datetime, UUID))
    asked = await _wanted(work.tx, status, site, source=source, location=location, kind=kind and kind.value)
    before = None if after is None else (after[0], after[1])
    found = [_drift(row) for row in await reads.drifts(work.tx, asked, before=before, limit=size + 1)]
    return paging.page_of(found, size, "drift", lambda row: (row.found_at, str(row.id)))


@query("/stock/drift:by-site", permission="stock:read", tag=TAG)
async def list_site_drift(
    work: Work,
    status: DriftState = DriftState.OPEN,
    source: str | None = None,
    site: str | None = None,
    kind: DriftKind | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[SiteDriftRow]:
    """List disagreements by source, SKU and site, all owners' together, the newest first.

    Where `unexplained` is 0 the site as a whole agrees: the source takes one owner's goods for another's. All rows of
    one are repaired together by naming them in one request.
    """
    size = paging.bounded(limit)
    before = cast("reads.SitePosition | None", paging.position(cursor, "site-drift", (datetime, Id, Id, Id)))
    asked = await _wanted(work.tx, status, site, source=source, kind=kind and kind.value)
    found = await reads.site_drifts(work.tx, asked, before=before, limit=size + 1)
    page = paging.page_of(found, size, "site-drift", lambda one: one[0])
    return Page([_site_drift(one) for _key, one in page.items], page.next)


class Explained(msgspec.Struct, frozen=True):
    """A disagreement with the movements near it and the snapshots that are still to come."""

    drift: DriftRow
    movements: list[reads.Because]
    pending_snapshots: list[int]


@query("/stock/drift/{drift_id:uuid}", permission="stock:read", tag=TAG)
async def get_drift(work: Work, drift_id: UUID) -> Explained:
    """Return one disagreement and what it is explained by: movements before, in and after the window."""
    found = await reads.drift(work.tx, drift_id)
    because = await reads.explaining(work.tx, drift_id)
    pending = await reads.pending_at(work.tx, found.sku_id, found.location_id)
    return Explained(_drift(found), because, pending)


@command("/stock/drift:repair", permission="stock:write", tag=TAG)
async def repair_drift(work: Work, data: Repairs) -> list[DriftRow]:
    """Settle disagreements: take `theirs` (by ledger rows), keep `ours`, or have them `count`ed. All, or none.

    Each names the version it was looked at: what changed meanwhile is refused.
    """
    done = await drift.repair(work.tx, {item.id: item.version for item in data.items}, data.how)
    return [_drift(row) for row in done]


@query("/stock/drift:export", permission="stock:read", transaction=False, media_type=TABLES, tag=TAG)
async def export_drift(
    work: Work,
    status: DriftState = DriftState.OPEN,
    source: str | None = None,
    location: str | None = None,
    site: str | None = None,
    by_site: bool = False,
    format: Format = Format.CSV,  # noqa: A002
) -> bytes:
    """Return disagreements as a file; `by_site`, those of one SKU at one site together, with what they add up to."""
    async with work.transaction() as tx:
        asked = await _wanted(tx, status, site, source=source, location=location)
    if by_site:
        pages = exports.site_drift_pages(work.database, work.actor, asked, work.language)
        return _file("drift-by-site", exports.SITE_DRIFT_COLUMNS, pages, format)
    pages = exports.drift_pages(work.database, work.actor, asked, work.language)
    return _file("drift", exports.DRIFT_COLUMNS, pages, format)


handlers = [
    list_sources,
    get_source,
    add_source,
    change_source,
    source_trend,
    put_snapshot,
    list_snapshots,
    get_snapshot,
    confirm_snapshot,
    cancel_snapshot,
    list_held,
    export_held,
    report_deltas,
    list_drift,
    list_site_drift,
    get_drift,
    repair_drift,
    export_drift,
]
