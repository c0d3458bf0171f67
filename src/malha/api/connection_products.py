"""Connections that keep fields of products: which, what that would change, what could not be written."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.catalog import ownership
from malha.channels.connecting import master_reads, master_rules, mastering, registry, service
from malha.platform import paging
from malha.platform.flaws import Flaw
from malha.platform.i18n import translate
from malha.platform.paging import Page

TAG = "connections"

Creates = Literal["never", "held", "once"]
FieldName = Annotated[str, Meta(min_length=1, max_length=40)]


class KeepFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which fields of products a connection keeps; none: it keeps nothing.

    `new_products` is what becomes of SKUs that nobody here knows: nothing (`never`), they wait until somebody accepts
    them (`held`), or they are made products at once (`once`). `new_categories` is what becomes of categories that it
    tells and nobody here knows: what is told of them is held until somebody says which they are, or they are made.
    """

    fields: Annotated[list[FieldName], Meta(max_length=20)]
    new_products: Creates = "never"
    new_categories: Literal["held", "made"] = "held"


class ProductRoleView(msgspec.Struct, frozen=True, kw_only=True):
    """Which fields a connection keeps, which its connector tells, and which another connection keeps (by its code).

    `mapped` is of how many variants of ours the channel tells, `waiting` how many of them are still to be written,
    `held` of how many products something could not be.
    """

    fields: list[str]
    new_products: str
    new_categories: str
    version: int
    tells: list[str]
    elsewhere: dict[str, str]
    mapped: int
    waiting: int
    held: int


class ProductRoleStored(msgspec.Struct, frozen=True):
    """The version it has now."""

    version: int


class FieldChange(msgspec.Struct, frozen=True, kw_only=True):
    """A value that would change: of a SKU, or with null of the product."""

    product: str
    sku: str | None
    field: str
    old: str
    new: str


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a value that was told, and how to mend it."""

    field: str
    detail: str
    mend: str


class ProductRolePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What keeping the fields would change. `looked`: of so many variants of `mapped`, the first by code.

    `counts` are values that would change, by field; `changes` the first of them; `held` what could not be written, by
    product; `conflicts` fields that another connection keeps, with its code: with these it is refused. `own_prices`: of
    how many SKUs a price of the channel's own would end.
    """

    mapped: int
    looked: int
    products: int
    counts: dict[str, int]
    changes: list[FieldChange]
    held: dict[str, list[Why]]
    conflicts: dict[str, str]
    own_prices: int


class HeldProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A product of which something that the channel told could not be written."""

    product: str
    since: datetime
    problems: list[Why]


class HeldReason(msgspec.Struct, frozen=True, kw_only=True):
    """Why products are held: `reason` narrows the list to it, `detail` says it with dots for what differs."""

    reason: str
    detail: str
    products: int


def why(language: str, flaw: Flaw) -> Why:
    """Return a flaw in somebody's language."""
    says = translate(language, flaw.says, **flaw.facts)
    return Why(field=flaw.at, detail=says, mend=translate(language, flaw.mend, **flaw.facts) if flaw.mend else "")


@query("/connections/{code:str}/product-role", permission="network:read", tag=TAG)
async def get_product_role(work: Work, code: str) -> ProductRoleView:
    """Return which fields of products a connection keeps, with the version as `ETag`."""
    found = await service.connection_of(work.tx, code)
    role = await master_reads.master(work.tx, found.id)
    counts = await master_reads.counts(work.tx, found.id)
    owners = await ownership.owners(work.tx)
    work.tag(role.version)
    return ProductRoleView(
        fields=list(role.fields),
        new_products=role.creates,
        new_categories=role.categories,
        version=role.version,
        tells=master_rules.able(registry.connectors().get(found.connector)),
        elsewhere={field: by.owner for field, by in owners.items() if by.owner != code},
        mapped=counts.mapped,
        waiting=counts.waiting,
        held=counts.held,
    )


@command(
    "/connections/{code:str}/product-role", method="PUT", permission="settings:manage", versioned="required", tag=TAG
)
async def put_product_role(work: Work, code: str, data: KeepFields) -> ProductRoleStored:
    """Have a connection keep fields of products: what it tells is written, and nobody else changes them.

    A field has one owner. What the channel told last is written by a worker, and its products are read anew.
    """
    version = work.expect(await mastering.lock_fields(work.tx, code))
    stored = await mastering.put_fields(work.tx, code, data.fields, version, data.new_products, data.new_categories)
    work.tag(stored)
    return ProductRoleStored(stored)


@query("/connections/{code:str}/product-role/preview", permission="network:read", tag=TAG)
async def preview_product_role(work: Work, code: str, fields: str = "") -> ProductRolePreview:
    """Return what it would change if a connection kept some fields, separated by commas; nothing is written."""
    wanted = [field.strip() for field in fields[:1000].split(",") if field.strip()]
    told = await mastering.preview(work.tx, code, wanted)
    return ProductRolePreview(
        mapped=told.mapped,
        looked=told.looked,
        products=told.products,
        counts=told.counts,
        changes=[FieldChange(**msgspec.structs.asdict(change)) for change in told.sample],
        held={product: [why(work.language, flaw) for flaw in flaws] for product, flaws in told.held.items()},
        conflicts={by.field: by.owner for by in told.conflicts},
        own_prices=told.own_prices,
    )


@query("/connections/{code:str}/held-products", permission="network:read", tag=TAG)
async def list_held_products(
    work: Work,
    code: str,
    q: Annotated[str, Meta(max_length=200)] = "",
    reason: Annotated[str, Meta(max_length=12)] = "",
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[HeldProduct]:
    """List products of which something that the channel told could not be written, each with the reason.

    `q` finds a code, a SKU, words of a name, or words of a reason as they are said in your language; `reason` is one
    of the list of reasons.
    """
    found = await service.connection_of(work.tx, code)
    size = paging.bounded(limit)
    after = paging.position(cursor, "held_products", (str,))
    known = await master_reads.reasons(work.tx, found.id) if q or reason else []
    narrowed = master_reads.narrowed(known, q, reason)
    rows = await master_reads.held(work.tx, found.id, after=after[0] if after else "", most=size + 1, narrowed=narrowed)
    page = paging.page_of(rows, size, "held_products", lambda row: (row.product,))
    items = [
        HeldProduct(
            product=row.product,
            since=row.since,
            problems=[why(work.language, msgspec.convert(flaw, Flaw)) for flaw in row.flaws],
        )
        for row in page.items
    ]
    return Page(items, page.next)


@query("/connections/{code:str}/held-products/reasons", permission="network:read", tag=TAG)
async def list_held_reasons(work: Work, code: str) -> list[HeldReason]:
    """List why products of a connection are held, the most frequent reason first."""
    found = await service.connection_of(work.tx, code)
    return [
        HeldReason(reason=each.key, detail=each.text, products=each.products)
        for each in await master_reads.reasons(work.tx, found.id)
    ]


handlers = [get_product_role, put_product_role, preview_product_role, list_held_products, list_held_reasons]
