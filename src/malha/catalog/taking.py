"""Writing what an owner of fields tells of variants into their products; the same worked out without writing it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from malha.catalog import ownership, reads, rules, service
from malha.catalog.model import Media, MediaDraft, Product, ProductDraft, VariantDraft
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

DIFFER_SAYS = N_("Variants of one product are told with different values: {values}.")
DIFFER_MEND = N_("Make them agree there.")
Told = Mapping[str, Mapping[str, Any]]  # SKU -> field -> value; of `dimensions` three, in millimetres


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A field that would be, or was, written: of a variant (`sku`), or of the product."""

    product: str
    sku: str | None
    field: str
    old: str
    new: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a product: `draft` is None where nothing is to be written. What has flaws is left as it is."""

    before: Product
    draft: ProductDraft | None
    changes: list[Change]
    flaws: list[Flaw]


async def plan(tx: Tx, told: Told) -> list[Plan]:
    """Return what would become of the products of the SKUs that are told of, by code; unknown SKUs are passed over.

    A product is told of as a whole: where its variants disagree about one of its own fields, that stays as it is.
    """
    of = await reads.products_of_skus(tx, sorted(told))
    products = await reads.products_by_code(tx, sorted(set(of.values())))
    first = {code: _draft(product, told) for code, product in sorted(products.items())}
    drafts, flaws = {code: draft for code, (draft, _) in first.items()}, {code: f for code, (_, f) in first.items()}
    found = await service.flaws_of(tx, list(drafts.values()))
    for code, wrong in zip(list(drafts), found, strict=True):
        if wrong:
            flaws[code] += wrong
            drafts[code] = _without(products[code], drafts[code], wrong)
    # What was left out may be what another product relied on: what is wrong even now is left as it is, whole.
    for code, wrong in zip(list(drafts), await service.flaws_of(tx, list(drafts.values())), strict=True):
        if wrong:
            flaws[code] += [flaw for flaw in wrong if flaw not in flaws[code]]
            drafts[code] = as_it_is(products[code])
    return [_plan(products[code], drafts[code], flaws[code]) for code in drafts]


def as_it_is(product: Product) -> ProductDraft:
    """Return a product as it is; names that were made of its name and options are made again."""
    draft = reads.product_draft(product)
    variants = [
        msgspec.structs.replace(
            v,
            name="" if v.name == rules.variant_name(product.name, v.options, product.options) else v.name,
            media=None,
            substitutes=None,
        )
        for v in draft.variants
    ]
    return msgspec.structs.replace(draft, variants=variants, media=None)


def _draft(product: Product, told: Told) -> tuple[ProductDraft, list[Flaw]]:
    draft, flaws = as_it_is(product), []
    stated: dict[str, Any] = {}
    for field in ownership.OF_PRODUCT:
        said = {v.sku: told[v.sku][field] for v in product.variants if field in told.get(v.sku, {})}
        values = {str(value): value for value in said.values()}
        if len(values) > 1:
            flaws.append(Flaw(field, DIFFER_SAYS, DIFFER_MEND, {"values": ", ".join(sorted(values))[:200]}))
        elif values:
            stated |= part_of_product(field, next(iter(values.values())), product.media)
    variants = [
        msgspec.structs.replace(variant, **parts_of_variant(told.get(variant.sku, {}))) for variant in draft.variants
    ]
    if any("options" in each for each in told.values()):
        stated["options"] = options_of(draft.options, variants)
    return rules.tidy_product(msgspec.structs.replace(draft, variants=variants, **stated)), flaws


def part_of_product(field: str, value: Any, media: Sequence[Media] = ()) -> dict[str, Any]:
    """Return what is told of a product as a part of its draft; a picture that was there keeps what it shows."""
    if field == "pictures":
        alts = {each.url: each.alt for each in media}
        return {"media": [MediaDraft(url=str(url), alt=alts.get(str(url), "")) for url in value]}
    return {ownership.OF_PRODUCT[field][0]: value}


def options_of(order: Sequence[str], variants: Sequence[VariantDraft]) -> list[str]:
    """Return the options of a product that its variants have, those that were there first."""
    used = list(dict.fromkeys(option for variant in variants for option in variant.options))
    return [*(option for option in order if option in used), *(option for option in used if option not in order)]


def parts_of_variant(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of a variant as parts of its draft; fields of its product are passed over."""
    parts: dict[str, Any] = {}
    for field, value in told.items():
        if field == "dimensions":
            parts |= dict(zip(ownership.OF_VARIANT[field], value, strict=True))
        elif field in ownership.OF_VARIANT:
            parts[ownership.OF_VARIANT[field][0]] = value
    return parts


def _without(product: Product, draft: ProductDraft, flaws: Sequence[Flaw]) -> ProductDraft:
    """Return a draft without the values that are flawed."""
    kept = as_it_is(product)
    variants = list(draft.variants)
    stated: dict[str, Any] = {}
    for flaw in flaws:
        parts = flaw.at.split("/")
        if parts[0] == "variants" and len(parts) > 2 and hasattr(kept.variants[int(parts[1])], parts[2]):
            n = int(parts[1])
            variants[n] = msgspec.structs.replace(variants[n], **{parts[2]: getattr(kept.variants[n], parts[2])})
        elif parts[0] != "variants" and hasattr(kept, parts[0]):
            stated[parts[0]] = getattr(kept, parts[0])
    return rules.tidy_product(msgspec.structs.replace(draft, variants=variants, **stated))


def _plan(product: Product, draft: ProductDraft, flaws: list[Flaw]) -> Plan:
    draft = rules.tidy_product(draft)
    changes = []
    for field, parts in ownership.OF_PRODUCT.items():
        changes += _change(product.code, None, field, _of(product, parts), _stated(product, draft, parts))
    for old, new in zip(product.variants, draft.variants, strict=True):
        for field, parts in ownership.OF_VARIANT.items():
            changes += _change(product.code, old.sku, field, *([getattr(of, p) for p in parts] for of in (old, new)))
    return Plan(before=product, draft=draft if changes else None, changes=changes, flaws=flaws)


def _of(product: Product, parts: Sequence[str]) -> list[Any]:
    return [ownership.of_product(product, part) for part in parts]


def _stated(product: Product, draft: ProductDraft, parts: Sequence[str]) -> list[Any]:
    """Return parts as a draft has them; those that it does not state are as they were."""
    stated = [getattr(draft, part) for part in parts]
    return _of(product, parts) if stated == [None] and parts == ("media",) else stated


def _change(product: str, sku: str | None, field: str, were: Sequence[Any], are: Sequence[Any]) -> list[Change]:
    if list(were) == list(are):
        return []
    return [Change(product=product, sku=sku, field=field, old=_text(were), new=_text(are))]


def _text(values: Sequence[object]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(_plain(value) for value in values)[:300]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(each.url if isinstance(each, MediaDraft) else str(each) for each in value)
    return "" if value is None else str(value)


async def take(tx: Tx, owner: str, told: Told) -> list[Plan]:
    """Write what an owner tells of its variants; return what became of each product. Its fields are locked on them.

    The caller has left out fields that it does not own.
    """
    of = await reads.products_of_skus(tx, sorted(told))
    await service.lock_kits(tx)
    await service.lock_products(tx, sorted(set(of.values())))
    plans = await plan(tx, told)
    writing = [each.draft for each in plans if each.draft is not None]
    if writing:
        await service.write_products(tx, writing)
        after = await reads.products_by_code(tx, [draft.code for draft in writing])
        changed = [(p.before.code, p.before, after[p.before.code]) for p in plans if p.draft is not None]
        await audit.record_many(tx, action="change", entity="product", changes=changed)
    await ownership.tell(tx, owner, sorted(told))
    return plans
