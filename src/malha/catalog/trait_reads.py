"""What routing looks at of goods: class and brand."""

from collections.abc import Sequence
from typing import NamedTuple

from malha.platform.db import Tx
from malha.platform.text import fold

NCM_LEVELS = (2, 4, 6, 8)

# By primary key, with the product and its category.
TRAITS = """
SELECT v.id, coalesce(p.ncm, ''), coalesce(v.price, 0), p.brand, c.path, p.attributes
FROM variant v JOIN product p ON p.id = v.product_id LEFT JOIN category c ON c.id = p.category_id
WHERE v.id = ANY (%(ids)s::int[])
"""


class Traits(NamedTuple):
    """What a variant is: its NCM, its reference price in centavos, and brand, categories, NCM by level, attributes."""

    ncm: str
    price: int
    named: tuple[str, ...]


NO_TRAITS = Traits("", 0, ())


def trait(kind: str, value: str) -> str:
    """Write a trait as it is compared: kind and value, case and accents folded."""
    return f"{kind}:{fold(value)}"


async def traits(tx: Tx, ids: Sequence[int]) -> dict[int, Traits]:
    """Return what variants are, by id."""
    found = {}
    for id_, ncm, price, brand, path, attributes in await tx.tuples(TRAITS, {"ids": list(ids)}):
        own = [trait("brand", brand)] if brand else []
        own += [trait("category", code) for code in (path or "").split("/") if code]
        own += [trait("ncm", ncm[:level]) for level in NCM_LEVELS if len(ncm) >= level]
        own += [trait("attribute", f"{name}={value}") for name, value in (attributes or {}).items()]
        found[id_] = Traits(ncm, price, tuple(own))
    return found
