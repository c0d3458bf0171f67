"""The catalogue: products with variants, kits and media; the category tree; the list of SKUs."""

from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.catalog import reads, service
from malha.catalog.errors import UnknownCategory, UnknownProduct
from malha.catalog.model import Category, CategoryDraft, Product, ProductDraft, VariantRow
from malha.catalog.rules import tidy_product, warn_product
from malha.inventory import standing
from malha.platform import paging
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, translate
from malha.platform.paging import Page


class Stored(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which product was written, its version now, and what is acceptable but looks wrong."""

    code: str
    version: int
    warnings: list[str] = []


class CategoryMove(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a category shall hang; null makes it a root."""

    parent: str | None


class CategoryStored(msgspec.Struct, frozen=True):
    """Which category was written."""

    code: str


Categories = Annotated[list[CategoryDraft], Meta(min_length=1, max_length=1_000)]


def _warnings(work: Work, draft: ProductDraft) -> list[str]:
    return [translate(work.language, f.says, **f.facts) for f in warn_product(tidy_product(draft))]


@query("/variants", permission="catalog:read")
async def list_variants(
    work: Work,
    q: str = "",
    category: str | None = None,
    active: bool | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[VariantRow]:
    """List SKUs in order; `q` finds words of names, codes, brand and GTIN, `category` includes what lies below it."""
    size = paging.bounded(limit)
    after = paging.position(cursor, "variants", (str,))
    path = None
    if category is not None:
        path = next((c.path for c in await reads.categories(work.tx) if c.code == category), None)
        if path is None:
            raise UnknownCategory(key=category)
    rows = await reads.variant_page(
        work.tx, query=q, category_path=path, active=active, after=after[0] if after else "", limit=size + 1
    )
    return paging.page_of(rows, size, "variants", lambda row: (row.sku,))


@query("/products/{code:str}", permission="catalog:read", snapshot=True)
async def get_product(work: Work, code: str) -> Product:
    """Return a product with its variants and media, with the version as `ETag`."""
    found = await reads.product_by_code(work.tx, code)
    if found is None:
        raise UnknownProduct(key=code)
    work.tag(found.version)
    return found


@command("/products", permission="catalog:write", status=201)
async def create_product(work: Work, data: ProductDraft) -> Stored:
    """Add a product with its variants.

    A variant with `components` (SKU and quantity) is a kit. Weight is grams, sizes are millimetres, price is centavos.
    """
    made = await service.create_product(work.tx, data, allowed=work.services.settings.outward_allow)
    work.created(f"/v1/products/{made.code}")
    work.tag(made.version)
    return Stored(made.code, made.version, _warnings(work, data))


@command("/products/{code:str}", method="PUT", permission="catalog:write", versioned="required")
async def change_product(work: Work, code: str, data: ProductDraft) -> Stored:
    """Change a product and the variants that are named; others stay as they are (set `active` to false to end one).

    A kit that does not say its `components` stays what it is; an empty object makes it an ordinary variant. A SKU that
    has stock, or of which some is on its way, does not become a kit.

    What was read can be sent back as it is, and changes nothing. `id`, `version`, `is_kit`, and of media `position` and
    `sku`, are only read: they are refused where they are not what they are here.
    """
    if data.code.strip() != code:
        says, mend = N_("The code cannot be changed."), N_("Send {code}, the code in the address.")
        refuse([Flaw("code", says, mend, {"code": code})])
    version = await service.lock_product(work.tx, code, kits=any(v.parts for v in data.variants))
    work.expect(version)
    allowed = work.services.settings.outward_allow
    changed = await service.update_product(work.tx, data, version, allowed=allowed, stands=standing.of)
    work.tag(changed.version)
    return Stored(code, changed.version, _warnings(work, data))


@query("/categories", permission="catalog:read")
async def list_categories(work: Work) -> list[Category]:
    """List the category tree, parents before their children."""
    return await reads.categories(work.tx)


@command("/categories:batch", permission="catalog:write")
async def put_categories(work: Work, data: Categories) -> list[CategoryStored]:
    """Create, rename or move categories by code, parents first."""
    await service.put_categories(work.tx, data)
    return [CategoryStored(draft.code) for draft in data]


@command("/categories/{code:str}/move", permission="catalog:write")
async def move_category(work: Work, code: str, data: CategoryMove) -> CategoryStored:
    """Hang a category, with everything below it, under another parent."""
    await service.move_category(work.tx, code, data.parent)
    return CategoryStored(code)


handlers = [
    list_variants,
    get_product,
    create_product,
    change_product,
    list_categories,
    put_categories,
    move_category,
]
