"""The form of a product: making one, changing one, its variants, and what its kits hold.

A field's name is its path in the draft. Weights are typed in kilograms and sizes in centimetres; a kit's components are
rows of a SKU and a number of units.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from malha.catalog import ownership, service
from malha.catalog import reads as catalog
from malha.catalog.errors import StockedKit
from malha.catalog.imports import parse_substitutes, substitutes_text
from malha.catalog.model import MediaDraft, Product, ProductDraft, VariantDraft
from malha.catalog.rules import MAX_INT
from malha.console import filling, meanwhile, render, shell, web
from malha.console.filling import Filled
from malha.console.products import ORIGINS, address_of, as_seen, indented, product_of, seen
from malha.inventory import standing
from malha.platform import i18n, tabular
from malha.platform.db import Tx
from malha.platform.i18n import N_, _

MOST_VARIANTS = 300
MOST_PARTS = 100
SUGGESTED = 12
BLANK = ProductDraft(code="", name="", variants=[VariantDraft(sku="", components={})])


async def _form(tx: Tx, request: Request[Any, Any, Any], product: Product | None) -> dict[str, Any]:
    around = await shell.around(tx, request, "products")
    draft = catalog.product_draft(product) if product else BLANK
    locks = (await ownership.locked(tx, [product]))[product.code] if product else []
    kept = {(lock.sku, lock.field): lock for lock in locks}
    return {
        "kept_by": lambda field, sku=None: kept.get((sku, field)),
        "keepers": sorted({(lock.connection, lock.name) for lock in locks}),
        "shell": around,
        "may": around.may,
        "draft": draft,
        "kept": len(draft.variants) if product else 0,
        "seen": seen(product) if product else "",
        "address": address_of(product.code) if product else "/products:new",
        "back": address_of(product.code) if product else "/products",
        "categories": indented(await catalog.categories(tx)),
        "origins": [_(word) for word in ORIGINS],
        "attributes": "\n".join(f"{name}: {value}" for name, value in draft.attributes.items()),
        "media": "\n".join(f"{m.url} {m.alt}".strip() for m in draft.media or []),
        "plain": lambda value, digits: tabular.decimal_text(value, digits) if value else "",
        "substitutes": lambda stated: substitutes_text(stated or ()),
        "choices": lambda options: "; ".join(f"{name}: {value}" for name, value in options.items()),
    }


@get("/products:new", opt={"permission": "catalog:write"})
async def product_new(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the empty form."""
    async with web.reading(request) as tx:
        return render.html("products/edit.html", **await _form(tx, request, None))


@get("/products/{code:str}/edit", opt={"permission": "catalog:write"})
async def product_edit(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show the form that changes a product."""
    async with web.reading(request) as tx:
        return render.html("products/edit.html", **await _form(tx, request, await product_of(tx, code)))


@get("/products:skus", opt={"permission": "catalog:read"})
async def sku_choices(request: Request[Any, Any, Any]) -> Response[str]:
    """Return SKUs that hold the words typed, as choices of a field; kits are none, they do not hold kits."""
    asked = next(iter(request.query_params.values()), "").replace("\x00", "")[:100].strip()
    async with web.reading(request) as tx:
        found = await catalog.variant_page(tx, query=asked, active=True, limit=2 * SUGGESTED) if asked else []
    return render.html("products/skus.html", rows=[row for row in found if not row.is_kit][:SUGGESTED])


# --- reading it ---


def _pairs(read: Filled, name: str, parts: Iterator[str], mend: str) -> dict[str, str]:
    """Return what is written as `name: value`, piece by piece."""
    found = {}
    for part in parts:
        key, colon, value = part.partition(":")
        if not colon or not key.strip():
            read.wrong(name, N_("{value} is no attribute."), mend, value=part[:80])
        found[key.strip()] = value.strip()
    return found


def _lines(read: Filled, name: str, at: str = "\n") -> Iterator[str]:
    return filter(None, (part.strip() for part in read.text(name, 20_000).split(at)))


def _parts(read: Filled, at: str) -> dict[str, int]:
    """Return a kit's components: a SKU and its units a row; rows without a SKU are no rows."""
    skus = [str(sku).replace("\x00", "").strip()[:80] for sku in read.form.getall(f"{at}/components", [])]
    units = [str(number).strip()[:12] for number in read.form.getall(f"{at}/units", [])]
    found: dict[str, int] = {}
    for sku, number in list(zip(skus, units, strict=False))[:MOST_PARTS]:
        if not sku:
            continue
        if not (number.isascii() and number.isdigit() and int(number)):
            read.wrong(f"{at}/components", N_("{value} is no number of units."), N_("Use a whole number from 1."),
                       value=number or "\N{EN DASH}")  # fmt: skip
        elif sku in found:
            read.wrong(
                f"{at}/components", N_("The component {sku} is named twice."), N_("Add the quantities."), sku=sku
            )
        found[sku] = int(number) if number.isascii() and number.isdigit() else 1
    return found


def _measured(read: Filled, at: str, digits: int) -> int | None:
    """Return what was typed in kilograms, centimetres or money; what is out of range is told as it was typed."""
    value = read.maybe_scaled(at, digits)
    if value is not None and not 0 <= value <= MAX_INT:
        read.wrong(at, N_("This number is out of range."), N_("Write one from {least} to {most}."),
                   least=0, most=i18n.number(MAX_INT // 10**digits))  # fmt: skip
        return None
    return value


def _variant(read: Filled, at: str, variant: VariantDraft) -> VariantDraft:
    changes: dict[str, Any] = {}
    if f"{at}/options" in read.form:
        changes["options"] = _pairs(read, f"{at}/options", _lines(read, f"{at}/options", ";"),
                                    N_("Write it as name: value; name: value."))  # fmt: skip
    if f"{at}/substitutes" in read.form:
        try:
            changes["substitutes"] = parse_substitutes(read.text(f"{at}/substitutes", 2_000))
        except tabular.BadCell as bad:
            read.wrong(f"{at}/substitutes", bad.says, bad.mend, **bad.facts)
    if f"{at}/parts" in read.form:  # the page had rows for them
        changes["components"] = _parts(read, at)
    return msgspec.structs.replace(
        variant,
        name=read.text(f"{at}/name"),
        gtin=read.text(f"{at}/gtin", 20) or None,
        price=_measured(read, f"{at}/price", 2),
        weight_grams=_measured(read, f"{at}/weight_grams", 3) or 0,
        length_mm=_measured(read, f"{at}/length_mm", 1) or 0,
        width_mm=_measured(read, f"{at}/width_mm", 1) or 0,
        height_mm=_measured(read, f"{at}/height_mm", 1) or 0,
        active=read.text(f"{at}/active") == "yes",
        **changes,
    )


def _new_variants(read: Filled, kept: int) -> Iterator[VariantDraft]:
    """Yield the variants that the form adds: those with a SKU, or with anything else in them."""
    named = {name.split("/")[1] for name in read.form if name.startswith("variants/") and name.endswith("/sku")}
    for n in sorted(int(name) for name in named if name.isascii() and name.isdigit() and len(name) < 5):
        at = f"variants/{n}"
        filled = any(
            read.text(f"{at}/{field}") for field in ("sku", "name", "gtin", "price", "weight_grams", "options")
        )
        if n >= kept and filled:
            yield _variant(read, at, VariantDraft(sku=read.text(f"{at}/sku", 80)))


def changed_draft(read: Filled, draft: ProductDraft, kept: int) -> ProductDraft:
    """Return a product as the form states it; what the form has no field for stays as it is."""
    media = [
        MediaDraft(url=url, alt=alt.strip())
        for url, _space, alt in (line.partition(" ") for line in _lines(read, "media"))
    ]
    origin = read.text("origin", 2)
    variants = [_variant(read, f"variants/{i}", variant) for i, variant in enumerate(draft.variants[:kept])]
    variants += list(_new_variants(read, kept))[:MOST_VARIANTS]
    options = [*draft.options, *(o for v in variants for o in v.options if o not in draft.options)]
    return msgspec.structs.replace(
        draft,
        name=read.text("name"),
        description=read.text("description", 20_000),
        brand=read.text("brand") or None,
        category=read.text("category") or None,
        ncm=read.text("ncm", 20) or None,
        cest=read.text("cest", 20) or None,
        origin=int(origin) if origin.isascii() and origin.isdigit() else 0,
        options=list(dict.fromkeys(options)),
        attributes=_pairs(read, "attributes", _lines(read, "attributes"), N_("Write it as name: value.")),
        media=media,
        variants=variants,
    )


async def _refuse_stocked_kits(tx: Tx, read: Filled, draft: ProductDraft) -> None:
    """Note SKUs that become kits while units of them are somewhere: a kit has no stock, so nobody would see those."""
    stocked = await service.stocked_kits(tx, [draft], standing.of)
    for i, variant in enumerate(draft.variants):
        if variant.sku in stocked and variant.parts:
            read.wrong(f"variants/{i}/components", StockedKit.says, StockedKit.mend, **stocked[variant.sku])


# --- keeping it ---


def _allowed(request: Request[Any, Any, Any]) -> Sequence[str]:
    """Return what this installation asks inside its own network."""
    allowed: Sequence[str] = request.app.state.services.settings.outward_allow
    return allowed


@post("/products:new", opt={"permission": "catalog:write"}, status_code=200)
async def product_create(request: Request[Any, Any, Any]) -> Response[Any]:
    """Make a product.

    Raises:
        ProductCodeTaken: another one has the code.
        Invalid: a value is not valid; nothing was made.
    """
    read = filling.filled(await request.form())
    draft = changed_draft(read, msgspec.structs.replace(BLANK, code=read.text("code", 80)), 0)
    if not draft.variants:
        read.wrong("variants/0/sku", N_("This field is empty."), N_("Fill it in."))
    read.refuse()
    async with web.writing(request) as tx:
        made = await service.create_product(tx, draft, allowed=_allowed(request))
    return web.go_on(request, address_of(made.code), _("Product created"))


@post("/products/{code:str}", opt={"permission": "catalog:write"}, status_code=200)
async def product_change(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Change a product that is still as the person saw it.

    Raises:
        UnknownProduct: there is none with this code.
        Invalid: a value is not valid; nothing was changed.
        Conflict: somebody changed the product meanwhile.
    """
    read = filling.filled(await request.form())
    async with meanwhile.told(request, address_of(code), "product", code, {"change"}), web.writing(request) as tx:
        product, version = await as_seen(tx, code, read, kits=True)
        draft = changed_draft(read, catalog.product_draft(product), len(product.variants))
        await _refuse_stocked_kits(tx, read, draft)
        read.refuse()
        await service.update_product(tx, draft, version, allowed=_allowed(request))
    return web.go_on(request, address_of(code), _("Product saved"))


HANDLERS = [product_new, product_create, product_edit, product_change, sku_choices]
