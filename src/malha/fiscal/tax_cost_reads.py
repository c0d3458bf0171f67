"""What selling costs in tax, as routing compares it: a table by states and product class."""

import msgspec

from malha.platform import revisions
from malha.platform.db import Tx

REVISION = "tax_costs"

# The whole table; some thousands of rows at most.
TAX_COSTS = """
SELECT from_state, to_state, ncm, basis_points, centavos FROM tax_cost ORDER BY from_state, to_state, ncm
"""


class TaxCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a unit costs in tax: a share of its value in basis points (1800 is 18 %), and centavos besides.

    `*` is any state. `ncm` is the beginning of the code: the longest that fits a product counts, after the states.
    """

    from_state: str
    to_state: str
    ncm: str = ""
    basis_points: int = 0
    centavos: int = 0


async def tax_costs(tx: Tx) -> list[TaxCost]:
    """Return the table."""
    return await tx.all(TaxCost, TAX_COSTS)


async def version(tx: Tx) -> int:
    """Return the version of the table, for changes; 0: it was never stated."""
    return await revisions.current(tx, REVISION)
