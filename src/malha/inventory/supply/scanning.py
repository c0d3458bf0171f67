"""From what a scanner reads, or a sheet says, to SKUs: a code is a SKU or the GTIN in a barcode."""

from collections.abc import Sequence

from malha.catalog import reads as catalog
from malha.catalog.model import VariantCard
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_


async def cards_of(tx: Tx, codes: Sequence[str]) -> dict[str, VariantCard]:
    """Return the SKU of each code that has one: by SKU first, then by GTIN."""
    wanted = sorted(set(codes))
    found = {card.sku: card for card in await catalog.by_skus(tx, wanted)}
    rest = [code for code in wanted if code not in found]
    if rest:
        found |= {card.gtin: card for card in await catalog.by_gtins(tx, rest) if card.gtin}
    return found


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
