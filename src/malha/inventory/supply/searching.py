"""What people type to find a transfer, a receipt or a count: a number as shown, part of a document, SKU or barcode."""

import re
from typing import Any, LiteralString

from malha.platform.text import fold, literal

# Which SKUs are meant, by the parameters of `asked` or `sku_in`: by unique indexes on codes; part of a code by the
# trigrams of what variants are found by.
SKUS_BY_CODE: LiteralString = """
    SELECT id FROM variant WHERE sku = ANY (%(codes)s::text[])
    UNION
    SELECT id FROM variant WHERE gtin = ANY (%(codes)s::text[])
"""
SKUS_NAMED: LiteralString = f"""{SKUS_BY_CODE}
    UNION
    (SELECT id FROM variant WHERE folded LIKE %(folded)s::text AND sku ILIKE %(part)s::text LIMIT 500)
"""
# The same of what was typed into the search of everything, beside a SKU.
SKUS_IN_TEXT: LiteralString = SKUS_NAMED.replace("%(", "%(text_")
SHORTEST = 3  # characters of a document that an index of trigrams can look for
_NUMBER = re.compile(r"^([CPRT]?)(\d{1,17})$", re.IGNORECASE | re.ASCII)


def folded(column: LiteralString) -> LiteralString:
    """Return the expression of a column as `fold` leaves names in Latin letters: no accents, one case, single spaces.

    The index on it is of this very expression (migration 0141).
    """
    plain: LiteralString = f"lower(regexp_replace(normalize({column}, NFKD), '[\\u0300-\\u036f]', '', 'g'))"
    return f"regexp_replace(replace({plain}, 'ß', 'ss'), '\\s+', ' ', 'g')"


def number_in(text: str, letter: str, *, bare: bool = False) -> int | None:
    """Return the number in `T12`; with `bare` also in `12`. None when the text is not one of this letter."""
    found = _NUMBER.match(text.strip())
    if found is None or found[1].upper() not in ({letter, ""} if bare else {letter}):
        return None
    return int(found[2])


def asked(text: str) -> dict[str, Any]:
    """Return the parameters `document`, a pattern of LIKE or None, and `codes` that a SKU or its barcode may be."""
    text = text.strip()
    return {
        "document": f"%{literal(text)}%" if len(text) >= SHORTEST else None,
        "codes": sorted({text, text.upper()}),
    }


def part(text: str) -> str:
    """Return the pattern of LIKE for part of a name; of fewer than `SHORTEST` characters, for how it begins."""
    return f"{'%' if len(text) >= SHORTEST else ''}{literal(text)}%"


def sku_in(text: str) -> dict[str, Any]:
    """Return the parameters `codes`, `part` and `folded`: SKUs or barcodes as they are, or part of a SKU."""
    text = text.strip()
    return {
        "codes": sorted({text, text.upper()}),
        "part": part(text),
        "folded": f"%{literal(fold(text))}%" if len(text) >= SHORTEST else None,
    }
