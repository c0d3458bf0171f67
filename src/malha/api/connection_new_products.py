"""Products that are made of what a connection tells: what waits, what could not be, accepted and taken back."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from malha.api.connection_products import Why, why
from malha.api.work import Work, command, query
from malha.channels.connecting import at_once, at_once_reads, categories, category_reads, making, making_reads, service
from malha.platform import paging
from malha.platform.flaws import Flaw
from malha.platform.paging import Page

TAG = "connections"

NewView = Literal["waiting", "refused", "making"]
VariantCode = Annotated[str, Meta(min_length=1, max_length=200)]
MadeState = Literal["made", "undone", "kept"]


class NewVariantView(msgspec.Struct, frozen=True, kw_only=True):
    """A SKU that the channel tells and nobody here knows. `parent` is how the channel calls its product, if it does.

    `problems` say why it could not be made.
    """

    code: str
    parent: str
    name: str
    gtin: str
    price: int | None
    active: bool
    seen_at: datetime
    problems: list[Why]


class AcceptNew(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which are made products, by code; without codes all that wait (`all`: `waiting`), or all that were refused."""

    codes: Annotated[list[VariantCode], Meta(min_length=1, max_length=1_000)] | None = None
    all: Literal["waiting", "refused"] = "waiting"


class AcceptedNew(msgspec.Struct, frozen=True):
    """The acceptance, by which it can be taken back, and of how many SKUs it is."""

    acceptance: int
    count: int


class AcceptanceView(msgspec.Struct, frozen=True, kw_only=True):
    """SKUs that were accepted together: `asked` of them, and how many were made, taken back, or kept when it was."""

    id: int
    asked: int
    at: datetime
    person: str
    made: int
    undone: int
    kept: int
    undo_at: datetime | None
    undo_person: str | None
    ended_at: datetime | None


class MadeView(msgspec.Struct, frozen=True, kw_only=True):
    """What was made of a SKU. `state`: made, undone, or kept, because something refers to it."""

    code: str
    sku: str
    product: str
    state: MadeState


AtOnceState = Literal["made", "going", "undone", "kept"]
Reason = Literal["ordered", "stock", "channel", "kit", "referred"]


class MadeAtOnceView(msgspec.Struct, frozen=True, kw_only=True):
    """What the connection made a product of at once, with nobody accepting it.

    `state`: made, going (it is being taken back), undone, or kept. `reasons` say what stands against taking it back,
    or kept it: orders have it, it has stock, another channel or a listing has it, a kit or a substitute names it; or a
    rule or a record refers to it, which shows when it is tried.
    """

    code: str
    sku: str
    product: str
    name: str
    gtin: str
    made_at: datetime
    state: AtOnceState
    reasons: list[Reason]
    undo_at: datetime | None
    undo_person: str | None


class TakeBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which are taken back, by the channel's codes; without codes all that were made at once, or are found by `q`."""

    codes: Annotated[list[VariantCode], Meta(min_length=1, max_length=1_000)] | None = None
    q: Annotated[str, Meta(max_length=200)] = ""


class TakingBack(msgspec.Struct, frozen=True):
    """Of how many SKUs a worker takes the products back."""

    count: int


class CategoryView(msgspec.Struct, frozen=True, kw_only=True):
    """A category as the channel tells it; `ours` is its code here, null where nobody knows it.

    `said`: a person said so; else it has the same code, or the same names from the root on.
    """

    theirs: str
    ours: str | None
    said: bool


class StateCategory(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A category of the channel, and the code of which of ours it is; null: nobody says."""

    theirs: Annotated[str, Meta(min_length=1, max_length=500)]
    ours: Annotated[str, Meta(min_length=1, max_length=120)] | None


class StateCategories(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which are which; all of it, or nothing."""

    items: Annotated[list[StateCategory], Meta(min_length=1, max_length=1_000)]


@query("/connections/{code:str}/new-products", permission="network:read", tag=TAG)
async def list_new_products(
    work: Work,
    code: str,
    view: NewView = "waiting",
    q: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[NewVariantView]:
    """List SKUs that the channel tells and nobody here knows: waiting for a person, refused, or being made."""
    found = await service.connection_of(work.tx, code)
    size = paging.bounded(limit)
    after = paging.position(cursor, "new_products", (str,))
    rows = await making_reads.rows(
        work.tx,
        found.id,
        view=view,
        after=after[0] if after else "",
        sought=(q or "").strip()[:200] or None,
        most=size + 1,
    )
    page = paging.page_of(rows, size, "new_products", lambda row: (row.code,))
    items = [
        NewVariantView(
            code=row.code,
            parent=row.parent,
            name=row.name,
            gtin=row.gtin,
            price=row.price,
            active=row.active,
            seen_at=row.seen_at,
            problems=[why(work.language, msgspec.convert(flaw, Flaw)) for flaw in row.make_flaws or []],
        )
        for row in page.items
    ]
    return Page(items, page.next)


@command("/connections/{code:str}/new-products/accept", permission="catalog:write", tag=TAG)
async def accept_new_products(work: Work, code: str, data: AcceptNew) -> AcceptedNew:
    """Have SKUs that the channel tells made products, by a worker. What cannot be made is refused with its reason."""
    batch, count = await making.accept(work.tx, code, data.codes, refused=data.all == "refused")
    return AcceptedNew(batch, count)


@query("/connections/{code:str}/product-acceptances", permission="network:read", tag=TAG)
async def list_product_acceptances(
    work: Work, code: str, cursor: str | None = None, limit: int | None = None
) -> Page[AcceptanceView]:
    """List what was accepted together, the newest first, and what became of it. They are kept for 90 days."""
    found = await service.connection_of(work.tx, code)
    size = paging.bounded(limit)
    before = paging.position(cursor, "product_acceptances", (int,))
    rows = await making_reads.batches(
        work.tx, found.id, before=before[0] if before else making_reads.NEWEST, most=size + 1
    )
    page = paging.page_of(rows, size, "product_acceptances", lambda row: (row.id,))
    return Page([AcceptanceView(**msgspec.structs.asdict(row)) for row in page.items], page.next)


@query("/connections/{code:str}/product-acceptances/{acceptance:int}/products", permission="network:read", tag=TAG)
async def list_products_made(
    work: Work, code: str, acceptance: int, cursor: str | None = None, limit: int | None = None
) -> Page[MadeView]:
    """List what was made of an acceptance, by the channel's code."""
    found = await service.connection_of(work.tx, code)
    size = paging.bounded(limit)
    after = paging.position(cursor, "products_made", (str,))
    rows = await making_reads.made(work.tx, found.id, acceptance, after=after[0] if after else "", most=size + 1)
    page = paging.page_of(rows, size, "products_made", lambda row: (row.code,))
    return Page([msgspec.convert(msgspec.structs.asdict(row), MadeView) for row in page.items], page.next)


@command("/connections/{code:str}/product-acceptances/{acceptance:int}/undo", permission="catalog:write", tag=TAG)
async def take_products_back(work: Work, code: str, acceptance: int) -> None:
    """Take away what was made of an acceptance, by a worker; what something refers to stays."""
    await making.take_back(work.tx, code, acceptance)


@query("/connections/{code:str}/products-made-at-once", permission="network:read", tag=TAG)
async def list_products_made_at_once(
    work: Work,
    code: str,
    q: str | None = None,
    view: AtOnceState | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[MadeAtOnceView]:
    """List what the connection made products of at once, the newest first, and whether it could be taken back.

    They are kept for 90 days.
    """
    found = await service.connection_of(work.tx, code)
    size = paging.bounded(limit)
    place = paging.position(cursor, "products_made_at_once", (datetime, str))
    rows = await at_once_reads.rows(
        work.tx,
        found.id,
        before=place or at_once_reads.FIRST,
        state=view,
        sought=(q or "").strip()[:200] or None,
        most=size + 1,
    )
    page = paging.page_of(rows, size, "products_made_at_once", lambda row: (row.made_at, row.code))
    against = await at_once.against(work.tx, found.id, page.items)
    items = [
        msgspec.convert({**msgspec.structs.asdict(row), "reasons": against.get(row.sku) or row.reasons}, MadeAtOnceView)
        for row in page.items
    ]
    return Page(items, page.next)


@command("/connections/{code:str}/products-made-at-once/undo", permission="catalog:write", tag=TAG)
async def take_products_made_at_once_back(work: Work, code: str, data: TakeBack) -> TakingBack:
    """Take products away that were made at once, by a worker; what something refers to stays, and says why.

    Their SKUs wait to be accepted from then on: the connection does not make them again by itself.
    """
    sought = data.q.strip() or None
    return TakingBack(await at_once.take_back(work.tx, code, data.codes, sought=sought))


@query("/connections/{code:str}/product-categories", permission="network:read", tag=TAG)
async def list_product_categories(
    work: Work, code: str, q: str | None = None, cursor: str | None = None, limit: int | None = None
) -> Page[CategoryView]:
    """List categories as the channel told them with its products, and which of ours somebody said each is."""
    found = await service.connection_of(work.tx, code)
    size = paging.bounded(limit)
    after = paging.position(cursor, "product_categories", (str,))
    rows = await category_reads.rows(
        work.tx,
        found.id,
        after=after[0] if after else "",
        sought=(q or "").strip()[:200] or None,
        most=size + 1,
    )
    page = paging.page_of(rows, size, "product_categories", lambda row: (row.theirs,))
    known = await categories.ours(work.tx, found.id, [row.theirs for row in page.items])
    items = [
        CategoryView(theirs=row.theirs, ours=known.get(row.theirs), said=row.ours is not None) for row in page.items
    ]
    return Page(items, page.next)


@command("/connections/{code:str}/product-categories", method="PUT", permission="network:write", tag=TAG)
async def map_product_categories(work: Work, code: str, data: StateCategories) -> None:
    """Say which of ours categories of the channel are. Products that waited for it are tried again."""
    await categories.put(work.tx, code, [(item.theirs, item.ours) for item in data.items])


handlers = [
    list_product_categories,
    map_product_categories,
    list_new_products,
    accept_new_products,
    list_product_acceptances,
    list_products_made,
    take_products_back,
    list_products_made_at_once,
    take_products_made_at_once_back,
]
