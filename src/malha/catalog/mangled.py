"""SKUs as spreadsheets leave them: `00123` as 123, `10-2025` as a day. Nobody means such a SKU.

A table with them brings no new products: their goods would be there twice, and orders would name the wrong ones.
"""

import re
from collections.abc import Mapping, Sequence

from malha.catalog import reads
from malha.platform.db import Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

LONGEST = 20  # digits of a number that codes were filled up to; SAP has 18
_DIGITS = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}:[0-9]{2})?", re.ASCII)
_LOST = N_("There is no SKU {value}, but {sku}: a spreadsheet took the zeros in front.")
_TEXT = N_("Format the column as text, and enter the SKU again.")
_TEXT_OR_MAKE = N_(
    "Format the column as text, and enter the SKU again. If {value} is another one, make it on the page of products."
)


async def meant(tx: Tx, skus: Sequence[str]) -> dict[str, str]:
    """Return which SKU each was before a spreadsheet took the zeros in front; only of those that are not there."""
    bare = [sku for sku in dict.fromkeys(skus) if _DIGITS.fullmatch(sku)]
    filled = {sku.zfill(length): sku for sku in bare for length in range(LONGEST, len(sku), -1)}
    if not filled:
        return {}
    there = await reads.products_of_skus(tx, [*filled, *bare])
    found = {filled[sku]: sku for sku in sorted(there.keys() & filled.keys(), key=len, reverse=True)}
    return {sku: other for sku, other in found.items() if sku not in there}


def unknown(sku: str, meant: Mapping[str, str]) -> Flaw:
    """Return what is told of a SKU that is not there; `meant` is of `meant`."""
    if sku in meant:
        return Flaw("sku", _LOST, _TEXT, {"value": sku, "sku": meant[sku]})
    return Flaw("sku", N_("There is no SKU {value}."), N_("Import its product first."), {"value": sku})


def new(sku: str, meant: Mapping[str, str]) -> Flaw | None:
    """Return why a SKU that is not there is none to make; None: it is one."""
    if sku in meant:
        return Flaw("sku", _LOST, _TEXT_OR_MAKE, {"value": sku, "sku": meant[sku]})
    if _DAY.fullmatch(sku):
        return Flaw("sku", N_("{value} is a day: a spreadsheet made it of a SKU."), _TEXT_OR_MAKE, {"value": sku})
    return None
