"""Products made of what somebody outside tells of variants that are not here; the same worked out without writing it.

What is told as one product becomes one. What cannot be made is left out with its reason, variant by variant; what is
wrong with a product as a whole leaves out all of its new variants.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from psycopg.errors import ForeignKeyViolation

from malha.catalog import ownership, reads, rules, service, taking
from malha.catalog.model import ProductDraft, VariantDraft
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

MAX_ROUNDS = 5  # of looking again without what was refused
TAKEN_SAYS = N_("The product code {value} is in use here, by a product that this channel does not tell of.")
TAKEN_MEND = N_("Map one of its variants to the channel's, or have the channel call its product otherwise.")


class New(msgspec.Struct, frozen=True, kw_only=True):
    """A variant that is told and not here. `product` is the code of its product, `told` its fields by name.

    `joins` is the code of the product here that it belongs to, where another of its variants is one of ours.
    """

    sku: str
    product: str
    told: Mapping[str, Any]
    active: bool = True
    joins: str | None = None


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of variants: the product of each SKU that can be made, and what is wrong with the others."""

    drafts: list[ProductDraft]
    products: dict[str, str]
    flaws: dict[str, list[Flaw]]


async def plan(tx: Tx, owner: str, news: Sequence[New]) -> Made:
    """Return what would become of variants; nothing is written.

    A field that another owner keeps is left to it, but for the name, without which there is no product.
    """
    others = {f for f, by in (await ownership.owners(tx)).items() if by.owner != owner} - {"name"}
    there = await reads.products_by_code(tx, sorted({new.joins or new.product for new in news}))
    groups: dict[str, list[New]] = {}
    flaws: dict[str, list[Flaw]] = {}
    for new in sorted(news, key=lambda each: each.sku):
        code = new.joins or new.product
        if new.joins is None and code in there:
            flaws[new.sku] = [Flaw("product", TAKEN_SAYS, TAKEN_MEND, {"value": code})]
        else:
            groups.setdefault(code, []).append(new)
    drafts: dict[str, ProductDraft] = {}
    for _ in range(MAX_ROUNDS):
        left = {code: [new for new in group if new.sku not in flaws] for code, group in groups.items()}
        drafts = {}
        for code, group in left.items():
            if group:
                base = taking.as_it_is(there[code]) if code in there else None
                draft, wrong = draft_of(code, base, group, others)
                if wrong:
                    flaws |= {new.sku: wrong for new in group}
                else:
                    drafts[code] = draft
        found = await service.flaws_of(tx, list(drafts.values()))
        flawed = {code: wrong for code, wrong in zip(list(drafts), found, strict=True) if wrong}
        if not flawed:
            break
        # What goes may take with it what others relied on, or leave room for them: look again without it.
        for code, wrong in flawed.items():
            _blame(drafts.pop(code), {new.sku for new in left[code]}, wrong, flaws)
    made = {new.sku: code for code in drafts for new in groups[code] if new.sku not in flaws}
    return Made(drafts=list(drafts.values()), products=made, flaws=flaws)


def draft_of(
    code: str, base: ProductDraft | None, group: Sequence[New], others: Collection[str]
) -> tuple[ProductDraft, list[Flaw]]:
    """Return a product as its new variants tell it, and where they disagree about it. Pure.

    `base` is the product that they join, `others` the fields that are left to their keepers.
    """
    stated: dict[str, Any] = {}
    flaws: list[Flaw] = []
    for field in ownership.OF_PRODUCT:
        values = {str(new.told[field]): new.told[field] for new in group if field in new.told}
        if base is not None or field in others:
            continue
        if len(values) > 1:
            flaws.append(
                Flaw(field, taking.DIFFER_SAYS, taking.DIFFER_MEND, {"values": ", ".join(sorted(values))[:200]})
            )
        elif values:
            stated |= taking.part_of_product(field, next(iter(values.values())))
    names = [str(new.told.get("variant_name") or "") for new in group]
    stated["name"] = stated.get("name") or _common(names)
    variants = [_variant(new, others) for new in group]
    if base is None:
        draft = ProductDraft(code=code, **stated, active=True, variants=variants)
    else:
        all_of = [*base.variants, *variants]
        draft = msgspec.structs.replace(base, variants=all_of, options=taking.options_of(base.options, all_of))
    return rules.tidy_product(draft), flaws


def _variant(new: New, others: Collection[str]) -> VariantDraft:
    told = {field: value for field, value in new.told.items() if field not in others}
    if told.get("price") == 0:  # that is said where there is none
        del told["price"]
    return VariantDraft(sku=new.sku, active=new.active, **taking.parts_of_variant(told))


def _common(names: Sequence[str]) -> str:
    """Return the words with which all names begin; else the first of them."""
    words = [name.split() for name in names]
    shared = []
    for column in zip(*words, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return " ".join(shared).rstrip(" -/,") or (names[0] if names else "")


def _blame(draft: ProductDraft, new: Collection[str], wrong: Sequence[Flaw], flaws: dict[str, list[Flaw]]) -> None:
    """Give each flaw to the new variant it is of; what is of the product, or of an old variant, to all new ones."""
    for flaw in wrong:
        parts = flaw.at.split("/")
        of = draft.variants[int(parts[1])].sku if parts[0] == "variants" and len(parts) > 1 else None
        told = msgspec.structs.replace(flaw, at=parts[2] if of in new and len(parts) > 2 else flaw.at)
        for sku in [of] if of in new else sorted(new):
            flaws.setdefault(str(sku), []).append(told)


async def make(tx: Tx, owner: str, news: Sequence[New]) -> Made:
    """Make variants, and their products where they are not here; return what became of each.

    One at a time makes products, so that two who are told the same make it once. What a person made at the same
    moment is not overwritten.

    Raises:
        MadeMeanwhile: somebody else made one of them since this began; nothing was made.
    """
    await service.lock_kits(tx)
    await service.lock_products(tx, sorted({new.joins for new in news if new.joins}))
    made = await plan(tx, owner, news)
    if made.drafts:
        codes = [draft.code for draft in made.drafts]
        before = await reads.products_by_code(tx, codes)
        await service.add_products(tx, made.drafts, set(made.products))
        after = await reads.products_by_code(tx, codes)
        for action, some in (("create", [c for c in codes if c not in before]), ("change", sorted(before))):
            changes = [(code, before.get(code), after[code]) for code in some]
            await audit.record_many(tx, action=action, entity="product", changes=changes)
    return made


async def unmake(tx: Tx, skus: Sequence[str], in_use: Collection[str]) -> set[str]:
    """Take variants away again that nothing refers to, and products of which no variant is left; return which stay.

    `in_use` are SKUs that the caller knows something refers to; what else does is found here.
    """
    of = await reads.products_of_skus(tx, skus)
    await service.lock_kits(tx)
    await service.lock_products(tx, sorted(set(of.values())))
    stay = set(in_use) | await service.named_by_others(tx, sorted(of))
    going = [sku for sku in sorted(of) if sku not in stay]
    try:
        await _remove(tx, going, of)
    except ForeignKeyViolation:  # rare: which of them it is shows one by one
        for sku in going:
            try:
                await _remove(tx, [sku], of)
            except ForeignKeyViolation:
                stay.add(sku)
    return stay & set(of)


async def _remove(tx: Tx, skus: Sequence[str], of: Mapping[str, str]) -> None:
    codes = sorted({of[sku] for sku in skus})
    async with tx.savepoint():
        before = await reads.products_by_code(tx, codes)
        await service.remove_variants(tx, skus)
        await service.remove_products(tx, codes)
        after = await reads.products_by_code(tx, codes)
        for action, some in (("delete", _gone(codes, after)), ("change", sorted(after))):
            changes = [(code, before[code], after.get(code)) for code in some]
            await audit.record_many(tx, action=action, entity="product", changes=changes)


def _gone(codes: Iterable[str], after: Collection[str]) -> list[str]:
    return [code for code in codes if code not in after]
