"""Use cases of the catalogue: state products with their variants, kits and media; shape the category tree.

`put_products` takes many products at once, creates or changes them by code and SKU, refuses all of them when one is
not valid, and changes nothing where nothing differs. `flaws_of` says beforehand, per product, what would be refused:
imports use it to keep good rows apart from bad ones. Every change moves the catalogue's revision, which caches watch.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from malha.catalog import ownership, reads, rules, writes
from malha.catalog.errors import (
    CategoryLoop,
    MadeMeanwhile,
    ProductCodeTaken,
    StockedKit,
    UnknownCategory,
    UnknownProduct,
)
from malha.catalog.model import (
    Category,
    CategoryDraft,
    MediaDraft,
    Product,
    ProductDraft,
    Saved,
    Standing,
    VariantDraft,
)
from malha.network.service import refuse_limited
from malha.platform import audit, revisions
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.platform.outward import OutwardRefused, inward

# Which of some SKUs have units somewhere, by SKU: the catalogue itself does not know of stock.
Stands = Callable[[Tx, Sequence[str]], Awaitable[Mapping[str, Standing]]]


class _Known(msgspec.Struct, frozen=True):
    """What the database says about SKUs, GTINs and categories that drafts mention."""

    products: dict[str, str]  # SKU -> product code
    gtins: dict[str, str]  # GTIN -> SKU
    prices: dict[str, int | None]  # SKU -> its price
    kits: set[str]
    inside_kits: set[str]
    categories: set[str]


async def _known(tx: Tx, drafts: Sequence[ProductDraft]) -> _Known:
    variants = [v for d in drafts for v in d.variants]
    named = {sku for v in variants for sku in v.parts} | {s.sku for v in variants for s in v.substitutes or ()}
    skus = sorted({v.sku for v in variants} | named)
    rows = await tx.tuples(writes.VARIANTS_KNOWN, {"skus": skus, "gtins": sorted({v.gtin for v in variants if v.gtin})})
    becoming_kits = sorted({v.sku for v in variants if v.parts})
    inside = await tx.values(writes.COMPONENTS_AMONG, {"skus": becoming_kits}) if becoming_kits else []
    categories = {c.code for c in await reads.categories(tx)} if any(d.category for d in drafts) else set()
    return _Known(
        products={row[0]: row[2] for row in rows},
        gtins={row[3]: row[0] for row in rows if row[3]},
        prices={row[0]: row[5] for row in rows},
        kits={row[0] for row in rows if row[4]},
        inside_kits=set(inside),
        categories=categories,
    )


async def flaws_of(
    tx: Tx,
    drafts: Sequence[ProductDraft],
    *,
    promised_sku: Callable[[str], bool] = lambda _: False,
    promised_category: Callable[[str], bool] = lambda _: False,
    allowed: Sequence[str] | None = None,
    stands: Stands | None = None,
) -> list[list[Flaw]]:
    """Return, per tidied draft, what would be refused: flaws, and clashes with the database and one another.

    A preview says what the rest of its file promises to create. `allowed`: of addresses of pictures, see
    `outward.inward`; those that are there stay. `stands`: SKUs with stock do not become kits, see `stocked_kits`.
    """
    batch = _Batch(await _known(tx, drafts), drafts, promised_sku, promised_category)
    found = [list(batch.flaws(draft)) for draft in drafts]
    stocked = await stocked_kits(tx, drafts, stands)
    for draft, wrong in zip(drafts, found, strict=True):
        wrong += [
            Flaw(f"variants/{i}/components", StockedKit.says, StockedKit.mend, stocked[variant.sku])
            for i, variant in enumerate(draft.variants)
            if variant.sku in stocked and variant.parts
        ]
    inner = {draft.code: flaws for draft in drafts if (flaws := _inner_pictures(draft, allowed))}
    there = await reads.products_by_code(tx, list(inner)) if inner else {}
    for draft, wrong in zip(drafts, found, strict=True):
        shown = {m.url for m in there[draft.code].media} if draft.code in there else set()
        wrong += [flaw for url, flaw in inner.get(draft.code, []) if url not in shown]
    return found


async def stocked_kits(tx: Tx, drafts: Sequence[ProductDraft], stands: Stands | None) -> dict[str, dict[str, object]]:
    """Return the SKUs that would become kits while units of them are somewhere, with the facts of `StockedKit`.

    What is a kit already may change what it is made of. `stands` sees to it that what has no units gets none before
    this transaction ends.
    """
    parts = sorted({v.sku for draft in drafts for v in draft.variants if v.parts})
    if not parts or stands is None:
        return {}
    becoming = [card.sku for card in await reads.by_skus(tx, parts) if not card.is_kit]
    found = await stands(tx, becoming) if becoming else {}
    return {sku: {"sku": sku, **msgspec.structs.asdict(standing)} for sku, standing in found.items()}


def _inner_pictures(draft: ProductDraft, allowed: Sequence[str] | None) -> list[tuple[str, Flaw]]:
    """Return the addresses of pictures whose host is itself an address that is not public."""
    found: list[tuple[str, Flaw]] = []
    owners = [("media", draft.media), *((f"variants/{n}/media", v.media) for n, v in enumerate(draft.variants))]
    for at, media in owners:
        for n, one in enumerate(media or ()):
            try:
                found += [(one.url, flaw) for flaw in inward(f"{at}/{n}/url", one.url, allowed)]
            except OutwardRefused:  # no address at all, and said to be none already
                continue
    return found


class _Batch:
    """Drafts that are checked together; remembers which codes, SKUs and GTINs were stated before."""

    def __init__(
        self,
        known: _Known,
        drafts: Sequence[ProductDraft],
        promised_sku: Callable[[str], bool],
        promised_category: Callable[[str], bool],
    ) -> None:
        self.promised_sku = promised_sku
        self.promised_category = promised_category
        variants = [v for d in drafts for v in d.variants]
        self.known = known
        stay = {v.sku for v in variants if v.components is msgspec.UNSET and v.sku in known.kits}
        self.plain = {v.sku for v in variants if not v.parts} - stay
        self.kits = (known.kits - self.plain) | {v.sku for v in variants if v.parts}
        self.inside = known.inside_kits | {sku for v in variants for sku in v.parts}
        self.codes: set[str] = set()
        self.skus: dict[str, str] = {}
        self.gtins: dict[str, str] = {}

    def flaws(self, draft: ProductDraft) -> Iterator[Flaw]:
        """Yield what is wrong with one draft among those before it."""
        yield from rules.check_product(draft)
        if draft.code in self.codes:
            yield Flaw("code", N_("{value} is stated twice."), N_("Keep one of them."), {"value": draft.code})
        self.codes.add(draft.code)
        category = draft.category
        if category and category not in self.known.categories and not self.promised_category(category):
            says, mend = N_("There is no category {value}."), N_("Create it first, or correct the code.")
            yield Flaw("category", says, mend, {"value": draft.category})
        for i, variant in enumerate(draft.variants):
            yield from self._owner_flaws(f"variants/{i}", draft.code, variant)
            yield from self._kit_flaws(f"variants/{i}/components", variant)
            yield from rules.check_zero(f"variants/{i}/price", variant.price, self.known.prices.get(variant.sku))
            for one in variant.substitutes or ():
                if not self._is_known(one.sku):
                    says, mend = N_("There is no SKU {value}."), N_("Create it first, or correct the code.")
                    yield Flaw(f"variants/{i}/substitutes", says, mend, {"value": one.sku})

    def _owner_flaws(self, at: str, product: str, variant: VariantDraft) -> Iterator[Flaw]:
        owner = self.skus.setdefault(variant.sku, product)
        owner = self.known.products.get(variant.sku, owner)
        if owner != product:
            says, mend = N_("The SKU {value} belongs to the product {owner}."), N_("Use another SKU.")
            yield Flaw(f"{at}/sku", says, mend, {"value": variant.sku, "owner": owner})
        if variant.gtin:
            holder = self.gtins.setdefault(variant.gtin, variant.sku)
            if holder == variant.sku:
                holder = self.known.gtins.get(variant.gtin, holder)
            if holder != variant.sku:
                says, mend = N_("The GTIN {value} belongs to the SKU {owner}."), N_("Correct one of the two.")
                yield Flaw(f"{at}/gtin", says, mend, {"value": variant.gtin, "owner": holder})

    def _kit_flaws(self, at: str, variant: VariantDraft) -> Iterator[Flaw]:
        if variant.parts and variant.sku in self.inside:
            says, mend = N_("{value} is part of a kit and cannot be one."), N_("Kits do not hold kits.")
            yield Flaw(at, says, mend, {"value": variant.sku})
        for sku in variant.parts:
            if sku in self.kits:
                says, mend = N_("The component {value} is a kit itself."), N_("Kits do not hold kits.")
                yield Flaw(at, says, mend, {"value": sku})
            elif not self._is_known(sku):
                says, mend = N_("There is no SKU {value}."), N_("Create it first, or correct the kit.")
                yield Flaw(at, says, mend, {"value": sku})

    def _is_known(self, sku: str) -> bool:
        return sku in self.known.products or sku in self.plain or sku in self.kits or self.promised_sku(sku)


async def put_products(
    tx: Tx, drafts: Sequence[ProductDraft], *, allowed: Sequence[str] | None = None, stands: Stands | None = None
) -> list[Saved]:
    """Create or change products by code and their variants by SKU, in statements over all of them.

    Variants that a draft does not name stay as they are; so do media where the draft says None, and kits where it does
    not say what they are made of. `allowed`, `stands`: see `flaws_of`.

    Raises:
        Invalid: one of them is not valid; nothing was changed.
        StockedKit: a SKU that has stock would become a kit.
    """
    drafts = [rules.tidy_product(d) for d in drafts]
    if any(v.parts for d in drafts for v in d.variants):
        await lock_kits(tx)
    flaws = await flaws_of(tx, drafts, allowed=allowed)
    refuse(
        [
            msgspec.structs.replace(flaw, at=f"{i}/{flaw.at}") if len(drafts) > 1 else flaw
            for i, found in enumerate(flaws)
            for flaw in found
        ]
    )
    for facts in (await stocked_kits(tx, drafts, stands)).values():
        raise StockedKit(**facts)
    return await write_products(tx, drafts)


async def lock_kits(tx: Tx) -> None:
    """Let no other transaction change what kits are made of before this one ends; taken before `flaws_of`."""
    await tx.execute(writes.LOCK_KITS)


async def write_products(tx: Tx, drafts: Sequence[ProductDraft]) -> list[Saved]:
    """Write tidied drafts of which `flaws_of` found nothing wrong in this transaction.

    The version of each product of which anything changed is raised by one; its row is locked whatever changes.
    """
    codes = [d.code for d in drafts]
    before = dict(await tx.tuples(writes.PRODUCT_IDS, {"codes": codes}))
    raised = set(await writes.upsert(tx, writes.UPSERT_PRODUCTS, drafts))
    changed = set(await writes.upsert(tx, writes.UPSERT_VARIANTS, _rows(drafts)))
    changed |= await _write_components(tx, drafts)
    changed |= await _write_substitutes(tx, drafts)
    changed |= await _write_media(tx, drafts)
    await _raise_versions(tx, changed - raised)
    if changed or raised:
        await _refold(tx, codes)
        await revisions.bump(tx, reads.REVISION)
    ids = dict(await tx.tuples(writes.PRODUCT_IDS, {"codes": codes}))
    skus = {card.sku: card.id for card in await reads.by_skus(tx, [v.sku for d in drafts for v in d.variants])}
    return [
        Saved(d.code, ids[d.code], created=d.code not in before, skus={v.sku: skus[v.sku] for v in d.variants})
        for d in drafts
    ]


async def _raise_versions(tx: Tx, products: Collection[int]) -> None:
    """Raise the version of products, by id, of which a variant, a kit, a substitute or a picture changed."""
    if products:
        await tx.execute(writes.RAISE, {"products": sorted(products)})


def _rows(drafts: Sequence[ProductDraft]) -> list[dict[str, object]]:
    rows = [
        {
            **msgspec.structs.asdict(v),
            "product": d.code,
            "is_kit": None if v.components is msgspec.UNSET else bool(v.components),
        }
        for d in drafts
        for v in d.variants
    ]
    for row in rows:
        for name in ("components", "media", "substitutes", "id", "version"):
            del row[name]
    return rows


async def add_products(tx: Tx, drafts: Sequence[ProductDraft], skus: Collection[str]) -> None:
    """Write tidied drafts of which `flaws_of` found nothing wrong; these SKUs are not there yet.

    Raises:
        MadeMeanwhile: somebody made one of them, or one of the products, since that was looked at.
    """
    codes = [d.code for d in drafts]
    there = dict(await tx.tuples(writes.PRODUCT_IDS, {"codes": codes}))
    new = [d for d in drafts if d.code not in there]
    rows = [row for row in _rows(drafts) if row["sku"] in skus]
    made = await writes.upsert(tx, writes.ADD_PRODUCTS, new)
    joined = await writes.upsert(tx, writes.ADD_VARIANTS, rows)
    if (len(made), len(joined)) != (len(new), len(rows)):
        raise MadeMeanwhile
    await _raise_versions(tx, set(joined) - set(made))
    await write_products(tx, drafts)
    await _refold(tx, codes)
    await revisions.bump(tx, reads.REVISION)


async def lock_products(tx: Tx, codes: Sequence[str]) -> None:
    """Lock products with their variants for a change, in order; unknown codes are passed over."""
    await tx.tuples(writes.LOCK_PRODUCTS, {"codes": list(codes)})
    await tx.tuples(writes.LOCK_VARIANTS_OF, {"codes": list(codes)})


async def lock_new(tx: Tx) -> None:
    """Let no other table bring new products before this transaction ends; taken before any product is locked."""
    await tx.execute(writes.LOCK_NEW)


async def naming(tx: Tx, codes: Sequence[str]) -> set[str]:
    """Return the products with variants for which one of these products' stands in; themselves, if they do."""
    return set(await tx.values(writes.NAMING, {"codes": list(codes)}))


async def lock_variants(tx: Tx, skus: Sequence[str]) -> None:
    """Lock variants for a change, after their products, in order; unknown SKUs are passed over."""
    await tx.tuples(writes.LOCK_PRODUCTS_OF, {"skus": list(skus)})
    await tx.tuples(writes.LOCK_VARIANTS, {"skus": list(skus)})


async def components_of_others(tx: Tx, skus: Sequence[str]) -> set[str]:
    """Return which of these SKUs stand inside a kit that is none of them."""
    return set(await tx.values(writes.COMPONENTS_OF_OTHERS, {"skus": list(skus)}))


async def named_by_others(tx: Tx, skus: Sequence[str]) -> set[str]:
    """Return which of these SKUs stand inside a kit, or in for a variant, that is none of them."""
    named = await tx.values(writes.SUBSTITUTES_OF_OTHERS, {"skus": list(skus)})
    return await components_of_others(tx, skus) | set(named)


async def remove_variants(tx: Tx, skus: Sequence[str]) -> None:
    """Remove variants that nothing rests on, with their media, and as kits. The caller has made sure of that.

    The version of their products is raised, and of those with variants for which they stood in; the caller has the
    products locked (`lock_products`, `naming`).
    """
    if skus:
        asked = {"skus": list(skus)}
        await tx.execute(writes.REMOVE_KITS, asked)
        changed = set(await tx.values(writes.REMOVE_SUBSTITUTES_OF, asked))
        await tx.execute(writes.REMOVE_MEDIA_OF, asked)
        await _raise_versions(tx, changed | set(await tx.values(writes.REMOVE_VARIANTS, asked)))
        await revisions.bump(tx, reads.REVISION)


async def remove_products(tx: Tx, codes: Sequence[str]) -> None:
    """Remove those of these products that have no variant left, with their pictures."""
    if codes:
        await tx.execute(writes.REMOVE_MEDIA_OF_EMPTY, {"codes": list(codes)})
        await tx.execute(writes.REMOVE_PRODUCTS, {"codes": list(codes)})
        await revisions.bump(tx, reads.REVISION)


async def set_prices(tx: Tx, prices: Mapping[str, int | None]) -> None:
    """Set the prices, in centavos, of variants by SKU, or take them away; unknown ones are passed over.

    The caller has them locked (`lock_variants`). The version of each product of which a price changed is raised.
    """
    if not prices:
        return
    columns = {"skus": sorted(prices), "prices": [prices[sku] for sku in sorted(prices)]}
    if await tx.execute(writes.SET_PRICES, columns):
        await revisions.bump(tx, reads.REVISION)


async def note_products(
    tx: Tx, before: Mapping[str, Product], after: Mapping[str, Product], lines: Mapping[str, int] | None = None
) -> None:
    """Write into the audit trail what became of products, by code, with a statement for each kind of change.

    `before` lacks those that are new, `after` those that are gone; `lines` are those of the file that says so.
    """
    some = {
        "create": after.keys() - before.keys(),
        "change": after.keys() & before.keys(),
        "delete": before.keys() - after.keys(),
    }
    for action, codes in some.items():
        changes = [(code, before.get(code), after.get(code)) for code in sorted(codes)]
        told = None if lines is None else [{"line": lines[code]} for code in sorted(codes)]
        await audit.record_many(tx, action=action, entity="product", changes=changes, told=told)


async def note_prices(
    tx: Tx,
    before: Mapping[str, int | None],
    after: Mapping[str, int | None],
    lines: Mapping[str, int] | None = None,
) -> None:
    """Write into the audit trail, under their products, what SKUs cost before and cost now, with one statement."""
    of = await reads.products_of_skus(tx, sorted(after))
    skus = sorted(after.keys() & of.keys())
    changes = [(of[sku], {"price": before[sku]}, {"price": after[sku]}) for sku in skus]
    told = [{"sku": sku} | ({} if lines is None else {"line": lines[sku]}) for sku in skus]
    await audit.record_many(tx, action="change", entity="product", changes=changes, told=told)


async def _write_components(tx: Tx, drafts: Sequence[ProductDraft]) -> set[int]:
    parts = [(v.sku, sku, n) for d in drafts for v in d.variants for sku, n in v.parts.items()]
    owners, components, quantities = (list(column) for column in zip(*parts, strict=True)) if parts else ([], [], [])
    params = {"owners": owners, "components": components, "quantities": quantities}
    kits = [v.sku for d in drafts for v in d.variants if v.components is not msgspec.UNSET]
    if not kits:
        return set()
    changed = await tx.values(writes.REMOVE_COMPONENTS, {**params, "kits": kits})
    return {*changed, *(await tx.values(writes.UPSERT_COMPONENTS, params) if parts else ())}


async def _write_substitutes(tx: Tx, drafts: Sequence[ProductDraft]) -> set[int]:
    stated = [v for d in drafts for v in d.variants if v.substitutes is not None]
    if not stated:
        return set()
    rows = [(v.sku, s.sku, n, s.both_ways) for v in stated for n, s in enumerate(v.substitutes or ())]
    params: dict[str, list[object]] = {
        "owners": [owner for owner, _, _, _ in rows],
        "substitutes": [sku for _, sku, _, _ in rows],
        "positions": [position for _, _, position, _ in rows],
        "both_ways": [both for _, _, _, both in rows],
    }
    owners = {name: params[name] for name in ("owners", "substitutes")}
    changed = await tx.values(writes.REMOVE_SUBSTITUTES, owners | {"stated": [v.sku for v in stated]})
    return {*changed, *(await tx.values(writes.UPSERT_SUBSTITUTES, params) if rows else ())}


async def _write_media(tx: Tx, drafts: Sequence[ProductDraft]) -> set[int]:
    """Replace the media of what states some and differs from what is there."""
    stating = [d for d in drafts if d.media is not None or any(v.media is not None for v in d.variants)]
    if not stating:
        return set()
    current = await reads.products_by_code(tx, [d.code for d in stating])
    rows: list[dict[str, object]] = []
    products: list[str] = []
    skus: list[str] = []
    for draft in stating:
        owners: list[tuple[str | None, list[MediaDraft] | None]] = [(None, draft.media)]
        owners += [(v.sku, v.media) for v in draft.variants]
        for sku, media in owners:
            shown = [MediaDraft(url=m.url, alt=m.alt) for m in current[draft.code].media if m.sku == sku]
            if media is None or media == shown:
                continue
            (products if sku is None else skus).append(sku or draft.code)
            rows += [
                {"product": draft.code, "sku": sku, "position": i, "url": m.url, "alt": m.alt}
                for i, m in enumerate(media)
            ]
    if not products and not skus:
        return set()
    removed = await tx.values(writes.REMOVE_MEDIA, {"products": products, "skus": skus})
    return {*removed, *await writes.upsert(tx, writes.ADD_MEDIA, rows)}


async def _refold(tx: Tx, codes: Sequence[str]) -> None:
    texts = {}
    rows = await tx.tuples(writes.TEXTS_OF_PRODUCTS, {"codes": list(codes)})
    for variant_id, product, code, brand, name, sku, gtin, folded in rows:
        text = rules.folded_variant(product=product, code=code, brand=brand, variant=name, sku=sku, gtin=gtin)
        if text != folded:
            texts[variant_id] = text
    if texts:
        await tx.execute(writes.SET_FOLDED, {"ids": list(texts), "texts": list(texts.values())})


async def lock_product(tx: Tx, code: str, *, kits: bool = False) -> int:
    """Lock one product for a change; return its version.

    `kits`: the change may say what kits are made of. Whoever changes that locks it before any product, see `lock_kits`.

    Raises:
        UnknownProduct: there is none with this code.
    """
    if kits:
        await lock_kits(tx)
    version: int | None = await tx.value(writes.LOCK_PRODUCT, {"code": code})
    if version is None:
        raise UnknownProduct(key=code)
    return version


async def create_product(tx: Tx, draft: ProductDraft, *, allowed: Sequence[str] | None = None) -> Product:
    """Create one product; `allowed`: see `flaws_of`.

    Raises:
        SharedByAll: the actor is limited to some locations; the catalogue is the whole retailer's.
        ProductCodeTaken, Invalid: as the names say.
    """
    refuse_limited(tx)
    refuse(list(rules.check_read_back(draft, None)))
    if await tx.value(writes.LOCK_PRODUCT, {"code": draft.code.strip()}) is not None:
        raise ProductCodeTaken(what="product", key=draft.code)
    saved = (await put_products(tx, [draft], allowed=allowed))[0]
    created = await _product(tx, saved.code)
    await audit.record(tx, action="create", entity="product", entity_id=saved.code, after=created)
    return created


async def update_product(
    tx: Tx,
    draft: ProductDraft,
    version: int,
    *,
    allowed: Sequence[str] | None = None,
    stands: Stands | None = None,
) -> Product:
    """Change one product that still has `version`; variants that are not named stay as they are.

    `allowed`, `stands`: see `flaws_of`.

    Raises:
        SharedByAll: the actor is limited to some locations; the catalogue is the whole retailer's.
        UnknownProduct, Conflict, StockedKit: as the names say.
        Invalid: a value is not valid, or of a field that is kept elsewhere; nothing was changed.
    """
    refuse_limited(tx)
    code = draft.code.strip()
    if await lock_product(tx, code, kits=any(v.parts for v in draft.variants)) != version:
        raise Conflict(what=Word(N_("Product")), key=code)
    before = await _product(tx, code)
    refuse(list(rules.check_read_back(draft, before)))
    ((kept, owned),) = await ownership.kept_of(tx, {code: before}, [rules.tidy_product(draft)])
    refuse(owned)
    await put_products(tx, [kept], allowed=allowed, stands=stands)
    after = await _product(tx, code)
    if after != before:
        await audit.record(tx, action="change", entity="product", entity_id=code, before=before, after=after)
    return after


async def _product(tx: Tx, code: str) -> Product:
    found = await reads.product_by_code(tx, code)
    if found is None:
        raise UnknownProduct(key=code)
    return found


# --- categories ---


async def put_categories(tx: Tx, drafts: Iterable[CategoryDraft]) -> None:
    """Create or rename categories by code, and move those whose parent differs. Parents come before their children.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: a code or name is not valid.
        UnknownCategory: a parent does not exist.
        CategoryLoop: a category would hang below itself.
    """
    refuse_limited(tx)
    drafts = list(drafts)
    refuse([flaw for draft in drafts for flaw in rules.check_category(draft)])
    await tx.execute(writes.LOCK_CATEGORIES)
    tree = {c.code: c for c in await reads.categories(tx)}
    changed = False
    for draft in drafts:
        if draft.parent is not None and draft.parent not in tree:
            raise UnknownCategory(key=draft.parent)
        params = {"code": draft.code, "name": draft.name.strip(), "parent": draft.parent}
        before = tree.get(draft.code)
        if await tx.execute(writes.UPSERT_CATEGORY, params):
            changed = True
        if before is not None and before.parent != draft.parent:
            await _move(tx, tree, before, draft.parent)
            changed = True
        if before is None or before.parent != draft.parent:
            tree = {c.code: c for c in await reads.categories(tx)}
        if before is None or (before.name, before.parent) != (params["name"], draft.parent):
            old = None if before is None else {"name": before.name, "parent": before.parent}
            new = {"name": params["name"], "parent": draft.parent}
            action = "create" if before is None else "change"
            await audit.record(tx, action=action, entity="category", entity_id=draft.code, before=old, after=new)
    if changed:
        await revisions.bump(tx, reads.REVISION)


async def _move(tx: Tx, tree: dict[str, Category], category: Category, parent: str | None) -> None:
    above = tree[parent] if parent is not None else None
    if above is not None and (above.path == category.path or above.path.startswith(category.path + "/")):
        raise CategoryLoop(what="category", key=category.code, parent=above.code)
    path = f"{above.path}/{category.code}" if above else category.code
    await tx.execute(writes.MOVE_BRANCH, {"path": path, "old": category.path, "parent": parent})


async def move_category(tx: Tx, code: str, parent: str | None) -> None:
    """Hang a category with everything below it under another parent, or make it a root.

    Raises:
        SharedByAll: the actor is limited to some locations.
        UnknownCategory: it or the parent does not exist.
        CategoryLoop: the parent lies inside the branch that moves.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_CATEGORIES)
    tree = {c.code: c for c in await reads.categories(tx)}
    for wanted in (code,) if parent is None else (code, parent):
        if wanted not in tree:
            raise UnknownCategory(key=wanted)
    before = tree[code]
    if before.parent != parent:
        await _move(tx, tree, before, parent)
        facts = {"before": {"parent": before.parent}, "after": {"parent": parent}}
        await audit.record(tx, action="move", entity="category", entity_id=code, **facts)
        await revisions.bump(tx, reads.REVISION)
