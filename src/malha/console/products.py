"""Products: the list, one product with everything about it, changing it, taking it out of sale and back."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.catalog import reads as catalog
from malha.catalog import service
from malha.catalog.errors import UnknownProduct
from malha.catalog.model import Category, Product, Variant, VariantRow
from malha.catalog.pictures.model import Size
from malha.catalog.rules import tidy_product, warn_product
from malha.console import (
    balance,
    export,
    filling,
    kit_stock,
    meanwhile,
    pictures,
    product_reads,
    render,
    shell,
    stock_reads,
    stock_view,
    web,
)
from malha.console.filling import Filled
from malha.console.product_reads import ProductRow, View, Wanted
from malha.inventory import reads as inventory
from malha.inventory.ahead import reads as ahead_reads
from malha.inventory.ahead.model import MODE_WORDS, Mode
from malha.inventory.ahead.reads import PolicyRow
from malha.platform import i18n
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.i18n import N_, Word, _
from malha.platform.sheets import Column, Kind

PAGE_SIZE = 50
VIEW_WORDS: dict[View, str] = {
    View.ALL: N_("All products"),
    View.ACTIVE: N_("On sale"),
    View.INACTIVE: N_("Off sale"),
    View.KITS: N_("Kits"),
    View.INCOMPLETE: N_("Incomplete"),
}
EMPTY: dict[View, tuple[str, str]] = {
    View.ALL: (N_("No products yet"), N_("Import a table of products, or send them through the API.")),
    View.ACTIVE: (N_("Nothing is on sale"), N_("Products that channels may sell appear here.")),
    View.INACTIVE: (N_("Everything is on sale"), N_("Products that were taken out of sale appear here.")),
    View.KITS: (N_("No kits"), N_("Products that are sold as one and picked as several appear here.")),
    View.INCOMPLETE: (N_("Nothing is missing"), N_("Products without NCM, GTIN or weight appear here.")),
}
# Where goods come from, as the NF-e asks (table A of the ICMS origin), in short.
ORIGINS = (
    N_("0, national"),
    N_("1, foreign, imported directly"),
    N_("2, foreign, bought in Brazil"),
    N_("3, national, import content over 40 %"),
    N_("4, national, basic production process"),
    N_("5, national, import content up to 40 %"),
    N_("6, foreign, imported directly, no similar"),
    N_("7, foreign, bought in Brazil, no similar"),
    N_("8, national, import content over 70 %"),
)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an address of the list says. Nonsense in it is ignored."""

    view: View = View.ALL
    q: str = ""
    category: str = ""
    after: str = ""
    before: str = ""

    def address(self, path: str = "/products", **changes: Any) -> str:
        """Return the address of this list with parts changed, its first page unless a page is named."""
        return web.address(path, self, {"after": "", "before": "", **changes}, usual={"view": View.ALL})


class Tab(NamedTuple):
    """A saved view with its count."""

    word: str
    href: str
    found: int
    current: bool


def address_of(code: str, act: str = "") -> str:
    """Return the address of a product."""
    return f"/products/{quote(code, safe='')}" + (f"/{act}" if act else "")


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks."""
    names = ("q", "category", "after", "before")
    texts = {name: web.said(query, name)[:200].strip() for name in names}
    view = query.get("view", "")
    return Asked(view=View(view) if view in set(View) else View.ALL, **texts)


def lacks(row: ProductRow) -> str:
    """Return what a product lacks, in words."""
    said = []
    if row.ncm is None:
        said.append(_("NCM"))
    if row.unnumbered:
        said.append(_("GTIN"))
    if row.unweighed:
        said.append(_("weight"))
    return _("Without {what}", what=", ".join(said)) if said and row.active else ""


def price_range(row: ProductRow) -> str:
    """Return what the variants cost."""
    if row.least is None or row.most is None:
        return ""
    if row.least == row.most:
        return i18n.money(row.least)
    return _("from {price}", price=i18n.money(row.least))


def indented(categories: list[Category]) -> list[tuple[str, str]]:
    """Return the tree as choices: each below what it belongs to."""
    return [(c.code, "\N{NO-BREAK SPACE}" * 3 * c.path.count("/") + c.name) for c in categories]


@get("/products", opt={"permission": "catalog:read"})
async def product_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the list."""
    asked = asked_of(request.query_params)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "products", here=asked.address(after=asked.after, before=asked.before))
        categories = await catalog.categories(tx)
        path = product_reads.path_of(categories, asked.category)
        wanted = Wanted(view=asked.view, search=asked.q, category=path)
        page = await product_reads.products(tx, wanted, after=asked.after, before=asked.before, size=PAGE_SIZE)
        counts = await product_reads.view_counts(tx)
        filtered = bool(asked.q or path)
        total = await product_reads.count(tx, wanted) if filtered else counts[asked.view]
        images = await pictures.of_products(tx, request, [row.code for row in page.rows])
    terms = {
        "view": asked.view,
        "search": asked.q,
        "category": asked.category,
        "categories": indented(categories),
        "filtered": filtered,
        "unfiltered": Asked(view=asked.view).address(),
        "tabs": [Tab(VIEW_WORDS[v], asked.address(view=v), counts[v], v is asked.view) for v in View],
        "rows": [(row, address_of(row.code), lacks(row), price_range(row), images.get(row.code)) for row in page.rows],
        "pictured": bool(images),
        "total": total,
        "previous": asked.address(before=page.rows[0].code) if page.more_before and page.rows else "",
        "next": asked.address(after=page.rows[-1].code) if page.more_after and page.rows else "",
        "empty": EMPTY[asked.view],
        "exports": export.choices(asked.address, "/products:export"),
        "origins": [(str(n), _(word)) for n, word in enumerate(ORIGINS)],
    }
    part = web.wants_part(request)
    headers = {"HX-Push-Url": asked.address(after=asked.after, before=asked.before)} if part else {}
    template = "products/list.html" if part else "products/page.html"
    return render.html(template, headers=headers, shell=around, list=terms, may=around.may)


class VariantView(msgspec.Struct, frozen=True, kw_only=True):
    """One variant as it is drawn."""

    of: Variant
    stock_href: str
    choice: str
    size: str
    weight: str
    available: int | None  # None: not the caller's to see
    kit: kit_stock.KitView | None


def weight_text(grams: int) -> str:
    """Return a weight as people write it: `850 g`, `1,4 kg`."""
    if grams < 1000:
        return f"{i18n.number(grams)} g" if grams else ""
    return f"{i18n.number(grams / 1000)} kg"


def size_text(variant: Variant) -> str:
    """Return length, width and height in centimetres."""
    sides = (variant.length_mm, variant.width_mm, variant.height_mm)
    if not all(sides):
        return ""
    return " \N{MULTIPLICATION SIGN} ".join(i18n.number(side / 10) for side in sides) + " cm"


async def product_of(tx: Tx, code: str) -> Product:
    """Return a product.

    Raises:
        UnknownProduct: there is none.
    """
    found = await catalog.product_by_code(tx, code)
    if found is None:
        raise UnknownProduct(key=code)
    return found


@get("/products/{code:str}", opt={"permission": "catalog:read"})
async def product_page(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Show one product; lead from a SKU to the product it belongs to."""
    async with web.reading(request) as tx:
        owner = (await catalog.products_of_skus(tx, [code])).get(code, code)
        if owner != code and await catalog.product_by_code(tx, code) is None:
            return web.see_other(address_of(owner))
        return await draw(tx, request, code)


async def draw(tx: Tx, request: Request[Any, Any, Any], code: str) -> Response[str]:
    """Draw the page of a product, or its part for a script that has the rest."""
    around = await shell.around(tx, request, "products")
    product = await product_of(tx, code)
    may_stock = around.may("stock:read")
    places = await stock_reads.places(tx, shell.scope_of(web.caller_of(request))) if may_stock else []
    ids = [variant.id for variant in product.variants if not variant.is_kit]
    found = await inventory.availability(tx, ids, [place.id for place in places])
    kits = await kit_stock.kits_of(tx, product.variants, places, may_stock=may_stock)
    by_sku: dict[int, int] = dict.fromkeys(ids, 0)
    by_place: dict[int, list[int]] = {}
    for row in found:
        by_sku[row.sku_id] += max(row.free, 0)
        sums = by_place.setdefault(row.location_id, [0, 0])
        sums[0] += row.on_hand
        sums[1] += max(row.free, 0)
    categories = {c.code: c for c in await catalog.categories(tx)}
    names = {c.path: c.name for c in categories.values()}
    category = categories.get(product.category or "")
    unseen = await pictures.refused(tx, [m.url for m in product.media])
    terms: dict[str, Any] = {
        "shell": around,
        "product": product,
        "address": address_of(code),
        "seen": seen(product),
        "category": category and _trail(category.path, names),
        "origin": _(ORIGINS[product.origin]),
        "variants": [
            _variant_view(v, by_sku.get(v.id) if may_stock else None, kits.get(v.id)) for v in product.variants
        ],
        "stock": [(place, *by_place[place.id]) for place in places if by_place.get(place.id, (0, 0))[0]],
        "claims": await balance.claims_of(tx, ids, {p.id: p for p in places}) if around.may("orders:read") else [],
        "warnings": [web.flaw_text(f)[0] for f in warn_product(tidy_product(catalog.product_draft(product)))],
        "ahead": await ahead_of(tx, product.id),
        "media": [(m, pictures.shown(request, m.url, Size.LARGE), unseen.get(m.url, "")) for m in product.media],
        "may_stock": may_stock,
        "keeps_stock": bool(ids),
        "may": around.may,
    }
    part = web.wants_part(request)
    return render.html("products/product_body.html" if part else "products/product.html", **terms)


async def ahead_of(tx: Tx, product_id: int) -> list[tuple[PolicyRow, str]]:
    """Return what may be sold ahead of a product, each with its mode in words."""
    return [(p, _(MODE_WORDS[Mode(p.mode)])) for p in await ahead_reads.of_product(tx, product_id)]


def _trail(path: str, names: Mapping[str, str]) -> str:
    codes = path.split("/")
    ends = ["/".join(codes[: i + 1]) for i in range(len(codes))]
    return " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} ".join(names.get(end, end) for end in ends)


def _variant_view(variant: Variant, available: int | None, kit: kit_stock.KitView | None) -> VariantView:
    return VariantView(
        of=variant,
        stock_href=stock_view.address_of(variant.sku),
        choice=" / ".join(value for value in variant.options.values() if value),
        size=size_text(variant),
        weight=weight_text(variant.weight_grams),
        available=kit.available if kit else available,
        kit=kit,
    )


# --- changing ---


def seen(product: Product) -> str:
    """Return what a form remembers of the product it was made from."""
    return str(product.version)


async def as_seen(tx: Tx, code: str, form: Filled, *, kits: bool = False) -> tuple[Product, int]:
    """Lock a product and return it with its version, if it is still as the form saw it. `kits`: see `lock_product`.

    Raises:
        UnknownProduct: there is none.
        Conflict: somebody changed it, or one of its variants.
    """
    version = await service.lock_product(tx, code, kits=kits)
    product = await product_of(tx, code)
    if form.text("seen", 30) != seen(product):
        raise Conflict(what=Word(N_("Product")), key=code)
    return product, version


@post("/products/{code:str}/active", opt={"permission": "catalog:write"}, status_code=200)
async def product_active(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Take a product out of sale, or put it back, as long as it is still as the person saw it."""
    form = filling.filled(await request.form())
    active = form.text("active") == "yes"
    async with meanwhile.told(request, address_of(code), "product", code, {"change"}), web.writing(request) as tx:
        product, version = await as_seen(tx, code, form)
        draft = catalog.product_draft(product)
        draft = msgspec.structs.replace(draft, active=active, variants=[], media=None)
        await service.update_product(tx, draft, version)
    return web.go_on(request, address_of(code), _("Product is on sale") if active else _("Product is off sale"))


COLUMNS = (
    Column(N_("SKU")), Column(N_("Name"), width=40), Column(N_("Product")), Column(N_("Brand")),
    Column(N_("Category code")), Column(N_("GTIN")), Column(N_("Price"), Kind.MONEY), Column(N_("Kit")),
    Column(N_("State")),
)  # fmt: skip


async def _of_view(tx: Tx, view: View, rows: list[VariantRow]) -> list[VariantRow]:
    """Return which SKUs a view is about."""
    if view is View.KITS:
        return [row for row in rows if row.is_kit]
    if view is View.INCOMPLETE:
        lacking = await product_reads.lacking(tx, [row.sku for row in rows])
        return [row for row in rows if row.sku in lacking]
    return rows


@get(export.paths("/products:export"), opt={"permission": "catalog:read"})
async def product_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the SKUs of the search and the category as a file; a view narrows it to those that it is about."""
    asked = asked_of(request.query_params)
    async with web.reading(request) as tx:
        path = product_reads.path_of(await catalog.categories(tx), asked.category)
    active = {View.ACTIVE: True, View.INACTIVE: False}.get(asked.view)

    async def pages() -> AsyncIterator[list[VariantRow]]:
        after = ""
        while True:
            async with web.reading(request) as tx:
                rows = await catalog.variant_page(
                    tx, query=asked.q, category_path=path, active=active, after=after, limit=export.BATCH
                )
                yield await _of_view(tx, asked.view, rows)
            if len(rows) < export.BATCH:
                return
            after = rows[-1].sku

    def cells(row: VariantRow) -> list[Any]:
        state = _("On sale") if row.active else _("Off sale")
        kit = _("yes") if row.is_kit else _("no")
        return [row.sku, row.name, row.product, row.brand, row.category, row.gtin, row.price, kit, state]

    return export.send(request, "products", COLUMNS, pages(), cells)


HANDLERS = [product_list, product_page, product_active, product_export]
