"""Counts and physical inventories, and stock that is suspected not to be there.

Counts are blind: who counts is not told what is expected. Wherever a `sku` is taken, a GTIN will do.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from malha.api.supply import Code, Missing, Reason, Search, Text, missing_of, owned_by, place_of, scope_of
from malha.api.work import Work, command, query
from malha.fulfillment import reads as fulfillment
from malha.inventory.counts import reads, service, suspicions
from malha.inventory.counts.errors import UnknownCount
from malha.inventory.counts.model import CountDraft, CountKind, Entry, Limits, LineState, Source
from malha.inventory.counts.reads import LineRow, SuspicionRow, TaskHead, TaskRow, TasksWanted
from malha.inventory.supply import scanning
from malha.platform import audit, paging
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.paging import Page
from malha.platform.shapes import Instant

TAG = "counts"
Skus = Annotated[list[Code], Meta(min_length=1, max_length=1_000)]


class NewCount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to be counted: SKUs by name, those of a class by what left lately, or everything (`physical`).

    A variance up to both limits is believed; `limit_value` is centavos. `freeze` lets the whole location stand still,
    `freeze_zone` only these goods while the rest goes on selling; without `skus` they are what the `zone` had when it
    was last counted. Both need `stock:approve`.

    Where several owners' goods are at the location's site they are on one shelf and counted together, and a variance is
    divided between them; with an `owner` (an establishment) only its goods are counted.
    """

    location: Code
    owner: Code | None = None
    kind: CountKind = CountKind.CYCLE
    skus: Skus | None = None
    abc: Literal["A", "B", "C"] | None = None
    most: Annotated[int, Meta(ge=1, le=1_000)] = 50
    zone: Annotated[str, Meta(max_length=80)] = ""
    note: Text = ""
    blind: bool = True
    freeze: bool = False
    freeze_zone: bool = False
    limit_units: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    limit_value: Annotated[int, Meta(ge=0, le=1_000_000_000_000)] = 0


class CountNumber(msgspec.Struct, frozen=True):
    """The count's number."""

    number: int


class CountedItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is on the shelf, the whole of the SKU. `as_of`: when it was counted, if that is not now."""

    sku: Code
    counted: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    as_of: Instant | None = None
    bin: Annotated[str, Meta(max_length=80)] = ""


class CountEntries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person found."""

    items: Annotated[list[CountedItem], Meta(min_length=1, max_length=1_000)]


class LineFollows(msgspec.Struct, frozen=True):
    """What follows from a count: it is accepted, or somebody else counts again, or it is reviewed."""

    sku: str
    state: LineState


class CountView(msgspec.Struct, frozen=True):
    """A count and how many of its lines are in which state."""

    count: TaskHead
    progress: dict[str, int]


class SkuList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some SKUs; without them all that wait.

    `attempts` are those of lines as they were read, by SKU: what was counted again since is not approved unseen.
    """

    skus: Skus | None = None
    attempts: Annotated[dict[Code, Annotated[int, Meta(ge=0, le=30_000)]], Meta(max_length=1_000)] | None = None


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some SKUs."""

    skus: Skus


class CountClosing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of what nobody counted: its stock stays as it is, or it is not there."""

    uncounted: Literal["keep", "zero"] = "keep"


class CountApplying(msgspec.Struct, frozen=True):
    """How many lines were applied, and how many a job still applies."""

    applied: int
    left: int
    deficits: list[Missing]


class GivenUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why nothing is counted."""

    reason: Reason


class Changed(msgspec.Struct, frozen=True):
    """How many lines that concerned."""

    count: int


class Lifted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Stock that somebody has seen."""

    location: Code
    skus: Skus
    reason: Reason


async def _head(work: Work, number: int) -> TaskHead:
    found = await reads.task(work.tx, number)
    if found is None or not work.actor.sees(found.location_id):
        raise UnknownCount(number=number)
    return found


async def _ids(work: Work, skus: Sequence[str] | None) -> list[int] | None:
    return None if skus is None else [card.id for card in await scanning.goods_of(work.tx, skus, "skus/{}")]


async def _attempts(work: Work, data: SkuList) -> dict[int, int]:
    said = data.attempts or {}
    cards = await scanning.goods_of(work.tx, list(said), "attempts")
    return {card.id: attempts for card, attempts in zip(cards, said.values(), strict=True)}


@command("/counts", permission="stock:count", status=201, tag=TAG)
async def raise_count(work: Work, data: NewCount) -> CountNumber:
    """Have goods of a location counted."""
    place = await place_of(work, data.location, data.owner)
    skus, source = await _ids(work, data.skus), Source.PERSON
    if data.abc is not None:
        alone = data.owner is not None
        skus = await service.of_class(work.tx, place.id, data.abc, data.most, owner_alone=alone)
        source = Source.ABC
    if skus is None and data.kind is CountKind.CYCLE and not data.freeze_zone:
        refuse([Flaw("skus", N_("There is nothing to count: choose SKUs."))])
    draft = CountDraft(
        location_id=place.id,
        skus=skus,
        kind=data.kind,
        source=source,
        zone=data.zone,
        note=data.note,
        blind=data.blind,
        freeze=data.freeze,
        freeze_zone=data.freeze_zone,
        owner_alone=data.owner is not None,
        limits=Limits(data.limit_units, data.limit_value),
    )
    number = await service.raise_count(work.tx, draft)
    work.created(f"/v1/counts/{number}")
    return CountNumber(number)


@query("/counts", permission="stock:read", tag=TAG)
async def list_counts(
    work: Work,
    *,
    open: bool = False,  # noqa: A002 -- the parameter's name
    q: Search = "",
    location: Code | None = None,
    owner: Code | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[TaskRow]:
    """List counts, the newest first. Variances are not told to who only counts.

    `q` is a number (`C12`), part of a zone, or a SKU or its GTIN that is counted. `owner` is whose goods the location
    keeps: the code of an establishment, or the first eight digits of a company's CNPJ for all of its establishments.
    `since` and `until`, which is exclusive, are about when the count was asked for.
    """
    size = paging.bounded(limit)
    after = paging.position(cursor, "counts", (int,))
    wanted = TasksWanted(
        open_only=open,
        text=q,
        location_id=None if location is None else (await place_of(work, location)).id,
        owned=await owned_by(work, owner),
        since=since,
        until=until,
        scope=scope_of(work),
    )
    rows = await reads.tasks(work.tx, wanted, before=after[0] if after else None, limit=size + 1)
    if not work.actor.may(service.APPROVE):
        rows = [msgspec.structs.replace(row, variance=0) for row in rows]
    return paging.page_of(rows, size, "counts", lambda row: (row.number,))


@query("/counts/{number:int}", permission="stock:read", tag=TAG)
async def get_count(work: Work, number: int) -> CountView:
    """Return a count and how far it is."""
    head = await _head(work, number)
    progress = await reads.progress(work.tx, head.id)
    return CountView(head, {state: row.lines for state, row in progress.items()})


@query("/counts/{number:int}/lines", permission="stock:read", tag=TAG)
async def list_count_lines(
    work: Work, number: int, status: LineState | None = None, cursor: str | None = None, limit: int | None = None
) -> Page[LineRow]:
    """List the SKUs of a count. While a blind count is open, what is expected is told only to who may approve."""
    head = await _head(work, number)
    size = paging.bounded(limit)
    after = paging.position(cursor, "count-lines", (str,))
    rows = await reads.lines(
        work.tx, head.id, states=[status] if status else None, after=after[0] if after else None, limit=size + 1
    )
    if head.blind and not work.actor.may(service.APPROVE):
        rows = [reads.blind(row) for row in rows]
    return paging.page_of(rows, size, "count-lines", lambda row: (row.sku,))


@command("/counts/{number:int}/entries", permission="stock:count", tag=TAG)
async def enter_counts(work: Work, number: int, data: CountEntries) -> list[LineFollows]:
    """State what is on the shelf. Goods that are picked and wait for their parcel are added by themselves.

    What somebody else is just scanning is refused: their scans would be gone.
    """
    head = await _head(work, number)
    cards = await scanning.goods_of(work.tx, [item.sku for item in data.items], "items/{}/sku")
    aside = await fulfillment.set_aside(work.tx, head.places, [card.id for card in cards])
    entries = [Entry(card.id, item.counted, item.as_of, item.bin) for card, item in zip(cards, data.items, strict=True)]
    states = await service.enter(work.tx, number, entries, aside)
    names = {card.id: card.sku for card in cards}
    return [LineFollows(names[sku], state) for sku, state in states.items()]


@command("/counts/{number:int}/recount", permission="stock:approve", tag=TAG)
async def recount(work: Work, number: int, data: Chosen) -> Changed:
    """Have SKUs counted again by somebody else."""
    return Changed(await service.recount(work.tx, number, await _ids(work, data.skus) or []))


@command("/counts/{number:int}/approve", permission="stock:approve", tag=TAG)
async def approve_count(work: Work, number: int, data: SkuList) -> Changed:
    """Believe variances beyond the limits, of some SKUs or of all that wait.

    Nobody approves what they counted, or scanned a part of (`counters`): of all that wait those are left, of SKUs that
    are named they refuse the request. So does one that was counted again since it was read, where `attempts` say how
    often it had been: its variance is another.
    """
    seen = await _attempts(work, data)
    return Changed(await service.approve(work.tx, number, await _ids(work, data.skus), seen=seen))


@command("/counts/{number:int}/close", permission="stock:approve", tag=TAG)
async def close_count(work: Work, number: int, data: CountClosing) -> CountApplying:
    """End a count and apply it: the ledger gets the variances. Large counts are finished by a job."""
    head = await _head(work, number)
    aside = await fulfillment.set_aside(work.tx, head.places)
    done = await service.close(work.tx, number, aside, uncounted_is_zero=data.uncounted == "zero")
    return CountApplying(done.lines, done.left, await missing_of(work.tx, done.deficits))


@command("/counts/{number:int}/cancel", permission="stock:count", tag=TAG)
async def cancel_count(work: Work, number: int, data: GivenUp) -> None:
    """Give a count up; no stock changes."""
    await service.cancel(work.tx, number, data.reason)


@query("/stock:suspected", permission="stock:read", tag=TAG)
async def list_suspicions(work: Work, cursor: str | None = None, limit: int | None = None) -> Page[SuspicionRow]:
    """List stock that is probably not there, the most suspicious first, with the figures that say so.

    What was free of it is held back.
    """
    size = paging.bounded(limit)
    after: Any = paging.position(cursor, "suspicions", (int, datetime, int, int))
    rows = await reads.suspicions(work.tx, scope_of(work), after=after, limit=size + 1)
    return paging.page_of(rows, size, "suspicions", lambda row: row.place)


@command("/stock:lift-suspicion", permission="stock:approve", tag=TAG)
async def lift_suspicions(work: Work, data: Lifted) -> Changed:
    """Say that suspected stock is there: it may be sold again."""
    place = await place_of(work, data.location)
    skus = await _ids(work, data.skus) or []
    lifted = await suspicions.lift(work.tx, [place.id], skus, data.reason)
    facts = {"location": data.location, "skus": data.skus[:100], "reason": data.reason}
    await audit.record(work.tx, action="lift_suspicion", entity="stock", entity_id="-", after=facts)
    return Changed(lifted)


handlers = [
    raise_count,
    list_counts,
    get_count,
    list_count_lines,
    enter_counts,
    recount,
    approve_count,
    close_count,
    cancel_count,
    list_suspicions,
    lift_suspicions,
]
