"""Whose goods locations keep: what lists are narrowed to, by establishment or by company.

Who sees only some locations knows only the owners of those: others are as unknown as one that does not exist.
"""

from collections.abc import Sequence

import msgspec

from malha.platform.db import Tx

# Some hundred locations, read whole; closed ones too: what they moved is asked for later.
OWNERS = """
SELECT e.code, e.name, c.cnpj_root, c.name AS company, array_agg(n.id ORDER BY n.id) AS location_ids
FROM location n
JOIN establishment e ON e.id = coalesce(n.owner_id, n.establishment_id)
JOIN legal_entity c ON c.id = e.legal_entity_id
WHERE %(scope)s::int[] IS NULL OR n.id = ANY (%(scope)s::int[])
GROUP BY e.id, c.id
ORDER BY c.name, c.cnpj_root, e.name, e.code
"""


class Owner(msgspec.Struct, frozen=True):
    """An establishment whose goods locations keep, its company, and those locations."""

    code: str
    name: str
    cnpj_root: str
    company: str
    location_ids: tuple[int, ...]


async def owners(tx: Tx, scope: Sequence[int] | None) -> list[Owner]:
    """Return the owners of goods at some locations (None: all), companies together."""
    return await tx.all(Owner, OWNERS, {"scope": None if scope is None else list(scope)})


def kept_for(known: Sequence[Owner], asked: str) -> tuple[int, ...]:
    """Return the locations that keep goods of an establishment, by its code, or of a company, by its CNPJ's root.

    Nothing when neither is among the owners known.
    """
    found = [owner for owner in known if owner.code == asked] or [o for o in known if o.cnpj_root == asked]
    return tuple(sorted(id_ for owner in found for id_ in owner.location_ids))
