"""From what a scanner reads, or a sheet says, to SKUs: a code is a SKU or the GTIN in a barcode."""

from collections.abc import Sequence

from malha.catalog import reads as catalog
from malha.catalog.model import VariantCard
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_

GTIN_LENGTHS = (8, 12, 13, 14)


async def cards_of(tx: Tx, codes: Sequence[str]) -> dict[str, VariantCard]:
    """Return the SKU of each code that has one: by SKU first, then by GTIN, then by what is meant by either.

    Meant are a SKU in capitals by one that is typed without them, and a GTIN by the same number with other zeros in
    front: scanners read a UPC as 12 digits or as 13.
    """
    wanted = sorted(set(codes))
    found = await _exactly(tx, wanted)
    meant = {code: _meant(code) for code in wanted if code not in found}
    if meant:
        others = await _exactly(tx, sorted({one for ones in meant.values() for one in ones}))
        found |= {code: others[one] for code, ones in meant.items() for one in reversed(ones) if one in others}
    return found


async def _exactly(tx: Tx, codes: Sequence[str]) -> dict[str, VariantCard]:
    found = {card.sku: card for card in await catalog.by_skus(tx, codes)}
    rest = [code for code in codes if code not in found]
    if rest:
        found |= {card.gtin: card for card in await catalog.by_gtins(tx, rest) if card.gtin}
    return found


def _meant(code: str) -> list[str]:
    """Return what else a code may stand for, the likeliest first."""
    meant = [code.upper()] if code.upper() != code else []
    bare = code.lstrip("0")
    if code.isascii() and code.isdigit() and len(bare) >= 7 and len(code) in GTIN_LENGTHS:
        meant += [bare.zfill(length) for length in GTIN_LENGTHS if length >= len(bare) and length != len(code)]
    return meant


async def goods_of(tx: Tx, codes: Sequence[str], at: str) -> list[VariantCard]:
    """Return the SKU of every code, in their order.

    Args:
        tx: the transaction.
        codes: SKUs or GTINs.
        at: where the code of a flaw is, like `lines/{}/sku`.

    Raises:
        Invalid: some are unknown, or kits, of which there is no stock; every one is named.
    """
    cards = await cards_of(tx, codes)
    flaws = []
    for i, code in enumerate(codes):
        card = cards.get(code)
        if card is None:
            says, mend = N_("No SKU or GTIN is {code}."), N_("Scan it again, or create its product first.")
            flaws.append(Flaw(at.format(i), says, mend, {"code": code}))
        elif card.is_kit:
            flaws.append(Flaw(at.format(i), N_("{sku} is a kit: stock is kept of its components."), "", {"sku": code}))
    refuse(flaws)
    return [cards[code] for code in codes]
