"""SKUs and product codes as spreadsheets leave them: `00123` as 123, `12E3` as 12000, `10-2025` as a day.

Nobody means such a code. A table with them brings no new products: their goods would be there twice, and orders would
name the wrong ones.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from malha.catalog import reads
from malha.platform.db import Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

LONGEST = 20  # digits of a number that codes were filled up to; SAP has 18
_DIGITS = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}:[0-9]{2})?", re.ASCII)
_POWER = re.compile(r"[0-9]+E[0-9]+", re.ASCII | re.IGNORECASE)
_LOST = N_("There is no SKU {value}, but {sku}: a spreadsheet took the zeros in front.")
_RECKONED = N_("There is no SKU {value}, but {sku}: a spreadsheet took it for a number.")
_TEXT = N_("Format the column as text, and enter the SKU again.")
_TEXT_OR_MAKE = N_(
    "Format the column as text, and enter the SKU again. If {value} is another one, make it on the page of products."
)
_LOST_CODE = N_("There is no product {value}, but {code}: a spreadsheet took the zeros in front.")
_RECKONED_CODE = N_("There is no product {value}, but {code}: a spreadsheet took it for a number.")
_TEXT_OR_MAKE_CODE = N_(
    "Format the column as text, and enter the code again. If {value} is another one, make it on the page of products."
)


async def meant(tx: Tx, skus: Sequence[str]) -> dict[str, str]:
    """Return which SKU each was before a spreadsheet took it for a number; only of those that are not there."""
    before = _before(skus)
    there = await reads.products_of_skus(tx, [*before, *before.values()]) if before else {}
    return _there(before, there.keys())


async def meant_codes(tx: Tx, codes: Sequence[str]) -> dict[str, str]:
    """Return which product's code each was, as `meant` does of SKUs."""
    before = _before(codes)
    return _there(before, await reads.known_codes(tx, [*before, *before.values()])) if before else {}


def _before(numbers: Sequence[str]) -> dict[str, str]:
    """Return what may have become each number: with zeros in front, or read as so many times a power of ten."""
    bare = [number for number in dict.fromkeys(numbers) if _DIGITS.fullmatch(number)]
    filled = {number.zfill(length): number for number in bare for length in range(LONGEST, len(number), -1)}
    for number in bare:
        for power in range(1, len(number) - len(number.rstrip("0")) + 1):
            filled |= {f"{number[:-power]}{e}{power}": number for e in "Ee"}
    return filled


def _there(before: Mapping[str, str], there: Collection[str]) -> dict[str, str]:
    found = {before[each]: each for each in sorted(before.keys() & set(there), key=len, reverse=True)}
    return {number: other for number, other in found.items() if number not in there}


def new_code(code: str, meant: Mapping[str, str]) -> Flaw | None:
    """Return why a product's code that is not there is none to make; `meant` is of `meant_codes`. None: it is one."""
    if code in meant:
        says = _RECKONED_CODE if _POWER.fullmatch(meant[code]) else _LOST_CODE
        return Flaw("product", says, _TEXT_OR_MAKE_CODE, {"value": code, "code": meant[code]})
    if _DAY.fullmatch(code):
        says = N_("{value} is a day: a spreadsheet made it of a code.")
        return Flaw("product", says, _TEXT_OR_MAKE_CODE, {"value": code})
    return None


def _lost(sku: str) -> str:
    return _RECKONED if _POWER.fullmatch(sku) else _LOST


def unknown(sku: str, meant: Mapping[str, str]) -> Flaw:
    """Return what is told of a SKU that is not there; `meant` is of `meant`."""
    if sku in meant:
        return Flaw("sku", _lost(meant[sku]), _TEXT, {"value": sku, "sku": meant[sku]})
    return Flaw("sku", N_("There is no SKU {value}."), N_("Import its product first."), {"value": sku})


def new(sku: str, meant: Mapping[str, str]) -> Flaw | None:
    """Return why a SKU that is not there is none to make; None: it is one."""
    if sku in meant:
        return Flaw("sku", _lost(meant[sku]), _TEXT_OR_MAKE, {"value": sku, "sku": meant[sku]})
    if _DAY.fullmatch(sku):
        return Flaw("sku", N_("{value} is a day: a spreadsheet made it of a SKU."), _TEXT_OR_MAKE, {"value": sku})
    return None
