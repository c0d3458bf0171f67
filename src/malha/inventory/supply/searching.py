"""What people type to find a transfer or a receipt: a number as it is shown, part of a document, a SKU or a barcode."""

import re
from typing import Any

from malha.platform.text import literal

SHORTEST = 3  # characters of a document that an index of trigrams can look for
_NUMBER = re.compile(r"^([PRT]?)(\d{1,17})$", re.IGNORECASE | re.ASCII)


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
