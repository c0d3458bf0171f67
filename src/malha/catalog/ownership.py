"""Fields of products that are kept elsewhere: who owns which, and what may not be changed here because of it.

A field has one owner at most. It is locked on the variants that the owner tells of, and on their products; all else
stays free. An owner is a code and a name: the catalogue does not know who that is.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from malha.catalog import owner_reads, owner_writes, rules
from malha.catalog.errors import ProductFieldOwned
from malha.catalog.model import MediaDraft, Product, ProductDraft
from malha.platform.db import Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

# What a field that can be owned is made of, in a product and in a variant.
OF_PRODUCT: Mapping[str, tuple[str, ...]] = {
    "name": ("name",),
    "description": ("description",),
    "brand": ("brand",),
    "category": ("category",),
    "ncm": ("ncm",),
    "cest": ("cest",),
    "origin": ("origin",),
    "attributes": ("attributes",),
    "pictures": ("media",),  # of the product itself
}
OF_VARIANT: Mapping[str, tuple[str, ...]] = {
    "variant_name": ("name",),
    "gtin": ("gtin",),
    "options": ("options",),
    "weight": ("weight_grams",),
    "dimensions": ("length_mm", "width_mm", "height_mm"),
    "price": ("price",),
}
FIELDS: tuple[str, ...] = (*OF_PRODUCT, *OF_VARIANT)
SAYS = N_("This field is kept by {name} ({connection}): it cannot be changed here.")
MEND = N_("Change it there, or take the field from that connection on its page of products.")


class Owner(msgspec.Struct, frozen=True):
    """Who keeps a field of products."""

    field: str
    owner: str
    name: str


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """A field that is kept elsewhere: of one variant (`sku`), or of the product. `connection` keeps it."""

    field: str
    sku: str | None
    connection: str
    name: str


async def owners(tx: Tx) -> dict[str, Owner]:
    """Return who owns which field."""
    return {row.field: row for row in await tx.all(Owner, owner_reads.OWNERS)}


async def locked(tx: Tx, products: Sequence[Product]) -> dict[str, list[Locked]]:
    """Return which fields of products are kept elsewhere, by the product's code."""
    owned = await owners(tx)
    if not owned:
        return {product.code: [] for product in products}
    told: dict[int, set[str]] = {}
    ids = [variant.id for product in products for variant in product.variants]
    for id_, owner in await tx.tuples(owner_reads.TOLD_AMONG, {"ids": ids}):
        told.setdefault(id_, set()).add(owner)
    return {product.code: list(_locked(product, owned, told)) for product in products}


async def prices_kept(tx: Tx, ids: Mapping[str, int]) -> dict[str, Owner]:
    """Return of which SKUs, given with their ids, the price is kept elsewhere, and by whom."""
    by = (await owners(tx)).get("price")
    if by is None:
        return {}
    told = {
        id_ for id_, owner in await tx.tuples(owner_reads.TOLD_AMONG, {"ids": list(ids.values())}) if owner == by.owner
    }
    return {sku: by for sku, id_ in ids.items() if id_ in told}


def _locked(product: Product, owned: Mapping[str, Owner], told: Mapping[int, set[str]]) -> Iterator[Locked]:
    tells = {owner for variant in product.variants for owner in told.get(variant.id, ())}
    for field in FIELDS:
        by = owned.get(field)
        if by is None or by.owner not in tells:
            continue
        if field in OF_PRODUCT:
            yield Locked(field=field, sku=None, connection=by.owner, name=by.name)
            continue
        for variant in product.variants:
            if by.owner in told.get(variant.id, ()):
                yield Locked(field=field, sku=variant.sku, connection=by.owner, name=by.name)


async def kept_of(
    tx: Tx, products: Mapping[str, Product], drafts: Sequence[ProductDraft]
) -> list[tuple[ProductDraft, list[Flaw]]]:
    """Return each tidied draft with the fields that are kept elsewhere as they are, and which it would have changed.

    `products` are those of the drafts that are there already, locked for the change.
    """
    locks = await locked(tx, list(products.values()))
    return [
        keep(products[draft.code], draft, locks[draft.code]) if draft.code in products else (draft, [])
        for draft in drafts
    ]


def keep(product: Product, draft: ProductDraft, locks: Sequence[Locked]) -> tuple[ProductDraft, list[Flaw]]:
    """Return a tidied draft with its locked fields as the product has them, and one flaw for each that differed.

    A variant's name that nobody stated, made of the product's name and its options, is no change of a name.
    """
    flaws: list[Flaw] = []
    variants = list(draft.variants)
    places = {variant.sku: n for n, variant in enumerate(variants)}
    were = {variant.sku: variant for variant in product.variants}
    back: dict[str, Any] = {}
    for each in locks:
        facts = {"connection": each.connection, "name": each.name}
        if each.sku is None:
            for part in OF_PRODUCT[each.field]:
                back[part] = of_product(product, part)
                if not _same(getattr(draft, part), back[part]):
                    flaws.append(Flaw(part, SAYS, MEND, facts))
        elif each.sku in places:
            n = places[each.sku]
            stated, old = variants[n], were[each.sku]
            made = rules.variant_name(draft.name, stated.options, draft.options)
            for part in OF_VARIANT[each.field]:
                unstated = part == "name" and stated.name == made
                if not unstated and not _same(getattr(stated, part), getattr(old, part)):
                    flaws.append(Flaw(f"variants/{n}/{part}", SAYS, MEND, facts))
            parts = {part: getattr(old, part) for part in OF_VARIANT[each.field]}
            variants[n] = msgspec.structs.replace(stated, **parts)
    if any(each.field == "options" for each in locks):  # a choice that stays keeps its option
        back["options"] = list(dict.fromkeys([*draft.options, *(o for v in variants for o in v.options)]))
    return msgspec.structs.replace(draft, variants=variants, **back), flaws


def of_product(product: Product, part: str) -> Any:
    """Return a part of a product as a draft states it; `media` are those of the product itself."""
    if part == "media":
        return [MediaDraft(url=each.url, alt=each.alt) for each in product.media if each.sku is None]
    return getattr(product, part)


def _same(stated: object, old: object) -> bool:
    """Tell whether two values are one to a person: forms send other line ends, and nothing for zero.

    What a draft does not state, it leaves as it is.
    """
    if isinstance(old, list) and stated is None:
        return True
    if isinstance(stated, str) and isinstance(old, str):
        return stated.strip().splitlines() == old.strip().splitlines()
    return (stated or None) == (old or None)


async def claim(tx: Tx, owner: str, name: str, fields: Sequence[str]) -> None:
    """Have an owner keep these fields from now on, and no others.

    Raises:
        ProductFieldOwned: another one keeps one of them.
    """
    params = {"owner": owner, "name": name, "fields": sorted(fields)}
    await tx.execute(owner_writes.RELEASE, params)
    await tx.execute(owner_writes.CLAIM, params)
    held = await owners(tx)
    taken = [held[field] for field in fields if held[field].owner != owner]
    if taken:
        raise ProductFieldOwned(
            fields=", ".join(each.field for each in taken), connection=taken[0].owner, name=taken[0].name
        )
    if not fields:
        await tx.execute(owner_writes.FORGET_TOLD, {"owner": owner})


async def rename(tx: Tx, owner: str, name: str) -> None:
    """Have an owner be called otherwise."""
    await tx.execute(owner_writes.RENAME, {"owner": owner, "name": name})


async def tell(tx: Tx, owner: str, skus: Sequence[str]) -> None:
    """Note that an owner tells of variants, so that its fields are locked on them."""
    await tx.execute(owner_writes.TELL, {"owner": owner, "skus": list(skus)})


async def untell(tx: Tx, owner: str, skus: Sequence[str]) -> None:
    """Note that an owner tells of variants no more: what it owns is free on them."""
    await tx.execute(owner_writes.UNTELL, {"owner": owner, "skus": list(skus)})
