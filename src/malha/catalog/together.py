"""Several products changed at once: put on sale or taken off it, given what they have in common."""

from collections.abc import Collection

import msgspec

from malha.catalog import ownership, reads, rules, service
from malha.catalog.model import ProductDraft
from malha.network.service import refuse_limited
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_


class Common(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What several products are to have in common; None: each keeps its own."""

    active: bool | None = None
    brand: str | None = None
    category: str | None = None  # code
    ncm: str | None = None
    cest: str | None = None
    origin: int | None = None


class Done(msgspec.Struct, frozen=True):
    """What became of products that were to be changed, by code: changed, so already, left alone, and not there."""

    changed: list[str]
    same: list[str]
    left: dict[str, list[Flaw]]  # what is kept elsewhere, or wrong with the rest of a product
    gone: list[str]


async def change(tx: Tx, codes: Collection[str], common: Common) -> Done:
    """Change products, each as far as it may be: one whose field is kept elsewhere is left alone, the others are not.

    Raises:
        SharedByAll: the actor is limited to some locations; the catalogue is the whole retailer's.
        Invalid: nothing is stated, or what is stated is not valid; nothing was changed.
    """
    refuse_limited(tx)
    stated = msgspec.to_builtins(common)
    if not stated:
        refuse([Flaw("", N_("Nothing was said to change."), N_("Fill in at least one field."))])
    wanted = sorted(set(codes))
    await service.lock_products(tx, wanted)
    before = await reads.products_by_code(tx, wanted)
    drafts = [
        rules.tidy_product(
            msgspec.structs.replace(reads.product_draft(before[code]), **stated, variants=[], media=None)
        )
        for code in wanted
        if code in before
    ]
    kept = await ownership.kept_of(tx, before, drafts)
    wrong = await service.flaws_of(tx, [draft for draft, _ in kept])
    _refuse_stated([flaw for found in wrong for flaw in found], stated)
    left = {draft.code: owned + found for (draft, owned), found in zip(kept, wrong, strict=True) if owned or found}
    good: list[ProductDraft] = [draft for draft, _ in kept if draft.code not in left]
    await service.write_products(tx, good)
    after = await reads.products_by_code(tx, [draft.code for draft in good])
    changed = {code: product for code, product in after.items() if product != before[code]}
    await service.note_products(tx, {code: before[code] for code in changed}, changed)
    return Done(
        changed=sorted(changed),
        same=sorted(after.keys() - changed.keys()),
        left=left,
        gone=[code for code in wanted if code not in before],
    )


def _refuse_stated(found: Collection[Flaw], stated: Collection[str]) -> None:
    """Refuse what is wrong with what was said of all of them: once, not for each product."""
    at: dict[str, Flaw] = {}
    for flaw in found:
        if flaw.at in stated:
            at.setdefault(flaw.at, flaw)
    refuse(list(at.values()))
